//! Sessions after warm-up: opened, prolonged, joined, late, fired again.

use millstream::aggregates::{count, sum};
use millstream::metrics::Counter;
use millstream::{Config, Session, Shard, Timestamp, Watermarks, ms, us};

use super::{Trade, calls, trades};

fn shard(config: Config) -> Shard {
    let (shard, ()) = Shard::embed(config, |p| {
        let timed = |p| {
            let source = millstream::Pipeline::source(p, trades(p, 1e6)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            Ok::<_, millstream::Error>(source.event_time(|t: &Trade| Timestamp(t.at), watermarks))
        };
        let sessions = timed(p)?.key_by(|trade| trade.symbol).session(Session::gap(us(400)));
        let sessions = sessions.allowed_lateness(ms(2));
        let (results, late) = sessions.aggregate_with_late((count(), sum(|t: &Trade| t.qty)));
        results.for_each(drop);
        late.for_each(drop);
        let gap = |trade: &Trade| us(50 * trade.qty);
        let by_record = timed(p)?.key_by(|trade| trade.symbol).session(Session::gap_by(gap));
        by_record.aggregate(count()).for_each(drop);
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
        [Counter::WindowsFired, Counter::Late].map(|counter| shard.counters().get(counter))
    };
    let warm = run(10_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(10_000)), 0);
    assert!(after[0] > warm[0] + 10_000, "sessions did fire: {warm:?}, {after:?}");
    assert!(after[1] > warm[1] + 500, "records were late: {warm:?}, {after:?}");
}

#[test]
fn sessions_do_not_allocate() {
    check(Config::embedded());
}

#[test]
fn sessions_that_fire_slowly_do_not_allocate() {
    check(Config { batch_max: 16, fire_max: 8, ..Config::embedded() });
}
