//! Windows by time or count against a model that keeps every row.

use millstream::metrics::Counter;
use millstream::{Windowed, ns};
use proptest::prelude::*;

use super::support::model::{disorder_of, grouped};
use super::support::sliding::{Digest, Digesting, Slid, slid};
use super::support::time_or_count::time_or_count;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

/// What the engine makes of rows, in the order of arrival, and what it counted.
fn engine(
    world: &World,
    rows: &[Row],
    disorder: i64,
    after: i64,
    records: usize,
) -> (Vec<Slid>, Vec<Row>, [u64; 3]) {
    let (seen, late) = (Seen::<Windowed<u64, Digest>>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        let keyed = timed(p, world, rows, disorder).key_by(|row| row.key);
        let windows = keyed.time_or_count(ns(after as u64), records as u32);
        let (results, gone) = windows.aggregate_with_late(Digesting::<false>);
        watch(results, &seen, world);
        watch(gone, &late, world);
        Ok(())
    });
    let (seen, late) = (seen.borrow(), late.borrow());
    seen.check_over();
    late.check_over();
    let results = seen.records.iter().map(|(at, result)| slid(*at, result)).collect();
    let counted = [Counter::Late, Counter::Dropped, Counter::WindowsFired];
    let late = late.records.iter().map(|(_, row)| *row).collect();
    (results, late, counted.map(|counter| outcome.counters.get(counter)))
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn windows_by_time_or_count_are_the_models(
        world in World::any(),
        rows in rows(120),
        disorder in 0..60i64,
        after in prop_oneof![3 => 1..80i64, 1 => 1..2_000i64],
        records in prop_oneof![4 => 1..6usize, 1 => Just(1_000usize)],
    ) {
        let (want, late) = time_or_count(&rows, disorder, after, records);
        let (got, gone, counters) = engine(&world, &rows, disorder, after, records);
        prop_assert_eq!(grouped(&got, |slid| slid.1), grouped(&want, |slid| slid.1));
        let key = |row: &Row| row.key;
        prop_assert_eq!(grouped(&gone, key), grouped(&late, key));
        prop_assert_eq!(counters, [late.len() as u64, 0, want.len() as u64]);
    }

    /// Where records keep to the bound the watermark only says when: none is late, and the windows
    /// are those of any bound that they keep to.
    #[test]
    fn the_watermark_does_not_say_what_is_in_a_window(
        world in World::any(),
        rows in rows(120),
        more in 0..500i64,
        after in 1..80i64,
        records in 1..6usize,
    ) {
        let disorder = disorder_of(&rows);
        let (got, gone, _) = engine(&world, &rows, disorder + more, after, records);
        let (want, late) = time_or_count(&rows, disorder, after, records);
        prop_assert!(gone.is_empty() && late.is_empty());
        prop_assert_eq!(grouped(&got, |slid| slid.1), grouped(&want, |slid| slid.1));
    }
}
