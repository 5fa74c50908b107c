//! Windows of all shapes after warm-up.

use millstream::aggregates::{count, max, sum};
use millstream::metrics::Counter;
use millstream::window::TimeOfDay;
use millstream::{Calendar, Config, Cumulative, Shard, Sliding, Timestamp, Watermarks, ms, us};

use crate::{STEP, Trade, calls, trades};

#[test]
fn windows_of_all_shapes_do_not_allocate() {
    let config = Config { fire_max: 64, ..Config::embedded() };
    let (mut shard, ()) = Shard::embed(config, |p| {
        let timed = || -> millstream::Result<_> {
            let source = p.source(trades(p, 4e5)?);
            Ok(source.event_time(|t| Timestamp(t.at), Watermarks::bounded_disorder(us(1))))
        };
        let many = Sliding::of(ms(20)).every(us(500));
        let keyed = || Ok::<_, millstream::Error>(timed()?.key_by(|trade| trade.symbol));
        let deducted = keyed()?.window(many).allowed_lateness(ms(1));
        deducted.aggregate((count(), sum(|trade: &Trade| trade.qty))).for_each(drop);
        let turned = keyed()?.window(many).allowed_lateness(ms(1));
        turned.aggregate(max(|trade: &Trade| trade.qty)).for_each(drop);
        let grown = keyed()?.window(Cumulative::of(ms(4)).every(ms(1)));
        grown.aggregate(max(|trade: &Trade| trade.qty)).for_each(drop);
        let gaps = keyed()?.window(Sliding::of(us(300)).every(ms(1)).with_gaps());
        gaps.reduce(|newest, trade| *newest = *trade).for_each(drop);
        let days = Calendar::days("Europe/Berlin").begins_at(TimeOfDay::new(1, 0));
        timed()?.window_all(days).aggregate(count()).for_each(drop);
        Ok(())
    })
    .expect("it can be built");
    let mut now = Timestamp(0);
    let mut run = |shard: &mut Shard, steps: u32| {
        for _ in 0..steps {
            now = now + STEP;
            shard.step(now);
        }
        shard.counters().get(Counter::WindowsFired)
    };
    let warm = run(&mut shard, 30_000);
    let mut more = 0;
    assert_eq!(calls(|| more = run(&mut shard, 6_000)), 0);
    assert!(more > warm + 10_000, "windows did fire: {warm}, {more}");
}
