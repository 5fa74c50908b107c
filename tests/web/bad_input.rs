//! Whoever says what makes no sense, too much, too slowly, or half of it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream::web::{Access, Count, Intake, Publishing, Web, WebServer};
use millstream::{Config, Shard};

use super::world::{
    Events, Running, connected, here, lines, post, run, say, serving, status, through, tick,
    ticks_in, until_count,
};

/// A pipeline behind a server with small limits, and how many records have come there.
type World = (WebServer, Running, Arc<AtomicU64>);

fn small() -> World {
    let server = serving(Web {
        body_bytes_max: 1_000,
        bodies_bytes_max: 2_500,
        body_max: Duration::from_millis(300),
        head_max: Duration::from_millis(300),
        ..Web::default()
    });
    let (at, seen) = (server.clone(), Arc::<AtomicU64>::default());
    let see = seen.clone();
    let running = run(move |p| {
        let intake = Intake { line_bytes_max: 100, ..Intake::default() };
        p.source(ticks_in(p, &at, intake)?)
            .for_each(move |_| _ = see.fetch_add(1, Ordering::Relaxed));
        Ok(())
    });
    (server, running, seen)
}

/// That it still works, and then ends; and that nothing came but what was said to be taken.
fn still_well((server, running, seen): World) {
    let taken = server.counts().get(Count::Taken);
    let said = post(server.address(), "in", &lines([tick("MSFT", 1)]));
    assert_eq!(said, (200, "{\"taken\":1}\n".to_owned()));
    assert_eq!(server.counts().get(Count::Taken), taken + 1);
    server.stop();
    running.join();
    assert_eq!(seen.load(Ordering::Relaxed), taken + 1);
}

#[test]
fn a_line_that_is_no_record_is_named_and_nothing_of_its_request_is_taken() {
    let world = small();
    let address = world.0.address();
    let good = tick("MSFT", 1).json();
    let (status, said) = post(address, "in", &format!("{good}\n\n  \r\n{{\"n\":1}}\n{good}"));
    assert_eq!(status, 400);
    let want = "{\"error\":\"line 4: at byte 7: missing field `symbol`\",\"line\":4,\"offset\":7,\
                \"taken\":0}\n";
    assert_eq!(said, want);
    let long = format!("{good}\n{{\"symbol\":\"{}\",\"n\":1}}", "x".repeat(200));
    let (status, said) = post(address, "in", &long);
    assert!(status == 400 && said.contains("line 2: at byte 100: longer than 100 bytes"), "{said}");
    assert_eq!(post(address, "in", "\u{0}\u{1}\u{2}").0, 400);
    let counts = world.0.counts();
    assert_eq!((counts.get(Count::Malformed), counts.get(Count::Taken)), (3, 0));
    assert_eq!(post(address, "in", "\r\n \n").1, "{\"taken\":0}\n", "empty lines are none");
    still_well(world);
}

#[test]
fn bodies_beyond_the_limit_are_refused_with_and_without_a_length() {
    let world = small();
    let address = world.0.address();
    let long = lines((0..100).map(|n| tick("MSFT", n)));
    let (status_of_it, said) = post(address, "in", &long);
    assert!(status_of_it == 413 && said.contains("longer than 1000 bytes"), "{said}");
    // One that says so beforehand need not send it.
    let head = "POST /in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(status(&say(address, head)), 413);
    let mut chunks =
        "POST /in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..30 {
        chunks.push_str(&format!("28\r\n{:40}\r\n", " "));
    }
    assert_eq!(status(&say(address, chunks)), 413);
    let counts = world.0.counts();
    assert_eq!((counts.get(Count::TooLong), counts.get(Count::Taken)), (3, 0));
    still_well(world);
}

#[test]
fn half_a_body_takes_nothing_whether_the_peer_is_gone_or_silent() {
    let world = small();
    let (address, counts) = (world.0.address(), world.0.counts());
    let head = "POST /in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n";
    let half = format!("{head}{}", lines([tick("MSFT", 1), tick("MSFT", 2)]));
    let mut gone = connected(address);
    gone.write_all(half.as_bytes()).unwrap();
    drop(gone);
    until_count(&counts, Count::Closed, 1);
    let mut shut = connected(address);
    shut.write_all(half.as_bytes()).unwrap();
    shut.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    let _ = shut.read_to_string(&mut heard);
    assert_ne!(status(&heard), 200, "{heard}");
    let since = Instant::now();
    let silent = say(address, &half);
    assert!(status(&silent) == 408 && silent.contains("longer than 300ms"), "{silent}");
    assert!(since.elapsed() >= Duration::from_millis(300));
    assert_eq!((counts.get(Count::SlowBody), counts.get(Count::Taken)), (1, 0));
    still_well(world);
}

#[test]
fn bodies_that_come_in_take_no_more_memory_than_they_may() {
    let world = small();
    let (address, counts) = (world.0.address(), world.0.counts());
    let head = "POST /in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connected(address);
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    until_count(&counts, Count::Accepted, 2);
    std::thread::sleep(Duration::from_millis(50));
    let third = say(address, head);
    assert!(status(&third) == 503 && third.contains("too many bodies"), "{third}");
    drop(waiting);
    until_count(&counts, Count::Closed, 3);
    still_well(world);
}

#[test]
fn garbage_is_answered_or_closed_and_nobody_else_notices() {
    let world = small();
    let (address, counts) = (world.0.address(), world.0.counts());
    let seeds = 0..200u64;
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut said: Vec<u8> = (0..random.usize(1..2_000)).map(|_| random.u8(..)).collect();
        if seed % 2 == 0 {
            // What begins well and goes wrong somewhere.
            let well = format!(
                "POST /in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n{}",
                lines([tick("MSFT", seed)])
            );
            let at = random.usize(0..well.len());
            said = [&well.as_bytes()[..at], &said].concat();
        }
        let mut stream = connected(address);
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    for (said, want) in [
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 505),
        ("\r\n\r\n\r\n".to_owned(), 0),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000)), 431),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)), 431),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200)), 431),
    ] {
        let mut stream = connected(address);
        let _ = stream.write_all(said.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let got = status(&String::from_utf8_lossy(&heard));
        assert!(got == want || got == 400 || got == 0, "{got}, not {want}: {said:.30}");
    }
    // A head that comes byte by byte is not waited for.
    let (mut stream, since) = (connected(address), Instant::now());
    for byte in b"POST /in HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain([b'x'; 1_000].iter()) {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(counts.get(Count::Broken) > 50);
    still_well(world);
}

#[test]
fn who_may_not_is_refused_before_anything_is_done() {
    let world = small();
    let address = world.0.address();
    let body = lines([tick("MSFT", 1)]);
    let with = |headers: &str| {
        let length = body.len();
        say(
            address,
            format!(
                "POST /in HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\
                 \r\n{body}"
            ),
        )
    };
    let rebound = with("Host: evil.example\r\n");
    assert!(status(&rebound) == 403 && rebound.contains("`Host`"), "{rebound}");
    let elsewhere = with("Host: localhost\r\nOrigin: http://evil.example\r\n");
    assert!(status(&elsewhere) == 403 && elsewhere.contains("`Origin`"), "{elsewhere}");
    assert_eq!(world.0.counts().get(Count::Taken), 0);
    assert_eq!(world.0.counts().get(Count::Forbidden), 2);
    still_well(world);

    let access = Access::nobody().token("ops", "a-very-long-secret");
    let server = serving(Web { access, ..Web::default() });
    let running = through(&server, Publishing::default());
    let get = |headers: &str| {
        let head = "GET /counts HTTP/1.1\r\nHost: feeds.example\r\nConnection: close\r\n";
        status(&say(server.address(), format!("{head}{headers}\r\n")))
    };
    assert_eq!(get(""), 401);
    assert_eq!(get("Authorization: Bearer a-very-long-secre\r\n"), 401);
    assert_eq!(get("Authorization: Bearer a-very-long-secret\r\n"), 200);
    server.stop();
    running.join();
}

#[test]
fn addresses_beyond_this_host_and_limits_that_cannot_be_are_refused_at_start() {
    let refused = |address: &str, web: Web| {
        let server = millstream::web::WebServer::on(address.parse().unwrap(), web);
        server.err().map_or("accepted".to_owned(), |error| error.to_string())
    };
    let web = Web::default;
    assert!(refused("0.0.0.0:0", web()).contains("reaches beyond this host, and so needs `tls`"));
    assert!(refused("[::]:0", web()).contains("beyond this host"));
    assert!(refused("127.0.0.1:0", Web { connections_max: 0, ..web() }).contains("must be 1 to"));
    assert!(refused("127.0.0.1:0", Web { body_bytes_max: 0, ..web() }).contains("must be 1 to"));
    let access = Access::nobody().token("ops", "");
    assert!(refused("127.0.0.1:0", Web { access, ..web() }).contains("token of"));
    let server = here();
    let taken = refused(&server.address().to_string(), web());
    assert!(taken.starts_with("serve at 127.0.0.1") && taken.contains("in use"), "{taken}");
    let built = Shard::embed(Config::embedded(), |p| {
        let intake = Intake { ring_capacity: 0, ..Intake::default() };
        p.source(ticks_in(p, &server, intake)?).for_each(|_| ());
        Ok(())
    });
    assert!(built.err().unwrap().to_string().contains("ring_capacity"));
}

#[test]
fn a_subscriber_who_is_gone_is_noticed() {
    let server = here();
    let counts = server.counts();
    let running = through(&server, Publishing::default());
    let events = Events::of(server.address(), "/out/events");
    let mut stays = Events::of(server.address(), "/out/events");
    assert_eq!(counts.get(Count::Subscribed), 2);
    drop(events);
    until_count(&counts, Count::Unsubscribed, 1);
    assert_eq!(post(server.address(), "in", &lines([tick("A", 7)])).0, 200);
    assert_eq!(stays.next_tick(), tick("A", 7));
    server.stop();
    running.join();
    assert_eq!(stays.rest().1.as_deref(), Some("end of stream"));
}
