//! Many at once.

use std::thread;

use millstream::web::{Count, Publishing, Slow, Web};

use super::world::{Events, connected, lines, post, say, serving, status, through, tick};

#[test]
fn five_hundred_subscribers_and_five_hundred_posts_at_once_are_served() {
    const PEERS: u64 = 500;
    let server = serving(Web { connections_max: 2_000, ..Web::default() });
    let (address, counts) = (server.address(), server.counts());
    let publishing =
        Publishing { slow: Slow::DropOldest, queue_max: 10_000, ..Publishing::default() };
    let running = through(&server, publishing);
    let subscribers: Vec<_> = (0..PEERS)
        .map(|_| {
            thread::Builder::new()
                .stack_size(256 << 10)
                .spawn(move || Events::of(address, "/out/events"))
                .unwrap()
        })
        .collect();
    let subscribers: Vec<_> = subscribers.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(counts.get(Count::Subscribed), PEERS);
    let posts: Vec<_> = (0..PEERS)
        .map(|peer| {
            let body = lines((0..4).map(|n| tick("MSFT", peer * 4 + n)));
            thread::Builder::new()
                .stack_size(256 << 10)
                .spawn(move || post(address, "in", &body))
                .unwrap()
        })
        .collect();
    for post in posts {
        assert_eq!(post.join().unwrap(), (200, "{\"taken\":4}\n".to_owned()));
    }
    server.stop();
    running.join();
    let mut first: Option<Vec<_>> = None;
    for subscriber in subscribers {
        let (ticks, end) = subscriber.rest();
        assert_eq!(end.as_deref(), Some("end of stream"));
        let all = first.get_or_insert_with(|| ticks.clone());
        assert_eq!(ticks, *all, "all have heard the same");
    }
    let all = first.unwrap();
    assert_eq!(all.len() as u64, 4 * PEERS);
    // Each request is there whole, and its lines in their order.
    assert!(all.chunks(4).all(|four| four[0].n % 4 == 0 && four[3].n == four[0].n + 3));
}

#[test]
fn one_too_many_is_told_to_come_again() {
    let server = serving(Web { connections_max: 3, ..Web::default() });
    let (address, counts) = (server.address(), server.counts());
    let publishing = Publishing { subscribers_max: 2, ..Publishing::default() };
    let running = through(&server, publishing);
    let subscribe = "GET /out/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let two = [Events::of(address, "/out/events"), Events::of(address, "/out/events")];
    let third = say(address, subscribe.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert!(status(&third) == 503 && third.contains("too many subscribers"), "{third}");
    super::world::until_count(&counts, Count::Closed, 1);
    let idle = connected(address);
    super::world::until_count(&counts, Count::Accepted, 4);
    let fourth = say(address, subscribe);
    assert!(status(&fourth) == 503 && fourth.contains("Retry-After: 1"), "{fourth}");
    assert_eq!((counts.get(Count::Refused), counts.get(Count::NotSubscribed)), (1, 1));
    drop((idle, two));
    super::world::until_count(&counts, Count::Closed, 4);
    assert_eq!(post(address, "in", "").0, 200);
    server.stop();
    running.join();
}
