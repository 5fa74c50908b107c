//! Windows by time or count after warm-up: full, over, late, with and without their records.

use millstream::aggregates::{count, sum};
use millstream::metrics::Counter;
use millstream::{Config, Shard, Timestamp, Watermarks, ms, us};

use super::{Trade, calls, trades};

fn check(config: Config) {
    let (mut shard, ()) = Shard::embed(config, |p| {
        let timed = |rate| {
            let source = p.source(trades(p, rate)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            Ok::<_, millstream::Error>(source.event_time(|t: &Trade| Timestamp(t.at), watermarks))
        };
        let windows = timed(1e6)?.key_by(|trade| trade.symbol).time_or_count(ms(1), 4);
        let (results, late) = windows.aggregate_with_late((count(), sum(|t: &Trade| t.qty)));
        results.for_each(drop);
        late.for_each(drop);
        let windows = timed(1e6)?.key_by(|trade| trade.symbol % 40).time_or_count(us(400), 30);
        windows.apply(|_, _, records| records.map(|r| r.value.qty).max()).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    let mut now = 0;
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        [Counter::WindowsFired, Counter::Late].map(|counter| shard.counters().get(counter))
    };
    let warm = run(10_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(8_000)), 0);
    assert!(after[0] > warm[0] + 10_000, "windows did fire: {warm:?}, {after:?}");
    assert!(after[1] > warm[1] + 500, "records were late: {warm:?}, {after:?}");
    assert!(shard.failure().is_none());
}

#[test]
fn windows_by_time_or_count_do_not_allocate() {
    check(Config::embedded());
}

#[test]
fn windows_by_time_or_count_that_fire_slowly_do_not_allocate() {
    check(Config { batch_max: 16, fire_max: 8, ..Config::embedded() });
}
