//! Ways of spreading records over shards after warm-up.

use millstream::aggregates::sum;
use millstream::metrics::Counter;
use millstream::{Config, HotKeys, Pipeline, Result, Sliding, Timestamp, Tumbling, Watermarks};
use millstream::{ms, us};

use crate::{Trade, calls, counted, shards, step_all, trades};

fn every_way(p: Pipeline<'_>) -> Result<()> {
    let source = || Ok::<_, millstream::Error>(p.source(trades(p, 2e5)?));
    source()?.broadcast().for_each(drop);
    source()?.rebalance().for_each(drop);
    source()?.global().for_each(drop);
    source()?.shuffle().for_each(drop);
    source()?.local_or_shuffle().for_each(drop);
    source()?.partition_custom(|trade, shards| trade.symbol as usize % shards).for_each(drop);
    let shards = p.shards();
    source()?.map(move |trade| (trade.qty as usize % shards, trade)).direct().for_each(drop);
    let shared = source()?.partial_key_by(|trade| trade.symbol / 100);
    let windows = shared.window(Tumbling::of(ms(1))).precombine();
    windows.aggregate(sum(|trade: &Trade| trade.qty)).for_each(drop);
    Ok(())
}

#[test]
fn spreading_does_not_allocate() {
    for (count, config) in [
        (1, Config::default()),
        (2, Config::default()),
        (5, Config { ring_capacity: 3, batch_max: 4, ..Config::default() }),
    ] {
        let (mut shards, mut now) = (shards(count, config, every_way), Timestamp(0));
        step_all(&mut shards, 2_000, &mut now);
        let out = counted(&shards, Counter::RecordsOut);
        assert_eq!(calls(|| step_all(&mut shards, 2_000, &mut now)), 0, "on {count} shards");
        assert!(counted(&shards, Counter::RecordsOut) > out + 10_000, "records did come out");
    }
}

/// One key is hot for a while, then another.
fn hot_keys(p: Pipeline<'_>, rate: f64) -> Result<()> {
    let key = |trade: &Trade| if trade.qty < 6 { trade.at as u32 >> 24 } else { trade.symbol };
    let settings = HotKeys::above(0.25).sample_every(2).decide_after(25);
    let timed = || {
        let source = p.source(trades(p, rate)?);
        let watermarks = Watermarks::bounded_disorder(us(1));
        Ok::<_, millstream::Error>(source.event_time(|t| Timestamp(t.at), watermarks))
    };
    let sliding = timed()?.key_by(key).window(Sliding::of(ms(4)).every(ms(1)));
    let sliding = sliding.allowed_lateness(ms(1)).split_hot_keys(settings);
    sliding.aggregate(sum(|trade: &Trade| trade.qty)).for_each(drop);
    let tumbling = timed()?.key_by(key).window(Tumbling::of(ms(1))).split_hot_keys(settings);
    tumbling.aggregate(sum(|trade: &Trade| trade.qty)).for_each(drop);
    Ok(())
}

#[test]
fn splitting_hot_keys_does_not_allocate() {
    for (count, rate, config) in [
        (1, 4e5, Config::default()),
        (2, 4e5, Config::default()),
        (3, 1e5, Config { ring_capacity: 3, batch_max: 4, fire_max: 3, ..Config::default() }),
    ] {
        let (mut shards, mut now) = (shards(count, config, |p| hot_keys(p, rate)), Timestamp(0));
        step_all(&mut shards, 30_000, &mut now);
        let counts = |shards: &[_]| {
            let counters = [Counter::HotRecords, Counter::WindowsFired, Counter::Late];
            counters.map(|counter| counted(shards, counter))
        };
        let before = counts(&shards);
        assert_eq!(calls(|| step_all(&mut shards, 4_000, &mut now)), 0, "on {count} shards");
        let after = counts(&shards);
        let least = [1_000, 1_000, 50];
        for ((before, after), least) in before.iter().zip(after).zip(least) {
            assert!(after > before + least, "on {count} shards: {before} {after}");
        }
    }
}
