//! An aggregate over trades does not take quotes.

use millstream::io::MemorySource;
use millstream::{Aggregate, Config, Shard, Timestamp, Tumbling, secs};

#[derive(Clone, Copy)]
struct Trade {
    qty: u32,
}

#[derive(Clone, Copy)]
struct Quote {
    venue: u16,
}

struct Volume;

impl Aggregate<Trade> for Volume {
    type Acc = u64;
    type Out = u64;

    fn accumulate(&self, acc: &mut u64, _at: Timestamp, trade: &Trade) {
        *acc += u64::from(trade.qty);
    }

    fn combine(&self, acc: &mut u64, other: &u64) {
        *acc += other;
    }

    fn finish(&self, acc: &u64) -> u64 {
        *acc
    }
}

fn main() {
    let built = Shard::embed(Config::embedded(), |p| {
        p.source(MemorySource::<Quote>::empty())
            .key_by(|quote| quote.venue)
            .window(Tumbling::of(secs(1)))
            .aggregate(Volume)
            .for_each(drop);
        Ok(())
    });
    drop(built);
}
