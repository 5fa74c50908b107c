//! Windows of records: by count, and those that end at each record.

use std::cell::RefCell;
use std::rc::Rc;

use millstream::metrics::Counter;
use millstream::{Aggregate, Windowed};
use proptest::prelude::*;

use crate::support::model::grouped;
use crate::support::sliding::{Back, Digest, Digesting, Slid, count_windows, rolling, slid};
use crate::support::world::values;
use crate::support::{Row, Seen, World, watch};
use crate::{cases, rows, timed};

type Result = Windowed<u64, Digest>;

fn results(seen: &Rc<RefCell<Seen<Result>>>) -> Vec<Slid> {
    let seen = seen.borrow();
    seen.check_over();
    seen.records.iter().map(|(at, result)| slid(*at, result)).collect()
}

/// The same results, and those of one key in the same order.
fn assert_same_by_key(got: &[Slid], want: &[Slid]) {
    assert_eq!(grouped(got, |result| result.1), grouped(want, |result| result.1));
}

/// Windows by count, as the engine makes them with an aggregate that is invertible or is not.
fn counted<A: Aggregate<Row, Out = Digest>>(
    world: &World,
    rows: &[Row],
    (size, every): (usize, usize),
    incomplete: bool,
    aggregate: fn() -> A,
) -> Vec<Slid> {
    let seen = Seen::<Result>::new();
    world.run(|p| {
        let keyed = timed(p, world, rows, 0).key_by(|row| row.key);
        let mut windows = keyed.count_window(size as u32).every(every as u32);
        if incomplete {
            windows = windows.emit_incomplete();
        }
        watch(windows.aggregate(aggregate()), &seen, world);
        Ok(())
    });
    results(&seen)
}

/// Windows that end at each record, as the engine makes them, and what is late.
fn rolled<A: Aggregate<Row, Out = Digest>>(
    world: &World,
    rows: &[Row],
    disorder: i64,
    back: Back,
    aggregate: fn() -> A,
) -> (Vec<Slid>, Vec<Row>) {
    let (seen, gone) = (Seen::<Result>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        let keyed = timed(p, world, rows, disorder).key_by(|row| row.key);
        let (results, late) = keyed.rolling(back.rolling()).aggregate_with_late(aggregate());
        watch(results, &seen, world);
        watch(late, &gone, world);
        Ok(())
    });
    let (results, late) = (results(&seen), values(&gone));
    assert_eq!(outcome.counters.get(Counter::Late), late.len() as u64);
    assert_eq!(outcome.counters.get(Counter::WindowsFired), results.len() as u64);
    (results, late)
}

pub fn back() -> impl Strategy<Value = Back> {
    prop_oneof![
        3 => (1..200i64, any::<bool>()).prop_map(|(length, inclusive)| {
            Back::Length { length, inclusive }
        }),
        1 => (1..20usize).prop_map(Back::Last),
    ]
}

proptest! {
    #![proptest_config(cases(200))]

    /// By time, either bound in or out, and by count; disorder, equal times, late records.
    #[test]
    fn windows_that_end_at_each_record_are_the_models(
        world in World::any(),
        rows in rows(150),
        back in back(),
        disorder in 0..60i64,
    ) {
        let (want, late) = rolling(&rows, disorder, back);
        let key = |row: &Row| row.key;
        let (got, gone) = rolled(&world, &rows, disorder, back, || Digesting::<false>);
        assert_same_by_key(&got, &want);
        prop_assert_eq!(grouped(&gone, key), grouped(&late, key));
        let (got, _) = rolled(&world, &rows, disorder, back, || Digesting::<true>);
        assert_same_by_key(&got, &want);
    }

    /// End to end and overlapping, with gaps too; incomplete windows or not.
    #[test]
    fn windows_by_count_are_the_models(
        world in World::any(),
        rows in rows(150),
        size in 1..20usize,
        every in prop_oneof![1..20usize, Just(0)],
        incomplete in any::<bool>(),
    ) {
        let every = if every == 0 { size } else { every };
        let want = count_windows(&rows, size, every, incomplete);
        let cut = (size, every);
        let got = counted(&world, &rows, cut, incomplete, || Digesting::<false>);
        assert_same_by_key(&got, &want);
        let got = counted(&world, &rows, cut, incomplete, || Digesting::<true>);
        assert_same_by_key(&got, &want);
    }
}
