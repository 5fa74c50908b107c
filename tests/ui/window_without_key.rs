//! A window wants a key.

use millstream::aggregates::count;
use millstream::io::MemorySource;
use millstream::{Config, Shard, Tumbling, secs};

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty())
            .window(Tumbling::of(secs(1)))
            .aggregate(count())
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
