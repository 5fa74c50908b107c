//! Everything at once that should not be, beside one who does what he should.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream::io::{Fixed, LengthPrefixed};
use millstream::net::{Count, Counts, Receiving, Sending, Slow, TcpSink, TcpSource};
use millstream::{Config, Shard};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::slow::{reader, sleeper};
use super::world::{PATIENCE, Pair, RUNGS, connected, framed, here, pairs, step, unfilled};

/// Those who come. Each has a connection at either end.
const CROWD: u32 = 5_000;

/// Those who come when there are as many as there may be.
const TOO_MANY: u32 = 50;

/// What the good one sends.
const RECORDS: u32 = 20_000;

/// A frame that goes out, in bytes: more than the kernel holds for one who does not read.
const FRAME: usize = 1024;

/// Has this process have as many sockets as it may.
fn many_sockets() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it is written into, and then read.
    let done = unsafe {
        let read = libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        read + libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)
    };
    assert_eq!(done, 0);
    let wanted = 2 * u64::from(CROWD + TOO_MANY) + 200;
    assert!(limit.rlim_cur >= wanted, "it takes {wanted} descriptors: see `ulimit -Hn`");
}

/// What each of the crowd does; he stays until he is dropped.
fn misbehave(who: u32, address: SocketAddr) -> Option<TcpStream> {
    let mut stream = connected(address);
    let whole = framed([(who, 0)]);
    match who % 5 {
        0 => {}
        1 => stream.write_all(&[255; 64]).unwrap(),
        2 => stream.write_all(&whole[..7]).unwrap(),
        3 => {
            // A reset within a record, and not after the end of one.
            stream.write_all(&whole[..5]).unwrap();
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&stream, sockopt::Linger, &linger).unwrap();
            return None;
        }
        _ => stream.write_all(b"\x02\0\0\0xx").unwrap(),
    }
    Some(stream)
}

/// Sends in pieces, no faster than what comes back is read.
fn behave(mut to: TcpStream, read: &AtomicU64) {
    let all: Vec<Pair> = (0..RECORDS).map(|n| (u32::MAX, n)).collect();
    for (at, some) in all.chunks(50).enumerate() {
        while read.load(Ordering::Acquire) + 100 < (at * 50) as u64 {
            thread::sleep(Duration::from_micros(50));
        }
        let bytes = framed(some.iter().copied());
        let (first, second) = bytes.split_at(bytes.len() / 2 + 1);
        to.write_all(first).unwrap();
        to.write_all(second).unwrap();
    }
}

#[test]
fn five_thousand_who_misbehave_leave_one_who_does_not_alone() {
    many_sockets();
    for rung in RUNGS {
        let (inlet, outlet, counts, out) = (here(), here(), Counts::default(), Counts::default());
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving {
                connections_max: CROWD as usize + 1,
                record_max: Some(Duration::from_millis(200)),
                from: rung,
                ..Receiving::default()
            };
            let (slow, buffer_bytes) = (Slow::Disconnect, 512 << 10);
            let sending = Sending { slow, from: rung, buffer_bytes, ..Sending::default() };
            let source = TcpSource::new(p, &inlet, LengthPrefixed::new(8), pairs(), receiving)?;
            assert_eq!(source.rung(), rung);
            let sink = TcpSink::serve(p, &outlet, Fixed::new(FRAME), pairs(), sending)?;
            let good = p.source(source.counting_into(&counts)).filter(|pair| pair.0 == u32::MAX);
            good.sink(sink.counting_into(&out));
            Ok(())
        })
        .unwrap();
        let since = Instant::now();
        let good = connected(inlet.address());
        let (read, reads) = reader(connected(outlet.address()));
        let never = sleeper(outlet.address());
        while counts.get(Count::Accepted) + out.get(Count::Accepted) < 3 {
            step(&mut shard, since);
        }
        let seen = read.clone();
        let behaves = thread::spawn(move || behave(good, &seen));
        let (address, done) = (inlet.address(), Arc::new(AtomicU64::new(0)));
        let come = done.clone();
        let crowd = thread::spawn(move || {
            let all: Vec<_> = (0..CROWD).filter_map(|who| misbehave(who, address)).collect();
            come.store(1, Ordering::Release);
            all
        });
        let each = u64::from(CROWD / 5);
        while done.load(Ordering::Acquire) == 0
            || counts.get(Count::Garbage) < each
            || counts.get(Count::Slow) < each
            || counts.get(Count::Malformed) < each
            || counts.get(Count::Broken) + counts.get(Count::CutShort) < each
            || read.load(Ordering::Acquire) < u64::from(RECORDS)
            || out.get(Count::TooSlow) == 0
        {
            let told = |counts: &Counts| counts.all().filter(|it| it.1 > 0).collect::<Vec<_>>();
            assert!(since.elapsed() < PATIENCE / 2, "{:?} {:?}", told(&counts), told(&out));
            step(&mut shard, since);
        }
        let crowd = crowd.join().unwrap();
        behaves.join().unwrap();
        inlet.stop();
        while !shard.is_done() {
            step(&mut shard, since);
        }
        drop(shard);
        let want: Vec<Pair> = (0..RECORDS).map(|n| (u32::MAX, n)).collect();
        assert!(unfilled(&reads.join().unwrap(), FRAME) == want, "{rung}");
        let of = |count| counts.get(count);
        assert_eq!([Count::Garbage, Count::Slow, Count::Malformed].map(of), [each; 3], "{rung}");
        assert_eq!(of(Count::Broken) + of(Count::CutShort), each, "{rung}");
        assert_eq!(of(Count::Refused), 0, "{rung}");
        assert_eq!((out.get(Count::TooSlow), out.get(Count::Dropped)), (1, 0), "{rung}");
        drop((crowd, never));
    }
}

#[test]
fn more_than_there_may_be_are_refused_and_those_who_are_there_stay() {
    many_sockets();
    const MOST: u32 = 20;
    for rung in RUNGS {
        let listener = here();
        let connections_max = MOST as usize;
        let receiving = Receiving { connections_max, from: rung, ..Receiving::default() };
        let mut heard = super::world::hear(&listener, LengthPrefixed::new(8), receiving);
        let mut there: Vec<_> = (0..MOST).map(|_| connected(listener.address())).collect();
        heard.until(|heard| heard.counts.get(Count::Accepted) == u64::from(MOST));
        let refused: Vec<_> = (0..TOO_MANY).map(|_| connected(listener.address())).collect();
        heard.until(|heard| heard.counts.get(Count::Refused) == u64::from(TOO_MANY));
        for (n, stream) in there.iter_mut().enumerate() {
            stream.write_all(&framed([(n as u32, 1)])).unwrap();
        }
        heard.until(|heard| heard.records.borrow().len() == MOST as usize);
        assert_eq!(heard.counts.get(Count::Closed), 0, "{rung}");
        // Places that are free again are taken by others.
        drop(there);
        heard.until(|heard| heard.counts.get(Count::Closed) == u64::from(MOST));
        let again: Vec<_> = (0..MOST).map(|_| connected(listener.address())).collect();
        heard.until(|heard| heard.counts.get(Count::Accepted) == 2 * u64::from(MOST));
        drop((refused, again));
    }
}
