//! Subscribers who do not read, or not fast enough, and more of them than the ring has entries.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use millstream::net::{Count, Rung, Sending, Slow};
use nix::sys::socket::{setsockopt, sockopt};

use super::world::{Pair, RUNGS, Sends, connected, send, unfilled};

/// A frame has so many bytes, so that what the kernel holds for somebody is soon full.
const FRAME: usize = 1024;

/// More than the kernel takes for one who does not read, and the sink for him beside that.
const RECORDS: u32 = 20_000;

/// How far a reader may be behind what was pushed, when he is to be fast enough for certain.
const BEHIND: u64 = 100;

fn sending(slow: Slow, from: Rung) -> Sending {
    Sending { slow, from, buffer_bytes: 512 << 10, ..Sending::default() }
}

/// Reads all there is, and shows how many records that is so far.
pub fn reader(mut stream: TcpStream) -> (Arc<AtomicU64>, JoinHandle<Vec<u8>>) {
    let count = Arc::new(AtomicU64::new(0));
    let shown = count.clone();
    let thread = thread::spawn(move || {
        let (mut all, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let bytes = match stream.read(&mut piece) {
                // A debugger, or whoever stops and continues this process.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            all.extend(&piece[..bytes]);
            shown.store((all.len() / FRAME) as u64, Ordering::Release);
            if bytes == 0 {
                return all;
            }
        }
    });
    (count, thread)
}

/// Somebody who does not read, and for whom the kernel holds little.
pub fn sleeper(address: SocketAddr) -> TcpStream {
    let stream = connected(address);
    setsockopt(&stream, sockopt::RcvBuf, &(128 << 10)).unwrap();
    stream
}

/// Pushes everything, no faster than this reader reads.
fn push_all_beside(sends: &mut Sends, read: &AtomicU64) {
    for n in 0..RECORDS {
        while read.load(Ordering::Acquire) + BEHIND < u64::from(n) || !sends.push((1, n)) {
            sends.step();
        }
    }
}

fn all() -> Vec<Pair> {
    (0..RECORDS).map(|n| (1, n)).collect()
}

#[test]
fn who_does_not_read_is_disconnected_and_another_does_not_notice() {
    for rung in RUNGS {
        let mut sends = send(FRAME, sending(Slow::Disconnect, rung));
        assert_eq!(sends.rung, rung);
        let (read, fast) = reader(connected(sends.address));
        let mut slow = sleeper(sends.address);
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        push_all_beside(&mut sends, &read);
        let counts = sends.end();
        assert_eq!(unfilled(&fast.join().unwrap(), FRAME), all(), "{rung}");
        assert_eq!(counts.get(Count::TooSlow), 1, "{rung}");
        assert_eq!(counts.get(Count::Dropped), 0);
        // What he had been sent he may still read; then his connection is over.
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest);
        let got = unfilled(&rest, FRAME);
        assert_eq!(got, all()[..got.len()], "{rung}");
        assert!(got.len() < RECORDS as usize);
    }
}

#[test]
fn who_does_not_read_loses_the_oldest_and_another_does_not_notice() {
    for rung in RUNGS {
        let mut sends = send(FRAME, sending(Slow::DropOldest, rung));
        let (read, fast) = reader(connected(sends.address));
        let slow = sleeper(sends.address);
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        push_all_beside(&mut sends, &read);
        // He wakes up.
        let (_, slow) = reader(slow);
        let counts = sends.end();
        assert_eq!(unfilled(&fast.join().unwrap(), FRAME), all(), "{rung}");
        let bytes = slow.join().unwrap();
        assert_eq!(bytes.len() % FRAME, 0, "frames are whole, {rung}");
        let got = unfilled(&bytes, FRAME);
        assert!(got.is_sorted_by(|one, next| one.1 < next.1), "{rung}");
        assert_eq!(got.last(), Some(&(1, RECORDS - 1)), "the newest is there, {rung}");
        let dropped = counts.get(Count::Dropped);
        assert_eq!(got.len() as u64 + dropped, u64::from(RECORDS), "{rung}");
        assert!(dropped > u64::from(RECORDS / 4), "{dropped}, {rung}");
        assert_eq!(counts.get(Count::TooSlow), 0);
    }
}

#[test]
fn who_does_not_read_holds_everybody_up_where_that_is_asked_for() {
    for rung in RUNGS {
        let mut sends = send(FRAME, sending(Slow::Block, rung));
        let (read, fast) = reader(connected(sends.address));
        let slow = sleeper(sends.address);
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        let (mut pushed, mut refused) = (0, 0);
        while refused < 1_000 {
            match sends.push((1, pushed)) {
                true => (pushed, refused) = (pushed + 1, 0),
                false => refused += 1,
            }
            sends.step();
        }
        assert!(pushed < RECORDS / 2, "no memory was taken: {pushed}, {rung}");
        assert!(read.load(Ordering::Acquire) <= u64::from(pushed));
        let (_, slow) = reader(slow);
        sends.push_all((pushed..RECORDS).map(|n| (1, n)));
        let counts = sends.end();
        for one in [fast, slow] {
            assert_eq!(unfilled(&one.join().unwrap(), FRAME), all(), "{rung}");
        }
        assert_eq!(counts.get(Count::Dropped) + counts.get(Count::TooSlow), 0);
    }
}

#[test]
fn who_takes_nothing_for_too_long_holds_nobody_up_any_more() {
    for rung in RUNGS {
        let stalled_max = Some(Duration::from_millis(300));
        let mut sends = send(FRAME, Sending { stalled_max, ..sending(Slow::Block, rung) });
        let (_, fast) = reader(connected(sends.address));
        let slow = sleeper(sends.address);
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        sends.push_all(all());
        let counts = sends.end();
        assert_eq!(unfilled(&fast.join().unwrap(), FRAME), all(), "{rung}");
        assert_eq!(counts.get(Count::TooSlow), 1, "{rung}");
        drop(slow);
    }
}

#[test]
fn who_says_no_more_still_gets_everything() {
    for rung in RUNGS {
        let mut sends = send(FRAME, sending(Slow::Block, rung));
        let stream = connected(sends.address);
        stream.shutdown(Shutdown::Write).unwrap();
        let (_, reader) = reader(stream);
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        sends.push_all(all());
        sends.end();
        assert_eq!(unfilled(&reader.join().unwrap(), FRAME), all(), "{rung}");
    }
}

/// The ring has 256 entries, so the sends of one round do not fit into it; and a turn has no time
/// for all of them when each has much to be sent.
#[test]
fn more_subscribers_than_the_ring_has_entries_all_get_everything() {
    const SUBSCRIBERS: usize = 300;
    const FEW: u32 = 500;
    for rung in RUNGS {
        let sending = Sending { subscribers_max: SUBSCRIBERS, ..sending(Slow::Block, rung) };
        let mut sends = send(FRAME, sending);
        let mut streams: Vec<_> = (0..SUBSCRIBERS).map(|_| connected(sends.address)).collect();
        sends.until(|it| it.counts.get(Count::Accepted) == SUBSCRIBERS as u64);
        let mut refused = connected(sends.address);
        sends.until(|it| it.counts.get(Count::Refused) == 1);
        assert_eq!(refused.read(&mut [0]).unwrap(), 0, "closed at once");
        let threads: Vec<_> = streams
            .chunks_mut(SUBSCRIBERS / 3)
            .map(|some| some.iter().map(|it| it.try_clone().unwrap()).collect::<Vec<_>>())
            .map(|mut some| {
                thread::spawn(move || {
                    let mut all = vec![Vec::new(); some.len()];
                    let mut piece = vec![0; FRAME * FEW as usize / 10];
                    for _ in 0..10 {
                        for (stream, bytes) in some.iter_mut().zip(&mut all) {
                            stream.read_exact(&mut piece).unwrap();
                            bytes.extend(&piece);
                        }
                    }
                    all
                })
            })
            .collect();
        sends.push_all((0..FEW).map(|n| (1, n)));
        sends.end();
        for bytes in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert_eq!(unfilled(&bytes, FRAME), all()[..FEW as usize], "{rung}");
        }
    }
}
