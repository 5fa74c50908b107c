//! Batches after warm-up: full, by the clock, what has changed, all there is.

use millstream::metrics::Counter;
use millstream::{Config, Shard, Timestamp, us};

use super::{calls, trades};

fn check(config: Config) {
    let (mut shard, ()) = Shard::embed(config, |p| {
        p.source(trades(p, 1e6)?).batch(40, us(300)).append().for_each(drop);
        p.source(trades(p, 1e5)?).batch(4_000, us(90)).append().for_each(drop);
        let changed = p.source(trades(p, 1e6)?).batch(500, us(200));
        changed.update(|trade| trade.symbol).for_each(drop);
        let all = p.source(trades(p, 1e6)?).batch(900, us(700));
        all.complete(|trade| trade.symbol).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    let mut now = 0;
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        shard.counters().get(Counter::RecordsOut)
    };
    let warm = run(5_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(5_000)), 0);
    assert!(after > warm + 1_500, "batches came: {warm}, {after}");
    assert!(shard.failure().is_none());
}

#[test]
fn batches_do_not_allocate() {
    check(Config::embedded());
}

#[test]
fn batches_in_slices_do_not_allocate() {
    check(Config { batch_max: 16, fire_max: 8, ..Config::embedded() });
}
