//! An aggregate picks its field from the record that flows.

use millstream::aggregates::sum;
use millstream::io::MemorySource;
use millstream::{Config, Shard, Tumbling, secs};

#[derive(Clone, Copy)]
struct Trade {
    qty: u32,
}

#[derive(Clone, Copy)]
struct Quote {
    venue: u16,
}

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<Quote>::empty())
            .key_by(|quote| quote.venue)
            .window(Tumbling::of(secs(1)))
            .aggregate(sum(|trade: &Trade| trade.qty))
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
