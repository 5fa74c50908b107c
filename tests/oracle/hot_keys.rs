//! Hot keys that are split: nobody can tell the difference.

use millstream::metrics::Counter;
use millstream::sim::Outcome;
use millstream::{Cumulative, HotKeys, Simulation, Sliding, Windowed, ns};
use proptest::prelude::*;

use crate::support::model::{Value, disorder_of, sorted, watermarks, windows, windows_of_shape};
use crate::support::world::{
    all, at, disordered, invertible, memory, results, window_of, with_zeros, without_order,
};
use crate::support::{Cut, Fired, Row, Script, Seen, World, watch};
use crate::{assert_same_by_key, by_time, cases, cut, on_time, rows, script, timed};

type Result = Windowed<u64, Value>;

/// Settings under which keys become hot, and cool down, within some tens of records.
fn hot() -> impl Strategy<Value = HotKeys> {
    let shares = prop::sample::select(&[0.02, 0.1, 0.3, 1.0][..]);
    (shares, 1..4u32, 1..30u32).prop_map(|(share, every, after)| {
        HotKeys::above(share).sample_every(every).decide_after(after)
    })
}

/// Some of the rows have one key, at first or all along.
fn skewed(most: usize) -> impl Strategy<Value = Vec<Row>> {
    (rows(most), 1..5u64, any::<bool>()).prop_map(|(rows, every, all_along)| {
        let count = rows.len();
        let skew = |(n, row): (usize, Row)| {
            let is_hot = !(n as u64).is_multiple_of(every) && (all_along || n < count / 2);
            Row { key: if is_hot { 7 } else { row.key }, ..row }
        };
        rows.into_iter().enumerate().map(skew).collect()
    })
}

/// What is counted of late records and of results.
fn counted(outcome: &Outcome) -> [u64; 3] {
    let counters = [Counter::Late, Counter::Dropped, Counter::WindowsFired];
    counters.map(|counter| outcome.counters.get(counter))
}

proptest! {
    #![proptest_config(cases(150))]

    /// One source: the same results of each key in the same order, each time a late record makes
    /// one anew, and the same records are late; ties tell apart what came first.
    #[test]
    fn split_windows_are_the_models(
        world in World::any(),
        hot in hot(),
        rows in skewed(150),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let windows = keyed.window(window_of(cut)).allowed_lateness(ns(cut.lateness as u64));
            watch(windows.split_hot_keys(hot).aggregate(all()), &seen, &world);
            Ok(())
        });
        let want = windows(&rows, cut, disorder);
        assert_same_by_key(&results(&seen), &want.fired);
        let (late, fired) = (want.late.len() as u64, want.fired.len() as u64);
        prop_assert_eq!(counted(&outcome), [late, late, fired]);
    }

    /// What slides out is deducted, with parts in it.
    #[test]
    fn split_windows_deduct(
        world in World::any(),
        hot in hot(),
        rows in skewed(150),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let windows = keyed.window(window_of(cut)).allowed_lateness(ns(cut.lateness as u64));
            let sums = windows.split_hot_keys(hot).aggregate(invertible());
            watch(sums.map(with_zeros), &seen, &world);
            Ok(())
        });
        let want = windows(&rows, cut, disorder).fired;
        let want: Vec<_> = want.into_iter().map(Fired::invertible).collect();
        assert_same_by_key(&results(&seen), &want);
    }

    /// Windows that grow, and windows with gaps between them.
    #[test]
    fn split_windows_of_other_shapes(
        world in World::any(),
        hot in hot(),
        rows in skewed(150),
        disorder in 0..60i64,
    ) {
        let (grown, gapped) = (Seen::<Result>::new(), Seen::<Result>::new());
        let outcome = world.run(|p| {
            let keyed = || timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let windows = keyed().window(Cumulative::of(ns(60)).every(ns(20)));
            watch(windows.split_hot_keys(hot).aggregate(all()), &grown, &world);
            let windows = keyed().window(Sliding::of(ns(10)).every(ns(25)).with_gaps());
            watch(windows.split_hot_keys(hot).aggregate(all()), &gapped, &world);
            Ok(())
        });
        let with = || rows.iter().copied().zip(watermarks(&rows, disorder));
        let want_grown = windows_of_shape(with(), 0, |at| {
            let base = i128::from(at - at.rem_euclid(60));
            let ends = [20, 40, 60].map(|step| base + step).into_iter();
            ends.filter(|end| i128::from(at) < *end).map(|end| (end, base)).collect()
        });
        let want_gapped = windows_of_shape(with(), 0, |at| {
            let start = at - at.rem_euclid(25);
            let window = (i128::from(start) + 10, i128::from(start));
            (at < start + 10).then_some(window).into_iter().collect()
        });
        assert_same_by_key(&results(&grown), &want_grown.fired);
        assert_same_by_key(&results(&gapped), &want_gapped.fired);
        let dropped = want_grown.late.len() + want_gapped.late.len();
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), dropped as u64);
    }

    /// Every shard reads a part, and finds its own keys hot.
    #[test]
    fn keys_are_split_over_all_shards(
        world in World::any(),
        hot in hot(),
        parts in prop::collection::vec(skewed(60), 5),
        cut in cut().prop_map(on_time),
    ) {
        let parts = &parts[..world.shards];
        let disorder = parts.iter().map(|part| disorder_of(part)).max().unwrap_or(0);
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let source = p.source(memory(&parts[p.shard()])).event_time(at, disordered(disorder));
            let windows = source.key_by(|row| row.key).window(window_of(cut));
            let results = windows.split_hot_keys(hot).aggregate(all());
            watch(results.map(without_order), &seen, &world);
            Ok(())
        });
        let want = windows(&by_time(parts), cut, 0).fired;
        prop_assert_eq!(counted(&outcome), [0, 0, want.len() as u64]);
        let want: Vec<Fired> = want.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(sorted(&results(&seen)), sorted(&want));
    }

    /// Partitions fall silent and idle in the middle of slices: what was aggregated by then is
    /// sent before anybody stops waiting for it.
    #[test]
    fn what_was_aggregated_is_sent_before_an_input_sleeps(
        world in World::any(),
        hot in hot(),
        first in skewed(60),
        second in skewed(60),
        cut in cut().prop_map(on_time),
    ) {
        // The second wakes where the first has ended.
        let latest = first.iter().map(|row| row.at).max().unwrap_or(0);
        let base = second.iter().map(|row| row.at).min().unwrap_or(0);
        let second: Vec<Row> =
            second.into_iter().map(|row| Row { at: row.at - base + latest, ..row }).collect();
        let disorder = disorder_of(&first).max(disorder_of(&second));
        let mut early = script(&first, 0);
        early.push(crate::Said::Silence(3_000));
        let mut idle = vec![crate::Said::Silence(1_500)];
        idle.extend(script(&second, 0));
        let other = (world.home + 1) % world.shards;
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let mut scripts = Vec::new();
            if p.shard() == world.home {
                scripts.push(early.clone());
            }
            if p.shard() == other {
                scripts.push(idle.clone());
            }
            let source = p.source(Script::partitions(scripts));
            let timed = source.event_time(at, disordered(disorder).idle_after(ns(20_000)));
            let windows = timed.key_by(|row| row.key).window(window_of(cut));
            let results = windows.split_hot_keys(hot).aggregate(all());
            watch(results.map(without_order), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let want = windows(&by_time(&[first, second]), cut, 0).fired;
        let want: Vec<Fired> = want.into_iter().map(Fired::without_order).collect();
        prop_assert_eq!(sorted(&results(&seen)), sorted(&want));
    }
}

/// The sums of one row a nanosecond, half of them of one key; and what was counted.
fn half_of_one_key(shards: usize, disorder: i64, cut: Cut) -> (Vec<Row>, Vec<Fired>, Outcome) {
    let world = World { shards, home: 0, ..World::random(3) };
    let key = |n: i64| if n % 2 == 0 { 7 } else { 1_000 + n as u64 };
    let rows: Vec<_> = (0..6_000).map(|n| Row { at: n, key: key(n), value: n }).collect();
    let seen = Seen::<Result>::new();
    let hot = HotKeys::above(0.25).sample_every(4).decide_after(50);
    let outcome = world.run(|p| {
        let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
        let windows = keyed.window(window_of(cut)).split_hot_keys(hot);
        watch(windows.aggregate(all()), &seen, &world);
        Ok(())
    });
    (rows, results(&seen), outcome)
}

/// Once it is known which key is hot, none of its records crosses by itself.
#[test]
fn records_of_a_hot_key_stay_where_they_arrive() {
    for shards in [1, 2, 5] {
        let cut = Cut::sliding(100, 10);
        let (rows, got, outcome) = half_of_one_key(shards, 0, cut);
        assert_same_by_key(&got, &windows(&rows, cut, 0).fired);
        // 50 samples of one in four.
        let aggregated = outcome.counters.get(Counter::HotRecords);
        assert!((2_850..=2_950).contains(&aggregated), "{aggregated}");
        assert_eq!(outcome.counters.get(Counter::HotKeys), 1, "on the shard with the source");
    }
}

/// What the engine makes of rows of one source, and what the model does.
fn both(rows: &[Row], cut: Cut) -> (Vec<Fired>, Vec<Fired>) {
    let world = World { shards: 2, home: 1, batch: 256, ..World::random(3) };
    let seen = Seen::<Result>::new();
    let hot = HotKeys::above(0.5).sample_every(1).decide_after(5);
    world.run(|p| {
        let keyed = timed(p, &world, rows, 0).key_by(|row| row.key);
        let windows = keyed.window(window_of(cut)).allowed_lateness(ns(cut.lateness as u64));
        watch(windows.split_hot_keys(hot).aggregate(all()), &seen, &world);
        Ok(())
    });
    (results(&seen), windows(rows, cut, 0).fired)
}

/// Each late record has its own result, though several of them come together.
#[test]
fn late_records_of_a_hot_key_fire_one_by_one() {
    let row = |at, key| Row { at, key, value: at };
    let mut rows: Vec<_> = (0..20).map(|n| row(n, 7)).collect();
    rows.push(row(100, 1));
    rows.extend([5, 5, 6, 15, 15, 25, 25].map(|at| row(at, 7)));
    rows.push(row(200, 1));
    let (got, want) = both(&rows, Cut { lateness: 500, ..Cut::tumbling(10) });
    assert_eq!(want.len(), 2 + 7 + 2);
    assert_same_by_key(&got, &want);
}

/// What comes after a key has cooled down does not overtake what was aggregated before.
#[test]
fn a_key_that_cools_down_stays_in_order() {
    let row = |key, value| Row { at: 50, key, value };
    let mut rows: Vec<_> = (0..10).map(|n| row(7, n)).collect();
    rows.extend((0..10).map(|n| row(n as u64, 100)));
    rows.extend((20..23).map(|n| row(7, n)));
    let (got, want) = both(&rows, Cut::sliding(20, 10));
    assert!(want.iter().filter(|f| f.key == 7).all(|f| f.value.4 == 0 && f.value.5 == 22));
    assert_same_by_key(&got, &want);
}

/// Far more slices are open than parts may be held: the rest goes straight to the owner.
#[test]
fn parts_have_a_limit() {
    let cut = Cut::tumbling(2);
    let (rows, got, outcome) = half_of_one_key(2, 100_000, cut);
    assert_same_by_key(&got, &windows(&rows, cut, 100_000).fired);
    assert_eq!(outcome.counters.get(Counter::HotRecords), 1 << 10);
}

#[test]
fn what_cannot_be_hot_is_refused() {
    let refusal = |hot: HotKeys| {
        let outcome = Simulation::new(1, 0).run(|p| {
            let keyed = p.source(memory(&[])).key_by(|row| row.key);
            let windows = keyed.window(window_of(Cut::tumbling(5))).split_hot_keys(hot);
            windows.aggregate(all()).for_each(drop);
            Ok(())
        });
        outcome.err().map(|error| error.to_string()).expect("it must be refused")
    };
    let share = "hot keys above = 0: a key is hot from a share of 0.002 to 1 on";
    assert_eq!(refusal(HotKeys::above(0.0)), share);
    assert!(refusal(HotKeys::above(f64::NAN)).starts_with("hot keys above = NaN"));
    let every = "sample_every = 0: must be from 1 to 65536";
    assert_eq!(refusal(HotKeys::default().sample_every(0)), every);
    let after = "decide_after = 70000: must be from 1 to 65536";
    assert_eq!(refusal(HotKeys::default().decide_after(70_000)), after);
}
