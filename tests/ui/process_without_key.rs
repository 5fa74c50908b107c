//! State is kept by key.

use millstream::io::MemorySource;
use millstream::{Config, KeyContext, Process, Shard};

/// Counts the records of a key.
struct Count;

impl Process for Count {
    type Key = u64;
    type In = u64;
    type State = u64;
    type Out = u64;

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += 1;
    }
}

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<u64>::empty()).process(Count).for_each(drop);
        Ok(())
    });
    drop(built);
}
