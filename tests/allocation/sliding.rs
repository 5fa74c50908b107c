//! Windows of records after warm-up: by count, and back from each record.

use millstream::aggregates::{count, max, sum};
use millstream::metrics::Counter;
use millstream::{Config, Rolling, Shard, Timestamp, Watermarks, us};

use super::{Trade, calls, trades};

fn shard(config: Config) -> Shard {
    let (shard, ()) = Shard::embed(config, |p| {
        let keyed = |p| {
            let source = millstream::Pipeline::source(p, trades(p, 1e6)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            let timed = source.event_time(|t: &Trade| Timestamp(t.at), watermarks);
            Ok::<_, millstream::Error>(timed.key_by(|trade| trade.symbol))
        };
        let most = || max(|t: &Trade| t.qty);
        keyed(p)?.count_window(10).aggregate((count(), most())).for_each(drop);
        keyed(p)?.count_window(50).every(3).aggregate(most()).for_each(drop);
        keyed(p)?.count_window(50).every(3).aggregate(sum(|t: &Trade| t.qty)).for_each(drop);
        keyed(p)?.rolling(Rolling::of(us(500))).aggregate(most()).for_each(drop);
        keyed(p)?.rolling(Rolling::last(20)).aggregate(sum(|t: &Trade| t.qty)).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    shard
}

fn check(config: Config) {
    let (mut shard, mut now) = (shard(config), 0);
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        shard.counters().get(Counter::WindowsFired)
    };
    let warm = run(10_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(10_000)), 0);
    assert!(after > warm + 100_000, "windows did fire: {warm}, {after}");
}

#[test]
fn windows_of_records_do_not_allocate() {
    check(Config::embedded());
}

#[test]
fn windows_of_records_that_fire_slowly_do_not_allocate() {
    check(Config { batch_max: 16, fire_max: 8, ..Config::embedded() });
}
