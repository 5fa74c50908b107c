//! Streams of two pipelines do not mix.

use millstream::io::MemorySource;
use millstream::{Config, Pipeline, Shard};

fn mix<'a, 'b>(one: Pipeline<'a>, other: Pipeline<'b>) {
    let mine = one.source(MemorySource::<u64>::empty());
    let theirs = other.source(MemorySource::<u64>::empty());
    mine.union(theirs).for_each(drop);
}

fn main() {
    let built = Shard::embed(Config::embedded(), |one| {
        let nested = Shard::embed(Config::embedded(), |other| {
            mix(one, other);
            Ok(())
        });
        nested.map(drop)
    });
    drop(built);
}
