//! A stream lives while its pipeline is built: it does not leave the closure.

use millstream::io::MemorySource;
use millstream::{Config, Shard};

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        let numbers = p.source(MemorySource::<u64>::empty());
        Ok(numbers)
    });
    drop(built);
}
