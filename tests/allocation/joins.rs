//! Joins after warm-up: kept, paired, late, left alone, dropped.

use millstream::join::{after, before};
use millstream::metrics::Counter;
use millstream::{Config, Shard, Sliding, Timestamp, Watermarks, ms, us};

use super::{Trade, calls, trades};

fn shard(config: Config) -> Shard {
    let (shard, ()) = Shard::embed(config, |p| {
        let trades = p.source(trades(p, 1e6)?);
        let watermarks = Watermarks::bounded_disorder(us(20));
        let trades = trades.event_time(|t: &Trade| Timestamp(t.at), watermarks);
        let (left, right) = trades.split(|trade| trade.qty % 2 == 0);
        let (left, right) = (left.key_by(|t| t.symbol), right.key_by(|t| t.symbol));
        let join = left.interval_join(right).between(before(us(300)), after(us(500)));
        let (join, late_left, late_right) = join.allowed_lateness(us(5)).with_late();
        join.select_full(|l, r| (l.is_some(), r.is_some())).for_each(drop);
        late_left.for_each(drop);
        late_right.for_each(drop);
        Ok(())
    })
    .expect("it builds");
    shard
}

/// As-of joins in all directions, two of them with a tolerance.
fn asof_shard(config: Config) -> Shard {
    let (shard, ()) = Shard::embed(config, |p| {
        let halves = || {
            let trades = p.source(trades(p, 1e6)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            let trades = trades.event_time(|t: &Trade| Timestamp(t.at), watermarks);
            let (left, right) = trades.split(|trade| trade.qty % 2 == 0);
            let (left, right) = (left.key_by(|t| t.symbol), right.key_by(|t| t.symbol));
            Ok::<_, millstream::Error>(left.asof_join(right))
        };
        halves()?.select_left(|l, r| (l.qty, r.is_some())).for_each(drop);
        let forward = halves()?.forward().tolerance(us(50));
        forward.select_left(|l, r| (l.qty, r.is_some())).for_each(drop);
        let trades = p.source(trades(p, 1e6)?);
        let watermarks = Watermarks::bounded_disorder(us(20));
        let trades = trades.event_time(|t: &Trade| Timestamp(t.at), watermarks);
        let (left, right) = trades.split(|trade| trade.qty % 2 == 0);
        let around = left.key_by(|t| t.symbol).window_around(right.key_by(|t| t.symbol));
        let around = around.between(before(us(50)), after(us(50))).prevailing();
        around.apply(|trade, around| (trade.qty, around.count())).for_each(drop);
        let nearest = halves()?.nearest().tolerance(us(300));
        nearest.select_left(|l, r| (l.qty, r.is_some())).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    shard
}

/// Window joins that slide, and a cross join of a few with all.
fn window_shard(config: Config) -> Shard {
    let (shard, ()) = Shard::embed(config, |p| {
        let halves = || {
            let trades = p.source(trades(p, 1e6)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            let trades = trades.event_time(|t: &Trade| Timestamp(t.at), watermarks);
            Ok::<_, millstream::Error>(trades.split(|trade| trade.qty % 2 == 0))
        };
        let (left, right) = halves()?;
        let (left, right) = (left.key_by(|t| t.symbol), right.key_by(|t| t.symbol));
        let join = left.window_join(right).window(Sliding::of(us(200)).every(us(100)));
        let (join, late_left, late_right) = join.allowed_lateness(us(5)).with_late();
        join.select_full(|l, r| (l.is_some(), r.is_some())).for_each(drop);
        late_left.for_each(drop);
        late_right.for_each(drop);
        let (left, right) = halves()?;
        let cross = left.cross_join(right.filter(|trade| trade.symbol == 3));
        let cross = cross.between(before(us(50)), after(us(50)));
        cross.select_left(|l, r| (l.qty, r.is_some())).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    shard
}

/// A window join whose records are in twenty windows each, of which there is room for few in one
/// step; at a pace at which small slices keep up.
fn many_windows_shard() -> Shard {
    let config = Config { batch_max: 4, fire_max: 2, ..Config::embedded() };
    let (shard, ()) = Shard::embed(config, |p| {
        let trades = p.source(trades(p, 5e3)?);
        let watermarks = Watermarks::bounded_disorder(us(20));
        let trades = trades.event_time(|t: &Trade| Timestamp(t.at), watermarks);
        let (left, right) = trades.split(|trade| trade.qty % 2 == 0);
        let (left, right) = (left.key_by(|t| t.symbol % 3), right.key_by(|t| t.symbol % 3));
        let join = left.window_join(right).window(Sliding::of(ms(8)).every(us(400)));
        let (join, late_left, late_right) = join.allowed_lateness(us(5)).with_late();
        join.select_full(|l, r| (l.is_some(), r.is_some())).for_each(drop);
        late_left.for_each(drop);
        late_right.for_each(drop);
        Ok(())
    })
    .expect("it builds");
    shard
}

#[test]
fn records_of_many_windows_do_not_allocate() {
    let mut shard = many_windows_shard();
    let mut now = 0;
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        shard.counters().get(Counter::RecordsOut)
    };
    let warm = run(60_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(20_000)), 0);
    assert!(after > warm + 2_000, "records were joined: {warm:?}, {after:?}");
}

fn check(mut shard: Shard) {
    let mut now = 0;
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        [Counter::RecordsOut, Counter::Late].map(|counter| shard.counters().get(counter))
    };
    let warm = run(30_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(10_000)), 0);
    assert!(after[0] > warm[0] + 10_000, "records were joined: {warm:?}, {after:?}");
    assert!(after[1] > warm[1] + 100, "records were late: {warm:?}, {after:?}");
}

#[test]
fn joins_do_not_allocate() {
    check(shard(Config::embedded()));
}

#[test]
fn joins_cut_into_slices_do_not_allocate() {
    check(shard(Config { batch_max: 16, fire_max: 8, ..Config::embedded() }));
}

#[test]
fn asof_joins_do_not_allocate() {
    check(asof_shard(Config::embedded()));
    check(asof_shard(Config { batch_max: 16, fire_max: 8, ..Config::embedded() }));
}

#[test]
fn window_joins_do_not_allocate() {
    check(window_shard(Config::embedded()));
    check(window_shard(Config { batch_max: 16, fire_max: 8, ..Config::embedded() }));
}
