//! Windows and the interval join.

use std::sync::PoisonError;
use std::time::Instant;

use dbsp::utils::Tup2;
use dbsp::{Error, RootCircuit, Stream, TypedBox};
use rivals_workload::readings::{REACH, SECOND};
use rivals_workload::{Outcome, Reading};

use crate::circuit::{Found, Rows, Table, build, digest, finish, units};
use crate::view::View;

/// The end of a window and a key: in this order, so that what is over lies together.
pub type Keyed = Tup2<i64, u32>;
/// A count and a sum.
pub type Totals = Tup2<i64, i64>;

/// Counts and sums, which are weights: nothing is kept of a window before the last one that there
/// was a record of.
pub fn totals(readings: &Rows<Keyed, u32>) -> Rows<Keyed, Totals> {
    let latest = readings.waterline_monotonic(|| i64::MIN, |Tup2(end, _)| *end);
    readings.aggregate_linear_retain_keys(
        &latest,
        |Tup2(end, _), latest| end >= latest,
        |value| Tup2(1, i64::from(*value)),
    )
}

/// A row of a result.
pub fn row(Tup2(end, key): Keyed, Tup2(count, sum): Totals) -> [u64; 4] {
    [key.into(), end as u64, count as u64, sum as u64]
}

pub fn tumbling(workers: usize, all: &[Reading]) -> Result<Outcome, Error> {
    let found = Found::default();
    let into = found.clone();
    let (mut circuit, handle) = build(workers, move |circuit| {
        let (readings, handle) = circuit.add_input_indexed_zset();
        digest(&totals(&readings), &into, row);
        handle
    })?;
    let (begun, mut table) = (Instant::now(), Table::new(handle));
    for (second, some) in units(all, SECOND, |r| r.at) {
        let end = (second + 1) * SECOND;
        some.iter().for_each(|r| table.give(Tup2(end, r.key), r.value));
        table.send();
        circuit.transaction()?;
    }
    finish(circuit, begun, &found)
}

/// Slides in a window.
const OVERLAP: i64 = 10;

/// Each slide is counted by itself, and a window is of such counts. What a window holds is what it
/// held before and what changed, and its reader keeps that.
pub fn sliding(workers: usize, all: &[Reading]) -> Result<Outcome, Error> {
    let (found, view) = (Found::default(), View::<u32, Totals>::default());
    let seen = view.clone();
    let (mut circuit, (handle, clock)) = build(workers, move |circuit| {
        let (readings, handle) = circuit.add_input_indexed_zset::<Keyed, u32>();
        let (now, clock) = circuit.add_input_stream::<i64>();
        let slides = totals(&readings);
        let by_time = slides.map_index(|(Tup2(end, key), totals)| (*end, Tup2(*key, *totals)));
        let in_window = by_time.window((true, true), &bounds(&now, OVERLAP, SECOND));
        let by_key = in_window.map_index(|(_, Tup2(key, totals))| (*key, *totals));
        seen.follow(&by_key.aggregate_linear(|totals| *totals));
        (handle, clock)
    })?;
    let (begun, mut table) = (Instant::now(), Table::new(handle));
    let mut close = |end: i64| -> Result<(), Error> {
        clock.set_for_all(end);
        circuit.transaction()?;
        let mut digest = found.lock().unwrap_or_else(PoisonError::into_inner);
        view.each(|key, totals| digest.add(row(Tup2(end, *key), *totals)));
        Ok(())
    };
    let mut last = 0;
    for (second, some) in units(all, SECOND, |r| r.at) {
        last = (second + 1) * SECOND;
        some.iter().for_each(|r| table.give(Tup2(last, r.key), r.value));
        table.send();
        close(last)?;
    }
    (1..OVERLAP).try_for_each(|slide| close(last + slide * SECOND))?;
    finish(circuit, begun, &found)
}

/// The ends of the first and the last slide of the window that ends now.
pub fn bounds(
    now: &Stream<RootCircuit, i64>,
    slides: i64,
    slide: i64,
) -> Stream<
    RootCircuit,
    (TypedBox<i64, dbsp::dynamic::DynData>, TypedBox<i64, dbsp::dynamic::DynData>),
> {
    let mut latest = i64::MIN / 2;
    // A transaction is several steps, and only the first one is given the time.
    now.apply_mut(move |now| {
        latest = latest.max(*now);
        (TypedBox::new(latest - (slides - 1) * slide), TypedBox::new(latest))
    })
}

/// Readings meet by key and by stretch of time, each right one in three stretches.
pub fn join(workers: usize, left: &[Reading], right: &[Reading]) -> Result<Outcome, Error> {
    let found = Found::default();
    let into = found.clone();
    let (mut circuit, handles) = build(workers, move |circuit| {
        let (left, to_left) = circuit.add_input_indexed_zset::<Keyed, Kept>();
        let (right, to_right) = circuit.add_input_indexed_zset::<Keyed, Kept>();
        let right = right.flat_map_index(|(Tup2(stretch, key), kept)| {
            let (stretch, key, kept) = (*stretch, *key, *kept);
            (-1..=1).map(move |by| (Tup2(stretch + by, key), kept))
        });
        let pairs = left.join_index(&right, |Tup2(_, key), one, other| {
            let row = (Tup2(*key, one.0.max(other.0)), Tup2(one.1, other.1));
            ((one.0 - other.0).abs() <= REACH).then_some(row)
        });
        digest(&pairs, &into, |Tup2(key, at), Tup2(left, right)| {
            [key.into(), at as u64, left.into(), right.into()]
        });
        [to_left, to_right]
    })?;
    let (begun, mut tables) = (Instant::now(), handles.map(Table::new));
    let seconds = [left, right].map(|side| units(side, SECOND, |r| r.at).collect::<Vec<_>>());
    let [left, right] = seconds;
    for sides in left.into_iter().zip(right) {
        for (table, some) in tables.iter_mut().zip([sides.0.1, sides.1.1]) {
            some.iter().for_each(|r| table.give(Tup2(r.at / REACH, r.key), Tup2(r.at, r.value)));
            table.send();
        }
        circuit.transaction()?;
    }
    finish(circuit, begun, &found)
}

/// Time and value.
type Kept = Tup2<i64, u32>;
