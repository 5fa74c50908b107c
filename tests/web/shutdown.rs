//! Ends: of pipelines, of servers, of both, with subscribers there.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use millstream::io::MemorySource;
use millstream::web::{Count, Publishing, Slow, Web};
use millstream::{Record, Timestamp};

use super::world::{
    Events, connected, here, lines, posted, run, serving, through, tick, ticks_out, until,
    until_count,
};

#[test]
fn an_empty_stream_ends_and_late_comers_hear_of_it() {
    let server = here();
    let address = server.address();
    let at = server.clone();
    let running = run(move |p| {
        p.source(MemorySource::new(vec![])).sink(ticks_out(p, &at, Publishing::default())?);
        Ok(())
    });
    running.join();
    for _ in 0..2 {
        let events = Events::of(address, "/out/events");
        assert_eq!(events.rest(), (vec![], Some("end of stream".to_owned())));
    }
}

#[test]
fn the_pipeline_is_done_when_everybody_has_heard_all_of_it() {
    let server = here();
    let address = server.address();
    let publishing =
        Publishing { slow: Slow::DropOldest, queue_max: 1 << 20, ..Publishing::default() };
    let running = through(&server, publishing);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let events = Events::of(address, "/out/events");
            std::thread::spawn(move || events.rest())
        })
        .collect();
    for from in (0..50_000).step_by(5_000) {
        let body = lines((from..from + 5_000).map(|n| tick("MSFT", n)));
        posted(address, "in", &body);
    }
    server.stop();
    running.join();
    // Nothing is left to be done for them: the process could end here.
    drop(server);
    for reader in readers {
        let (got, said) = reader.join().unwrap();
        assert_eq!(said.as_deref(), Some("end of stream"));
        assert!(got.iter().map(|tick| tick.n).eq(0..50_000), "{} records", got.len());
    }
}

#[test]
fn the_end_does_not_wait_for_ever_for_one_who_does_not_read() {
    let server = serving(Web { send_buffer_bytes: 4 << 10, ..Web::default() });
    let address = server.address();
    let linger = Duration::from_millis(300);
    let publishing =
        Publishing { slow: Slow::DropOldest, queue_max: 1 << 20, linger, ..Publishing::default() };
    let running = through(&server, publishing);
    let silent = Events::of(address, "/out/events");
    for from in (0..200_000).step_by(10_000) {
        let body = lines((from..from + 10_000).map(|n| tick("MSFT", n)));
        posted(address, "in", &body);
    }
    until_count(&server.counts(), Count::Published, 200_000);
    server.stop();
    let since = Instant::now();
    running.join();
    assert!((linger..linger * 20).contains(&since.elapsed()), "{:?}", since.elapsed());
    drop(silent);
}

#[test]
fn subscribers_stay_while_a_failed_pipeline_is_restarted() {
    let server = here();
    let address = server.address();
    let first = through(&server, Publishing::default());
    let mut events = Events::of(address, "/out/events");
    posted(address, "in", &lines([tick("A", 1)]));
    assert_eq!(events.next_tick(), tick("A", 1));
    first.kill();
    let second = through(&server, Publishing::default());
    posted(address, "in", &lines([tick("A", 2)]));
    assert_eq!(events.next_tick(), tick("A", 2));
    server.stop();
    second.join();
    assert_eq!(events.rest(), (vec![], Some("end of stream".to_owned())));
}

#[test]
fn a_server_that_is_dropped_lets_everybody_go() {
    let server = here();
    let address = server.address();
    let counts = server.counts();
    let running = {
        let at = server.clone();
        run(move |p| {
            let forever = (0..).map(|n| Record::new(Timestamp(n), tick("A", n as u64)));
            let forever = millstream::io::IterSource::new(forever.take(2_000_000_000));
            p.source(forever).sink(ticks_out(p, &at, Publishing::default())?);
            Ok(())
        })
    };
    let mut events = Events::of(address, "/out/events");
    events.next_tick();
    let mut idle = connected(address);
    let mut half = connected(address);
    half.write_all(b"GET /out/ev").unwrap();
    until_count(&counts, Count::Accepted, 3);
    let since = Instant::now();
    drop(server);
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    assert_eq!(events.rest().1.as_deref(), Some("end of stream"));
    assert_eq!(idle.read(&mut [0; 9]).unwrap_or(0), 0);
    let _ = half.read(&mut [0; 9]);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens there");
    // The shard goes on: what nobody hears is counted.
    let lost = counts.get(Count::Lost);
    until("it goes on", || counts.get(Count::Lost) > lost + 1_000);
    assert!(!running.is_done());
    running.kill();
}
