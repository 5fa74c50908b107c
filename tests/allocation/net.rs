//! Records by TCP, in and out, whole and in pieces, by every way to serve sockets.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::rc::Rc;

use millstream::io::{Codec, Fixed, LengthPrefixed, codec};
use millstream::net::{
    Arbitration, Count, Counts, Datagram, Datagrams, LineCounts, Listener, Place, Receiving, Rung,
    Sending, SharedListener, SharedSink, SharedSource, Sharing, Slow, Stamps, Taking, TcpSink,
    TcpSource, UdpLines, UdpSink, UdpSource, ZeroCopy,
};
use millstream::{Config, Shard, Timestamp};
use nix::sys::socket::{setsockopt, sockopt};

use super::calls;

/// A record and its length.
const FRAME: usize = 12;

/// Records of a round; they do not fit into one buffer.
const ROUND: usize = 1_000;

fn numbers() -> impl Codec<Value = u64> {
    codec(
        8,
        |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
        |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| String::new()),
    )
}

/// Sends a round in pieces that cut records, and steps until it has come back.
fn play(
    shard: &mut Shard,
    now: &mut i64,
    [mut to, mut from]: [&TcpStream; 2],
    round: &[u8],
    back: &mut [u8],
) {
    let (mut sent, mut read) = (0, 0);
    while read < round.len() {
        if sent < round.len() {
            let piece = &round[sent..round.len().min(sent + 4_999)];
            sent += to.write(piece).unwrap_or(0);
        }
        *now += 1_000;
        shard.step(Timestamp(*now));
        assert!(shard.failure().is_none());
        read += from.read(&mut back[read..]).unwrap_or(0);
    }
}

#[test]
fn records_by_tcp_do_not_allocate_after_warm_up() {
    for rung in [Rung::Ring, Rung::PlainRing, Rung::Epoll] {
        let here = || Listener::on("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let (inlet, outlet, counts) = (here(), here(), Counts::default());
        let (mut shard, rungs) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving { from: rung, buffer_bytes: 1 << 10, ..Receiving::default() };
            let sending = Sending { from: rung, buffer_bytes: 256 << 10, ..Sending::default() };
            let framing = LengthPrefixed::new(8);
            let source = TcpSource::new(p, &inlet, framing, numbers(), receiving)?;
            let sink = TcpSink::serve(p, &outlet, framing, numbers(), sending)?;
            let rungs = [source.rung(), sink.rung()];
            p.source(source.counting_into(&counts))
                .key_by(|n: &u64| n % 10)
                .reduce(|last, n| *last = n)
                .map(|(_, last)| last)
                .sink(sink.counting_into(&counts));
            Ok(rungs)
        })
        .unwrap();
        assert_eq!(rungs, [rung; 2]);
        let [to, from] = [&inlet, &outlet].map(|it| TcpStream::connect(it.address()).unwrap());
        let mut now = 0;
        while counts.get(Count::Accepted) < 2 {
            now += 1_000;
            shard.step(Timestamp(now));
        }
        to.set_nonblocking(true).unwrap();
        from.set_nonblocking(true).unwrap();
        let numbers = (0..ROUND as u64).map(u64::to_le_bytes);
        let round: Vec<u8> = numbers.flat_map(|n| [&[8, 0, 0, 0], &n[..]].concat()).collect();
        assert_eq!(round.len(), ROUND * FRAME);
        let mut back = vec![0; round.len()];
        let mut rounds = |count| {
            for _ in 0..count {
                play(&mut shard, &mut now, [&to, &from], &round, &mut back);
                assert_eq!(back, round, "{rung}");
            }
        };
        rounds(100);
        assert_eq!(calls(|| rounds(100)), 0, "{rung}");
        assert_eq!(counts.get(Count::BytesOut), (200 * ROUND * FRAME) as u64);
    }
}

#[test]
fn the_first_record_that_is_cut_does_not_allocate() {
    const BYTES: usize = 6_000;
    for rung in [Rung::Ring, Rung::PlainRing, Rung::Epoll] {
        let inlet = Listener::on("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let counts = Counts::default();
        let (mut shard, mut numbers) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving { from: rung, ..Receiving::default() };
            let first = codec(
                BYTES,
                |_: &u64, _: &mut Vec<u8>| {},
                |bytes: &[u8]| Ok(bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n))),
            );
            let source = TcpSource::new(p, &inlet, Fixed::new(BYTES), first, receiving)?;
            Ok(p.source(source.counting_into(&counts)).output())
        })
        .unwrap();
        let mut to = TcpStream::connect(inlet.address()).unwrap();
        to.set_nodelay(true).unwrap();
        let (mut now, mut sent) = (0, 0);
        // Sends some bytes, and steps until they have been taken in.
        let mut send = |bytes: &[u8]| {
            to.write_all(bytes).unwrap();
            sent += bytes.len() as u64;
            let mut more = 2;
            while more > 0 {
                more -= i32::from(counts.get(Count::BytesIn) == sent);
                now += 1_000;
                shard.step(Timestamp(now));
                assert!(shard.failure().is_none());
            }
            numbers.pop().map(|record| record.value)
        };
        let frame = |n: u64| [&n.to_le_bytes()[..], &[0; BYTES - 8]].concat();
        assert_eq!((0..100).filter_map(|n| send(&frame(n))).last(), Some(99));
        for (n, cut) in [1, 7, 700, BYTES - 1].into_iter().enumerate() {
            let n = 100 + n as u64;
            let (bytes, mut found) = (frame(n), [Some(0); 2]);
            let (begins, ends) = bytes.split_at(cut);
            assert_eq!(calls(|| found = [begins, ends].map(&mut send)), 0, "{rung}, {cut} bytes");
            assert_eq!(found, [None, Some(n)], "{rung}, {cut} bytes");
        }
    }
}

/// A long record, so that a few are a long send.
const LONG: usize = 1024;

/// Reads long records without waiting.
struct Reader {
    from: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    newest: u64,
}

impl Reader {
    fn at(listener: &Listener) -> Self {
        let from = TcpStream::connect(listener.address()).unwrap();
        setsockopt(&from, sockopt::RcvBuf, &(128 << 10)).unwrap();
        from.set_nonblocking(true).unwrap();
        Self { from, buffer: vec![0; 64 * LONG], filled: 0, newest: 0 }
    }

    fn read(&mut self) {
        self.filled += self.from.read(&mut self.buffer[self.filled..]).unwrap_or(0);
        let whole = self.filled / LONG * LONG;
        if whole > 0 {
            let last = &self.buffer[whole - LONG..][..8];
            self.newest = u64::from_le_bytes(last.try_into().unwrap());
            self.buffer.copy_within(whole..self.filled, 0);
            self.filled -= whole;
        }
    }
}

#[test]
fn long_sends_and_subscribers_who_are_behind_do_not_allocate_after_warm_up() {
    const ROUND: u64 = 6_000;
    for slow in [Slow::Block, Slow::Conflate] {
        let listener = Listener::on("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let counts = Counts::default();
        let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
            let (buffer_bytes, zero_copy) = (256 << 10, ZeroCopy::Always);
            let sending = Sending { slow, buffer_bytes, zero_copy, ..Sending::default() };
            let sink = TcpSink::serve(p, &listener, Fixed::new(LONG), numbers(), sending)?;
            let (input, stream) = p.input();
            stream.sink(sink.keyed(10, |n: &u64| n % 10).counting_into(&counts));
            Ok(input)
        })
        .unwrap();
        let (mut reader, mut now, mut next) = (Reader::at(&listener), 0, 0);
        let mut step = || {
            now += 1_000;
            shard.step(Timestamp(now));
            assert!(shard.failure().is_none());
        };
        while counts.get(Count::Accepted) == 0 {
            step();
        }
        let mut rounds = |count: u64| {
            for _ in 0..count {
                let end = next + ROUND;
                while next < end {
                    next += u64::from(input.push(Timestamp(0), next).is_ok());
                    if next % 32 == 0 {
                        step();
                    }
                    if slow == Slow::Block {
                        reader.read();
                    }
                }
                while reader.newest + 1 < next {
                    step();
                    reader.read();
                }
            }
        };
        rounds(5);
        assert_eq!(calls(|| rounds(5)), 0, "{slow:?}");
        let is_behind = counts.get(Count::Conflated) > 0;
        assert_eq!(is_behind, slow == Slow::Conflate, "{slow:?}");
        let uncopied = counts.get(Count::CopiedAnyway) + counts.get(Count::Uncopied);
        assert!(uncopied > 0, "{slow:?}");
    }
}

#[test]
fn datagrams_that_go_out_do_not_allocate_after_warm_up() {
    let (peer, counts) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Counts::default());
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let to = peer.local_addr().unwrap();
        let sink = UdpSink::to(p, to, LengthPrefixed::new(8), numbers(), 30)?;
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    let (mut now, mut datagram) = (0, [0; 100]);
    let mut rounds = |count: u64| {
        for _ in 0..count {
            (0..150).for_each(|n| input.push(Timestamp(n), n as u64).unwrap());
            let all = counts.get(Count::DatagramsOut) + 75;
            while counts.get(Count::DatagramsOut) < all {
                now += 1_000;
                shard.step(Timestamp(now));
            }
            (0..75).for_each(|_| assert_eq!(peer.recv(&mut datagram).unwrap(), 24));
        }
    };
    rounds(20);
    assert_eq!(calls(|| rounds(20)), 0);
    assert!(shard.failure().is_none());
}

#[test]
fn records_by_udp_do_not_allocate_after_warm_up() {
    for from in [Rung::Ring, Rung::PlainRing, Rung::Epoll] {
        let datagrams = Datagrams::at("127.0.0.1:0".parse().unwrap()).unwrap();
        let seen = Rc::new(Cell::new(0u64));
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let (limits, framing) =
                (Datagram { from, ..Datagram::default() }, LengthPrefixed::new(8));
            let source = UdpSource::new(p, &datagrams, framing, numbers(), limits)?;
            assert_eq!(source.rung(), from);
            let seen = seen.clone();
            p.source(source).for_each(move |_| seen.set(seen.get() + 1));
            Ok(())
        })
        .unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let datagram = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(100);
        let mut now = 0;
        let mut rounds = |count: u64| {
            for _ in 0..count {
                let awaited = seen.get() + 100;
                peer.send_to(&datagram, datagrams.address()).unwrap();
                while seen.get() < awaited {
                    now += 1_000;
                    shard.step(Timestamp(now));
                }
            }
        };
        // More than there are buffers.
        rounds(2_000);
        assert_eq!(calls(|| rounds(2_000)), 0, "{from}");
        assert!(shard.failure().is_none());
    }
}

#[test]
fn records_by_two_lines_do_not_allocate_after_warm_up() {
    for from in [Rung::Ring, Rung::PlainRing, Rung::Epoll] {
        let here = || Datagrams::at("127.0.0.1:0".parse().unwrap()).unwrap();
        let lines = [here(), here()];
        let (seen, counts) = (Rc::new(Cell::new(0u64)), LineCounts::of(2));
        let header = |datagram: &[u8]| match datagram.split_first_chunk() {
            Some((first, _)) => {
                let first = u64::from_le_bytes(*first);
                Ok(Place { session: 0, first, count: 10, header: 8 })
            }
            None => Err(String::new()),
        };
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let (limits, codec) =
                (Datagram { from, ..Datagram::default() }, (LengthPrefixed::new(8), numbers()));
            let source = UdpLines::new(p, &lines, header, codec, limits, Arbitration::default())?
                .counting_lines_into(&counts)
                .stamped(Stamps::Kernel)?;
            let seen = seen.clone();
            p.source(source).for_each(move |_| seen.set(seen.get() + 1));
            Ok(())
        })
        .unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let records = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(10);
        let (mut now, mut next, mut datagram) = (0, 0u64, [0; 8 + 120]);
        datagram[8..].copy_from_slice(&records);
        // Each third is missing on the one line and comes by the other, later.
        let mut rounds = |count: u64| {
            for _ in 0..count {
                for n in 0..3 {
                    datagram[..8].copy_from_slice(&(next + n * 10).to_le_bytes());
                    if n != 1 {
                        peer.send_to(&datagram, lines[0].address()).unwrap();
                    }
                    peer.send_to(&datagram, lines[1].address()).unwrap();
                }
                next += 30;
                while seen.get() < next {
                    now += 1_000;
                    shard.step(Timestamp(now));
                }
            }
        };
        rounds(1_000);
        assert_eq!(calls(|| rounds(1_000)), 0, "{from}");
        assert!(shard.failure().is_none());
        assert_eq!(counts.lost(), 0);
    }
}

#[test]
fn records_by_shared_memory_do_not_allocate_after_warm_up() {
    let name = format!("allocation-{}", std::process::id());
    let listener = SharedListener::at(&name).unwrap();
    let seen = Rc::new(Cell::new(0u64));
    let (mut reads, ()) = Shard::embed(Config::embedded(), |p| {
        let source = SharedSource::<[u64; 3]>::new(p, &listener, Taking::default())?;
        let seen = seen.clone();
        p.source(source).for_each(move |_| seen.set(seen.get() + 1));
        Ok(())
    })
    .unwrap();
    let (mut writes, mut input) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input();
        stream.sink(SharedSink::new(p, &name, Sharing::default())?);
        Ok(input)
    })
    .unwrap();
    let mut now = 0;
    let mut rounds = |count: u64| {
        for _ in 0..count {
            let awaited = seen.get() + 100;
            (0..100).for_each(|n| input.push(Timestamp(n), [n as u64; 3]).unwrap());
            while seen.get() < awaited {
                // Time passes in which the sockets are looked at.
                now += 300_000;
                writes.step(Timestamp(now));
                reads.step(Timestamp(now));
            }
        }
    };
    rounds(1_000);
    assert_eq!(calls(|| rounds(1_000)), 0);
    assert!(writes.failure().is_none() && reads.failure().is_none());
}
