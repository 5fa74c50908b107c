//! A sink takes one type of record.

use millstream::io::{MemorySink, MemorySource};
use millstream::{Config, Shard};

fn main() {
    let kept = MemorySink::<String>::new();
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty()).sink(kept.clone());
        Ok(())
    });
    drop(built);
}
