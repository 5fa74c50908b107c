//! From clients that send again what is not durable, by a journal and keyed state, to a receiver
//! that has each result once, over a network on which everything goes wrong.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use millstream::aggregates::{count, sum};
use millstream::io::journal::{Journal, Journalled, Reader, Settings};
use millstream::io::{AtOnce, Fixed, Journals, LengthPrefixed, Numbered, Origin, Source, Token};
use millstream::net::network::Plugged;
use millstream::net::{Count, Counts, Receiving, Sending, Slow, TcpSink, TcpSource};
use millstream::sim::{NetFaults, SimDisk, SimNetwork, Struck};
use millstream::{
    Config, Pipeline, Result, Simulation, Stage, Stream, Timestamp, Tumbling, Watermarks, ms, ns,
    us,
};
use serde::{Deserialize, Serialize};

use super::client::{Client, Order, ack_frames, acks, orders};
use super::receiver::{Knows, RESULT, Receiver, Value, results};
use super::support::each_seed;

/// The network is well after this time, so that all of it ends.
const HEALS_AFTER: Duration = Duration::from_millis(60);

/// A world: what is sent, where, and how.
pub struct Place {
    pub shards: usize,
    pub network: SimNetwork,
    pub orders: Vec<Vec<Order>>,
    doors: Vec<Plugged>,
    disks: Vec<SimDisk>,
    journals: Journals,
    receiving: Receiving,
    sending: Sending,
    slow: Slow,
    held: usize,
    pub counts: Counts,
    knows: Knows,
}

fn address(host: u8, port: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port as u16))
}

/// Where the shards listen for orders and for those who want word of them, and where the receiver
/// listens.
fn addresses(host: u8, shards: usize) -> Vec<SocketAddr> {
    (0..shards).map(|shard| address(host, 1_000 + shard)).collect()
}

fn settings() -> Settings {
    Settings { segment_bytes: 64 << 10, slots: 3, slot_bytes: 8 << 10, ..Settings::default() }
}

fn receiving(rng: &mut Rng) -> Receiving {
    let sometimes = |rng: &mut Rng, span| rng.bool().then_some(span);
    Receiving {
        connections_max: rng.usize(2..6),
        buffers: [1, 2, 8][rng.usize(..3)],
        buffer_bytes: [1, 7, 30, 500][rng.usize(..4)],
        idle_max: sometimes(rng, us(900)),
        record_max: sometimes(rng, us(400)),
        ..Receiving::default()
    }
}

fn sending(rng: &mut Rng) -> Sending {
    Sending {
        subscribers_max: 6,
        buffer_bytes: [1, 100 << 10][rng.usize(..2)],
        stalled_max: rng.bool().then_some(us(700)),
        // Hours that a clock may jump do not end it.
        linger: Duration::from_secs(1 << 30),
        pause_min: us(3),
        pause_max: us(200),
        ..Sending::default()
    }
}

impl Place {
    pub fn random(seed: u64) -> (Self, Rng) {
        let mut rng = Rng::with_seed(seed ^ 0x9e7);
        let knows = [Knows::Token, Knows::Name][rng.usize(..2)];
        let (shards, clients) = match knows {
            Knows::Token => (rng.usize(1..4), rng.usize(1..4)),
            Knows::Name => (rng.usize(1..4), 1),
        };
        let faults = match rng.u32(..8) {
            0 => NetFaults::none(),
            _ => NetFaults::random(&mut rng),
        };
        let network = SimNetwork::new(seed, faults);
        let order = |client, number, rng: &mut Rng| {
            let (key, value) = (rng.u32(..5), rng.u32(..1_000));
            Order { client: client as u32, number, key, value }
        };
        let count = rng.u32(1..120);
        let of = |client, rng: &mut Rng| (1..=count).map(|n| order(client, n, rng)).collect();
        let orders = (0..clients).map(|client| of(client, &mut rng)).collect();
        let disk = |rng: &mut Rng| {
            let mut disk = SimDisk::new(rng.u64(..));
            disk.set_slow([0, 10, 40, 200][rng.usize(..4)]);
            disk
        };
        let place = Self {
            shards,
            orders,
            doors: addresses(1, shards).iter().map(|at| network.plugged(*at)).collect(),
            disks: (0..shards).map(|_| disk(&mut rng)).collect(),
            journals: Journals::new(),
            receiving: receiving(&mut rng),
            sending: sending(&mut rng),
            slow: [Slow::DropOldest, Slow::Disconnect][rng.usize(..2)],
            held: [5, 50, 1_000][rng.usize(..3)],
            counts: Counts::default(),
            network,
            knows,
        };
        (place, rng)
    }

    /// The journalled orders of a shard, each with its number in the journal.
    fn source(&self, p: Pipeline<'_>) -> Result<impl Source<Out = (Origin, Order)> + use<>> {
        let framing = LengthPrefixed::new(20);
        let door = &self.doors[p.shard()];
        let source = TcpSource::new(p, door, framing, orders(), self.receiving)?;
        let mut disk = self.disks[p.shard()].clone();
        disk.crash();
        let storage = disk.storage(&settings());
        let (journal, _) = Journal::open(&mut disk, storage, settings(), 7, Timestamp(0))?;
        let source = source.counting_into(&self.counts);
        let source = Journalled::new(source, orders(), journal, disk)?;
        self.journals.watch(p.shard(), "orders", source.watch());
        Ok(Numbered::new(source, p.shard() as u32))
    }

    /// Where results go from a shard.
    fn sink<K: millstream::io::Codec>(
        &self,
        p: Pipeline<'_>,
        codec: K,
    ) -> Result<TcpSink<Fixed, K>> {
        let (network, to) = (self.network.network(), address(3, 1_000 + p.shard()));
        let frames = Fixed::new(RESULT);
        let sink = TcpSink::connect_by(p, &*network, to, frames, codec, self.sending)?;
        Ok(sink.counting_into(&self.counts).acknowledged())
    }

    pub fn build(&self, p: Pipeline<'_>) -> Result<()> {
        let desk = self.network.plugged(address(2, 1_000 + p.shard()));
        let sending = Sending { slow: self.slow, ..self.sending };
        let desk = TcpSink::serve(p, &desk, ack_frames(), acks(), sending)?;
        let taken = p.source(self.source(p)?).map(first).key_by(|it| it.order.client).reduce(take);
        let (new, all) = copies(taken.map(|(_, taken)| taken));
        let word = all.map(|taken| (taken.order.client, taken.last));
        word.sink(self.journals.gate(desk.counting_into(&self.counts), self.held));
        let new = new.filter(|taken| taken.is_new);
        match self.knows {
            Knows::Token => {
                let tokens = AtOnce::new(self.sink(p, results())?, p.shard(), origin_of);
                new.flat_map(results_of).sink(self.journals.gate(tokens, self.held));
            }
            Knows::Name => {
                let at = |order: &Order| Timestamp(i64::from(order.number));
                let windows = new
                    .map(|taken| taken.order)
                    .event_time(at, Watermarks::monotonic())
                    .key_by(|order| order.key)
                    .window(Tumbling::of(ns(WINDOW)))
                    .aggregate((count(), sum(|order: &Order| order.value)));
                let result = windows.map(|it| {
                    let (count, sum) = it.value;
                    (it.key, it.span.end.0 as u32, (sum * 1_000 + count) as u32)
                });
                let (origin, shard) = (Origin::default(), p.shard() as u32);
                let token = Token { shard, origin, index: 0 };
                let shown = result.map(move |value| (token, (origin, value)));
                shown.sink(self.journals.gate(self.sink(p, results())?, self.held));
            }
        }
        Ok(())
    }

    /// The results that there must be, in the order of each client or key.
    fn want(&self) -> BTreeMap<u32, Vec<Value>> {
        let mut want: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        for orders in &self.orders {
            let (mut sum, mut windows) = (0, BTreeMap::<(u32, u32), (u32, u32)>::new());
            for Order { client, number, key, value } in orders.iter().copied() {
                sum += value;
                if self.knows == Knows::Token {
                    let results = (0..RESULTS).map(|n| (client, number * RESULTS + n, sum));
                    want.entry(client).or_default().extend(results);
                }
                let end = (number / WINDOW as u32 + 1) * WINDOW as u32;
                let window = windows.entry((key, end)).or_default();
                *window = (window.0 + 1, window.1 + value);
            }
            if self.knows == Knows::Name {
                for ((key, end), (count, sum)) in windows {
                    want.entry(key).or_default().push((key, end, sum * 1_000 + count));
                }
            }
        }
        want
    }
}

/// How long a window of orders is.
const WINDOW: u64 = 10;

/// What is known of a client behind one of its orders.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    origin: Origin,
    order: Order,
    /// All up to this number have been taken.
    last: u32,
    sum: u32,
    is_new: bool,
}

/// Results of one order, which a barrier may come between where they wait at a gate.
const RESULTS: u32 = 2;

fn results_of(it: Taken) -> impl Iterator<Item = (Origin, Value)> {
    let of = move |n| (it.origin, (it.order.client, it.last * RESULTS + n, it.sum));
    (0..RESULTS).map(of)
}

fn origin_of(it: &(Origin, Value)) -> Origin {
    it.0
}

/// An order as the first of its client.
fn first((origin, order): (Origin, Order)) -> Taken {
    Taken { origin, order, last: order.number, sum: order.value, is_new: true }
}

/// Takes the orders of a client in their order, each once.
fn take(taken: &mut Taken, Taken { origin, order, .. }: Taken) {
    assert!(order.number <= taken.last + 1, "{order:?} comes after {}", taken.last);
    (taken.origin, taken.order) = (origin, order);
    taken.is_new = order.number > taken.last;
    if taken.is_new {
        taken.last = order.number;
        taken.sum += order.value;
    }
}

/// The stream twice.
fn copies<'p>(
    stream: Stream<'p, impl Stage<Out = Taken>>,
) -> (Stream<'p, impl Stage<Out = Taken>>, Stream<'p, impl Stage<Out = Taken>>) {
    let twice = stream.flat_map(|taken| [(true, taken), (false, taken)]);
    let (left, right) = twice.split(|(left, _)| *left);
    (left.map(|(_, taken)| taken), right.map(|(_, taken)| taken))
}

/// The bytes of an order behind its length.
const FRAME: u64 = 24;

/// How many orders were journalled.
fn journalled(disk: &SimDisk) -> u64 {
    let mut reader = Reader::open(disk.clone()).unwrap();
    while reader.read().unwrap().is_some() {}
    reader.position().0
}

/// Runs a world to its end; returns what it has come to.
fn run(seed: u64) -> (Receiver, Struck, Counts, String) {
    let (place, mut rng) = Place::random(seed);
    let goes_mad = rng.bool();
    let mut clients: Vec<Client> = (0..place.orders.len())
        .map(|client| {
            let (server, desks) = (client % place.shards, addresses(2, place.shards));
            let (server, orders) = (address(1, 1_000 + server), place.orders[client].clone());
            Client::new(&place.network, rng.fork(), server, &desks, orders, goes_mad)
        })
        .collect();
    let listens = addresses(3, place.shards);
    let mut receiver = Receiver::new(&place.network, rng.fork(), &listens, place.knows, goes_mad);
    let config = Config {
        ring_capacity: [1, 2, 64][rng.usize(..3)],
        batch_max: [1, 2, 7, 64][rng.usize(..4)],
        ..Config::simulation(place.shards)
    };
    let simulation = Simulation::with_config(config, seed).steps_max(500_000);
    let simulation = simulation.crashing(rng.u32(..6));
    let simulation = if rng.bool() { simulation.jumping() } else { simulation };
    let mut began = None;
    let outside = |now: Timestamp| {
        place.network.advance(now);
        if now.since(*began.get_or_insert(now)) > HEALS_AFTER.as_nanos() as u64 {
            place.network.heal();
        }
        clients.iter_mut().for_each(|client| client.step(now));
        receiver.step(now);
        if clients.iter().all(Client::is_done) {
            place.doors.iter().for_each(Plugged::stop);
        }
    };
    let outcome = simulation.run_beside(outside, |p| place.build(p));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    let mut got: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
    receiver.kept.iter().for_each(|value| got.entry(value.0).or_default().push(*value));
    assert_eq!(got, place.want(), "{:?}", place.network.struck());
    // No byte was changed on the way, so all that came was orders, and no more than came.
    let [malformed, garbage, bytes] =
        [Count::Malformed, Count::Garbage, Count::BytesIn].map(|it| place.counts.get(it));
    assert_eq!((malformed, garbage), (0, 0), "{:?}", place.network.struck());
    let journalled: u64 = place.disks.iter().map(journalled).sum();
    assert!(journalled * FRAME <= bytes, "{journalled} orders of {bytes} bytes");
    let told = format!("{:?} {} {:?}", receiver.kept, outcome.steps, place.network.struck());
    (receiver, place.network.struck(), place.counts, told)
}

#[test]
fn a_receiver_has_each_result_once_whatever_breaks() {
    let all = RefCell::new((Struck::default(), [0u64; 6]));
    each_seed(12, |seed| {
        let (receiver, struck, counts, _) = run(seed);
        let (sum, numbers) = &mut *all.borrow_mut();
        sum.connected += struck.connected;
        sum.reset += struck.reset;
        sum.vanished += struck.vanished;
        sum.refused += struck.refused;
        sum.parted += struck.parted;
        let counts = [Count::CutShort, Count::Broken, Count::Refused, Count::TooSlow]
            .map(|it| counts.get(it));
        let more = [receiver.again, receiver.halves].into_iter().chain(counts);
        numbers.iter_mut().zip(more).for_each(|(sum, it)| *sum += it);
    });
    let (struck, [again, halves, cut_short, broken, refused, slow]) = all.into_inner();
    println!(
        "{struck:?}; {again} results came again, {halves} by halves; {cut_short} connections ended \
         within a record, {broken} broke, {refused} were turned away, {slow} were too slow"
    );
    let is_one = std::env::var_os("MILLSTREAM_SEED").is_some();
    assert!(is_one || [again, halves, cut_short, broken].iter().all(|it| *it > 0));
}

#[test]
fn a_world_replays_from_its_seed() {
    assert_eq!(run(3).3, run(3).3);
}

/// Nobody is to wait for hours that have not passed.
#[test]
fn what_the_network_does_is_in_its_own_time() {
    let network = SimNetwork::new(1, NetFaults::none());
    let here = address(9, 9);
    let (listener, _caller) = (network.listener(here).unwrap(), network.call(here));
    assert!(listener.accept().is_none());
    network.advance(Timestamp(0) + ms(1));
    assert!(listener.accept().is_some());
}
