//! Datagrams that are lost, cut, late, or come twice: what is missing is counted, and nothing comes
//! out that was not sent.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use fastrand::Rng;
use millstream::io::{Codec, Framing, LengthPrefixed};
use millstream::net::{Count, Counts, Datagram, UdpSink, UdpSource};
use millstream::sim::{NetFaults, SimNetwork};
use millstream::{Config, Record, Simulation, Timestamp};

use super::client::{Order, orders};
use super::support::each_seed;

/// An order behind its length.
const FRAME: usize = 24;

fn order(number: u32) -> Order {
    Order { client: 7, number, key: number % 3, value: number.wrapping_mul(77) }
}

fn datagram(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    let (mut framing, mut codec, mut bytes) = (LengthPrefixed::new(20), orders(), Vec::new());
    for number in numbers {
        let from = bytes.len();
        framing.begin(&mut bytes);
        codec.encode(&order(number), &mut bytes);
        framing.end(&mut bytes, from);
    }
    bytes
}

/// How often each order came, and how often behind those whose keys have been seen.
struct Came {
    all: BTreeMap<u32, u64>,
    once: BTreeMap<u32, u64>,
    counts: Counts,
}

/// Sends datagrams of so many orders each, and runs until all have come or are lost.
fn run(seed: u64, network: &SimNetwork, datagrams: u32, each: u32) -> Came {
    let (mut rng, to) = (Rng::with_seed(seed), SocketAddr::from(([10, 0, 0, 1], 7)));
    let address = network.datagrams(to);
    let counts = Counts::default();
    let all: Rc<RefCell<BTreeMap<u32, u64>>> = Rc::default();
    let once: Rc<RefCell<BTreeMap<u32, u64>>> = Rc::default();
    let limits = Datagram { buffers: [1, 4, 64][rng.usize(..3)], ..Datagram::default() };
    let batch_max = [1, 3, 64][rng.usize(..3)];
    let config = Config { batch_max, ..Config::simulation(2) };
    let (mut sent, mut quiet_since) = (0, None);
    let outside = |now: Timestamp| {
        network.advance(now);
        if sent < datagrams && rng.u32(..30) == 0 {
            let numbers = sent * each..(sent + 1) * each;
            network.send_datagram_to(to, &datagram(numbers));
            sent += 1;
        }
        let is_quiet = sent == datagrams && network.is_quiet(to);
        let since = *quiet_since.get_or_insert(now);
        if !is_quiet {
            quiet_since = None;
        } else if now.since(since) > 1_000_000 {
            // By now the source has asked how many there was no room for.
            address.stop();
        }
    };
    let simulation = Simulation::with_config(config, seed).steps_max(1_000_000);
    let outcome = simulation.run_beside(outside, |p| {
        let source = UdpSource::new(p, &address, LengthPrefixed::new(20), orders(), limits)?;
        let (all, once) = (all.clone(), once.clone());
        let came = p.source(source.counting_into(&counts)).inspect(move |record| {
            assert_eq!(record.value, order(record.value.number), "a record that nobody sent");
            *all.borrow_mut().entry(record.value.number).or_default() += 1;
        });
        came.key_by(|order: &Order| order.number).deduplicate().for_each(move |record| {
            *once.borrow_mut().entry(record.value.number).or_default() += 1;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    Came { all: all.take(), once: once.take(), counts }
}

#[test]
fn datagrams_are_lost_and_never_wrong() {
    let cut_short = Cell::new(0);
    each_seed(60, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0xda7a);
        let network = SimNetwork::new(seed, NetFaults::random(&mut rng));
        let (datagrams, each) = (rng.u32(1..200), rng.u32(1..9));
        let Came { all, once, counts } = run(seed, &network, datagrams, each);
        let struck = network.struck();
        let came: u64 = all.values().sum();
        assert!(all.values().all(|times| *times <= 2), "{all:?}");
        assert!(once.values().all(|times| *times == 1), "{once:?}");
        assert!(once.keys().eq(all.keys()));
        // What came and what there was no room for are all that was not lost on the way.
        let arrived = u64::from(datagrams) + struck.twice - struck.lost;
        let bytes = counts.get(Count::BytesIn);
        let whole = (arrived - counts.get(Count::Lost)) * u64::from(each) * FRAME as u64;
        match struck.cut {
            0 => assert_eq!((bytes, came * FRAME as u64), (whole, whole), "{struck:?}"),
            _ => assert!(bytes <= whole && came * FRAME as u64 <= bytes, "{struck:?}"),
        }
        let left = bytes - came * FRAME as u64;
        let cuts = counts.get(Count::CutShort);
        assert!(left >= cuts && left < cuts * FRAME as u64 + 1, "{left} bytes of {cuts} records");
        assert!(cuts <= 2 * struck.cut);
        assert_eq!(counts.get(Count::Malformed) + counts.get(Count::Garbage), 0);
        cut_short.set(cut_short.get() + cuts);
    });
    assert!(cut_short.get() > 0 || std::env::var_os("MILLSTREAM_SEED").is_some());
}

#[test]
fn datagrams_that_are_sent_hold_whole_records() {
    each_seed(20, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0x5e4d);
        let faults = NetFaults { cut_every: 0, ..NetFaults::random(&mut rng) };
        let network = SimNetwork::new(seed, faults);
        let to = SocketAddr::from(([10, 0, 0, 2], 9));
        network.hear(to);
        let (count, bytes_max) = (rng.u32(1..300), FRAME * rng.usize(1..5) + rng.usize(..FRAME));
        let counts = Counts::default();
        let mut came = Vec::new();
        let outside = |now: Timestamp| {
            network.advance(now);
            came.extend(std::iter::from_fn(|| network.next_datagram(to)));
        };
        let simulation = Simulation::new(1, seed).batch_max(7);
        let outcome = simulation.run_beside(outside, |p| {
            let records = (0..count).map(|n| Record::new(Timestamp(0), order(n)));
            let source = millstream::io::MemorySource::new(records.collect::<Vec<_>>());
            let (network, framing) = (network.network(), LengthPrefixed::new(20));
            let sink = UdpSink::to_plugged(p, network, to, framing, orders(), bytes_max)?;
            p.source(source).sink(sink.counting_into(&counts));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
        network.advance(Timestamp::from_millis(10_000_000));
        came.extend(std::iter::from_fn(|| network.next_datagram(to)));
        assert!(came.iter().all(|it| it.len() <= bytes_max && it.len() % FRAME == 0));
        assert_eq!(counts.get(Count::BytesOut), u64::from(count) * FRAME as u64);
        for bytes in came.iter().flat_map(|it| it.chunks_exact(FRAME)) {
            let came = orders().decode(&bytes[4..]).unwrap();
            let came = came.unwrap();
            assert_eq!(came, order(came.number));
        }
    });
}
