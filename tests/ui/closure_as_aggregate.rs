//! A closure is no aggregate: `sum(..)`, `max(..)` and so on make one of it.

use millstream::io::MemorySource;
use millstream::{Config, Shard, Tumbling, secs};

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty())
            .key_by(|n| *n)
            .window(Tumbling::of(secs(1)))
            .aggregate(|n: &u64| *n)
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
