//! Long sends, which the kernel reads where they are: slow readers, and peers and sinks that go
//! while it has not read everything.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use millstream::io::Fixed;
use millstream::net::{Count, Counts, LocalListener, Rung, Sending, Slow, TcpSink, ZeroCopy};
use millstream::{Config, Shard};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::slow::{reader, sleeper};
use super::world::{Pair, Sends, connected, pairs, send, step, unfilled};

/// A frame has so many bytes, so that a batch is a long send.
const FRAME: usize = 1024;

/// Records of a batch.
const BATCH: u32 = 32;

/// Those that can.
const RINGS: [Rung; 2] = [Rung::Ring, Rung::PlainRing];

fn sending(slow: Slow, from: Rung) -> Sending {
    let (buffer_bytes, zero_copy) = (512 << 10, ZeroCopy::Always);
    Sending { slow, from, buffer_bytes, zero_copy, ..Sending::default() }
}

fn uncopied(counts: &Counts) -> u64 {
    counts.get(Count::Uncopied) + counts.get(Count::CopiedAnyway)
}

fn numbered(count: u32) -> impl Iterator<Item = Pair> {
    (0..count).map(|n| (1, n))
}

/// Pushes so many, in batches that are long sends, no faster than this reader reads.
fn push_some(sends: &mut Sends, read: &AtomicU64, next: &mut u32, count: u32) {
    for _ in 0..count / BATCH {
        while read.load(Ordering::Acquire) + 100 < u64::from(*next) {
            sends.step();
        }
        for _ in 0..BATCH {
            assert!(sends.push((1, *next)));
            *next += 1;
        }
        sends.step();
    }
}

/// Reads all there is, in gulps with pauses between them.
fn sips(mut stream: TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut all, mut gulp) = (Vec::new(), vec![0; 200_000]);
        loop {
            let bytes = stream.read(&mut gulp).unwrap();
            all.extend(&gulp[..bytes]);
            if bytes == 0 {
                return all;
            }
            thread::sleep(Duration::from_micros(300));
        }
    })
}

#[test]
fn everything_arrives_as_it_was_also_at_those_who_are_slow() {
    const RECORDS: u32 = 20_000;
    for rung in RINGS {
        let mut sends = send(FRAME, sending(Slow::Block, rung));
        let (_, fast) = reader(sleeper(sends.address));
        let slow = sips(sleeper(sends.address));
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        sends.push_all(numbered(RECORDS));
        let counts = sends.end();
        let want: Vec<_> = numbered(RECORDS).collect();
        for one in [fast, slow] {
            assert_eq!(unfilled(&one.join().unwrap(), FRAME), want, "{rung}");
        }
        assert!(uncopied(&counts) > 100, "{}, {rung}", uncopied(&counts));
        // This host is its own peer, and the kernel always copies then.
        assert!(counts.get(Count::CopiedAnyway) > 0, "{rung}");
        assert_eq!(counts.get(Count::CopiedRefused), 0, "{rung}");
    }
}

#[test]
fn who_does_not_read_keeps_some_memory_and_no_more_and_the_others_get_everything() {
    const RECORDS: u32 = 20_000;
    for rung in RINGS {
        let mut sends = send(FRAME, sending(Slow::DropOldest, rung));
        let (read, fast) = reader(sleeper(sends.address));
        let asleep: Vec<_> = (0..8).map(|_| sleeper(sends.address)).collect();
        sends.until(|it| it.counts.get(Count::Accepted) == 9);
        for pair in numbered(RECORDS) {
            let behind = |read: u64| read + 100 < u64::from(pair.1);
            while behind(read.load(Ordering::Acquire)) || !sends.push(pair) {
                sends.step();
            }
        }
        let asleep: Vec<_> = asleep.into_iter().map(|stream| reader(stream).1).collect();
        let counts = sends.end();
        let want: Vec<_> = numbered(RECORDS).collect();
        assert_eq!(unfilled(&fast.join().unwrap(), FRAME), want, "{rung}");
        for one in asleep {
            let got = unfilled(&one.join().unwrap(), FRAME);
            assert!(got.is_sorted_by(|one, next| one.1 < next.1), "{rung}");
            assert_eq!(got.last(), Some(&(1, RECORDS - 1)), "{rung}");
        }
        // They had more of it than there is to take its place.
        assert!(counts.get(Count::CopiedFull) > 0, "{rung}");
    }
}

/// A reset, whatever is on its way.
fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).unwrap();
}

#[test]
fn peers_who_are_gone_before_the_kernel_has_read_everything_lose_no_memory() {
    const ROUNDS: u32 = 20;
    for rung in RINGS {
        let mut sends = send(FRAME, sending(Slow::DropOldest, rung));
        let (read, stays) = reader(connected(sends.address));
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        let mut next = 0;
        for round in 0..ROUNDS {
            let gone = sleeper(sends.address);
            sends.until(|it| it.counts.get(Count::Accepted) == u64::from(round) + 2);
            // More than the kernel holds for him: it has read the rest only when it is sent.
            push_some(&mut sends, &read, &mut next, 1_600);
            reset(gone);
            sends.until(|it| it.counts.get(Count::Closed) > u64::from(round));
        }
        // If memory had been lost, there would be none left that can be kept.
        let (copied, before) = (sends.counts.get(Count::CopiedFull), uncopied(&sends.counts));
        push_some(&mut sends, &read, &mut next, 1_600);
        assert_eq!(sends.counts.get(Count::CopiedFull), copied, "{rung}");
        assert!(uncopied(&sends.counts) > before, "{rung}");
        assert!(before > u64::from(ROUNDS), "{before}, {rung}");
        sends.end();
        let want: Vec<_> = numbered(next).collect();
        assert!(unfilled(&stays.join().unwrap(), FRAME) == want, "{rung}");
    }
}

#[test]
fn what_a_sink_leaves_behind_arrives_as_it_was() {
    for rung in RINGS {
        let sending = Sending { linger: Duration::ZERO, ..sending(Slow::DropOldest, rung) };
        let mut sends = send(FRAME, sending);
        let mut asleep = sleeper(sends.address);
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        push_some(&mut sends, &AtomicU64::new(1_000), &mut 0, 320);
        let begun = sends.counts.get(Count::BytesOut);
        let counts = sends.end();
        let (read, long) = (uncopied(&counts), begun / (u64::from(BATCH) * FRAME as u64));
        assert!(read < long, "it has read {read} of {long} sends, {rung}");
        // Whoever gets that memory next writes something else there.
        let scribbled: Vec<_> = (0..512).map(|_| vec![0xaa_u8; 32 << 10]).collect();
        let mut rest = Vec::new();
        asleep.read_to_end(&mut rest).unwrap();
        drop(scribbled);
        let got = unfilled(&rest, FRAME);
        assert!(got.len() > 100, "{}, {rung}", got.len());
        assert!(got.iter().zip(numbered(u32::MAX)).all(|(got, want)| *got == want), "{rung}");
    }
}

#[test]
fn what_takes_no_such_sends_is_sent_copies() {
    const RECORDS: u32 = 1_000;
    let path = std::env::temp_dir().join(format!("millstream-uncopied-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (listener, counts) = (LocalListener::at(&path).unwrap(), Counts::default());
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let sending = sending(Slow::Block, Rung::Ring);
        let sink = TcpSink::serve(p, &listener, Fixed::new(FRAME), pairs(), sending)?;
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    let since = std::time::Instant::now();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let reads = thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    while counts.get(Count::Accepted) == 0 {
        step(&mut shard, since);
    }
    for pair in numbered(RECORDS) {
        while input.push(millstream::Timestamp(0), pair).is_err() {
            step(&mut shard, since);
        }
    }
    drop(input);
    while !shard.is_done() {
        step(&mut shard, since);
    }
    drop(shard);
    let want: Vec<_> = numbered(RECORDS).collect();
    assert_eq!(unfilled(&reads.join().unwrap(), FRAME), want);
    assert_eq!((counts.get(Count::CopiedRefused), uncopied(&counts)), (1, 0));
}
