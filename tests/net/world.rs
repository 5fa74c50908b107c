//! What the tests share: numbers as records, shards that are stepped, peers that are threads.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use millstream::io::{Codec, Fixed, Framing, LengthPrefixed, codec};
use millstream::net::{Counts, Listener, Problem, Receiving, Rung, Sending, TcpSink, TcpSource};
use millstream::{Config, Input, Shard, Timestamp};

pub const RUNGS: [Rung; 3] = [Rung::Ring, Rung::PlainRing, Rung::Epoll];

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A pair of numbers: who sends it, and which of his it is.
pub type Pair = (u32, u32);

pub fn pairs() -> impl Codec<Value = Pair> {
    codec(
        8,
        |pair: &Pair, into: &mut Vec<u8>| {
            into.extend(pair.0.to_le_bytes());
            into.extend(pair.1.to_le_bytes());
        },
        |bytes: &[u8]| match bytes.split_first_chunk() {
            Some((who, which)) if which.len() == 4 => {
                let which = which.try_into().map_err(|_| "too long")?;
                Ok((u32::from_le_bytes(*who), u32::from_le_bytes(which)))
            }
            _ => Err(format!("{} bytes", bytes.len())),
        },
    )
}

/// Pairs behind their length.
pub fn framed(pairs: impl IntoIterator<Item = Pair>) -> Vec<u8> {
    let (mut framing, mut codec, mut bytes) = (LengthPrefixed::new(8), self::pairs(), Vec::new());
    for pair in pairs {
        let from = bytes.len();
        framing.begin(&mut bytes);
        codec.encode(&pair, &mut bytes);
        framing.end(&mut bytes, from);
    }
    bytes
}

pub fn here() -> Listener {
    Listener::on("127.0.0.1:0".parse().unwrap(), 1).unwrap()
}

pub fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What a source gave, and what it said.
#[allow(dead_code)]
pub struct Heard {
    pub shard: Shard,
    pub records: Rc<RefCell<Vec<Pair>>>,
    pub problems: Rc<RefCell<Vec<Problem>>>,
    pub counts: Counts,
    pub rung: Rung,
    since: Instant,
}

/// A shard that only keeps what comes.
pub fn hear(listener: &Listener, framing: impl Framing, receiving: Receiving) -> Heard {
    let (records, problems): (Rc<RefCell<Vec<_>>>, Rc<RefCell<Vec<_>>>) = Default::default();
    let (kept, told, counts) = (records.clone(), problems.clone(), Counts::default());
    let (shard, rung) = Shard::embed(Config::embedded(), |p| {
        let source = TcpSource::new(p, listener, framing, pairs(), receiving)?
            .counting_into(&counts)
            .on_problem(move |problem| told.borrow_mut().push(problem.clone()));
        let rung = source.rung();
        p.source(source).for_each(move |record| kept.borrow_mut().push(record.value));
        Ok(rung)
    })
    .unwrap();
    Heard { shard, records, problems, counts, rung, since: Instant::now() }
}

impl Heard {
    /// Steps until something is so.
    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.step();
        }
    }

    /// One step, at the time that has passed.
    pub fn step(&mut self) {
        step(&mut self.shard, self.since);
    }
}

/// A shard that sends what is pushed into it to everybody who connects, each pair in a frame of so
/// many bytes.
#[allow(dead_code)]
pub struct Sends {
    pub shard: Shard,
    pub input: Option<Input<Pair>>,
    pub counts: Counts,
    pub address: SocketAddr,
    pub sends_uncopied: bool,
    pub refused: Option<String>,
    pub rung: Rung,
    since: Instant,
}

pub fn send(frame: usize, sending: Sending) -> Sends {
    let (listener, counts) = (here(), Counts::default());
    let (shard, (input, told)) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::serve(p, &listener, Fixed::new(frame), pairs(), sending)?;
        let told = (sink.sends_uncopied(), sink.refused(), sink.rung());
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts));
        Ok((input, told))
    })
    .unwrap();
    let (address, input, since) = (listener.address(), Some(input), Instant::now());
    let (sends_uncopied, refused, rung) = told;
    Sends { shard, input, counts, address, sends_uncopied, refused, rung, since }
}

impl Sends {
    /// Takes a pair in, if there is room.
    pub fn push(&mut self, pair: Pair) -> bool {
        self.input.as_mut().is_some_and(|input| input.push(Timestamp(0), pair).is_ok())
    }

    /// Pushes these pairs, stepping where there is no room.
    pub fn push_all(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        for pair in pairs {
            while !self.push(pair) {
                self.step();
            }
        }
    }

    /// Steps until something is so.
    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.step();
        }
    }

    /// Ends the stream, steps until it is over, and closes every connection.
    pub fn end(mut self) -> Counts {
        self.input = None;
        self.until(|it| it.shard.is_done());
        self.counts
    }

    pub fn step(&mut self) {
        step(&mut self.shard, self.since);
    }
}

/// Pairs in frames of so many bytes, filled up with zeros; the last frame may be cut.
pub fn unfilled(bytes: &[u8], frame: usize) -> Vec<Pair> {
    let mut codec = pairs();
    let frames = bytes.chunks_exact(frame);
    frames
        .map(|frame| {
            assert!(frame[8..].iter().all(|byte| *byte == 0), "a frame that is not whole");
            codec.decode(&frame[..8]).unwrap().unwrap()
        })
        .collect()
}

/// One step; the test fails where it takes too long, or on an error.
pub fn step(shard: &mut Shard, since: Instant) {
    let now = since.elapsed();
    assert!(now < PATIENCE, "it does not come");
    if shard.step(Timestamp(now.as_nanos() as i64)).is_none() {
        std::thread::sleep(Duration::from_micros(50));
    }
    assert_eq!(shard.failure().map(ToString::to_string), None);
}

/// All that a peer is sent until its end.
pub fn all_pairs(mut stream: TcpStream) -> Vec<Pair> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    unframed(&bytes)
}

/// The pairs of whole frames.
pub fn unframed(bytes: &[u8]) -> Vec<Pair> {
    let mut codec = pairs();
    let frames = bytes.chunks_exact(12);
    assert!(frames.remainder().is_empty(), "it ends within a frame");
    frames
        .map(|frame| {
            assert_eq!(frame[..4], [8, 0, 0, 0]);
            codec.decode(&frame[4..]).unwrap().unwrap()
        })
        .collect()
}

/// Sends bytes in pieces of all lengths.
pub fn send_in_pieces(stream: &mut TcpStream, mut bytes: &[u8], seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(rng.usize(1..=bytes.len().min(3000)));
        stream.write_all(piece).unwrap();
        bytes = rest;
    }
}
