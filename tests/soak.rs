//! A soak: orders by TCP and UDP into windows by key, results to subscribers, at half load.
//!
//! After the warm-up memory stays as it is, no step calls the allocator, and at the end every order
//! is in a result at every subscriber. `scripts/soak` runs it for ten minutes.
#![cfg(feature = "net")]

#[path = "support/calls.rs"]
mod calls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calls::calls;
use serde::{Deserialize, Serialize};

use millstream::aggregates::{count, sum};
use millstream::io::{Codec, Fixed, codec};
use millstream::net::{
    Count, Counts, Datagram, Datagrams, Listener, Receiving, Sending, Slow, TcpSink, TcpSource,
    UdpSource,
};
use millstream::window::triggers;
use millstream::{Config, Shard, Timestamp, Tumbling, ms};

const KEYS: u64 = 10_000;

/// Bytes of an order, and of a result.
const ORDER: usize = 64;
const RESULT: usize = 24;

/// Orders of a datagram, and of those in a hundred that go by UDP.
const BUNCH: u64 = 20;
const BY_UDP: u64 = 10;

const SUBSCRIBERS: usize = 2;

/// Windows enough for every buffer to have been as full as it will be.
const WARM_UP: Duration = Duration::from_secs(3);

/// What memory may be more at the end than behind the warm-up.
const GROWTH_MAX: u64 = 4 << 20;

/// How much longer than it is meant to all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A host that keeps a step from running for longer lets more come at once than there is room for
/// elsewhere: it says nothing of memory then.
const HELD_UP_MAX: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Order {
    key: u64,
    quantity: u64,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn orders() -> impl Codec<Value = Order> {
    let decode = |bytes: &[u8]| match bytes.len() {
        ORDER => Ok(Order { key: word(bytes, 0), quantity: word(bytes, 8) }),
        _ => Err("no order".to_owned()),
    };
    codec(ORDER, |_: &Order, _: &mut Vec<u8>| {}, decode)
}

/// Key, count and sum.
fn results() -> impl Codec<Value = [u64; 3]> {
    let encode = |result: &[u64; 3], into: &mut Vec<u8>| {
        result.iter().for_each(|word| into.extend(word.to_le_bytes()));
    };
    codec(RESULT, encode, |_: &[u8]| Err("nobody is listened to".to_owned()))
}

/// Appends orders from a number on; returns what they add up to.
fn write_orders(numbers: std::ops::Range<u64>, into: &mut Vec<u8>) -> u64 {
    let mut quantities = 0;
    for n in numbers {
        let quantity = n % 97;
        into.extend((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS).to_le_bytes());
        into.extend(quantity.to_le_bytes());
        into.extend([0; ORDER - 16]);
        quantities += quantity;
    }
    quantities
}

/// What there is of orders, wherever that is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Total {
    count: u64,
    quantity: u64,
}

/// Reads results until they end.
fn subscribe(address: SocketAddr) -> JoinHandle<Total> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(time() + PATIENCE)).unwrap();
    std::thread::spawn(move || {
        let (mut total, mut piece, mut kept) = (Total::default(), vec![0; 64 << 10], 0);
        loop {
            let read = stream.read(&mut piece[kept..]).unwrap();
            if read == 0 {
                assert_eq!(kept, 0, "it ends within a result");
                return total;
            }
            kept += read;
            let whole = kept / RESULT * RESULT;
            for result in piece[..whole].chunks(RESULT) {
                total.count += word(result, 8);
                total.quantity += word(result, 16);
            }
            piece.copy_within(whole..kept, 0);
            kept -= whole;
        }
    })
}

/// What threads tell each other.
#[derive(Default)]
struct Said {
    /// Orders a second; none while it is to be found out how many can be taken.
    pace: AtomicU64,
    over: AtomicBool,
    sent: AtomicU64,
    /// The most that were sent at once since this was last asked.
    at_once: AtomicU64,
}

/// Sends orders by TCP and UDP: flat out by TCP, or at a pace by both, whatever that takes.
fn send(to: SocketAddr, udp: SocketAddr, said: Arc<Said>) -> JoinHandle<Total> {
    let mut stream = TcpStream::connect(to).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    std::thread::spawn(move || {
        let (mut total, mut bytes) = (Total::default(), Vec::new());
        let (mut begun, mut due) = (None, 0);
        while !said.over.load(Ordering::Relaxed) {
            let pace = said.pace.load(Ordering::Relaxed);
            let more = match pace {
                0 => 256,
                pace => {
                    let since: &Instant = begun.get_or_insert_with(Instant::now);
                    let now = (since.elapsed().as_secs_f64() * pace as f64) as u64;
                    let more = (now - due).min(pace / 10);
                    due += more;
                    more
                }
            };
            said.at_once.fetch_max(more, Ordering::Relaxed);
            let by_udp = if pace == 0 { 0 } else { more * BY_UDP / 100 / BUNCH };
            for _ in 0..by_udp {
                bytes.clear();
                total.quantity += write_orders(total.count..total.count + BUNCH, &mut bytes);
                total.count += BUNCH;
                socket.send_to(&bytes, udp).unwrap();
            }
            bytes.clear();
            let by_tcp = more - by_udp * BUNCH;
            total.quantity += write_orders(total.count..total.count + by_tcp, &mut bytes);
            total.count += by_tcp;
            stream.write_all(&bytes).unwrap();
            said.sent.store(total.count, Ordering::Relaxed);
            if pace > 0 {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        total
    })
}

/// What the process has of memory, in bytes.
fn resident() -> u64 {
    let all = std::fs::read_to_string("/proc/self/statm").unwrap();
    all.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// How long it takes, from a variable that `scripts/soak` sets.
fn time() -> Duration {
    let said = std::env::var("MILLSTREAM_SOAK_SECONDS").ok();
    Duration::from_secs(said.map_or(4, |said| said.parse().expect("a number of seconds")))
}

/// A shard that is stepped, and how that was.
struct Stepped {
    shard: Shard,
    since: Instant,
    /// How long it may take.
    most: Duration,
    worst: Duration,
    /// The longest from one step to the next, and when the last one began.
    apart: Duration,
    begun: Instant,
    steps: u64,
    /// Steps in which there was nothing to do.
    idle: u64,
    calls: u64,
}

impl Stepped {
    fn step(&mut self) {
        assert!(self.since.elapsed() < self.most, "it does not end");
        let begun = Instant::now();
        self.apart = self.apart.max(begun - self.begun);
        self.begun = begun;
        let now = Timestamp(self.since.elapsed().as_nanos() as i64);
        let mut is_idle = false;
        self.calls += calls(|| is_idle = self.shard.step(now).is_none());
        self.worst = self.worst.max(begun.elapsed());
        self.steps += 1;
        self.idle += u64::from(is_idle);
        if is_idle {
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    /// Steps for so long.
    fn step_for(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.step();
        }
        assert_eq!(self.shard.failure().map(ToString::to_string), None);
    }

    fn begin_again(&mut self) {
        (self.worst, self.apart) = (Duration::ZERO, Duration::ZERO);
        (self.steps, self.idle, self.calls) = (0, 0, 0);
    }
}

/// The most that has come at once so far, as far as that can be known: how long no step ran, and
/// how much was sent in one go.
#[derive(Debug)]
struct Peak {
    apart: Duration,
    at_once: u64,
}

impl Peak {
    /// Of what was before.
    fn of(it: &Stepped, said: &Said) -> Self {
        Self { apart: it.apart, at_once: said.at_once.swap(0, Ordering::Relaxed) }
    }

    /// Whether what came now had come before.
    fn has_seen(&mut self, now: Self) -> bool {
        let has_seen = now.apart <= self.apart && now.at_once <= self.at_once;
        self.apart = self.apart.max(now.apart);
        self.at_once = self.at_once.max(now.at_once);
        has_seen
    }
}

/// Finds out how many orders it takes in a second, and goes on with half of that until it has seen
/// everything that comes again and again; returns how many that is.
fn settle(it: &mut Stepped, said: &Said, time: Duration) -> u64 {
    it.step_for(time / 20);
    let (begun, sent) = (Instant::now(), said.sent.load(Ordering::Relaxed));
    it.step_for(time / 20);
    let sent = (said.sent.load(Ordering::Relaxed) - sent) as f64;
    let pace = ((sent / begun.elapsed().as_secs_f64() / 2.0) as u64).max(1000);
    said.pace.store(pace, Ordering::Relaxed);
    it.step_for((time / 10).max(WARM_UP));
    pace
}

/// What was seen in the measured time.
#[derive(Default)]
struct Measured {
    /// Tenths of it in which no more came at once than before and there was time for all of it, and
    /// calls of the allocator in them and in the others.
    tenths: u64,
    /// Tenths in which there was no time: at half load there is nothing to do now and then.
    busy: u64,
    calls: u64,
    excused: u64,
    steps: u64,
    worst: Duration,
    /// The most memory.
    most: u64,
}

/// Measures ten times a twelfth of the time.
fn measure(it: &mut Stepped, said: &Said, time: Duration) -> Measured {
    let (mut peak, mut seen) = (Peak::of(it, said), Measured::default());
    for _ in 0..10 {
        it.begin_again();
        it.step_for(time * 8 / 100);
        let is_busy = it.idle * 50 < it.steps;
        seen.busy += u64::from(is_busy);
        if peak.has_seen(Peak::of(it, said)) && !is_busy {
            seen.tenths += 1;
            seen.calls += it.calls;
        } else {
            seen.excused += it.calls;
        }
        seen.steps += it.steps;
        seen.worst = seen.worst.max(it.worst);
        seen.most = seen.most.max(resident());
    }
    seen
}

/// Nothing is allocated for what has come at once before, and memory is flat, unless the host has
/// kept a step from running for too long.
fn judge(seen: &Measured, more: u64) {
    assert_eq!(seen.calls, 0, "a step called the allocator");
    if seen.worst > HELD_UP_MAX || seen.busy > 0 {
        println!(
            "soak: skipped: memory, on a host that held a step up for {:?}, and had no time for \
             half of what it took before in {} of ten parts",
            seen.worst, seen.busy
        );
        return;
    }
    assert!(more <= GROWTH_MAX, "memory grew by {more} bytes");
}

/// Ends the sender, and takes all that it has sent.
fn end(it: &mut Stepped, said: &Said, sender: JoinHandle<Total>) -> Total {
    said.over.store(true, Ordering::Relaxed);
    // What it is about to send has room only if it is taken.
    while !sender.is_finished() {
        it.step();
    }
    let total = sender.join().unwrap();
    // What has come by UDP is taken; nothing says that more is on its way.
    it.step_for(Duration::from_millis(200));
    total
}

#[test]
fn memory_is_flat_nothing_is_allocated_and_nothing_is_lost() {
    let time = time();
    let listener = |shards| Listener::on("127.0.0.1:0".parse().unwrap(), shards).unwrap();
    let (inlet, outlet) = (listener(1), listener(1));
    let datagrams = Datagrams::at("127.0.0.1:0".parse().unwrap()).unwrap();
    let [tcp, udp, out] = [(); 3].map(|()| Counts::default());
    let (shard, ()) = Shard::embed(Config::embedded(), |p| {
        let fixed = || Fixed::new(ORDER);
        let by_tcp = TcpSource::new(p, &inlet, fixed(), orders(), Receiving::default())?;
        let by_udp = UdpSource::new(p, &datagrams, fixed(), orders(), Datagram::default())?;
        let sending = Sending { slow: Slow::Block, ..Sending::default() };
        let sink = TcpSink::serve(p, &outlet, Fixed::new(RESULT), results(), sending)?;
        p.source(by_tcp.counting_into(&tcp))
            .union(p.source(by_udp.counting_into(&udp)))
            .key_by(|order| order.key)
            .window(Tumbling::of(ms(100)))
            .trigger(triggers::purging(triggers::processing_time()))
            .aggregate((count(), sum(|order: &Order| order.quantity)))
            .map(|all| [all.key, all.value.0, all.value.1])
            .sink(sink.counting_into(&out));
        Ok(())
    })
    .unwrap();
    let since = Instant::now();
    let (worst, apart) = (Duration::ZERO, Duration::ZERO);
    let most = time + PATIENCE;
    let mut it =
        Stepped { shard, since, most, worst, apart, begun: since, steps: 0, idle: 0, calls: 0 };
    let subscribers = [(); SUBSCRIBERS].map(|()| subscribe(outlet.address()));
    while out.get(Count::Accepted) < SUBSCRIBERS as u64 {
        it.step();
    }
    let said = Arc::<Said>::default();
    let sender = send(inlet.address(), datagrams.address(), said.clone());

    let pace = settle(&mut it, &said, time);
    let before = resident();
    let seen = measure(&mut it, &said, time);

    let total = end(&mut it, &said, sender);
    inlet.stop();
    datagrams.stop();
    while !it.shard.is_done() {
        it.step();
    }
    let (lost, more) = (udp.get(Count::Lost) * BUNCH, seen.most.saturating_sub(before));
    let Measured { tenths, calls, excused, steps, worst, .. } = seen;
    println!(
        "soak: {:.1} s, {pace} orders a second, half of what it takes; {} sent, {lost} of them \
         lost by the kernel (UDP); memory {} KiB behind the warm-up, {} KiB more at most; {calls} \
         calls of the allocator, and {excused} when more came at once than before or there was no \
         time, which was so in {} of ten parts; {steps} steps, the worst {worst:?}",
        since.elapsed().as_secs_f64(),
        total.count,
        before >> 10,
        more >> 10,
        10 - tenths,
    );
    judge(&seen, more);
    drop(it); // Which closes the connections.
    for subscriber in subscribers {
        let got = subscriber.join().unwrap();
        assert_eq!(got.count + lost, total.count, "every order is in a result");
        assert!(lost > 0 || got.quantity == total.quantity, "{got:?} of {total:?}");
    }
    assert_eq!(tcp.get(Count::Malformed) + udp.get(Count::Malformed), 0);
}
