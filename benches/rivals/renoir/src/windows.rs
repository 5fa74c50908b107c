//! Windows and the interval join.

use std::sync::{Arc, Mutex};

use renoir::Stream;
use renoir::operator::{Operator, StreamElement, Timestamp};
use renoir::prelude::*;
use rivals_workload::pace::{Pace, WINDOW};
use rivals_workload::readings::{REACH, SECOND};
use rivals_workload::{Digest, Reading, Stamps};

use crate::digest;
use crate::source::{Due, Paced, Part};
use crate::times::{floor, watermarks, windows};

/// Records that cross between two threads at once. As the engine's own NEXMark has it.
pub const BATCH: usize = 16 << 10;

/// The end of a window, a count and a sum.
type Totals = (i64, u64, u64);

/// What goes in.
fn readings(
    context: &StreamContext,
    all: &Arc<[Reading]>,
) -> Stream<impl Operator<Out = Reading> + use<>> {
    let all = all.clone();
    let part = move |replica: u64, replicas: u64| Part::new(&all, replica, replicas);
    context.stream_par_iter(part).batch_mode(BatchMode::fixed(BATCH))
}

pub fn tumbling(context: &StreamContext, all: &Arc<[Reading]>) -> StreamOutput<Vec<Digest>> {
    let rows = readings(context, all)
        .add_timestamps(|reading| floor(reading.at, SECOND), watermarks())
        .group_by(|reading| reading.key)
        .window(windows(SECOND, SECOND))
        .fold((0, 0, 0), |(end, count, sum): &mut Totals, reading| {
            *end = floor(reading.at, SECOND) + SECOND;
            (*count, *sum) = (*count + 1, *sum + u64::from(reading.value));
        })
        .unkey()
        .map(|(key, (end, count, sum))| [key.into(), end as u64, count, sum]);
    digest!(rows).collect_vec()
}

/// Windows of a key begin with its first record, and those are left out that begin where a key had
/// none: fewer than all others find, and no timestamps mend it.
pub fn sliding(context: &StreamContext, all: &Arc<[Reading]>) -> StreamOutput<Vec<Digest>> {
    let totals = readings(context, all)
        .add_timestamps(|reading| floor(reading.at, SECOND), watermarks())
        .group_by(|reading| reading.key)
        .window(windows(10 * SECOND, SECOND))
        .fold((0, 0), |(count, sum): &mut (u64, u64), reading| {
            (*count, *sum) = (*count + 1, *sum + u64::from(reading.value));
        })
        .unkey();
    // Which window a result is of only its timestamp says.
    let rows = totals.rich_map_custom(|mut input| match input.next() {
        StreamElement::Timestamped((key, (count, sum)), end) => {
            let row = [u64::from(key), (end + 1) as u64, count, sum];
            StreamElement::Timestamped(row, end)
        }
        StreamElement::Item(_) => unreachable!("windows give timestamps"),
        StreamElement::Watermark(at) => StreamElement::Watermark(at),
        StreamElement::FlushBatch => StreamElement::FlushBatch,
        StreamElement::Terminate => StreamElement::Terminate,
        StreamElement::FlushAndRestart => StreamElement::FlushAndRestart,
    });
    digest!(rows).collect_vec()
}

/// A watermark each so many records: the join keeps what it cannot rule out yet.
fn now_and_then() -> impl FnMut(&Reading, &Timestamp) -> Option<Timestamp> + Clone + Send + 'static
{
    let mut count = 0;
    move |_, at| {
        count += 1;
        (count % 1024 == 0).then_some(*at)
    }
}

pub fn join(
    context: &StreamContext,
    left: &Arc<[Reading]>,
    right: &Arc<[Reading]>,
) -> StreamOutput<Vec<Digest>> {
    let [left, right] = [left, right].map(|side| {
        readings(context, side)
            .add_timestamps(|reading| reading.at, now_and_then())
            .group_by(|reading| reading.key)
    });
    let rows = left.interval_join(right, REACH, REACH).unkey().map(|(key, (left, right))| {
        let at = left.at.max(right.at) as u64;
        [key.into(), at, left.value.into(), right.value.into()]
    });
    digest!(rows).collect_vec()
}

/// Each record crosses at once, alone. Results are stamped one by one, on the threads of windows.
pub fn paced(
    context: &StreamContext,
    pace: &Pace,
    stamps: &Arc<Mutex<Option<Stamps>>>,
) -> StreamOutput<Vec<Digest>> {
    let (due, stamps) = (pace.clone(), stamps.clone());
    let source = context
        .stream_par_iter(move |replica: u64, replicas: u64| Due::new(&due, replica, replicas));
    let totals = source
        .batch_mode(BatchMode::single())
        // The watermark is that of the next record, which is known before it is due.
        .add_timestamps(
            |(reading, _): &Paced| floor(reading.at, WINDOW),
            |(_, next): &Paced, at: &Timestamp| {
                let next = floor(*next, WINDOW);
                (next > *at).then_some(next)
            },
        )
        .group_by(|(reading, _)| reading.key)
        .window(windows(WINDOW, WINDOW))
        .fold((0, 0, 0), |(end, count, sum): &mut Totals, (reading, _)| {
            *end = floor(reading.at, WINDOW) + WINDOW;
            (*count, *sum) = (*count + 1, *sum + u64::from(reading.value));
        })
        .unkey();
    let rows = totals.map(move |(key, (end, count, sum))| {
        if let Ok(Some(stamps)) = stamps.lock().as_deref_mut() {
            stamps.results(end, stamps.now(), 1);
        }
        [key.into(), end as u64, count, sum]
    });
    digest!(rows).collect_vec()
}
