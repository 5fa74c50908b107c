//! Sessions against a model that keeps every record.

use millstream::metrics::Counter;
use millstream::{Session, Timing, Windowed, ns};
use proptest::prelude::*;

use super::support::model::{Value, disorder_of, grouped, sorted, watermarks};
use super::support::sessions::{Gap, Visit, Visits, sessions_of_all, sessions_under, visit};
use super::support::world::{all, fired, results, values};
use super::support::{Fired, Row, Seen, World, watch};
use super::{cases, rows, timed};

fn gap() -> impl Strategy<Value = Gap> {
    prop_oneof![(1..80i64).prop_map(Gap::Fixed), (2..80i64).prop_map(Gap::ByValue)]
}

/// What the engine makes of a stream, in the order of arrival, and what it counted.
fn engine(
    world: &World,
    rows: &[Row],
    gap: Gap,
    lateness: i64,
    disorder: i64,
) -> (Visits, [u64; 3]) {
    let (seen, late) = (Seen::<Windowed<u64, Value>>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        let keyed = timed(p, world, rows, disorder).key_by(|row| row.key);
        let lateness = ns(lateness as u64);
        match gap {
            Gap::Fixed(fixed) => {
                let sessions = keyed.session(Session::gap(ns(fixed as u64)));
                let sessions = sessions.allowed_lateness(lateness);
                let (results, gone) = sessions.aggregate_with_late(all());
                watch(results, &seen, world);
                watch(gone, &late, world);
            }
            Gap::ByValue(_) => {
                let sessions = keyed.session(Session::gap_by(move |row: &Row| gap.said(row)));
                let sessions = sessions.allowed_lateness(lateness);
                let (results, gone) = sessions.aggregate_with_late(all());
                watch(results, &seen, world);
                watch(gone, &late, world);
            }
        }
        Ok(())
    });
    // Looks at the times of the results too.
    results(&seen);
    let fired = values(&seen).into_iter().map(visit).collect();
    let counted = [Counter::Late, Counter::Dropped, Counter::WindowsFired];
    (Visits { fired, late: values(&late) }, counted.map(|counter| outcome.counters.get(counter)))
}

proptest! {
    #![proptest_config(cases(600))]

    /// Late records, allowed lateness, gaps by record, counters: those of a key in order.
    #[test]
    fn sessions_are_the_models(
        world in World::any(),
        rows in rows(120),
        gap in gap(),
        lateness in prop_oneof![2 => Just(0i64), 3 => 1..200i64, 1 => Just(i64::MAX)],
        disorder in 0..60i64,
    ) {
        let before = watermarks(&rows, disorder);
        let want = sessions_under(rows.iter().copied().zip(before), gap, lateness);
        let (got, counters) = engine(&world, &rows, gap, lateness, disorder);
        let key = |visit: &Visit| visit.0.key;
        prop_assert_eq!(grouped(&got.fired, key), grouped(&want.fired, key));
        let key = |row: &Row| row.key;
        prop_assert_eq!(grouped(&got.late, key), grouped(&want.late, key));
        let fired = want.fired.len() as u64;
        prop_assert_eq!(counters, [want.late.len() as u64, 0, fired]);
    }

    /// Where nothing is late the order in which records come does not matter.
    #[test]
    fn sessions_in_any_order_are_those_of_all_records(
        world in World::any(),
        rows in rows(120),
        gap in gap(),
    ) {
        let (got, _) = engine(&world, &rows, gap, 0, disorder_of(&rows));
        prop_assert!(got.fired.iter().all(|(_, timing)| *timing == Timing::OnTime));
        let got: Vec<Fired> = got.fired.into_iter().map(|visit| visit.0).collect();
        prop_assert_eq!(sorted(&got), sorted(&sessions_of_all(&rows, gap)));
    }

    /// Without a late output late records are dropped, and counted as that too; `ordered` makes one
    /// sequence of all results.
    #[test]
    fn sessions_in_order(
        world in World::any(),
        rows in rows(100),
        gap in 1..80i64,
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Windowed<u64, Value>>::new();
        let outcome = world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let sessions = keyed.session(Session::gap(ns(gap as u64))).aggregate(all());
            watch(sessions.ordered(|session| session.key), &seen, &world);
            Ok(())
        });
        let before = watermarks(&rows, disorder);
        let want = sessions_under(rows.iter().copied().zip(before), Gap::Fixed(gap), 0);
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), want.late.len() as u64);
        let mut fired_: Vec<Fired> = want.fired.into_iter().map(|visit| visit.0).collect();
        fired_.sort_by_key(|result| (result.end, result.key));
        prop_assert_eq!(values(&seen).into_iter().map(fired).collect::<Vec<_>>(), fired_);
    }
}

/// A worked example of what each rule says.
#[test]
fn the_model_of_sessions_itself() {
    let row = |at, value| Row { at, key: 0, value };
    // Two sessions, joined by a record between them that touches both at exactly the gap.
    let rows = [row(0, 1), row(20, 2), row(10, 4)];
    let all: Vec<_> = sessions_of_all(&rows, Gap::Fixed(10));
    assert_eq!((all.len(), all[0].start, all[0].end, all[0].value.1), (1, 0, 30, 7));
    let timings = |rows: &[Row], disorder, lateness| {
        let before = watermarks(rows, disorder);
        let visits = sessions_under(rows.iter().copied().zip(before), Gap::Fixed(10), lateness);
        let fired: Vec<_> =
            visits.fired.iter().map(|(f, timing)| (f.start, f.end, f.value.1, *timing)).collect();
        (fired, visits.late)
    };
    let (fired, late) = timings(&[row(0, 1), row(20, 2), row(3, 4)], 0, 0);
    assert_eq!(fired, [(0, 10, 1, Timing::OnTime), (20, 30, 2, Timing::OnTime)]);
    assert_eq!(late, [row(3, 4)]);
    let (fired, late) = timings(&[row(0, 1), row(22, 2), row(3, 4), row(11, 8)], 0, 20);
    let want = [
        (0, 10, 1, Timing::OnTime),
        (0, 13, 5, Timing::Late(1)),
        (0, 21, 13, Timing::Late(2)),
        (22, 32, 2, Timing::OnTime),
    ];
    assert_eq!((fired.as_slice(), late.len()), (&want[..], 0));
    // A late record makes one of a session that has fired and one that has not.
    let (fired, _) = timings(&[row(0, 1), row(15, 2), row(9, 4)], 0, 20);
    assert_eq!(fired, [(0, 10, 1, Timing::OnTime), (0, 25, 7, Timing::OnTime)]);
}
