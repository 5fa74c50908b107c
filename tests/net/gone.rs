//! Peers that go without a word, in the middle of a record, or come back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use millstream::io::{Fixed, Lines};
use millstream::net::{Away, Count, Counts, Receiving, Rung, Sending, TcpSink};
use millstream::{Config, Input, Shard, Timestamp};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt,
};

use super::world::{
    PATIENCE, Pair, RUNGS, connected, framed, hear, here, pairs, send, step, unfilled,
};

const FRAME: usize = 64;

/// An address that is taken, and at which nobody listens.
fn nobody() -> (OwnedFd, SocketAddr) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let held = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let port = getsockname::<SockaddrIn>(held.as_raw_fd()).unwrap().port();
    (held, ([127, 0, 0, 1], port).into())
}

/// A shard that connects out, in time that the test makes up.
struct Caller {
    shard: Shard,
    input: Input<Pair>,
    counts: Counts,
    /// In milliseconds.
    now: i64,
}

fn calling(address: SocketAddr, away: Away, from: Rung) -> Caller {
    calling_with(FRAME, address, away, from)
}

fn calling_with(frame: usize, address: SocketAddr, away: Away, from: Rung) -> Caller {
    let counts = Counts::default();
    let sending = Sending {
        from,
        pause_min: Duration::from_millis(10),
        pause_max: Duration::from_millis(80),
        buffer_bytes: 64 << 10,
        ..Sending::default()
    };
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::connect(p, address, Fixed::new(frame), pairs(), sending)?;
        let (input, stream) = p.input();
        stream.sink(sink.while_away(away).counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    Caller { shard, input, counts, now: 0 }
}

impl Caller {
    /// Time goes on by a millisecond. Within this host the kernel does at once what it has to.
    fn tick(&mut self) {
        self.now += 1;
        for _ in 0..5 {
            self.shard.step(Timestamp(self.now * 1_000_000));
        }
        assert_eq!(self.shard.failure().map(ToString::to_string), None);
    }

    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            self.tick();
            assert!(since.elapsed() < PATIENCE, "it does not come");
        }
    }
}

#[test]
fn who_is_away_is_tried_ever_more_seldom() {
    for rung in RUNGS {
        let (_held, nobody) = nobody();
        let mut caller = calling(nobody, Away::Block, rung);
        let mut tried: Vec<i64> = Vec::new();
        for _ in 0..400 {
            caller.tick();
            if caller.counts.get(Count::NotConnected) > tried.len() as u64 {
                tried.push(caller.now);
            }
        }
        let pauses: Vec<i64> = tried.windows(2).map(|two| two[1] - two[0]).collect();
        // A refusal may be heard of a moment after it came.
        let want = [10, 20, 40, 80, 80, 80];
        assert!(pauses.len() >= 5, "{tried:?}");
        for (pause, want) in pauses.iter().zip(want) {
            assert!((want - 1..=want + 2).contains(pause), "{tried:?}, {rung}");
        }
    }
}

#[test]
fn who_comes_back_gets_what_was_kept_from_the_beginning_of_a_record() {
    for rung in RUNGS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut caller = calling(address, Away::Block, rung);
        for n in 0..100 {
            caller.input.push(Timestamp(0), (1, n)).unwrap();
        }
        caller.until(|it| it.counts.get(Count::Accepted) == 1);
        let mut first = listener.accept().unwrap().0;
        caller.until(|it| it.counts.get(Count::BytesOut) == 100 * FRAME as u64);
        let mut some = vec![0; 10 * FRAME];
        first.read_exact(&mut some).unwrap();
        assert_eq!(unfilled(&some, FRAME).len(), 10);
        // He dies with much unread, and nobody is there for a while.
        drop((first, listener));
        caller.until(|it| it.counts.get(Count::Closed) == 1);
        let tried = caller.counts.get(Count::NotConnected);
        let mut kept = 100;
        while caller.input.push(Timestamp(0), (1, kept)).is_ok() {
            kept += 1;
            caller.tick();
        }
        assert!(caller.counts.get(Count::NotConnected) > tried, "{rung}");
        assert_eq!(caller.counts.get(Count::Dropped), 0);
        // He is back.
        let listener = TcpListener::bind(address).unwrap();
        caller.until(|it| it.counts.get(Count::Accepted) == 2);
        let mut again = listener.accept().unwrap().0;
        let mut bytes = vec![0; (kept - 100) as usize * FRAME];
        again.set_nonblocking(true).unwrap();
        let (mut read, since) = (0, Instant::now());
        while read < bytes.len() {
            caller.tick();
            read += again.read(&mut bytes[read..]).unwrap_or(0);
            assert!(since.elapsed() < PATIENCE, "{read} of {}", bytes.len());
        }
        let want: Vec<Pair> = (100..kept).map(|n| (1, n)).collect();
        assert_eq!(unfilled(&bytes, FRAME), want, "{rung}");
    }
}

#[test]
fn who_dies_within_a_record_gets_it_whole_when_he_is_back() {
    // Nothing that the kernel holds is a multiple of this.
    const FRAME: usize = 1_021;
    for rung in RUNGS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut caller = calling_with(FRAME, address, Away::Block, rung);
        caller.until(|it| it.counts.get(Count::Accepted) == 1);
        let deaf = listener.accept().unwrap().0;
        let (mut pushed, mut refused) = (0, 0);
        while refused < 100 {
            match caller.input.push(Timestamp(0), (1, pushed)) {
                Ok(()) => (pushed, refused) = (pushed + 1, 0),
                Err(_) => refused += 1,
            }
            caller.tick();
        }
        let sent = caller.counts.get(Count::BytesOut);
        let whole = (sent / FRAME as u64) as u32;
        assert!(!sent.is_multiple_of(FRAME as u64) && whole < pushed, "{sent}, {rung}");
        drop(deaf);
        caller.until(|it| it.counts.get(Count::Accepted) == 2);
        let mut again = listener.accept().unwrap().0;
        again.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; (pushed - whole) as usize * FRAME];
        let (mut read, since) = (0, Instant::now());
        while read < bytes.len() {
            caller.tick();
            read += again.read(&mut bytes[read..]).unwrap_or(0);
            assert!(since.elapsed() < PATIENCE, "{read} of {}", bytes.len());
        }
        let want: Vec<Pair> = (whole..pushed).map(|n| (1, n)).collect();
        assert!(unfilled(&bytes, FRAME) == want, "{rung}");
        assert_eq!(caller.counts.get(Count::Dropped), 0);
    }
}

#[test]
fn what_is_not_kept_for_who_is_away_is_counted() {
    for rung in RUNGS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut caller = calling(address, Away::Drop, rung);
        const ALL: u32 = 20_000;
        for n in 0..ALL {
            while caller.input.push(Timestamp(0), (1, n)).is_err() {
                caller.tick();
            }
        }
        let listener = TcpListener::bind(address).unwrap();
        caller.until(|it| it.counts.get(Count::Accepted) == 1);
        let mut stream = listener.accept().unwrap().0;
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let Caller { mut shard, input, counts, mut now } = caller;
        input.close();
        while !shard.is_done() {
            now += 1;
            shard.step(Timestamp(now * 1_000_000));
        }
        drop(shard);
        let got = unfilled(&reader.join().unwrap(), FRAME);
        let dropped = counts.get(Count::Dropped);
        assert_eq!(got.len() as u64 + dropped, u64::from(ALL), "{rung}");
        let want: Vec<Pair> = (dropped as u32..ALL).map(|n| (1, n)).collect();
        assert!(dropped > 0 && got == want, "{dropped}, {rung}");
    }
}

/// Closes a socket so that the peer hears nothing of it, as when a host loses its power; false
/// where that is not allowed.
fn vanish(stream: TcpStream) -> bool {
    const TCP_REPAIR: libc::c_int = 19;
    let on: libc::c_int = 1;
    // SAFETY: the value is an int, as long as said.
    let set = unsafe {
        let (fd, value) = (stream.as_raw_fd(), (&raw const on).cast());
        libc::setsockopt(fd, libc::IPPROTO_TCP, TCP_REPAIR, value, size_of_val(&on) as u32)
    };
    set == 0
}

#[test]
fn a_subscriber_who_vanished_is_found_when_he_is_sent_to() {
    for rung in RUNGS {
        let mut sends = send(FRAME, Sending { from: rung, ..Sending::default() });
        let (gone, other) = (connected(sends.address), connected(sends.address));
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        if !vanish(gone) {
            eprintln!("skipped: a socket cannot be made to vanish without privileges");
            return;
        }
        let mut sent = 0;
        while sends.counts.get(Count::Broken) == 0 {
            sends.push_all([(1, sent)]);
            sends.step();
            sent += 1;
        }
        sends.end();
        let mut bytes = Vec::new();
        { &other }.read_to_end(&mut bytes).unwrap();
        let want: Vec<Pair> = (0..sent).map(|n| (1, n)).collect();
        assert_eq!(unfilled(&bytes, FRAME), want, "{rung}");
    }
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed_in_time_and_no_other() {
    for rung in RUNGS {
        let listener = here();
        let idle_max = Some(Duration::from_millis(500));
        let receiving = Receiving { idle_max, from: rung, ..Receiving::default() };
        let mut heard = hear(&listener, millstream::io::LengthPrefixed::new(8), receiving);
        let mut silent = connected(listener.address());
        let mut busy = connected(listener.address());
        let half = connected(listener.address());
        heard.until(|heard| heard.counts.get(Count::Accepted) == 3);
        silent.write_all(&framed([(1, 0)])).unwrap();
        // One who says that he says no more is not idle: he is done.
        half.shutdown(Shutdown::Write).unwrap();
        let mut said = 0;
        while heard.counts.get(Count::Idle) == 0 {
            busy.write_all(&framed([(2, said)])).unwrap();
            said += 1;
            heard.step();
            std::thread::sleep(Duration::from_millis(2));
        }
        heard.until(|heard| heard.records.borrow().len() as u32 == said + 1);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0, "{rung}");
        assert_eq!(heard.counts.get(Count::Closed), 2, "{rung}");
        assert_eq!(heard.counts.get(Count::Idle), 1, "{rung}");
        let problems = heard.problems.borrow();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].peer, silent.local_addr().unwrap());
        assert_eq!((problems[0].offset, problems[0].count), (12, Count::Idle));
    }
}

#[test]
fn a_reset_in_the_middle_of_a_record_is_told_with_its_place() {
    for rung in RUNGS {
        let listener = here();
        let receiving = Receiving { from: rung, ..Receiving::default() };
        let mut heard = hear(&listener, millstream::io::LengthPrefixed::new(8), receiving);
        let mut other = connected(listener.address());
        let mut reset = connected(listener.address());
        let mut cut = connected(listener.address());
        reset.write_all(&framed([(1, 0), (1, 1)])[..17]).unwrap();
        cut.write_all(&framed([(2, 0), (2, 1)])[..23]).unwrap();
        heard.until(|heard| heard.counts.get(Count::BytesIn) == 40);
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&reset, sockopt::Linger, &at_once).unwrap();
        drop((reset, cut));
        heard.until(|heard| heard.counts.get(Count::Closed) == 2);
        other.write_all(&framed([(3, 0)])).unwrap();
        heard.until(|heard| heard.records.borrow().len() == 3);
        let mut told: Vec<_> =
            heard.problems.borrow().iter().map(|it| (it.offset, it.reason.clone())).collect();
        told.sort();
        assert_eq!((told.len(), told[0].0, told[1].0), (2, 12, 12), "{told:?}");
        assert!(told[0].1.contains("reset"), "{told:?}");
        assert_eq!(told[1].1, "it ends within a record");
        let counted = [Count::Broken, Count::CutShort].map(|count| heard.counts.get(count));
        assert_eq!(counted, [1, 1], "{rung}");
    }
}

#[test]
fn a_line_that_does_not_end_closes_its_connection_and_no_other() {
    for rung in RUNGS {
        let listener = here();
        let receiving = Receiving { buffer_bytes: 512, from: rung, ..Receiving::default() };
        let mut heard = hear(&listener, Lines::new(1_000), receiving);
        let mut endless = connected(listener.address());
        let mut other = connected(listener.address());
        endless.write_all(&[b'x'; 100_000]).unwrap_or(());
        heard.until(|heard| heard.counts.get(Count::Garbage) == 1);
        assert!(heard.counts.get(Count::BytesIn) < 100_000, "what follows is not read, {rung}");
        // Eight bytes, none of which ends a line.
        other.write_all(b"\x01\0\0\0\x02\0\0\0\n").unwrap();
        heard.until(|heard| heard.records.borrow().len() == 1);
        let problems = heard.problems.borrow();
        assert_eq!(problems[0].reason, "a line of more than 1000 bytes", "{rung}");
        assert_eq!(problems[0].peer, endless.local_addr().unwrap());
    }
}

#[test]
fn more_connections_than_there_may_be_are_refused_until_some_are_gone() {
    for rung in RUNGS {
        let listener = here();
        let receiving = Receiving { connections_max: 300, from: rung, ..Receiving::default() };
        let mut heard = hear(&listener, millstream::io::LengthPrefixed::new(8), receiving);
        let mut all: Vec<_> = (0..500).map(|_| connected(listener.address())).collect();
        heard.until(|it| it.counts.get(Count::Accepted) + it.counts.get(Count::Refused) == 500);
        assert_eq!(heard.counts.get(Count::Accepted), 300, "{rung}");
        for (who, stream) in all.iter_mut().enumerate() {
            // One who was refused may hear of it as he writes.
            let _ = stream.write_all(&framed([(who as u32, 0)]));
        }
        heard.until(|heard| heard.records.borrow().len() == 300);
        drop(all);
        heard.until(|heard| heard.counts.get(Count::Closed) == 300);
        let mut late = connected(listener.address());
        late.write_all(&framed([(1_000, 1)])).unwrap();
        heard.until(|heard| heard.records.borrow().last() == Some(&(1_000, 1)));
        assert_eq!(heard.counts.get(Count::Refused), 200, "{rung}");
    }
}

#[test]
fn a_sink_that_waits_for_nobody_ends_in_time() {
    let (_held, nobody) = nobody();
    let sending = Sending { linger: Duration::from_millis(50), ..Sending::default() };
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::connect(p, nobody, Fixed::new(FRAME), pairs(), sending)?;
        let (input, stream) = p.input();
        stream.sink(sink);
        Ok(input)
    })
    .unwrap();
    input.push(Timestamp(0), (1, 1)).unwrap();
    input.close();
    let since = Instant::now();
    while !shard.is_done() {
        step(&mut shard, since);
    }
    assert!(since.elapsed() >= Duration::from_millis(50));
}
