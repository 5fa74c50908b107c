//! Who subscribes gets the latest of what he asks for, and then what comes.

use millstream::web::{Count, HttpSource, Intake, Publishing, Slow, WebSink, Writing};

use super::world::{
    Events, PATIENCE, here, lines, post, posted, run, say, status, through, tick, until_count,
};

#[test]
fn the_latest_of_each_key_comes_first_and_then_what_is_new() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let publishing = Publishing { keys_max: 3, slow: Slow::DropOldest, ..Publishing::default() };
    let running = through(&server, publishing);
    let first = ["C", "A", "B", "A", "D", "C"];
    let ticks = (0..).zip(first).map(|(n, symbol)| tick(symbol, n));
    posted(address, "in", &lines(ticks));
    until_count(&counts, Count::Published, 6);
    // `D` came when three keys were kept.
    assert_eq!(counts.get(Count::NotKept), 1);
    let mut all = Events::of(address, "/out/events");
    let mut some = Events::of(address, "/out/events?keys=B,%20A,A,none");
    let mut one = Events::of(address, "/out/events?key=D");
    assert_eq!([all.next_tick(), all.next_tick()], [tick("A", 3), tick("B", 2)]);
    assert_eq!(all.next_tick(), tick("C", 5));
    assert_eq!([some.next_tick(), some.next_tick()], [tick("A", 3), tick("B", 2)]);
    let next = [tick("D", 6), tick("B", 7), tick("A", 8), tick("D", 9)];
    posted(address, "in", &lines(next));
    for want in next {
        assert_eq!(all.next_tick(), want);
    }
    assert_eq!([some.next_tick(), some.next_tick()], [tick("B", 7), tick("A", 8)]);
    assert_eq!([one.next_tick(), one.next_tick()], [tick("D", 6), tick("D", 9)]);
    server.stop();
    running.join();
    for events in [all, some, one] {
        assert_eq!(events.rest(), (vec![], Some("end of stream".to_owned())));
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_words() {
    let server = here();
    let address = server.address();
    let at = server.clone();
    let running = run(move |p| {
        let numbers = millstream::io::json::Json::<u64>::new(20);
        let source = HttpSource::new(p, &at, "numbers", numbers, Intake::default())?;
        let writing = Writing::by(|n: &u64, text: &mut Vec<u8>| match n {
            0 => panic!("no zero"),
            1 => text.extend([0xff]),
            2 => text.extend(std::iter::repeat_n(b'2', 100)),
            _ => text.extend(format!("{n}\nand\r\nso\ron: event: end\n").bytes()),
        });
        let publishing = Publishing { text_bytes_max: 99, ..Publishing::default() };
        p.source(source).sink(WebSink::new(p, &at, "numbers", writing, publishing)?);
        Ok(())
    });
    let get = |path: &str| {
        say(address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    };
    let keys = get("/numbers/events?keys=A");
    assert!(status(&keys) == 400 && keys.contains("have no keys"), "{keys}");
    let unknown = get("/numbers/events?symbols=A");
    assert!(status(&unknown) == 400 && unknown.contains("`symbols`"), "{unknown}");
    assert_eq!(status(&get("/letters/events")), 404);
    assert_eq!(status(&get("/numbers")), 404);
    assert_eq!(status(&get("/numbers/events/more")), 404);
    assert_eq!(status(&get("/numbers/ws")), 400, "no WebSocket was asked for");

    let mut events = Events::of(address, "/numbers/events");
    events.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(post(address, "numbers", "0\n1\n2\n3").1, "{\"taken\":4}\n");
    // Lines of a text stay lines of one record, whatever ends them.
    assert_eq!(events.next(), Some((String::new(), "3andsoon: event: end".to_owned())));
    server.stop();
    running.join();
    assert_eq!(events.next().unwrap().0, "end");
    assert_eq!(server.counts().get(Count::Unwritable), 3);
}
