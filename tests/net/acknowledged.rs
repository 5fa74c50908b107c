//! A peer who says what he has: what a connection takes with it comes again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use millstream::io::Fixed;
use millstream::net::{Count, Counts, Sending, TcpSink};
use millstream::{Config, Input, Shard};

use super::world::{PATIENCE, Pair, RUNGS, pairs, step, unfilled};

const FRAME: usize = 16;

/// Connects, reads so many whole frames, says that he has them, and leaves.
fn visit(listener: &TcpListener, frames: usize, says: u64) -> Vec<Pair> {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = vec![0; frames * FRAME];
    stream.read_exact(&mut bytes).unwrap();
    // In two parts, as a network may bring it.
    let said = says.to_le_bytes();
    stream.write_all(&said[..3]).unwrap();
    stream.flush().unwrap();
    stream.write_all(&said[3..]).unwrap();
    heard(&mut stream);
    unfilled(&bytes, FRAME)
}

/// Waits until the other side has had time to read.
fn heard(stream: &mut TcpStream) {
    stream.set_nodelay(true).unwrap();
    std::thread::sleep(Duration::from_millis(50));
}

fn sink(address: std::net::SocketAddr, sending: Sending) -> (Shard, Input<Pair>, Counts) {
    let counts = Counts::default();
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::connect(p, address, Fixed::new(FRAME), pairs(), sending)?;
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts).acknowledged());
        Ok(input)
    })
    .unwrap();
    (shard, input, counts)
}

#[test]
fn what_he_has_not_said_that_he_has_comes_again() {
    for from in RUNGS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sending = Sending { from, ..Sending::default() };
        let (mut shard, mut input, _) = sink(listener.local_addr().unwrap(), sending);
        for n in 0..100 {
            input.push(millstream::Timestamp(0), (7, n)).unwrap();
        }
        input.close();
        let peer = std::thread::spawn(move || {
            let first = visit(&listener, 60, 40);
            // What is said is all that counts: it goes on behind the first 40.
            let second = visit(&listener, 60, 60);
            (first, second)
        });
        let since = Instant::now();
        while !shard.is_done() {
            step(&mut shard, since);
        }
        let (first, second) = peer.join().unwrap();
        assert!(first.iter().copied().eq((0..60).map(|n| (7, n))), "{from}");
        assert!(second.iter().copied().eq((40..100).map(|n| (7, n))), "{from}: {second:?}");
    }
}

#[test]
fn one_who_says_that_he_has_what_he_was_not_sent_is_closed() {
    for from in RUNGS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sending = Sending { from, ..Sending::default() };
        let (mut shard, mut input, counts) = sink(listener.local_addr().unwrap(), sending);
        input.push(millstream::Timestamp(0), (7, 0)).unwrap();
        let peer = std::thread::spawn(move || visit(&listener, 1, 2));
        let since = Instant::now();
        while counts.get(Count::Garbage) == 0 {
            step(&mut shard, since);
        }
        assert_eq!(peer.join().unwrap(), [(7, 0)], "{from}");
    }
}
