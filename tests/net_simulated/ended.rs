//! A sink that is restored behind the end of its input is done when its peer has everything.

use std::net::SocketAddr;

use millstream::dataflow::Epoch;
use millstream::io::{Fixed, MemorySource};
use millstream::net::{Sending, TcpSink};
use millstream::sim::{NetFaults, SimNetwork, SimStream};
use millstream::{Config, Record, Shard, Snapshot, Timestamp, us};

use super::client::{acks, words};

const COUNT: u32 = 50;

fn shard(network: &SimNetwork, to: SocketAddr, acknowledged: bool) -> Shard {
    let built = Shard::embed(Config::embedded(), |p| {
        let records = (0..COUNT).map(|n| Record::new(Timestamp(0), (n, n)));
        let (network, frames) = (network.network(), Fixed::new(8));
        let sending = Sending { linger: us(1_000_000_000), ..Sending::default() };
        let sink = TcpSink::connect_by(p, &*network, to, frames, acks(), sending)?;
        let sink = if acknowledged { sink.acknowledged() } else { sink };
        p.source(MemorySource::new(records.collect::<Vec<_>>())).sink(sink);
        Ok(())
    });
    built.unwrap().0
}

/// Who is sent to: what has come, and what he has to say.
struct Ear {
    stream: SimStream,
    heard: Vec<u8>,
    out: Vec<u8>,
    told: usize,
    /// Whether he says how much he has.
    says: bool,
}

impl Ear {
    fn hear(&mut self) {
        let mut some = [0; 50];
        if let Ok(read) = self.stream.read(&mut some) {
            self.heard.extend(&some[..read]);
        }
        if self.says && self.heard.len() / 8 > self.told {
            self.told = self.heard.len() / 8;
            self.out.extend((self.told as u64).to_le_bytes());
        }
        if let Ok(written) = self.stream.write(&self.out) {
            self.out.drain(..written);
        }
    }

    fn seen(&self) -> Vec<u32> {
        self.heard.chunks_exact(8).map(|frame| words::<2>(frame).unwrap()[1]).collect()
    }
}

fn checkpoint(shard: &mut Shard, now: &mut i64) -> Snapshot {
    shard.begin_checkpoint(Epoch(1));
    loop {
        *now += 1_000;
        shard.step(Timestamp(*now));
        if let Some((_, snapshot)) = shard.take_checkpoint() {
            return snapshot.unwrap();
        }
    }
}

#[test]
fn what_nobody_has_taken_is_sent_by_whoever_restores_the_checkpoint() {
    for acknowledged in [false, true] {
        let network = SimNetwork::new(5, NetFaults { window: 1 << 20, ..NetFaults::none() });
        let to = SocketAddr::from(([10, 0, 0, 1], 80));
        let mut now = 0;
        // Nobody listens: the whole input is in the sink when the checkpoint is taken.
        let mut before = shard(&network, to, acknowledged);
        for _ in 0..100 {
            now += 1_000;
            network.advance(Timestamp(now));
            before.step(Timestamp(now));
        }
        let snapshot = checkpoint(&mut before, &mut now);
        assert!(!before.is_done());
        drop(before);
        let listener = network.listener(to).unwrap();
        let mut after = shard(&network, to, acknowledged);
        after.restore(&snapshot).unwrap();
        let mut ear: Option<Ear> = None;
        while !after.is_done() {
            now += 1_000;
            assert!(now < 200_000_000, "it is never done");
            network.advance(Timestamp(now));
            after.step(Timestamp(now));
            assert!(after.failure().is_none());
            ear = ear.or_else(|| {
                let stream = listener.accept()?;
                Some(Ear {
                    stream,
                    heard: Vec::new(),
                    out: Vec::new(),
                    told: 0,
                    says: acknowledged,
                })
            });
            ear.iter_mut().for_each(Ear::hear);
        }
        drop(after);
        for _ in 0..COUNT {
            now += 1_000_000;
            network.advance(Timestamp(now));
            ear.iter_mut().for_each(Ear::hear);
        }
        let seen = ear.map_or(Vec::new(), |ear| ear.seen());
        assert!(seen.iter().copied().eq(0..COUNT), "{seen:?}, acknowledged: {acknowledged}");
    }
}
