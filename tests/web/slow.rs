//! Subscribers who do not read, by policy, and others beside them who do.

use std::time::{Duration, Instant};

use millstream::web::{Count, Publishing, Slow, Web, WebServer};

use super::world::{
    Events, Running, Tick, lines, post, posted, serving, through, tick, until_count,
};

/// What one record has beside its number: none of it fits into the kernel's buffers for long.
const RECORDS: u64 = 200_000;
const KEYS: [&str; 4] = ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC", "DDDDDDDD"];

fn record(n: u64) -> Tick {
    tick(KEYS[n as usize % 4], n)
}

fn world(slow: Slow, queue_max: usize) -> (WebServer, Running) {
    let server = serving(Web { send_buffer_bytes: 4 << 10, ..Web::default() });
    let publishing =
        Publishing { slow, queue_max, linger: Duration::from_millis(500), ..Publishing::default() };
    let running = through(&server, publishing);
    (server, running)
}

/// Sends all records at the pace of one who reads them.
fn send_all(server: &WebServer, reader: Events) -> Events {
    let mut reader = reader;
    for from in (0..RECORDS).step_by(500) {
        let (status, said) = post(server.address(), "in", &lines((from..from + 500).map(record)));
        assert_eq!(status, 200, "{said}");
        for n in from..from + 500 {
            assert_eq!(reader.next_tick(), record(n), "he does not notice");
        }
    }
    reader
}

fn end((server, running): (WebServer, Running)) {
    let since = Instant::now();
    server.stop();
    running.join();
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[test]
fn who_does_not_read_is_disconnected_and_another_does_not_notice() {
    let world = world(Slow::Disconnect, 1_000);
    let (address, counts) = (world.0.address(), world.0.counts());
    let fast = Events::of(address, "/out/events");
    let slow = Events::of(address, "/out/events");
    let fast = send_all(&world.0, fast);
    until_count(&counts, Count::Unsubscribed, 1);
    assert_eq!(counts.get(Count::TooSlow), 1);
    end(world);
    assert_eq!(fast.rest(), (vec![], Some("end of stream".to_owned())));
    // What he had been sent he may still read; then his connection is over.
    let (got, _) = slow.rest();
    assert!(got.iter().zip(0..).all(|(got, n)| *got == record(n)), "{} records", got.len());
    assert!((got.len() as u64) < RECORDS / 2);
}

#[test]
fn who_does_not_read_loses_the_oldest_and_another_does_not_notice() {
    let world = world(Slow::DropOldest, 1_000);
    let (address, counts) = (world.0.address(), world.0.counts());
    let fast = Events::of(address, "/out/events");
    let slow = Events::of(address, "/out/events");
    let fast = send_all(&world.0, fast);
    // He wakes up.
    let slow = std::thread::spawn(move || slow.rest());
    end(world);
    assert_eq!(fast.rest(), (vec![], Some("end of stream".to_owned())));
    let (got, said) = slow.join().unwrap();
    assert_eq!(said.as_deref(), Some("end of stream"));
    assert!(got.is_sorted_by(|one, next| one.n < next.n));
    assert_eq!(got.last(), Some(&record(RECORDS - 1)), "the newest is there");
    let dropped = counts.get(Count::Dropped);
    assert_eq!(got.len() as u64 + dropped, RECORDS);
    assert!(dropped > RECORDS / 4, "{dropped}");
}

#[test]
fn who_does_not_read_gets_the_latest_of_each_key_and_another_does_not_notice() {
    let world = world(Slow::Conflate, 1_000);
    let (address, counts) = (world.0.address(), world.0.counts());
    let fast = Events::of(address, "/out/events");
    let slow = Events::of(address, "/out/events");
    // One reads all the time, and is conflated now and then where the server is ahead of him.
    let fast = std::thread::spawn(move || fast.rest());
    for from in (0..RECORDS).step_by(500) {
        posted(address, "in", &lines((from..from + 500).map(record)));
    }
    let slow = std::thread::spawn(move || slow.rest());
    end(world);
    let mut sum = 0;
    for reader in [fast, slow] {
        let (got, said) = reader.join().unwrap();
        assert_eq!(said.as_deref(), Some("end of stream"));
        for key in KEYS {
            let of_key: Vec<_> = got.iter().filter(|it| it.symbol == key).collect();
            assert!(of_key.is_sorted_by(|one, next| one.n < next.n));
            assert!(of_key.last().is_some_and(|last| last.n >= RECORDS - 4), "{key}");
        }
        sum += got.len() as u64;
    }
    assert_eq!(counts.get(Count::Dropped), 0);
    assert_eq!(sum + counts.get(Count::Conflated), 2 * RECORDS);
    assert!(counts.get(Count::Conflated) > RECORDS / 4);
}

#[test]
fn who_takes_nothing_for_too_long_is_cut_off_whatever_the_policy() {
    let server = serving(Web { send_buffer_bytes: 4 << 10, ..Web::default() });
    let (address, counts) = (server.address(), server.counts());
    let publishing = Publishing {
        slow: Slow::DropOldest,
        stalled_max: Duration::from_secs(1),
        ..Publishing::default()
    };
    let running = through(&server, publishing);
    let stalled = Events::of(address, "/out/events");
    let idle = Events::of(address, "/out/events?keys=ZZZZZZZZ");
    for from in (0..RECORDS).step_by(500) {
        posted(address, "in", &lines((from..from + 500).map(record)));
    }
    until_count(&counts, Count::Unsubscribed, 1);
    assert_eq!(counts.get(Count::TooSlow), 1, "one for whom nothing comes is not slow");
    server.stop();
    running.join();
    assert_eq!(idle.rest(), (vec![], Some("end of stream".to_owned())));
    drop(stalled);
}
