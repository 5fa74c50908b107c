//! Windows, unions, partitions and steps without state, against the model.

use std::collections::BTreeMap;

use millstream::metrics::Counter;
use millstream::{Windowed, ns};
use proptest::prelude::*;

use super::support::model::{
    Answer, Value, disorder_of, finals, grouped, running_sums, sorted, watermarks, windows,
    windows_under,
};
use super::support::world::{
    all, at, disordered, invertible, memory, results, values, window_of, with_zeros, without_order,
};
use super::support::{Cut, Fired, Row, Said, Script, Seen, World, watch};
use super::{cases, cut, on_time, rows, timed};

pub type Result = Windowed<u64, Value>;

/// What keyed windows make of a stream, in the order of arrival.
fn engine(world: &World, rows: &[Row], cut: Cut, disorder: i64) -> (Answer, [u64; 3]) {
    let (fired, late) = (Seen::<Result>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        let (results, gone) = timed(p, world, rows, disorder)
            .key_by(|row| row.key)
            .window(window_of(cut))
            .allowed_lateness(ns(cut.lateness as u64))
            .aggregate_with_late(all());
        watch(results, &fired, world);
        watch(gone, &late, world);
        Ok(())
    });
    let counted = [Counter::Late, Counter::Dropped, Counter::WindowsFired];
    let counters = counted.map(|counter| outcome.counters.get(counter));
    assert!(late.borrow().records.iter().all(|(at, row)| *at == row.at));
    (Answer { fired: results(&fired), late: values(&late) }, counters)
}

/// The same results, and those of one key in the same order.
pub fn assert_same_by_key(got: &[Fired], want: &[Fired]) {
    assert_eq!(grouped(got, |result| result.key), grouped(want, |result| result.key));
}

proptest! {
    #![proptest_config(cases(400))]

    /// Tumbling and sliding windows, allowed lateness, late records, counters.
    #[test]
    fn windows_are_the_models(
        world in World::any(),
        rows in rows(120),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let want = windows(&rows, cut, disorder);
        let (got, counters) = engine(&world, &rows, cut, disorder);
        assert_same_by_key(&got.fired, &want.fired);
        let key = |row: &Row| row.key;
        prop_assert_eq!(grouped(&got.late, key), grouped(&want.late, key));
        prop_assert_eq!(counters, [want.late.len() as u64, 0, want.fired.len() as u64]);
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// What slides out of a window is deducted where that can be done: the same results.
    #[test]
    fn invertible_windows_are_the_models(
        world in World::any(),
        rows in rows(120),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .aggregate(invertible())
                .map(with_zeros);
            watch(windows, &seen, &world);
            Ok(())
        });
        let want = windows(&rows, cut, disorder).fired;
        let want: Vec<Fired> = want.into_iter().map(Fired::invertible).collect();
        assert_same_by_key(&results(&seen), &want);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// Without a late output late records are dropped, and counted as that too.
    #[test]
    fn dropped_records_are_counted(
        world in World::any(),
        rows in rows(80),
        cut in cut(),
        disorder in 0..20i64,
    ) {
        let want = windows(&rows, cut, disorder);
        let fired = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .aggregate(all());
            watch(windows, &fired, &world);
            Ok(())
        });
        assert_same_by_key(&results(&fired), &want.fired);
        let late = want.late.len() as u64;
        prop_assert_eq!(outcome.counters.get(Counter::Late), late);
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), late);
        prop_assert_eq!(outcome.counters.get(Counter::RecordsIn), rows.len() as u64);
        let fired = want.fired.len() as u64;
        prop_assert_eq!(outcome.counters.get(Counter::RecordsOut), fired);
    }

    /// `ordered` makes the whole output one sequence.
    #[test]
    fn ordered_output_is_one_sequence(
        world in World::any(),
        rows in rows(100),
        cut in cut().prop_map(on_time),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(window_of(cut))
                .aggregate(all());
            watch(windows.ordered(|result| result.key), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(results(&seen), windows(&rows, cut, disorder).fired);
    }

    /// With lateness the last result of each window is what counts, and all of them are there.
    #[test]
    fn ordered_output_with_lateness_is_complete(
        world in World::any(),
        rows in rows(100),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .aggregate(all());
            watch(windows.ordered(|result| result.key), &seen, &world);
            Ok(())
        });
        let (got, want) = (results(&seen), windows(&rows, cut, disorder).fired);
        prop_assert_eq!(finals(&got), finals(&want));
        prop_assert_eq!(sorted(&got), sorted(&want));
    }

    /// Records of one source and one key stay in order, through stateless steps and exchanges.
    #[test]
    fn stateless_steps_and_running_values(world in World::any(), rows in rows(120)) {
        let seen = Seen::<(u64, Row)>::new();
        let sums = Seen::<(u64, i64)>::new();
        world.run(|p| {
            let (kept, rest) = p
                .source(world.source(p, &rows))
                .map(|row| Row { value: row.value * 3, ..row })
                .filter(|row| row.value % 2 == 0)
                .flat_map(|row| std::iter::repeat_n(row, row.key as usize % 4))
                .split(|row| row.value % 4 == 0);
            let newest = kept.key_by(|row| row.key).reduce(|newest, row| *newest = row);
            watch(newest, &seen, &world);
            let pairs = rest.map(|row| (row.key, row.value)).key_by(|pair| pair.0);
            let sum = pairs.reduce(|sum, pair| sum.1 += pair.1).map(|(key, sum)| (key, sum.1));
            watch(sum, &sums, &world);
            Ok(())
        });
        let passed = rows.iter().filter(|row| row.value % 2 == 0).flat_map(|row| {
            std::iter::repeat_n(Row { value: row.value * 3, ..*row }, row.key as usize % 4)
        });
        let (kept, rest): (Vec<Row>, Vec<Row>) = passed.partition(|row| row.value % 4 == 0);
        let want: Vec<(u64, Row)> = kept.iter().map(|row| (row.key, *row)).collect();
        prop_assert_eq!(grouped(&values(&seen), |v| v.0), grouped(&want, |v| v.0));
        let want = running_sums(&rest);
        prop_assert_eq!(grouped(&values(&sums), |v| v.0), grouped(&want, |v| v.0));
    }

    /// Both sides of a split see the watermark of the whole stream, record by record.
    #[test]
    fn both_sides_of_a_split_have_windows(
        world in World::any(),
        rows in rows(100),
        cut in cut(),
        disorder in 0..30i64,
    ) {
        let seen = [Seen::<Result>::new(), Seen::new()];
        world.run(|p| {
            let (left, right) =
                timed(p, &world, &rows, disorder).split(|row| row.value % 3 == 0);
            let lateness = ns(cut.lateness as u64);
            let left = left.key_by(|row| row.key).window(window_of(cut));
            watch(left.allowed_lateness(lateness).aggregate(all()), &seen[0], &world);
            let right = right.key_by(|row| row.key).window(window_of(cut));
            watch(right.allowed_lateness(lateness).aggregate(all()), &seen[1], &world);
            Ok(())
        });
        let before = watermarks(&rows, disorder);
        let with = rows.iter().copied().zip(before);
        let (left, right): (Vec<_>, Vec<_>) = with.partition(|(row, _)| row.value % 3 == 0);
        assert_same_by_key(&results(&seen[0]), &windows_under(left, cut).fired);
        assert_same_by_key(&results(&seen[1]), &windows_under(right, cut).fired);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// Aggregating on each shard first changes nothing. Every shard reads a part; no record is
    /// late, since between sources that would be a matter of their pace.
    #[test]
    fn precombined_windows_are_the_same(
        world in World::any(),
        parts in prop::collection::vec(rows(50), 5),
        cut in cut().prop_map(on_time),
    ) {
        let parts = &parts[..world.shards];
        let disorder = parts.iter().map(|part| disorder_of(part)).max().unwrap_or(0);
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let source = p.source(memory(&parts[p.shard()]));
            let windows = source
                .event_time(at, disordered(disorder))
                .key_by(|row| row.key)
                .window(window_of(cut))
                .precombine()
                .aggregate(all());
            watch(windows.map(without_order), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let want = windows(&by_time(parts), cut, 0);
        let want: Vec<Fired> = want.fired.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(sorted(&results(&seen)), sorted(&want));
    }

    /// One source with records behind the watermark: the last result of each window is the same.
    #[test]
    fn precombined_windows_know_late_records(
        world in World::any(),
        rows in rows(100),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .precombine()
                .aggregate(all());
            watch(windows.map(without_order), &seen, &world);
            Ok(())
        });
        let want = windows(&rows, cut, disorder);
        prop_assert_eq!(outcome.counters.get(Counter::Late), want.late.len() as u64);
        let want: Vec<Fired> = want.fired.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(finals(&results(&seen)), finals(&want));
    }

    /// Two streams, from two shards or one, become one whose watermark is the lesser.
    #[test]
    fn a_union_loses_nothing(
        world in World::any(),
        left in rows(80),
        right in rows(80),
        cut in cut().prop_map(on_time),
        away in 0..5usize,
    ) {
        let other = World { home: away % world.shards, ..world.clone() };
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let left = timed(p, &world, &left, disorder_of(&left));
            let right = timed(p, &other, &right, disorder_of(&right));
            let both = left.union(right).key_by(|row| row.key).window(window_of(cut));
            let windows = both.aggregate(all()).map(without_order);
            watch(windows.ordered(|result| result.key), &seen, &world);
            Ok(())
        });
        let want = windows(&by_time(&[left, right]), cut, 0).fired;
        let want: Vec<Fired> = want.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(results(&seen), want);
    }

    /// Each partition of a source has its own watermark, however the partitions drift apart and
    /// fall silent.
    #[test]
    fn partitions_have_their_own_watermarks(
        world in World::any(),
        parts in prop::collection::vec(rows(50), 0..4),
        silence in 0..6u32,
        cut in cut().prop_map(on_time),
    ) {
        let disorder = parts.iter().map(|part| disorder_of(part)).max().unwrap_or(0);
        let scripts: Vec<_> = parts.iter().map(|part| script(part, silence)).collect();
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let here = p.shard() == world.home;
            let scripts = if here { scripts.clone() } else { Vec::new() };
            let windows = p
                .source(Script::partitions(scripts))
                .event_time(at, disordered(disorder))
                .key_by(|row| row.key)
                .window(window_of(cut))
                .aggregate(all());
            let windows = windows.map(without_order);
            watch(windows.ordered(|result| result.key), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let want = windows(&by_time(&parts), cut, 0).fired;
        let want: Vec<Fired> = want.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(results(&seen), want);
    }

    /// A partition that is silent does not hold back the others, and loses nothing if what it says
    /// when it wakes is not behind them.
    #[test]
    fn idle_partitions_wake(
        world in World::any(),
        first in rows(50),
        second in rows(50),
        ends_first in any::<bool>(),
    ) {
        let latest = first.iter().map(|row| row.at).max().unwrap_or(0);
        let base = second.iter().map(|row| row.at).min().unwrap_or(0);
        let second: Vec<Row> =
            second.into_iter().map(|row| Row { at: row.at - base + latest, ..row }).collect();
        let disorder = disorder_of(&first).max(disorder_of(&second));
        let mut early = script(&first, 0);
        if !ends_first {
            early.push(Said::Silence(3_000));
        }
        let mut idle = vec![Said::Silence(1_500)];
        idle.extend(script(&second, 0));
        let scripts = [early, idle];
        let cut = Cut::tumbling(20);
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let here = p.shard() == world.home;
            let scripts = if here { scripts.to_vec() } else { Vec::new() };
            let windows = p
                .source(Script::partitions(scripts))
                .event_time(at, disordered(disorder).idle_after(ns(20_000)))
                .key_by(|row| row.key)
                .window(window_of(cut))
                .aggregate(all());
            watch(windows.map(without_order), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let want = windows(&by_time(&[first, second]), cut, 0).fired;
        let want: Vec<Fired> = want.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(sorted(&results(&seen)), sorted(&want));
    }
}

/// All rows in order of time: what a model without lateness may look at.
pub fn by_time(parts: &[Vec<Row>]) -> Vec<Row> {
    let mut all = parts.concat();
    all.sort_by_key(|row| row.at);
    all
}

pub fn script(rows: &[Row], silence: u32) -> Vec<Said<Row>> {
    let mut said = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        if silence > 0 && n % 5 == 2 {
            said.push(Said::Silence(silence * (1 + n as u32 % 7)));
        }
        said.push(Said::Record(row.at, *row));
    }
    said
}

#[test]
fn the_model_itself() {
    let row = |at, value| Row { at, key: 0, value };
    let rows = [row(1, 1), row(12, 2), row(3, 4), row(25, 8), row(4, 16), row(30, 32)];
    let cut = Cut { lateness: 10, ..Cut::tumbling(10) };
    let answer = windows(&rows, cut, 0);
    let fired: Vec<_> = answer.fired.iter().map(|f| (f.end, f.value.0, f.value.1)).collect();
    let want = [(10, 1, 1), (10, 2, 5), (20, 1, 2), (30, 1, 8), (40, 1, 32)];
    assert_eq!((fired.as_slice(), answer.late.as_slice()), (&want[..], &[row(4, 16)][..]));
    let answer = windows(&rows[..1], Cut::sliding(10, 5), 0);
    let spans: BTreeMap<_, _> = answer.fired.iter().map(|f| (f.start, f.end)).collect();
    assert_eq!(spans, BTreeMap::from([(-5, 5), (0, 10)]));
}
