//! A ring that is full, and pipelines that are not there.

use std::thread;
use std::time::{Duration, Instant};

use millstream::web::{Count, Intake, Publishing, WhenFull};

use super::world::{Events, here, lines, post, run, tick, ticks_in, ticks_out, until, until_count};

#[test]
fn a_request_is_taken_whole_or_not_at_all_while_the_ring_is_full() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let at = server.clone();
    let intake =
        Intake { ring_capacity: 8, patience: Duration::from_millis(100), ..Intake::default() };
    let running = run(move |p| {
        let out = ticks_out(p, &at, Publishing::default())?;
        p.source(ticks_in(p, &at, intake)?).sink(out);
        Ok(())
    });
    let some = |from: u64, count: u64| lines((from..from + count).map(|n| tick("MSFT", n)));
    running.pause(true);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(post(address, "in", &some(0, 5)).0, 200);
    let since = Instant::now();
    let (status, said) = post(address, "in", &some(5, 4));
    assert_eq!(
        (status, said.as_str()),
        (503, "{\"error\":\"no room for 4 records\",\"taken\":0}\n")
    );
    assert!(since.elapsed() >= Duration::from_millis(100), "it waits for room");
    assert_eq!(post(address, "in", &some(5, 3)).0, 200, "there is room for three");
    let (status, said) = post(address, "in", &some(0, 9));
    assert_eq!((status, said.as_str()), (413, "{\"error\":\"more than 8 records\",\"taken\":0}\n"));
    // Those that wait have their turn as they came, once there is room.
    let waiting: Vec<_> = (0..3)
        .map(|k| {
            let body = some(8 + 6 * k, 6);
            let waits = thread::spawn(move || post(address, "in", &body));
            thread::sleep(Duration::from_millis(10));
            waits
        })
        .collect();
    running.pause(false);
    for waits in waiting {
        assert_eq!(waits.join().unwrap().0, 200);
    }
    until_count(&counts, Count::Published, 26);
    assert_eq!(counts.get(Count::Full), 1);
    let mut events = Events::of(address, "/out/events");
    assert_eq!(events.next_tick().n, 25);
    server.stop();
    running.join();
    assert_eq!(counts.get(Count::Taken), 26);
}

#[test]
fn without_a_pipeline_there_is_nobody_to_take_anything() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    assert_eq!(post(address, "in", "").0, 404, "no pipeline has ever asked for it");
    // One that is built and never run takes nothing in.
    let looked_at = millstream::Shard::embed(millstream::Config::embedded(), |p| {
        p.source(ticks_in(p, &server, Intake::default())?).for_each(|_| ());
        Ok(())
    });
    assert_eq!(post(address, "in", &lines([tick("A", 0)])).0, 503);
    drop(looked_at);
    let at = server.clone();
    let running = run(move |p| {
        p.source(ticks_in(p, &at, Intake::default())?).for_each(|_| ());
        Ok(())
    });
    assert_eq!(post(address, "in", &lines([tick("A", 1)])).0, 200);
    running.kill();
    let (status, said) = post(address, "in", &lines([tick("A", 2)]));
    assert_eq!(status, 503);
    assert_eq!(said, "{\"error\":\"no pipeline is there to take it\",\"taken\":0}\n");
    assert_eq!(counts.get(Count::Absent), 2);
    // Another one takes its place, and the source ends when the server is stopped.
    let (seen, see) = (std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0)), 3);
    let (at, sees) = (server.clone(), seen.clone());
    let running = run(move |p| {
        p.source(ticks_in(p, &at, Intake::default())?).for_each(move |tick| {
            sees.store(tick.value.n, std::sync::atomic::Ordering::Relaxed);
        });
        Ok(())
    });
    assert_eq!(post(address, "in", &lines([tick("A", see)])).0, 200);
    until("it is taken", || seen.load(std::sync::atomic::Ordering::Relaxed) == see);
    server.stop();
    running.join();
    assert_eq!(post(address, "in", &lines([tick("A", 4)])).0, 503);
}

#[test]
fn a_name_is_for_one_source_and_one_sink_of_a_pipeline() {
    let server = here();
    let build = |twice: bool, p: millstream::Pipeline<'_>| {
        p.source(ticks_in(p, &server, Intake::default())?).sink(ticks_out(
            p,
            &server,
            Publishing::default(),
        )?);
        if twice {
            p.source(ticks_in(p, &server, Intake::default())?).for_each(|_| ());
        }
        p.source(millstream::io::MemorySource::new(vec![])).sink(ticks_out(
            p,
            &server,
            Publishing::default(),
        )?);
        Ok(())
    };
    for (twice, why) in [(true, "feeds two sources"), (false, "the records of two sinks")] {
        let error = millstream::Shard::embed(millstream::Config::embedded(), |p| build(twice, p));
        let error = error.err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
    let named = millstream::Shard::embed(millstream::Config::embedded(), |p| {
        let codec = millstream::io::json::Json::<u64>::new(9);
        let source = millstream::web::HttpSource::new(p, &server, "a/b", codec, Intake::default())?;
        p.source(source).for_each(|_| ());
        Ok(())
    });
    let error = named.err().unwrap().to_string();
    assert!(error.starts_with("name at a server = `a/b`: must be"), "{error}");
    let other = millstream::Shard::embed(millstream::Config::embedded(), |p| {
        let codec = millstream::io::json::Json::<u64>::new(9);
        let source = millstream::web::HttpSource::new(p, &server, "in", codec, Intake::default())?;
        p.source(source).for_each(|_| ());
        Ok(())
    });
    let error = other.err().unwrap().to_string();
    assert!(error.contains("`in` are for something else"), "{error}");
}

/// The server's thread is held up by texts that take long to write.
#[test]
fn a_ring_to_a_slow_server_blocks_or_drops_as_asked() {
    for (when_full, is_lost) in [(WhenFull::Block, false), (WhenFull::Drop, true)] {
        let server = here();
        let (at, counts) = (server.clone(), server.counts());
        let running = run(move |p| {
            let slowly = |n: &u64, text: &mut Vec<u8>| {
                if n.is_multiple_of(256) {
                    thread::sleep(Duration::from_millis(5));
                }
                text.extend(n.to_string().bytes());
            };
            let publishing = Publishing { ring_capacity: 1, when_full, ..Publishing::default() };
            let writing = millstream::web::Writing::by(slowly);
            let numbers =
                (0..10_000).map(|n| millstream::Record::new(millstream::Timestamp(n), n as u64));
            let sink = millstream::web::WebSink::new(p, &at, "numbers", writing, publishing)?;
            p.source(millstream::io::IterSource::new(numbers)).sink(sink);
            Ok(())
        });
        running.join();
        let (published, lost) = (counts.get(Count::Published), counts.get(Count::Lost));
        assert_eq!(published + lost, 10_000, "{when_full:?}");
        assert_eq!(lost > 0, is_lost, "{when_full:?}: {lost}");
    }
}
