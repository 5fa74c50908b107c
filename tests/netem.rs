//! Two redundant lines of datagrams, and a sink that connects again, over a network that loses,
//! delays, repeats and reorders: what `scripts/netem` runs, each test in a network namespace of its
//! own. By themselves they do nothing.
#![cfg(feature = "net")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use millstream::io::{Codec, Fixed, IterSource, codec};
use millstream::net::{
    Arbitration, Count, Counts, Datagram, Datagrams, LineCounts, Notice, Place, Sending, TcpSink,
    UdpLines, Why,
};
use millstream::{Config, Record, Shard, Timestamp};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(240);

/// A word of what the script wants of this test; none where there is no script.
fn wanted(name: &str) -> Option<String> {
    let said = std::env::var(format!("NETEM_{name}")).ok();
    if said.is_none() {
        eprintln!("skipped: `scripts/netem` runs this");
    }
    said
}

fn number(name: &str) -> u64 {
    wanted(name).expect(name).parse().expect("a number")
}

fn numbers() -> impl Codec<Value = u64> {
    codec(
        8,
        |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
        |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| "no number".to_owned()),
    )
}

/// Steps a shard once, and sleeps if there was nothing to do. Something has happened `lately`.
fn step(shard: &mut Shard, since: Instant, lately: Instant) {
    assert!(lately.elapsed() < PATIENCE, "it does not come");
    if shard.step(Timestamp(since.elapsed().as_nanos() as i64)).is_none() {
        std::thread::sleep(Duration::from_micros(20));
    }
    assert_eq!(shard.failure().map(ToString::to_string), None);
}

// ---- two lines of datagrams

/// The number of the first record, and how many there are.
const HEADER: usize = 10;

/// Records of a datagram.
const EACH: u64 = 4;

fn header(datagram: &[u8]) -> Result<Place, String> {
    let Some((first, rest)) = datagram.split_first_chunk() else { return Err("short".to_owned()) };
    let Some(count) = rest.first_chunk() else { return Err("short".to_owned()) };
    let (first, count) = (u64::from_be_bytes(*first), u16::from_be_bytes(*count).into());
    Ok(Place { session: 1, first, count, header: HEADER })
}

fn lines(said: &str) -> Vec<SocketAddr> {
    said.split(',').map(|line| line.parse().expect("an address")).collect()
}

/// How far the sender may be ahead of what has come, in records: less than the kernel holds for the
/// receiver, however slow the host is.
const AHEAD_MAX: u64 = 1_000;

/// Where the receiver writes how far it has come.
fn come() -> PathBuf {
    wanted("COME").expect("COME").into()
}

/// How far that is.
fn has_come(path: &Path) -> u64 {
    let said = std::fs::read(path).unwrap();
    said.first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
}

/// Says every number by both lines, at a pace that no queue is overrun by, and at the end how far
/// the numbers have come.
#[test]
fn lines_send() {
    let Some(to) = wanted("SEND_LINES") else { return };
    let (to, count) = (lines(&to), number("RECORDS"));
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let say = |first: u64, count: u64| {
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend((count as u16).to_be_bytes());
        (first..first + count).for_each(|n| bytes.extend(n.to_le_bytes()));
        to.iter().for_each(|line| _ = socket.send_to(&bytes, line).unwrap());
    };
    let (come, mut had, mut since) = (come(), 0, Instant::now());
    for first in (0..count).step_by(EACH as usize) {
        while first > has_come(&come) + AHEAD_MAX {
            if has_come(&come) > had {
                (had, since) = (has_come(&come), Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "{first} does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        say(first, EACH.min(count - first));
        if first % (8 * EACH) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    for _ in 0..100 {
        say(count, 0);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every number comes once and in order, or is told as lost; and no more are lost than may be.
#[test]
fn lines_receive() {
    let Some(at) = wanted("RECEIVE_LINES") else { return };
    let (count, lost_max) = (number("RECORDS"), number("LOST_MAX"));
    let at: Vec<_> = lines(&at).into_iter().map(Datagrams::on_trusted_network).collect();
    let at: Vec<_> = at.into_iter().map(Result::unwrap).collect();
    let (counts, of_lines) = (Counts::default(), LineCounts::of(at.len()));
    let (next, came, lost) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::default());
    // Longer than a busy host keeps a datagram waiting, and room for what comes meanwhile.
    let rules = Arbitration {
        gap_max: Duration::from_millis(500),
        window: 1 << 17,
        starts: Some(0),
        ..Arbitration::default()
    };
    let limits = Datagram { buffers: 1 << 14, ..Datagram::default() };
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let codec = (Fixed::new(8), numbers());
        let told: Rc<RefCell<BTreeSet<u64>>> = Rc::clone(&lost);
        let source = UdpLines::new(p, &at, header, codec, limits, rules)?
            .counting_into(&counts)
            .counting_lines_into(&of_lines)
            .on_notice(move |notice| {
                if let Notice::Lost { first, count, .. } = notice {
                    told.borrow_mut().extend(*first..first + count);
                }
            });
        let (next, came) = (next.clone(), came.clone());
        p.source(source).for_each(move |record| {
            assert!(record.value >= next.get(), "{} is out of order", record.value);
            next.set(record.value + 1);
            came.set(came.get() + 1);
        });
        Ok(())
    })
    .unwrap();
    let come = std::fs::File::create(come()).unwrap();
    println!("ready");
    let (since, mut written) = (Instant::now(), 0);
    let mut lately = since;
    while came.get() + of_lines.lost() < count {
        step(&mut shard, since, lately);
        if next.get() >= written + AHEAD_MAX / 8 {
            (written, lately) = (next.get(), Instant::now());
            come.write_all_at(&written.to_le_bytes(), 0).unwrap();
        }
    }
    let line = |n: usize| {
        let (came, first, missed) = (of_lines.datagrams(n), of_lines.first(n), of_lines.missed(n));
        format!("line {n}: {came} datagrams, {first} of them first, {missed} records missed")
    };
    println!(
        "{} of {count} records in order, {} lost by both; {}; {}; {} datagrams came twice; the \
         kernel dropped {}",
        came.get(),
        of_lines.lost(),
        line(0),
        line(1),
        of_lines.refused_as(Why::Duplicate),
        counts.get(Count::Lost),
    );
    assert_eq!(lost.borrow().len() as u64, of_lines.lost(), "each is told once");
    assert!(of_lines.lost() <= lost_max, "{} are lost", of_lines.lost());
    assert_eq!(counts.get(Count::Malformed), 0);
    assert!(of_lines.missed(0) + of_lines.missed(1) > 0, "the network lost nothing at all");
}

// ---- a sink that connects again

/// Sends all numbers to one who says what he has, however often the connection breaks.
#[test]
fn sink_sends() {
    let Some(to) = wanted("SEND_TO") else { return };
    let (to, count, counts) = (to.parse().unwrap(), number("RECORDS"), Counts::default());
    let sending = Sending { linger: PATIENCE, ..Sending::default() };
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::connect_anywhere(p, to, Fixed::new(8), numbers(), sending)?;
        let all = (0..count).map(|n| Record::new(Timestamp(n as i64), n));
        p.source(IterSource::new(all)).sink(sink.counting_into(&counts).acknowledged());
        Ok(())
    })
    .unwrap();
    let since = Instant::now();
    let (mut lately, mut sent) = (since, 0);
    while !shard.is_done() {
        step(&mut shard, since, lately);
        if counts.get(Count::BytesOut) > sent {
            (lately, sent) = (Instant::now(), counts.get(Count::BytesOut));
        }
    }
    println!(
        "{count} records sent and acknowledged in {:.1} s: {} attempts to connect failed, {} \
         connections broke",
        since.elapsed().as_secs_f64(),
        counts.get(Count::NotConnected),
        counts.get(Count::Broken),
    );
    assert!(counts.get(Count::Broken) > 0, "no connection broke");
}

/// Has every number once and in order, over connections that it breaks in the middle of a record,
/// with nobody there for a while in between.
#[test]
fn sink_receives() {
    const VISITS: u64 = 8;
    let Some(at) = wanted("RECEIVE_AT") else { return };
    let (at, count): (SocketAddr, _) = (at.parse().unwrap(), number("RECORDS"));
    println!("ready");
    let (mut have, mut again, mut visits) = (0, 0, 0);
    while have < count {
        let listener = TcpListener::bind(at).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        drop(listener);
        visits += 1;
        let leaves_at = (visits < VISITS).then_some(count * visits / VISITS);
        let (from, first) = (have, visit(&mut peer, &mut have, count, leaves_at));
        assert!(first <= from, "{from} are there, and it goes on with {first}");
        again += from - first;
        // Refused for a while: it backs off.
        std::thread::sleep(Duration::from_millis(150));
    }
    println!("{have} records in order by {visits} connections, {again} of them came again");
    assert_eq!(visits, VISITS);
}

/// Reads up to some number and breaks off, or to the end; returns what came first.
fn visit(peer: &mut TcpStream, have: &mut u64, count: u64, leaves_at: Option<u64>) -> u64 {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut first, mut next) = (None, 0);
    let (mut kept, mut piece, mut had) = (Vec::new(), vec![0; 16 << 10], 0u64);
    loop {
        let read = peer.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&piece[..read]);
        let whole = kept.len() / 8 * 8;
        for number in kept.drain(..whole).collect::<Vec<_>>().chunks(8) {
            let number = u64::from_le_bytes(number.try_into().unwrap());
            let begins = *first.get_or_insert(number);
            next = next.max(begins);
            assert_eq!(number, next, "in order");
            next += 1;
            *have = (*have).max(next);
            had += 1;
        }
        if leaves_at.is_some_and(|most| *have >= most) {
            // With what is unread, which the other end hears of by a reset.
            break;
        }
        peer.write_all(&had.to_le_bytes()).unwrap();
        if *have == count {
            // Until it knows, and leaves.
            let _ = peer.read(&mut piece);
            break;
        }
    }
    first.unwrap_or(*have)
}
