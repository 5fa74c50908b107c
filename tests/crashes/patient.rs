//! Checkpoints of what waits for a moment of processing time.

use millstream::secs;
use millstream::window::triggers;

use super::*;

/// Counts the rows of a key, and has something to do at a time that never comes.
struct Patient;

impl Process for Patient {
    type Key = u64;
    type In = Row;
    type State = u64;
    type Out = (u64, u64);

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        ctx.set_timer(Timer::processing(Timestamp::MAX));
        *ctx.state() += 1;
        let count = *ctx.state();
        ctx.emit((row.key, count));
    }
}

/// And windows that would show what they have if nothing came for a while.
impl Crashing for Patient {
    type Out = (u64, u64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        let (some, others) = rows.split(|row| row.value % 2 == 0);
        // Which row of a key is first depends on which of two shards is.
        let counts = some.key_by(|row| row.key).process(Self);
        let counts = counts.key_by(|count| count.0).window(Tumbling::of(secs(1)).offset(ms(500)));
        let counts = counts.aggregate(max(|count: &(u64, u64)| count.1));
        let late = others.key_by(|row| row.key).window(Tumbling::of(ns(50)));
        let late = late.trigger(triggers::silence(secs(100))).aggregate(count());
        let counts = counts.map(|window| (window.key, window.value));
        counts.union(late.map(|window| (window.key, window.value)))
    }
}

/// A barrier does not wait for what waits for a moment to come, nor do the records behind it.
#[test]
fn checkpoints_pass_what_waits_for_a_moment_of_processing_time() {
    crashes::<Patient>(20);
}
