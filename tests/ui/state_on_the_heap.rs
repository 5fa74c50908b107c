//! State is copied as bytes: an accumulator cannot point to the heap.

use millstream::io::MemorySource;
use millstream::{Aggregate, Config, Shard, Timestamp, Tumbling, secs};

/// Joins the names of a window.
struct Names;

impl Aggregate<u64> for Names {
    type Acc = String;
    type Out = usize;

    fn accumulate(&self, acc: &mut String, _at: Timestamp, value: &u64) {
        acc.push_str(&value.to_string());
    }

    fn combine(&self, acc: &mut String, other: &String) {
        acc.push_str(other);
    }

    fn finish(&self, acc: &String) -> usize {
        acc.len()
    }
}

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty())
            .key_by(|n| *n)
            .window(Tumbling::of(secs(1)))
            .aggregate(Names)
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
