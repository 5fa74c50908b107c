//! What is kept by key must be able to go into a snapshot.
use millstream::{Config, Shard};

#[derive(Clone, Copy, Default)]
struct Last(f64);

fn main() {
    let _ = Shard::embed(Config::embedded(), |p| {
        let (input, prices) = p.input::<Last>();
        let latest = prices.key_by(|_| 0u8).reduce(|last, new| *last = *new);
        Ok((input, latest.output()))
    });
}
