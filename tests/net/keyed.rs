//! Subscribers who ask for keys.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use millstream::io::{Lines, codec};
use millstream::net::{Count, Counts, Listener, Rung, Sending, Slow, TcpSink};
use millstream::{Config, Input, Shard, Timestamp};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};

use super::world::{PATIENCE, RUNGS, connected, here, step};

/// A shard that sends `KEY NUMBER` to whoever subscribes.
struct World {
    shard: Shard,
    input: Input<(char, u32)>,
    outlet: Listener,
    counts: Counts,
    since: std::time::Instant,
}

fn world(rung: Rung, keys_max: usize, slow: Slow) -> World {
    padded(rung, keys_max, slow, 1)
}

/// Numbers have so many digits at least.
fn padded(rung: Rung, keys_max: usize, slow: Slow, digits: usize) -> World {
    let (outlet, counts) = (here(), Counts::default());
    let lines = codec(
        20 + digits,
        move |(key, n): &(char, u32), into: &mut Vec<u8>| _ = write!(into, "{key} {n:0digits$}"),
        |_: &[u8]| Err(String::new()),
    );
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let (buffer_bytes, linger) = (1 << 16, PATIENCE);
        let sending = Sending { from: rung, slow, buffer_bytes, linger, ..Sending::default() };
        let sink = TcpSink::serve(p, &outlet, Lines::new(20 + digits), lines, sending)?;
        let (input, records) = p.input();
        records.sink(sink.counting_into(&counts).keyed(keys_max, |record: &(char, u32)| record.0));
        Ok(input)
    })
    .unwrap();
    World { shard, input, outlet, counts, since: std::time::Instant::now() }
}

impl World {
    fn until(&mut self, is_so: impl Fn(&Counts) -> bool) {
        while !is_so(&self.counts) {
            step(&mut self.shard, self.since);
        }
    }

    fn send(&mut self, records: impl IntoIterator<Item = (char, u32)>) {
        for record in records {
            while self.input.push(Timestamp(1), record).is_err() {
                step(&mut self.shard, self.since);
            }
        }
        for _ in 0..100 {
            step(&mut self.shard, self.since);
        }
    }

    fn subscriber(&mut self, said: &str) -> TcpStream {
        let stream = connected(self.outlet.address());
        self.subscribed(stream, said)
    }

    fn subscribed(&mut self, mut stream: TcpStream, said: &str) -> TcpStream {
        let before = self.counts.get(Count::Accepted);
        stream.write_all(said.as_bytes()).unwrap();
        self.until(|counts| counts.get(Count::Accepted) > before);
        // What he says is on its way.
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            step(&mut self.shard, self.since);
        }
        stream
    }

    fn end(mut self) -> Counts {
        drop(self.input);
        while !self.shard.is_done() {
            step(&mut self.shard, self.since);
        }
        self.counts
    }
}

/// One for whom the kernel holds little.
fn narrow(address: SocketAddr) -> TcpStream {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &(8 << 10)).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
    TcpStream::from(socket)
}

fn lines(stream: TcpStream) -> Vec<String> {
    BufReader::new(stream).lines().map(Result::unwrap).collect()
}

#[test]
fn subscribers_get_the_latest_of_their_keys_and_then_what_is_new() {
    for rung in RUNGS {
        let mut world = world(rung, 3, Slow::Disconnect);
        world.send([('C', 1), ('A', 2), ('B', 3), ('A', 4), ('D', 5)]);
        let silent = world.subscriber("");
        let all = world.subscriber("SUBSCRIBE\r\n");
        let mut some = world.subscriber("SUBSCRIBE B, A,");
        some.write_all(b"A,none\n").unwrap();
        let fourth = world.subscriber("SUBSCRIBE D\n");
        world.send([('D', 6), ('A', 7), ('C', 8)]);
        some.write_all(b"SUBSCRIBE C\n").unwrap();
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            step(&mut world.shard, world.since);
        }
        world.send([('A', 9), ('C', 10)]);
        world.end();
        assert_eq!(lines(silent), ["D 6", "A 7", "C 8", "A 9", "C 10"], "{rung}");
        let snapshot = ["A 4", "B 3", "C 1"];
        assert_eq!(lines(all), [&snapshot[..], &["D 6", "A 7", "C 8", "A 9", "C 10"]].concat());
        assert_eq!(lines(some), ["A 4", "B 3", "A 7", "C 8", "C 10"], "{rung}");
        // There were three keys already when it came: it is in no snapshot.
        assert_eq!(lines(fourth), ["D 6"], "{rung}");
    }
}

#[test]
fn what_is_no_subscription_closes_and_is_counted() {
    for rung in RUNGS {
        let mut world = world(rung, 9, Slow::Disconnect);
        let stays = world.subscriber("SUBSCRIBE A\n");
        for said in ["SUBSCRIBED\n", "GET / HTTP/1.1\r\n\r\n", &"x".repeat(5_000)] {
            let before = world.counts.get(Count::Garbage);
            let mut stream = world.subscriber(said);
            world.until(|counts| counts.get(Count::Garbage) > before);
            assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "{rung}");
        }
        world.send([('A', 1), ('B', 2)]);
        assert_eq!(world.end().get(Count::Garbage), 3);
        assert_eq!(lines(stays), ["A 1"], "{rung}");
    }
}

#[test]
fn one_who_wants_little_is_not_slow_and_loses_the_oldest_of_that_if_he_is() {
    const RECORDS: u32 = 400_000;
    for rung in RUNGS {
        let mut world = world(rung, 9, Slow::DropOldest);
        let rare = world.subscriber("SUBSCRIBE R\n");
        let slow = narrow(world.outlet.address());
        let mut slow = world.subscribed(slow, "SUBSCRIBE F\n");
        let records = (0..RECORDS).map(|n| (if n % 1_000 == 0 { 'R' } else { 'F' }, n));
        world.send(records);
        let slow = std::thread::spawn(move || {
            let mut heard = String::new();
            slow.read_to_string(&mut heard).unwrap();
            heard
        });
        let counts = world.end();
        let want: Vec<_> = (0..RECORDS).step_by(1_000).map(|n| format!("R {n}")).collect();
        assert_eq!(lines(rare), want, "{rung}");
        let heard = slow.join().unwrap();
        let numbers: Vec<u32> =
            heard.lines().map(|line| line.strip_prefix("F ").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{rung}");
        assert_eq!(numbers.last(), Some(&(RECORDS - 1)), "{rung}");
        // What he did not ask for is not lost to him.
        let his = u64::from(RECORDS - RECORDS / 1_000);
        assert_eq!(counts.get(Count::Dropped) + numbers.len() as u64, his, "{rung}");
        assert!(counts.get(Count::Dropped) > 0, "he was not slow, {rung}");
    }
}

/// A key by its number.
fn key(n: u32) -> char {
    char::from_u32(0x4e00 + n).unwrap()
}

#[test]
fn many_keys_are_given_some_at_a_time_while_records_come() {
    const KEYS: u32 = 15_000;
    const AFTER: u32 = 40_000;
    // The last of them is the first that changes.
    let of = |n: u32| key(((n - 1) * 7_919 + KEYS - 1) % KEYS);
    for (rung, said) in RUNGS.into_iter().flat_map(|rung| [(rung, ""), (rung, "some")]) {
        let mut world = padded(rung, KEYS as usize, Slow::Block, DIGITS);
        world.send((0..KEYS).map(|n| (key(n), 0)));
        // One key is at the end, and one that nobody has sent yet.
        let some = [key(KEYS - 1), key(7), 'Z'].map(String::from).join(",");
        let mut stream = connected(world.outlet.address());
        writeln!(stream, "SUBSCRIBE {}", if said.is_empty() { "" } else { &some }).unwrap();
        let lines = thread::spawn(move || lines(stream));
        world.until(|counts| counts.get(Count::BytesOut) > 0);
        for n in 1..=AFTER {
            while world.input.push(Timestamp(1), (of(n), n)).is_err() {}
            step(&mut world.shard, world.since);
        }
        world.send([('Z', AFTER + 1)]);
        let counts = world.end();
        let heard = lines.join().unwrap();
        let mut heard: Vec<_> = heard.iter().map(|line| parsed(line)).collect();
        let what = format!("{rung}, {} lines", heard.len());
        // Keys are given in their order; those that have one had their first then.
        let mut had = std::collections::BTreeSet::new();
        let firsts: Vec<_> = heard.iter().filter(|it| had.insert(it.0)).map(|it| it.0).collect();
        assert_eq!(heard.pop(), Some(('Z', AFTER + 1)), "{what}");
        let given = firsts.iter().filter(|key| **key != 'Z');
        assert!(given.clone().is_sorted(), "{what}");
        let wanted = if said.is_empty() { KEYS as usize } else { 2 };
        assert_eq!(given.count(), wanted, "{what}");
        // Of each the latest at some time, and then every one.
        let mut sent = BTreeMap::<_, Vec<_>>::new();
        (0..KEYS).for_each(|n| sent.entry(key(n)).or_default().push(0));
        (1..=AFTER).for_each(|n| sent.entry(of(n)).or_default().push(n));
        let mut got = BTreeMap::<_, Vec<_>>::new();
        heard.iter().for_each(|(key, n)| got.entry(*key).or_default().push(*n));
        for (key, got) in &got {
            assert!(sent[key].ends_with(got), "{key}: {got:?} of {:?}, {what}", sent[key]);
        }
        let (first, last) = (&got[&key(7)][0], &got[&key(KEYS - 1)][0]);
        assert_eq!((*first, *last), (0, 1), "he was given all at once, {what}");
        assert_eq!(counts.get(Count::Dropped) + counts.get(Count::Conflated), 0, "{what}");
    }
}

#[test]
fn the_end_of_the_stream_waits_for_keys_that_are_being_given() {
    const KEYS: u32 = 15_000;
    for rung in RUNGS {
        let mut world = padded(rung, KEYS as usize, Slow::Disconnect, DIGITS);
        world.send((0..KEYS).map(|n| (key(n), n)));
        let mut stream = connected(world.outlet.address());
        stream.write_all(b"SUBSCRIBE\n").unwrap();
        let heard = thread::spawn(move || lines(stream));
        world.until(|counts| counts.get(Count::BytesOut) > 0);
        world.end();
        let heard: Vec<_> = heard.join().unwrap().iter().map(|line| parsed(line)).collect();
        assert!(heard.into_iter().eq((0..KEYS).map(|n| (key(n), n))), "{rung}");
    }
}

#[test]
fn who_is_overtaken_while_he_is_given_keys_has_the_latest_of_each_in_the_end() {
    const KEYS: u32 = 20_000;
    for slow in [Slow::Conflate, Slow::DropOldest] {
        let mut world = padded(Rung::Ring, KEYS as usize, slow, DIGITS);
        world.send((0..KEYS).map(|n| (key(n), n)));
        let pushed = Arc::new(AtomicU64::new(0));
        let mut stream = narrow(world.outlet.address());
        stream.write_all(b"SUBSCRIBE\n").unwrap();
        let sips = sips(stream, pushed.clone());
        world.until(|counts| counts.get(Count::BytesOut) > 0);
        // Half of the keys change all the time, on both sides of where he is.
        let (from, until) = (KEYS, 4 * KEYS);
        for n in from..until {
            while world.input.push(Timestamp(1), (key(2 * n % KEYS), n)).is_err() {
                step(&mut world.shard, world.since);
            }
            pushed.store(n.into(), Ordering::Relaxed);
        }
        let left_out = [Count::Conflated, Count::Dropped].map(|it| world.counts.get(it));
        pushed.store(u64::MAX, Ordering::Relaxed);
        world.end();
        let heard: Vec<_> = sips.join().unwrap().lines().map(parsed).collect();
        let mut latest = BTreeMap::new();
        for (key, n) in &heard {
            let before = latest.insert(*key, *n);
            assert!(before < Some(*n), "{key} {before:?} {n}, {slow:?}");
        }
        assert_eq!(latest.len(), KEYS as usize, "{slow:?}");
        assert!(left_out[usize::from(slow == Slow::DropOldest)] > 0, "{slow:?} {left_out:?}");
        assert_eq!(left_out[usize::from(slow == Slow::Conflate)], 0, "{slow:?} {left_out:?}");
        let is_latest = |(of, n): (&char, &u32)| {
            let place = *of as u32 - 0x4e00;
            *n == if place.is_multiple_of(2) { until - KEYS / 2 + place / 2 } else { place }
        };
        // Who loses the oldest may not hear again of a key.
        assert!(slow == Slow::DropOldest || latest.iter().all(is_latest), "{slow:?}");
    }
}

#[test]
fn memory_for_keys_and_those_who_ask_for_them_is_counted() {
    let build = |keys_max: usize, slow: Slow| {
        let outlet = here();
        let built = Shard::embed(Config::embedded(), |p| {
            let lines = codec(100, |_: &u32, _: &mut Vec<u8>| {}, |_: &[u8]| Err(String::new()));
            let sending = Sending { slow, subscribers_max: 64, ..Sending::default() };
            let sink = TcpSink::serve(p, &outlet, Lines::new(100), lines, sending)?;
            p.source(millstream::io::MemorySource::<u32>::new(vec![]))
                .sink(sink.keyed(keys_max, |n| *n));
            Ok(())
        });
        built.map(|(shard, ())| shard.plan().queue_bytes())
    };
    let bytes = |keys_max, slow| build(keys_max, slow).unwrap();
    let hundred_thousand = bytes(100_000, Slow::Disconnect) - bytes(0, Slow::Disconnect);
    assert!((100_000 * 150..100_000 * 500).contains(&hundred_thousand), "{hundred_thousand}");
    let behind = bytes(100_000, Slow::Conflate) - bytes(100_000, Slow::Disconnect);
    assert_eq!(behind, 64 * 100_000 * 16);
    let too_many = build(usize::MAX, Slow::Disconnect).map(drop).unwrap_err().to_string();
    assert!(too_many.contains("memory"), "{too_many}");
}

/// Of lines so long the kernel does not hold many.
const DIGITS: usize = 200;

/// The key of a line, and its number.
fn parsed(line: &str) -> (char, u32) {
    let (key, number) = line.split_once(' ').unwrap();
    assert_eq!(number.len(), DIGITS, "a line that is not whole: {line}");
    (key.parse().unwrap(), number.parse().unwrap())
}

/// The kernel holds no more than this for him.
fn held_short(stream: TcpStream) -> TcpStream {
    setsockopt(&stream, sockopt::RcvBuf, &(128 << 10)).unwrap();
    stream
}

/// Reads a quarter of what was pushed at most, so that it is always behind, until it may have all.
fn sips(mut stream: TcpStream, pushed: Arc<AtomicU64>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut all, mut sip) = (Vec::new(), vec![0; 8 << 10]);
        loop {
            while (4 * all.len() / DIGITS) as u64 > pushed.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_micros(200));
            }
            let bytes = stream.read(&mut sip).unwrap();
            all.extend(&sip[..bytes]);
            if bytes == 0 {
                return String::from_utf8(all).unwrap();
            }
        }
    })
}

#[test]
fn a_slow_subscriber_gets_the_latest_of_each_key_and_another_everything() {
    // More keys than are looked at in one go, and one that changes all the time.
    const KEYS: u32 = 3_000;
    const ROUNDS: u32 = 15;
    let hot = 'H';
    let key = |n: u32| match n % 2 {
        0 => hot,
        _ => char::from_u32(0x4e00 + n / 2 % KEYS).unwrap(),
    };
    let (seven, records) = (key(7), 2 * KEYS * ROUNDS);
    for rung in RUNGS {
        let mut world = padded(rung, KEYS as usize + 1, Slow::Conflate, DIGITS);
        let pushed = Arc::new(AtomicU64::new(0));
        let slow = sips(held_short(world.subscriber("SUBSCRIBE\n")), pushed.clone());
        let asleep = world.subscriber(&format!("SUBSCRIBE {hot},{seven}\n"));
        let fast = world.subscriber("");
        let read = Arc::new(AtomicU64::new(0));
        let (shown, lines_of_fast) = (read.clone(), BufReader::new(fast).lines());
        let fast = thread::spawn(move || {
            let mut all = Vec::new();
            for line in lines_of_fast {
                all.push(parsed(&line.unwrap()));
                shown.store(all.len() as u64, Ordering::Release);
            }
            all
        });
        for n in 0..records {
            let behind = |read: u64| read + 1_000 < u64::from(n);
            while behind(read.load(Ordering::Acquire))
                || world.input.push(Timestamp(1), (key(n), n)).is_err()
            {
                step(&mut world.shard, world.since);
            }
            pushed.store(n.into(), Ordering::Relaxed);
        }
        assert!(world.counts.get(Count::Conflated) > 0, "{rung}");
        pushed.store(u64::MAX, Ordering::Relaxed);
        let asleep = thread::spawn(move || lines(asleep));
        let counts = world.end();
        let all: Vec<_> = (0..records).map(|n| (key(n), n)).collect();
        assert!(fast.join().unwrap() == all, "{rung}");
        let slow: Vec<_> = slow.join().unwrap().lines().map(parsed).collect();
        let asleep: Vec<_> = asleep.join().unwrap().iter().map(|line| parsed(line)).collect();
        let mut latest = BTreeMap::new();
        for (who, got) in [("slow", &slow), ("asleep", &asleep)] {
            latest.clear();
            for (at, (key, n)) in got.iter().enumerate() {
                let before = latest.insert(*key, *n);
                assert!(before < Some(*n), "{who}: {key} {before:?} {n} at {at}, {rung}");
            }
            let of_key = |wanted: &char| all.iter().rev().find(|(key, _)| key == wanted).unwrap().1;
            assert!(latest.iter().all(|(key, n)| *n == of_key(key)), "{who}, {rung}");
            let keys = if who == "slow" { KEYS as usize + 1 } else { 2 };
            assert_eq!(latest.len(), keys, "{who}, {rung}");
        }
        // Each record of what they want was sent or conflated, and none both.
        let of_two = all.iter().filter(|(key, _)| [hot, seven].contains(key)).count();
        let sent = (slow.len() + asleep.len()) as u64;
        let wanted = (all.len() + of_two) as u64;
        assert_eq!(sent + counts.get(Count::Conflated), wanted, "{rung}");
        // Not counting what the kernel holds.
        assert!(slow.len() < all.len() * 3 / 4, "it was not slow: {}, {rung}", slow.len());
        // Each key has its turn, however often one of them changes.
        let hot = slow.iter().filter(|it| it.0 == hot).count();
        let cold = slow.len() - hot;
        assert!(hot > 10 && cold > 2 * KEYS as usize, "{hot} {cold}, {rung}");
        assert_eq!(counts.get(Count::Dropped) + counts.get(Count::TooSlow), 0, "{rung}");
    }
}

#[test]
fn what_has_no_latest_is_dropped_and_counted() {
    const RECORDS: u32 = 100_000;
    for (keys_max, conflated) in [(0, 0), (1, 1)] {
        let mut world = padded(Rung::Ring, keys_max, Slow::Conflate, DIGITS);
        let slow = world.subscriber("");
        world.send((0..RECORDS).map(|n| ('A', n)));
        let slow = thread::spawn(move || lines(slow));
        let counts = world.end();
        let got: Vec<_> = slow.join().unwrap().iter().map(|line| parsed(line)).collect();
        assert_eq!(got.last(), Some(&('A', RECORDS - 1)));
        let left_out = u64::from(RECORDS) - got.len() as u64;
        assert!(left_out > 0);
        let want = if conflated == 1 { [left_out, 0] } else { [0, left_out] };
        assert_eq!([Count::Conflated, Count::Dropped].map(|it| counts.get(it)), want);
    }
}
