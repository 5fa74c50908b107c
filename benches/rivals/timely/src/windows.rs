//! Windows and the interval join.

use rivals_workload::by_hand::{Join, Sliding, Tumbling};
use rivals_workload::digest::mix;
use rivals_workload::readings::{REACH, SECOND};
use rivals_workload::{Digest, Reading, part};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::generic::operator::Operator;
use timely::worker::Worker;

use crate::feed::Feed;
use crate::operators::{Rows, digest, keyed};
use rival_timely::Found;

/// Where the records of a key go.
pub fn route(reading: &Reading) -> u64 {
    mix(reading.key.into()) >> 32
}

/// Up to where windows are closed, for a frontier in units of `unit` nanoseconds.
pub fn closed(reached: Option<u64>, unit: i64) -> i64 {
    reached.map_or(i64::MAX, |time| time as i64 * unit)
}

pub fn tumbling(worker: &mut Worker, all: &[Reading], begin: impl FnOnce()) -> Found {
    windows(worker, all, begin, Tumbling::new(SECOND), Tumbling::add_all, |state, to, emit| {
        state.advance(to, emit);
    })
}

pub fn sliding(worker: &mut Worker, all: &[Reading], begin: impl FnOnce()) -> Found {
    let windows_of = Sliding::new(10 * SECOND, SECOND);
    windows(worker, all, begin, windows_of, Sliding::add_all, |state, to, emit| {
        state.advance(to, emit);
    })
}

fn windows<S: 'static>(
    worker: &mut Worker,
    all: &[Reading],
    begin: impl FnOnce(),
    state: S,
    add: fn(&mut S, &[Reading]),
    close: fn(&mut S, i64, &mut dyn FnMut([u64; 4])),
) -> Found {
    let rows = Rows::default();
    let (input, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, readings) = scope.new_input::<Vec<Reading>>();
        let results = keyed(
            readings,
            route,
            state,
            move |state, some, _| {
                add(state, some);
                some.clear();
            },
            move |state, reached, emit| close(state, closed(reached, SECOND), emit),
        );
        let probe = digest(results, &rows, |digest: &mut Digest, row: [u64; 4]| digest.add(row));
        (input, probe)
    });
    begin();
    let mut feed = Feed::new(input);
    for some in part(all, worker.index(), worker.peers()) {
        some.iter().for_each(|reading| feed.give((reading.at / SECOND) as u64, *reading));
        feed.step(worker, &probe);
    }
    drop(feed);
    while worker.has_dataflows() {
        worker.step();
    }
    Found { digest: *rows.borrow(), stamps: None }
}

/// Time is counted in quarters of the reach, so that little is kept that is out of it.
const UNIT: i64 = REACH / 4;

pub fn join(
    worker: &mut Worker,
    left: &[Reading],
    right: &[Reading],
    begin: impl FnOnce(),
) -> Found {
    let rows = Rows::default();
    let (inputs, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (to_left, left) = scope.new_input::<Vec<Reading>>();
        let (to_right, right) = scope.new_input::<Vec<Reading>>();
        let pacts = [Exchange::new(route), Exchange::new(route)];
        let [of_left, of_right] = pacts;
        let pairs = left.binary_frontier::<_, CapacityContainerBuilder<Vec<[u64; 4]>>, _, _, _, _>(
            right,
            of_left,
            of_right,
            "join",
            |_, _| {
                let mut join = Join::new(REACH);
                let mut least = [0; 2];
                move |(left, of_left), (right, of_right), output| {
                    // What has come up to now, before anything is taken: no later record is older.
                    let safe = least[0].min(least[1]);
                    left.for_each_stamp(|time, some| {
                        let mut session = output.session(&time);
                        for reading in some.flat_map(|some| some.drain(..)) {
                            join.add(true, reading, safe, |row| session.give(row));
                        }
                    });
                    right.for_each_stamp(|time, some| {
                        let mut session = output.session(&time);
                        for reading in some.flat_map(|some| some.drain(..)) {
                            join.add(false, reading, safe, |row| session.give(row));
                        }
                    });
                    for (least, frontier) in least.iter_mut().zip([of_left, of_right]) {
                        *least = closed(frontier.frontier().first().copied(), UNIT);
                    }
                }
            },
        );
        let probe = digest(pairs, &rows, |digest: &mut Digest, row: [u64; 4]| digest.add(row));
        ([to_left, to_right], probe)
    });
    begin();
    let [mut to_left, mut to_right] = inputs.map(Feed::new);
    let parts = |all| part(all, worker.index(), worker.peers());
    for (left, right) in parts(left).zip(parts(right)).collect::<Vec<_>>() {
        left.iter().for_each(|reading| to_left.give((reading.at / UNIT) as u64, *reading));
        right.iter().for_each(|reading| to_right.give((reading.at / UNIT) as u64, *reading));
        to_left.flush();
        to_right.step(worker, &probe);
    }
    drop((to_left, to_right));
    while worker.has_dataflows() {
        worker.step();
    }
    Found { digest: *rows.borrow(), stamps: None }
}
