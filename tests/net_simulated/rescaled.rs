//! After each crash another number of shards goes on, and what the sinks of the others had kept for
//! a receiver he gets from those that there are.

use std::net::SocketAddr;

use fastrand::Rng;
use millstream::io::{Fixed, MemorySource, Origin, Partitioned, Token};
use millstream::net::{Sending, TcpSink};
use millstream::sim::{NetFaults, SimNetwork};
use millstream::{Config, Error, Record, Simulation, Timestamp, secs, us};

use super::receiver::{Knows, RESULT, Receiver, Shown, results};
use super::support::each_seed;

/// As many shards as there may be at most.
const SHARDS_MAX: usize = 4;

/// Partitions of the input, and the records of each.
const PARTITIONS: u32 = 3;
const RECORDS: u32 = 60;

/// What comes of a record, known by its partition and number.
fn shown(partition: u32, number: u32) -> Shown {
    let (origin, shard) = (Origin::default(), 0);
    (Token { shard, origin, index: 0 }, (origin, (partition, number, number * 7)))
}

fn input(partition: u32) -> MemorySource<Shown> {
    let record = |number| Record::new(Timestamp(0), shown(partition, number));
    MemorySource::new((0..RECORDS).map(record).collect::<Vec<_>>())
}

#[test]
fn what_was_kept_for_a_receiver_moves() {
    each_seed(12, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0x5ca1e);
        let network = SimNetwork::new(seed, NetFaults::random(&mut rng));
        let at = |shard: usize| SocketAddr::from(([10, 0, 0, 3], 1_000 + shard as u16));
        let all: Vec<_> = (0..SHARDS_MAX).map(at).collect();
        let mut receiver = Receiver::new(&network, rng.fork(), &all, Knows::Name, rng.bool());
        let sending = Sending {
            linger: secs(1 << 30),
            pause_min: us(3),
            pause_max: us(200),
            stalled_max: Some(us(700)),
            ..Sending::default()
        };
        let config = Config { batch_max: rng.usize(1..9), ..Config::simulation(2) };
        let simulation = Simulation::with_config(config, seed).steps_max(500_000);
        let mut began = None;
        let outside = |now: Timestamp| {
            network.advance(now);
            if now.since(*began.get_or_insert(now)) > 40_000_000 {
                network.heal();
            }
            receiver.step(now);
        };
        let simulation = simulation.crashing(rng.u32(1..6)).rescaling(SHARDS_MAX);
        let outcome = simulation.run_beside(outside, |p| {
            let read = |partition| Ok::<_, Error>(input(partition));
            let source = Partitioned::new(PARTITIONS, p.shard(), p.shards(), read)?;
            let (net, to, frames) = (network.network(), at(p.shard()), Fixed::new(RESULT));
            let sink = TcpSink::connect_by(p, &*net, to, frames, results(), sending)?;
            p.source(source).sink(sink.acknowledged());
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
        let mut kept = receiver.kept.clone();
        kept.sort_unstable();
        let of = |partition| (0..RECORDS).map(move |number| shown(partition, number).1.1);
        assert!(kept.iter().copied().eq((0..PARTITIONS).flat_map(of)), "{} came", kept.len());
    });
}
