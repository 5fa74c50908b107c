//! A float is not a key: NaN is not equal to itself.

use millstream::aggregates::count;
use millstream::io::MemorySource;
use millstream::{Config, Shard, Tumbling, secs};

#[derive(Clone, Copy)]
struct Trade {
    price: f64,
}

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<Trade>::empty())
            .key_by(|trade| trade.price)
            .window(Tumbling::of(secs(1)))
            .aggregate(count())
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
