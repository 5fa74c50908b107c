//! A stream that ends in nothing does nothing.

#![deny(unused_must_use)]

use millstream::io::MemorySource;
use millstream::{Config, Shard};

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty()).map(|n| n + 1);
        p.source(MemorySource::<u64>::empty()).key_by(|n| *n);
        Ok(())
    });
    drop(built);
}
