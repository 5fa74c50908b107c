//! Windows and the interval join.

use std::cell::RefCell;
use std::rc::Rc;

use differential_dataflow::difference::Semigroup;
use differential_dataflow::input::InputSession;
use differential_dataflow::operators::CountTotal;
use differential_dataflow::{AsCollection, Data, ExchangeData, VecCollection};
use rivals_workload::pace::{Pace, WINDOW};
use rivals_workload::readings::{REACH, SECOND};
use rivals_workload::{CHUNK, Digest, Reading, Stamps, part};
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::Map;
use timely::worker::Worker;

use rival_timely::Found;

/// What the output of a worker found.
pub type Rows = Rc<RefCell<Digest>>;
pub type Probe = probe::Handle<u64>;
/// A count and a sum, as a weight.
pub type Totals = (isize, isize);
/// A key and the end of a window.
type Keyed = (u32, u64);

/// How many timestamps an input may be ahead of the results.
const AHEAD: u64 = 2;

/// Lets a dataflow work, until results are near.
pub fn step<D: Data, R: Semigroup + 'static>(
    worker: &mut Worker,
    input: &mut InputSession<u64, D, R>,
    probe: &Probe,
) {
    input.flush();
    worker.step();
    let time = input.time().saturating_sub(AHEAD);
    while probe.less_than(&time) {
        worker.step();
    }
}

/// Hashes rows as they come and go.
pub fn digest<const N: usize>(rows: VecCollection<'_, u64, [u64; N], isize>, into: &Rows) -> Probe {
    let into = into.clone();
    let (probe, _) = rows
        .inspect_batch(move |_, changes| {
            let mut digest = into.borrow_mut();
            for (row, _, change) in changes {
                (0..*change).for_each(|_| digest.add(*row));
                (*change..0).for_each(|_| digest.remove(*row));
            }
        })
        .probe();
    probe
}

fn row(((key, end), (count, sum)): (Keyed, Totals)) -> [u64; 4] {
    [key.into(), end, count as u64, sum as u64]
}

/// A reading in the window of so many nanoseconds that it is in.
fn in_window(reading: &Reading, size: i64) -> (Keyed, Totals) {
    let end = (reading.at / size + 1) * size;
    ((reading.key, end as u64), (1, reading.value as isize))
}

pub fn tumbling(worker: &mut Worker, all: &[Reading], begin: impl FnOnce()) -> Found {
    windows(worker, all, begin, |counted, rows| digest(counted.count_total().map(row), rows))
}

/// Each slide is counted by itself; what it comes to goes into ten windows, at the time at which
/// they are over.
pub fn sliding(worker: &mut Worker, all: &[Reading], begin: impl FnOnce()) -> Found {
    windows(worker, all, begin, |counted, rows| {
        let of_windows = counted.count_total().inner.flat_map(|(((key, end), totals), time, _)| {
            (0..10).map(move |slide| ((key, end + slide * SECOND as u64), time + slide, totals))
        });
        digest(of_windows.as_collection().count_total().map(row), rows)
    })
}

fn windows(
    worker: &mut Worker,
    all: &[Reading],
    begin: impl FnOnce(),
    build: impl for<'s> FnOnce(VecCollection<'s, u64, Keyed, Totals>, &Rows) -> Probe,
) -> Found {
    let (rows, mut input) = (Rows::default(), InputSession::new());
    let probe = worker.dataflow(|scope| build(input.to_collection(scope), &rows));
    begin();
    for some in part(all, worker.index(), worker.peers()) {
        for reading in some {
            input.advance_to((reading.at / SECOND) as u64);
            let (keyed, totals) = in_window(reading, SECOND);
            input.update(keyed, totals);
        }
        step(worker, &mut input, &probe);
    }
    drop(input);
    finish(worker, &rows)
}

/// Lets a dataflow whose inputs are closed come to its end.
pub fn finish(worker: &mut Worker, rows: &Rows) -> Found {
    while worker.has_dataflows() {
        worker.step();
    }
    Found { digest: *rows.borrow(), stamps: None }
}

/// Readings meet by key and by stretch of time, each right one in three stretches.
pub fn join(
    worker: &mut Worker,
    left: &[Reading],
    right: &[Reading],
    begin: impl FnOnce(),
) -> Found {
    let rows = Rows::default();
    let (mut to_left, mut to_right) = (InputSession::new(), InputSession::new());
    let probe = worker.dataflow(|scope| {
        let stretch = |reading: &Reading| reading.at / REACH;
        let left: VecCollection<'_, u64, Reading, isize> = to_left.to_collection(scope);
        let right: VecCollection<'_, u64, Reading, isize> = to_right.to_collection(scope);
        let left = left.map(move |r| ((r.key, stretch(&r)), (r.at, r.value)));
        let right = right.flat_map(move |r| {
            (-1..=1).map(move |by| ((r.key, stretch(&r) + by), (r.at, r.value)))
        });
        let pairs = left
            .join_map(right, |(key, _), left, right| (*key, *left, *right))
            .filter(|(_, left, right)| (left.0 - right.0).abs() <= REACH)
            .map(|(key, left, right)| {
                [key.into(), left.0.max(right.0) as u64, left.1.into(), right.1.into()]
            });
        digest(pairs, &rows)
    });
    begin();
    let parts = |all| part(all, worker.index(), worker.peers());
    for (left, right) in parts(left).zip(parts(right)).collect::<Vec<_>>() {
        for (some, to) in [(left, &mut to_left), (right, &mut to_right)] {
            for reading in some {
                to.advance_to((reading.at / REACH) as u64);
                to.update(*reading, 1);
            }
        }
        to_left.flush();
        step(worker, &mut to_right, &probe);
    }
    drop((to_left, to_right));
    finish(worker, &rows)
}

/// The open loop, as that of timely, on which this is built.
pub fn paced(worker: &mut Worker, pace: &Pace, begin: impl FnOnce()) -> Found {
    let (rows, mut input) = (Rows::default(), InputSession::<u64, Keyed, Totals>::new());
    let stamps = Rc::new(RefCell::new(Stamps::new(pace.clone())));
    worker.dataflow(|scope| {
        let stamps = stamps.clone();
        let results = input.to_collection(scope).count_total().map(row);
        let results = results.inspect_batch(move |_, changes| {
            let mut stamps = stamps.borrow_mut();
            let now = stamps.now();
            for window in changes.chunk_by(|one, other| one.0[1] == other.0[1]) {
                stamps.results(window[0].0[1] as i64, now, window.len() as u64);
            }
        });
        digest(results, &rows);
    });
    begin();
    let mut share = pace.share(worker.index(), worker.peers());
    while !share.is_over() {
        let mut is_new = false;
        share.due(pace.now(), CHUNK, |reading| {
            input.advance_to((reading.at / WINDOW) as u64);
            let (keyed, totals) = in_window(&reading, WINDOW);
            input.update(keyed, totals);
            is_new = true;
        });
        if is_new {
            input.advance_to((share.next_at() / WINDOW) as u64);
            input.flush();
        }
        worker.step();
    }
    drop(input);
    let found = finish(worker, &rows);
    Found { stamps: Some(stamps.borrow().clone()), ..found }
}

/// A collection of what a query takes of events.
pub type Taken<'s, T> = VecCollection<'s, u64, T, isize>;

/// Whatever a query may take.
pub trait Take: ExchangeData {}
impl<T: ExchangeData> Take for T {}
