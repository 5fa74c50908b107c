//! Subscribers who ask for keys.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use millstream::io::{Lines, codec};
use millstream::net::{Count, Counts, Listener, Rung, Sending, Slow, TcpSink};
use millstream::{Config, Input, Shard, Timestamp};

use super::world::{RUNGS, connected, here, step};

/// A shard that sends `KEY NUMBER` to whoever subscribes.
struct World {
    shard: Shard,
    input: Input<(char, u32)>,
    outlet: Listener,
    counts: Counts,
    since: std::time::Instant,
}

fn world(rung: Rung, keys_max: usize, slow: Slow) -> World {
    let (outlet, counts) = (here(), Counts::default());
    let lines = codec(
        20,
        |(key, n): &(char, u32), into: &mut Vec<u8>| _ = write!(into, "{key} {n}"),
        |_: &[u8]| Err(String::new()),
    );
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let sending = Sending { from: rung, slow, buffer_bytes: 1 << 16, ..Sending::default() };
        let sink = TcpSink::serve(p, &outlet, Lines::new(20), lines, sending)?;
        let (input, records) = p.input();
        records.sink(sink.counting_into(&counts).keyed(keys_max, |record: &(char, u32)| record.0));
        Ok(input)
    })
    .unwrap();
    World { shard, input, outlet, counts, since: std::time::Instant::now() }
}

impl World {
    fn until(&mut self, is_so: impl Fn(&Counts) -> bool) {
        while !is_so(&self.counts) {
            step(&mut self.shard, self.since);
        }
    }

    fn send(&mut self, records: impl IntoIterator<Item = (char, u32)>) {
        for record in records {
            while self.input.push(Timestamp(1), record).is_err() {
                step(&mut self.shard, self.since);
            }
        }
        for _ in 0..100 {
            step(&mut self.shard, self.since);
        }
    }

    fn subscriber(&mut self, said: &str) -> TcpStream {
        let before = self.counts.get(Count::Accepted);
        let mut stream = connected(self.outlet.address());
        stream.write_all(said.as_bytes()).unwrap();
        self.until(|counts| counts.get(Count::Accepted) > before);
        // What he says is on its way.
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            step(&mut self.shard, self.since);
        }
        stream
    }

    fn end(mut self) -> Counts {
        drop(self.input);
        while !self.shard.is_done() {
            step(&mut self.shard, self.since);
        }
        self.counts
    }
}

fn lines(stream: TcpStream) -> Vec<String> {
    BufReader::new(stream).lines().map(Result::unwrap).collect()
}

#[test]
fn subscribers_get_the_latest_of_their_keys_and_then_what_is_new() {
    for rung in RUNGS {
        let mut world = world(rung, 3, Slow::Disconnect);
        world.send([('C', 1), ('A', 2), ('B', 3), ('A', 4), ('D', 5)]);
        let silent = world.subscriber("");
        let all = world.subscriber("SUBSCRIBE\r\n");
        let mut some = world.subscriber("SUBSCRIBE B, A,");
        some.write_all(b"A,none\n").unwrap();
        let fourth = world.subscriber("SUBSCRIBE D\n");
        world.send([('D', 6), ('A', 7), ('C', 8)]);
        some.write_all(b"SUBSCRIBE C\n").unwrap();
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            step(&mut world.shard, world.since);
        }
        world.send([('A', 9), ('C', 10)]);
        world.end();
        assert_eq!(lines(silent), ["D 6", "A 7", "C 8", "A 9", "C 10"], "{rung}");
        let snapshot = ["A 4", "B 3", "C 1"];
        assert_eq!(lines(all), [&snapshot[..], &["D 6", "A 7", "C 8", "A 9", "C 10"]].concat());
        assert_eq!(lines(some), ["A 4", "B 3", "A 7", "C 8", "C 10"], "{rung}");
        // There were three keys already when it came: it is in no snapshot.
        assert_eq!(lines(fourth), ["D 6"], "{rung}");
    }
}

#[test]
fn what_is_no_subscription_closes_and_is_counted() {
    for rung in RUNGS {
        let mut world = world(rung, 9, Slow::Disconnect);
        let stays = world.subscriber("SUBSCRIBE A\n");
        for said in ["SUBSCRIBED\n", "GET / HTTP/1.1\r\n\r\n", &"x".repeat(5_000)] {
            let before = world.counts.get(Count::Garbage);
            let mut stream = world.subscriber(said);
            world.until(|counts| counts.get(Count::Garbage) > before);
            assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "{rung}");
        }
        world.send([('A', 1), ('B', 2)]);
        assert_eq!(world.end().get(Count::Garbage), 3);
        assert_eq!(lines(stays), ["A 1"], "{rung}");
    }
}

#[test]
fn one_who_wants_little_is_not_slow_and_loses_the_oldest_of_that_if_he_is() {
    const RECORDS: u32 = 400_000;
    for rung in RUNGS {
        let mut world = world(rung, 9, Slow::DropOldest);
        let rare = world.subscriber("SUBSCRIBE R\n");
        let mut slow = world.subscriber("SUBSCRIBE F\n");
        let records = (0..RECORDS).map(|n| (if n % 1_000 == 0 { 'R' } else { 'F' }, n));
        world.send(records);
        let slow = std::thread::spawn(move || {
            let mut heard = String::new();
            slow.read_to_string(&mut heard).unwrap();
            heard
        });
        world.end();
        let want: Vec<_> = (0..RECORDS).step_by(1_000).map(|n| format!("R {n}")).collect();
        assert_eq!(lines(rare), want, "{rung}");
        let heard = slow.join().unwrap();
        let numbers: Vec<u32> =
            heard.lines().map(|line| line.strip_prefix("F ").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{rung}");
        assert_eq!(numbers.last(), Some(&(RECORDS - 1)), "{rung}");
    }
}
