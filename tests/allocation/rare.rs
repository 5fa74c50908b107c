//! What happens for the first time long after the warm-up takes no memory either, where how much
//! there may be of it is known beforehand.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};

use millstream::aggregates::{count, max};
use millstream::io::json::Json;
use millstream::io::{Codec, Fixed, Lines, codec};
use millstream::net::{Count, Counts, Datagram, Datagrams, Listener, Sending, TcpSink, UdpSource};
use millstream::{Config, Shard, Sliding, Text, Timestamp, Watermarks, ms, us};

use super::calls;

/// Steps, each a millisecond after the one before.
fn steps(shard: &mut Shard, now: &mut i64, count: usize) {
    for _ in 0..count {
        *now += 1_000_000;
        shard.step(Timestamp(*now));
        assert_eq!(shard.failure().map(ToString::to_string), None);
    }
}

#[test]
fn the_first_record_that_an_asof_join_meets_out_of_order() {
    let (mut shard, (mut trades, mut quotes, mut joined)) = Shard::embed(Config::embedded(), |p| {
        let timed = || Watermarks::bounded_disorder(ms(20));
        let (trades, left) = p.input::<i64>();
        let (quotes, right) = p.input::<i64>();
        let left = left.event_time(|at| Timestamp(*at), timed()).key_by(|_| 1_u32);
        let right = right.event_time(|at| Timestamp(*at), timed()).key_by(|_| 1_u32);
        let joined = left.asof_join(right).select_left(|trade, quote| (*trade, quote.copied()));
        Ok((trades, quotes, joined.output()))
    })
    .unwrap();
    let (mut now, mut found) = (0, 0);
    let mut give = |behind: i64| {
        let at = now - behind;
        quotes.push(Timestamp(at - 5), at - 5).unwrap();
        trades.push(Timestamp(at), at).unwrap();
        steps(&mut shard, &mut now, 1);
        while let Some(record) = joined.pop() {
            assert!(record.value.1.is_some_and(|quote| quote < record.value.0) || found == 0);
            found += 1;
        }
    };
    (0..5_000).for_each(|_| give(0));
    assert_eq!(calls(|| (0..20).for_each(|n| give(n % 3 * 7_000_000))), 0);
    assert!(found > 4_950, "{found} were joined");
}

#[test]
fn the_first_pause_that_is_longer_than_a_window_of_many_slices() {
    let (mut shard, (mut input, mut fired)) = Shard::embed(Config::embedded(), |p| {
        let (input, numbers) = p.input::<i64>();
        let timed = numbers.event_time(|at| Timestamp(*at), Watermarks::bounded_disorder(us(1)));
        let windows = timed.key_by(|at| at % 7).window(Sliding::of(ms(60)).every(ms(1)));
        Ok((input, windows.aggregate((count(), max(|at: &i64| *at))).output()))
    })
    .unwrap();
    let (mut now, mut windows) = (0, 0);
    let mut run = |records: usize, pause: i64| {
        now += pause;
        for _ in 0..records {
            input.push(Timestamp(now), now).unwrap();
            steps(&mut shard, &mut now, 1);
            while fired.pop().is_some() {
                windows += 1;
            }
        }
    };
    run(2_000, 0);
    assert_eq!(calls(|| run(100, 1_000_000_000)), 0);
    assert!(windows > 7 * 1_900, "{windows} fired");
}

/// Numbers as lines of text.
fn numbers() -> impl Codec<Value = u64> {
    let encode = |number: &u64, into: &mut Vec<u8>| _ = write!(into, "{number}");
    codec(20, encode, |_: &[u8]| Err("nobody is listened to".to_owned()))
}

#[test]
fn a_key_whose_latest_line_gets_longer() {
    let (listener, counts) =
        (Listener::on("127.0.0.1:0".parse().unwrap(), 1).unwrap(), Counts::default());
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::serve(p, &listener, Lines::new(20), numbers(), Sending::default())?;
        let (input, stream) = p.input();
        stream.sink(sink.keyed(10, |n: &u64| n % 10).counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    let _subscriber = TcpStream::connect(listener.address()).unwrap();
    let mut now = 0;
    while counts.get(Count::Accepted) == 0 {
        steps(&mut shard, &mut now, 1);
    }
    let mut give = |number: u64| {
        input.push(Timestamp(now), number).unwrap();
        steps(&mut shard, &mut now, 1);
    };
    (0..1_000).for_each(|n| give(n % 10));
    assert_eq!(calls(|| [17, 117, 123_456_787].into_iter().for_each(&mut give)), 0);
}

#[test]
fn the_first_text_of_json_with_an_escape() {
    let mut records = Json::<Text<16>>::new(100);
    let mut read = |line: &[u8]| records.decode(line).unwrap().unwrap();
    assert_eq!(read(br#""MSFT""#), "MSFT");
    let mut escaped = Text::<16>::default();
    assert_eq!(calls(|| escaped = read(br#""a\tb\u00e9""#)), 0);
    assert_eq!(escaped, "a\tb\u{e9}");
}

#[test]
fn the_first_datagram_that_is_none() {
    let (datagrams, counts) =
        (Datagrams::at("127.0.0.1:0".parse().unwrap()).unwrap(), Counts::default());
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let eight = || {
            codec(
                8,
                |_: &u64, _: &mut Vec<u8>| {},
                |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| String::new()),
            )
        };
        let source = UdpSource::new(p, &datagrams, Fixed::new(8), eight(), Datagram::default())?;
        p.source(source.counting_into(&counts)).for_each(drop);
        Ok(())
    })
    .unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut now = 0;
    let mut send = |bytes: usize, count: Count| {
        let before = counts.get(count);
        socket.send_to(&vec![7; bytes], datagrams.address()).unwrap();
        calls(|| {
            while counts.get(count) == before {
                steps(&mut shard, &mut now, 1);
            }
        })
    };
    (0..100).for_each(|_| _ = send(80, Count::BytesIn));
    assert_eq!(send(81, Count::CutShort), 0, "cut short");
    assert_eq!(send(60_000, Count::TooLong), 0, "too long");
}
