//! A loop written by hand, as an operator of a dataflow.

use std::cell::RefCell;
use std::rc::Rc;

use rivals_workload::{Digest, Stamps};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Probe as _;
use timely::dataflow::operators::generic::operator::Operator;

use crate::feed::Probe;

/// Records in containers, by coarse time.
pub type Records<'s, T> = Stream<'s, u64, Vec<T>>;

/// Lets `add` take each container, and `close` what the frontier has passed: before a time, or all
/// of it. Rows go out under a capability that follows the frontier.
pub fn keyed<'s, T: ExchangeData, R: Clone + 'static, S: 'static>(
    records: Records<'s, T>,
    route: impl Fn(&T) -> u64 + 'static,
    mut state: S,
    mut add: impl FnMut(&mut S, &mut Vec<T>, &mut Vec<R>) + 'static,
    mut close: impl FnMut(&mut S, Option<u64>, &mut dyn FnMut(R)) + 'static,
) -> Records<'s, R> {
    let pact = Exchange::new(move |record: &T| route(record));
    records.unary_frontier::<CapacityContainerBuilder<Vec<R>>, _, _, _>(
        pact,
        "keyed",
        |first, _| {
            let (mut capability, mut at_once) = (Some(first), Vec::new());
            move |(input, frontier), output| {
                input.for_each_stamp(|_, containers| {
                    containers.for_each(|records| add(&mut state, records, &mut at_once));
                });
                let Some(held) = &mut capability else { return };
                if !at_once.is_empty() {
                    output.session(&held).give_iterator(at_once.drain(..));
                }
                let reached = frontier.frontier().first().copied();
                if reached != Some(*held.time()) {
                    let mut session = output.session(&held);
                    close(&mut state, reached, &mut |row| session.give(row));
                    drop(session);
                    match reached {
                        Some(time) => held.downgrade(&time),
                        None => capability = None,
                    }
                }
            }
        },
    )
}

/// What the sink of a worker found.
pub type Rows = Rc<RefCell<Digest>>;

/// Hashes rows where they are; what it returns says how far they have come.
pub fn digest<'s, R: Clone + 'static>(
    rows: Records<'s, R>,
    into: &Rows,
    add: impl Fn(&mut Digest, R) + 'static,
) -> Probe {
    let (probe, rows) = rows.probe();
    let into = into.clone();
    rows.sink(Pipeline, "digest", move |(input, _)| {
        let mut digest = into.borrow_mut();
        input.for_each_stamp(|_, containers| {
            containers.flat_map(|rows| rows.drain(..)).for_each(|row| add(&mut digest, row));
        });
    });
    probe
}

/// Hashes the results of windows, and stamps each container of them: a look at the clock for each
/// of them, not for each row.
pub fn stamped(rows: Records<'_, [u64; 4]>, into: &Rows, stamps: &Rc<RefCell<Stamps>>) {
    let (into, stamps) = (into.clone(), stamps.clone());
    rows.sink(Pipeline, "stamped", move |(input, _)| {
        let (mut digest, mut stamps) = (into.borrow_mut(), stamps.borrow_mut());
        input.for_each_stamp(|_, containers| {
            for rows in containers {
                rows.iter().for_each(|row| digest.add(*row));
                let now = stamps.now();
                for window in rows.chunk_by(|one, other| one[1] == other[1]) {
                    stamps.results(window[0][1] as i64, now, window.len() as u64);
                }
                rows.clear();
            }
        });
    });
}
