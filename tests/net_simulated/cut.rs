//! Connections that end or break anywhere: what came whole before is given, a part of a record
//! never is, and which of the two it was is counted.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

use fastrand::Rng;
use millstream::io::{Codec, Framing, LengthPrefixed};
use millstream::net::{Count, Counts, Receiving, TcpSource};
use millstream::sim::{NetFaults, SimNetwork, SimStream};
use millstream::{Simulation, Timestamp};

use super::client::{Order, orders};
use super::support::each_seed;

/// An order behind its length.
const FRAME: usize = 24;

/// How one who has sent leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Closing,
    Resetting,
    Vanishing,
}

fn order(client: u32, number: u32) -> Order {
    Order { client, number, key: 1, value: number * 3 }
}

/// What one sends: whole orders, and a part of one more.
fn bytes(client: u32, whole: u32, part: usize) -> Vec<u8> {
    let (mut framing, mut codec, mut bytes) = (LengthPrefixed::new(20), orders(), Vec::new());
    for number in 0..=whole {
        let from = bytes.len();
        framing.begin(&mut bytes);
        codec.encode(&order(client, number), &mut bytes);
        framing.end(&mut bytes, from);
    }
    bytes.truncate(whole as usize * FRAME + part);
    bytes
}

/// Whole orders, bytes of one more, and how he leaves who sent them.
type Visit = (u32, usize, Leaves);

fn visits(rng: &mut Rng) -> Vec<Visit> {
    let leaves = [Leaves::Closing, Leaves::Resetting, Leaves::Vanishing];
    (0..12).map(|_| (rng.u32(..6), rng.usize(..FRAME), leaves[rng.usize(..3)])).collect()
}

/// Those who connect, one after the other, in places that others have had.
struct Visitors {
    network: SimNetwork,
    here: SocketAddr,
    visits: Vec<Visit>,
    at: usize,
    caller: Option<(SimStream, Vec<u8>)>,
    counts: Counts,
}

impl Visitors {
    fn step(&mut self, now: Timestamp) {
        self.network.advance(now);
        let Some((whole, part, leaves)) = self.visits.get(self.at).copied() else { return };
        // The one before is gone: his place is to be had.
        if self.caller.is_none() && self.counts.get(Count::Closed) == self.at as u64 {
            let bytes = bytes(self.at as u32, whole, part);
            self.caller = Some((self.network.call(self.here), bytes));
        }
        let Some((stream, left)) = &mut self.caller else { return };
        let is_quiet = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let is_turned_away = !stream.read(&mut [0]).is_err_and(|error| is_quiet(&error));
        match stream.write(left) {
            Ok(written) if !is_turned_away => _ = left.drain(..written),
            Err(error) if !is_turned_away && is_quiet(&error) => {}
            // The place of the one before was not free yet.
            _ => return self.caller = None,
        }
        if left.is_empty() && self.counts.get(Count::Accepted) > self.at as u64 {
            self.at += 1;
            match (self.caller.take(), leaves) {
                (Some((stream, _)), Leaves::Resetting) => stream.reset(),
                (Some((stream, _)), Leaves::Vanishing) => stream.vanish(),
                _ => {}
            }
        }
    }
}

/// Of each comes what he sent, up to some order; all of it, of one who has closed.
fn check(visits: &[Visit], seen: Vec<Order>) {
    let mut seen = seen.into_iter().peekable();
    for (client, (whole, _, leaves)) in visits.iter().enumerate() {
        let from = |order: &Order| order.client == client as u32;
        let came = std::iter::from_fn(|| seen.next_if(from)).collect::<Vec<_>>();
        let want = (0..came.len() as u32).map(|number| order(client as u32, number));
        assert!(came.iter().copied().eq(want), "{came:?}");
        let is_whole = came.len() as u32 == *whole;
        assert!(is_whole || *leaves != Leaves::Closing && (came.len() as u32) < *whole);
    }
    assert_eq!(seen.next(), None);
}

#[test]
fn a_part_of_a_record_is_never_one() {
    let all = RefCell::new([0; 3]);
    each_seed(60, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0xc07);
        let window = [1, 30, 10_000][rng.usize(..3)];
        let network = SimNetwork::new(seed, NetFaults { window, ..NetFaults::none() });
        let here = SocketAddr::from(([10, 0, 0, 1], 80));
        let (door, counts, visits) = (network.plugged(here), Counts::default(), visits(&mut rng));
        let seen: Rc<RefCell<Vec<Order>>> = Rc::default();
        let receiving = Receiving {
            connections_max: rng.usize(1..3),
            buffers: rng.u16(1..4),
            buffer_bytes: [1, 20, 50, 200][rng.usize(..4)],
            ends_after: Some(visits.len() as u64),
            record_max: None,
            ..Receiving::default()
        };
        let (visits, counts) = (&visits, &counts);
        let (at, caller) = (0, None);
        let mut visitors =
            Visitors { network, here, visits: visits.clone(), at, caller, counts: counts.clone() };
        let simulation = Simulation::new(1, seed).batch_max(3).steps_max(300_000);
        let outcome = simulation.run_beside(
            |now| visitors.step(now),
            |p| {
                let framing = LengthPrefixed::new(20);
                let source = TcpSource::new(p, &door, framing, orders(), receiving)?;
                let seen = seen.clone();
                let source = p.source(source.counting_into(counts));
                source.for_each(move |record| seen.borrow_mut().push(record.value));
                Ok(())
            },
        );
        outcome.unwrap_or_else(|error| panic!("{error}"));
        check(visits, seen.take());
        let of = |leaves| visits.iter().filter(move |it| it.2 == leaves);
        let cut = of(Leaves::Closing).filter(|(_, part, _)| *part > 0).count() as u64;
        let broken = visits.len() as u64 - of(Leaves::Closing).count() as u64;
        let found = [Count::CutShort, Count::Broken, Count::Malformed].map(|it| counts.get(it));
        assert_eq!(found, [cut, broken, 0], "{visits:?}");
        all.borrow_mut().iter_mut().zip(found).for_each(|(sum, it)| *sum += it);
    });
    let [cut, broken, _] = all.into_inner();
    assert!(cut > 0 && broken > 0 || std::env::var_os("MILLSTREAM_SEED").is_some());
}
