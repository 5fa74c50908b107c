//! Subscribers that are slow, or dead, or come and go: the others get everything, and what the slow
//! ones do not get is counted.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

use fastrand::Rng;
use millstream::io::{Fixed, Polled, Source};
use millstream::net::{Count, Counts, Sending, Slow, TcpSink};
use millstream::sim::{NetFaults, SimNetwork, SimStream};
use millstream::{Record, Simulation, Timestamp, secs, us};

use super::client::{acks, words};
use super::support::each_seed;

/// The bytes of a record with what fills it up: with few of them the log is full.
const FRAME: usize = 256;

/// How he reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fast,
    /// One step in so many.
    Slow(u32),
    /// Not at all, from some record on.
    Deaf(u32),
    /// Gone without a word, from some record on.
    Dead(u32),
}

struct Subscriber {
    kind: Kind,
    stream: Option<SimStream>,
    carry: Vec<u8>,
    seen: Vec<u32>,
    /// He was told that there is no more.
    is_over: bool,
}

impl Subscriber {
    fn new(kind: Kind, stream: SimStream) -> Self {
        Self { kind, stream: Some(stream), carry: Vec::new(), seen: Vec::new(), is_over: false }
    }

    fn step(&mut self, rng: &mut Rng) {
        let seen = self.seen.len() as u32;
        match self.kind {
            Kind::Slow(every) if rng.u32(..every) > 0 => return,
            Kind::Deaf(from) if seen >= from => return,
            Kind::Dead(from) if seen >= from => {
                return self.stream.take().map_or((), SimStream::vanish);
            }
            _ => {}
        }
        let Some(stream) = &mut self.stream else { return };
        let mut some = [0; 20_000];
        let most = if self.kind == Kind::Fast { some.len() } else { rng.usize(1..2_000) };
        match stream.read(&mut some[..most]) {
            Ok(read @ 1..) => self.carry.extend(&some[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            end => {
                (self.is_over, self.stream) = (end.is_ok(), None);
            }
        }
        let whole = self.carry.len() / FRAME * FRAME;
        for frame in self.carry[..whole].chunks_exact(FRAME) {
            let [client, number] = words(&frame[..8]).unwrap();
            assert!(frame[8..].iter().all(|byte| *byte == 0));
            assert_eq!(client, number.wrapping_mul(31), "a frame that nobody sent");
            self.seen.push(number);
        }
        self.carry.drain(..whole);
    }

    fn check(&self, counts: &Counts) {
        let ascends = self.seen.is_sorted_by(|a, b| a < b);
        assert!(ascends, "{:?} got {:?}", self.kind, self.seen);
        let gaps: u32 = self.seen.windows(2).map(|two| two[1] - two[0] - 1).sum();
        assert!(u64::from(gaps) <= counts.get(Count::Dropped), "{gaps} missing and not counted");
    }
}

/// Numbers now and then, once the subscribers are there.
struct Numbers {
    next: Rc<RefCell<u32>>,
    count: u32,
    counts: Counts,
    subscribers: u64,
    rng: Rng,
}

impl Source for Numbers {
    type Out = (u32, u32);

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        _budget: usize,
        emit: &mut impl FnMut(Record<(u32, u32)>),
    ) -> Result<Polled, millstream::error::IoError> {
        let next = &mut *self.next.borrow_mut();
        if self.counts.get(Count::Accepted) >= self.subscribers && self.rng.u32(..3) == 0 {
            emit(Record::new(now, (next.wrapping_mul(31), *next)));
            *next += 1;
        }
        Ok(if *next == self.count { Polled::ended() } else { Polled::open() })
    }
}

/// Runs subscribers of these kinds under a policy; returns them, and what was counted.
fn run(seed: u64, sending: Sending, kinds: &[Kind], count: u32) -> (Vec<Subscriber>, Counts, u64) {
    let (mut rng, counts) = (Rng::with_seed(seed), Counts::default());
    let window = [64, 1 << 10][rng.usize(..2)];
    let bytes_per_ms = 1 << 24;
    let latency_ns = 1..2_000;
    // Such a window would hold a fast one up.
    let window = if kinds.contains(&Kind::Fast) { 64 << 10 } else { window };
    let faults = NetFaults { window, bytes_per_ms, latency_ns, ..NetFaults::none() };
    let network = SimNetwork::new(seed, faults);
    let here = SocketAddr::from(([10, 0, 0, 1], 80));
    let subscribe = |kind: &Kind| Subscriber::new(*kind, network.call(here));
    let mut subscribers = Vec::new();
    let (plugged, next) = (network.plugged(here), Rc::new(RefCell::new(0)));
    let outside = |now: Timestamp| {
        network.advance(now);
        if subscribers.is_empty() {
            // Listened at since the shard was built.
            subscribers.extend(kinds.iter().map(subscribe));
        }
        subscribers.iter_mut().for_each(|it| it.step(&mut rng));
    };
    let simulation = Simulation::new(1, seed).batch_max(4).steps_max(2_000_000);
    let outcome = simulation.run_beside(outside, |p| {
        let sink = TcpSink::serve(p, &plugged, Fixed::new(FRAME), acks(), sending)?;
        let source = Numbers {
            next: next.clone(),
            count,
            counts: counts.clone(),
            subscribers: kinds.len() as u64,
            rng: Rng::with_seed(seed),
        };
        p.source(source).sink(sink.counting_into(&counts));
        Ok(())
    });
    let steps = outcome.unwrap_or_else(|error| panic!("{error}")).steps;
    // What is on its way still comes.
    for n in 0..5_000 {
        network.advance(Timestamp::from_millis(100_000_000 + n));
        subscribers.iter_mut().for_each(|it| it.step(&mut rng));
    }
    subscribers.iter().for_each(|it| it.check(&counts));
    (subscribers, counts, steps)
}

fn sending(slow: Slow) -> Sending {
    Sending { slow, buffer_bytes: 1, linger: us(3_000), ..Sending::default() }
}

fn others(rng: &mut Rng) -> Vec<Kind> {
    let kind = |rng: &mut Rng| match rng.u32(..3) {
        0 => Kind::Slow(rng.u32(2..200)),
        1 => Kind::Deaf(rng.u32(..50)),
        _ => Kind::Dead(rng.u32(..50)),
    };
    (0..rng.u32(1..4)).map(|_| kind(rng)).collect()
}

/// More than the log and any window hold.
const MANY: u32 = 3_000;

#[test]
fn a_fast_subscriber_gets_everything_whoever_is_slow() {
    let (dropped, slow) = (RefCell::new(0), RefCell::new(0));
    each_seed(6, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0xfa57);
        let policy = [Slow::DropOldest, Slow::Disconnect][rng.usize(..2)];
        let kinds = [vec![Kind::Fast], others(&mut rng)].concat();
        let (subscribers, counts, _) = run(seed, sending(policy), &kinds, MANY);
        let fast = &subscribers[0];
        assert!(fast.seen.iter().copied().eq(0..MANY), "{policy:?}: {} came", fast.seen.len());
        if policy == Slow::Disconnect {
            assert_eq!(counts.get(Count::Dropped), 0);
        }
        *dropped.borrow_mut() += counts.get(Count::Dropped);
        *slow.borrow_mut() += counts.get(Count::TooSlow);
    });
    println!("{} records were dropped, {} were too slow", dropped.borrow(), slow.borrow());
    let is_one = std::env::var_os("MILLSTREAM_SEED").is_some();
    assert!(is_one || *dropped.borrow() > 0 && *slow.borrow() > 0);
}

/// What one who is only slow misses is what is counted, to the record.
#[test]
fn what_a_slow_subscriber_misses_is_counted() {
    let missed = RefCell::new(0);
    each_seed(6, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0x510);
        let sending = Sending { linger: secs(60), ..sending(Slow::DropOldest) };
        let (subscribers, counts, _) = run(seed, sending, &[Kind::Slow(rng.u32(10..60))], MANY);
        let seen = subscribers[0].seen.len() as u64;
        assert_eq!(seen + counts.get(Count::Dropped), u64::from(MANY));
        assert_eq!(subscribers[0].seen.last(), Some(&(MANY - 1)));
        *missed.borrow_mut() += counts.get(Count::Dropped);
    });
    assert!(*missed.borrow() > 0 || std::env::var_os("MILLSTREAM_SEED").is_some());
}

/// Everybody waits for a slow one, and nobody misses anything; one who is dead is given up.
#[test]
fn a_policy_of_waiting_waits_for_the_slow_and_not_for_the_dead() {
    each_seed(6, |seed| {
        let mut rng = Rng::with_seed(seed ^ 0xb10c);
        let kinds = [Kind::Slow(rng.u32(2..8)), Kind::Dead(rng.u32(1..50)), Kind::Slow(2)];
        let stalled_max = rng.bool().then_some(us(900));
        let sending = Sending { stalled_max, linger: secs(60), ..sending(Slow::Block) };
        let (subscribers, counts, _) = run(seed, sending, &kinds, 1_000);
        assert_eq!(counts.get(Count::Dropped), 0);
        for slow in [&subscribers[0], &subscribers[2]] {
            assert!(slow.seen.iter().copied().eq(0..1_000), "{} came", slow.seen.len());
            assert!(slow.is_over);
        }
    });
}
