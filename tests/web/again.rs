//! A pipeline in the place of another: what the old one still says counts for nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use millstream::io::{Malformed, MemorySource};
use millstream::web::{Answering, Asked, HttpService, Publishing, Request, WebServer, WebSink};
use millstream::web::{Response, Writing};
use millstream::{Config, Record, Shard, Timestamp};

use super::world::{Events, Running, here, lines, post, run, through, tick, ticks_out};

/// Holds the server's thread where it writes a record: what shards say to it has to wait.
struct Held {
    go_on: Sender<()>,
    running: Running,
}

fn hold(server: &WebServer) -> Held {
    let (go_on, may_go_on) = channel::<()>();
    let (says, is_held) = channel();
    let at = server.clone();
    let running = run(move |p| {
        let writing = Writing::by(move |_: &u64, _: &mut Vec<u8>| {
            let _ = says.send(());
            let _ = may_go_on.recv();
        });
        let sink = WebSink::new(p, &at, "held", writing, Publishing::default())?;
        p.source(MemorySource::new(vec![Record::new(Timestamp(0), 7)])).sink(sink);
        Ok(())
    });
    is_held.recv().unwrap();
    Held { go_on, running }
}

impl Held {
    /// Returns when what had to wait has been heard.
    fn let_go(self, server: &WebServer) {
        self.go_on.send(()).unwrap();
        self.running.join();
        (0..3).for_each(|_| assert_eq!(post(server.address(), "nothing", "").0, 404));
    }
}

fn steps(shard: &mut Shard, count: i64) {
    (0..count).for_each(|now| _ = shard.step(Timestamp(now)));
    assert!(shard.failure().is_none());
}

#[test]
fn the_end_of_an_old_stream_is_not_that_of_the_new_one() {
    let server = here();
    let address = server.address();
    let (mut first, input) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input();
        stream.sink(ticks_out(p, &server, Publishing::default())?);
        Ok(input)
    })
    .unwrap();
    let mut events = Events::of(address, "/out/events");

    let held = hold(&server);
    input.close();
    steps(&mut first, 10);
    drop(first);
    let second = through(&server, Publishing::default());
    held.let_go(&server);

    for n in 1..=2 {
        assert_eq!(post(address, "in", &lines([tick("A", n)])).0, 200);
        assert_eq!(events.next_tick(), tick("A", n), "and no end before it");
    }
    server.stop();
    second.join();
    assert_eq!(events.rest(), (vec![], Some("end of stream".to_owned())));
}

fn read(_: &[u8]) -> Result<Asked<()>, Malformed> {
    Ok(Asked::new(()).within(Some(Duration::from_secs(60))))
}

#[test]
fn who_waits_for_an_answer_does_not_lose_it_to_the_end_of_an_old_pipeline() {
    let server = here();
    let address = server.address();
    let answering = Answering { within_max: Duration::from_secs(60), ..Answering::default() };
    let write = |answer: &u64, text: &mut Vec<u8>| text.extend(answer.to_string().bytes());
    let service = HttpService::new(&server, "late", read, write, answering).unwrap();
    let asked = Rc::<Cell<Option<Request<()>>>>::default();
    let (mut first, input) = Shard::embed(Config::embedded(), |p| {
        let (input, none) = p.input::<Response<u64>>();
        none.sink(service.responses(p)?);
        let keeps = asked.clone();
        p.source(service.requests(p)?).for_each(move |record| keeps.set(Some(record.value)));
        Ok(input)
    })
    .unwrap();
    steps(&mut first, 1);
    let asking = std::thread::spawn(move || post(address, "late", "?"));
    let request = loop {
        steps(&mut first, 1);
        if let Some(request) = asked.take() {
            break request;
        }
    };

    let held = hold(&server);
    drop((first, input));
    let (mut second, ()) = Shard::embed(Config::embedded(), |p| {
        let answer = vec![Record::new(Timestamp(0), request.answer(Some(42u64)))];
        p.source(MemorySource::new(answer)).sink(service.responses(p)?);
        Ok(())
    })
    .unwrap();
    held.let_go(&server);
    steps(&mut second, 10);
    assert_eq!(asking.join().unwrap(), (200, "42".to_owned()));
}
