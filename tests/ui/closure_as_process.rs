//! A process function has a type.

use millstream::io::MemorySource;
use millstream::{Config, Shard};

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        let keyed = p.source(MemorySource::<u64>::empty()).key_by(|n| *n);
        keyed.process(|n: u64| n + 1).for_each(drop);
        Ok(())
    });
    drop(built);
}
