//! Ways of spreading records over shards after warm-up.

use millstream::aggregates::sum;
use millstream::metrics::Counter;
use millstream::{Config, Pipeline, Result, Timestamp, Tumbling, ms};

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
