//! A receiver that says what it has, drops what it has had, and comes and goes as it likes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;

use fastrand::Rng;
use millstream::Timestamp;
use millstream::io::{CodecOf, Origin, Seen, Token, codec};
use millstream::sim::{SimListener, SimNetwork, SimStream};

use super::client::{put, words};

/// Whose result it is (a client, or a key), which of his it is, and what it is.
pub type Value = (u32, u32, u32);

/// A result as it is sent.
pub type Shown = (Token, (Origin, Value));

/// The bytes of a result.
pub const RESULT: usize = 32;

type Encode = fn(&Shown, &mut Vec<u8>);
type Decode = fn(&[u8]) -> Result<Shown, String>;

pub fn results() -> CodecOf<Encode, Decode> {
    codec(RESULT, encode as Encode, decode as Decode)
}

fn encode(shown: &Shown, into: &mut Vec<u8>) {
    let (Token { shard, origin, index }, (_, (who, which, what))) = *shown;
    let [low, high] = [origin.sequence as u32, (origin.sequence >> 32) as u32];
    put(&[shard, origin.source, low, high, index, who, which, what], into);
}

fn decode(bytes: &[u8]) -> Result<Shown, String> {
    let [shard, source, low, high, index, who, which, what] = words(bytes)?;
    let sequence = u64::from(high) << 32 | u64::from(low);
    let origin = Origin { source, partition: 0, sequence };
    Ok((Token { shard, origin, index }, (origin, (who, which, what))))
}

/// How a receiver knows a result again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    Token,
    /// By whose it is and which.
    Name,
}

/// A connection, and what has come of it.
struct Line {
    stream: SimStream,
    carry: Vec<u8>,
    results: u64,
    /// What is to be said.
    out: Vec<u8>,
}

/// Somebody who keeps results, whatever crashes elsewhere.
pub struct Receiver {
    rng: Rng,
    listeners: Vec<SimListener>,
    lines: Vec<Line>,
    deaf_until: Timestamp,
    knows: Knows,
    seen: Seen,
    /// By token where it is known by that.
    had: BTreeMap<(u32, u32, u64, u32), Value>,
    /// What came first, in the order in which it came.
    pub kept: Vec<Value>,
    pub again: u64,
    pub halves: u64,
    goes_mad: bool,
}

impl Receiver {
    pub fn new(
        network: &SimNetwork,
        rng: Rng,
        at: &[SocketAddr],
        knows: Knows,
        goes_mad: bool,
    ) -> Self {
        Self {
            rng,
            listeners: at.iter().map(|at| network.listener(*at).unwrap()).collect(),
            lines: Vec::new(),
            deaf_until: Timestamp::MIN,
            knows,
            seen: Seen::default(),
            had: BTreeMap::new(),
            kept: Vec::new(),
            again: 0,
            halves: 0,
            goes_mad,
        }
    }

    pub fn step(&mut self, now: Timestamp) {
        if self.goes_mad && self.rng.u32(..3_000) == 0 {
            self.deaf_until = now.offset(self.rng.i64(..800_000));
        }
        if now < self.deaf_until {
            return;
        }
        for listener in &self.listeners {
            let streams = std::iter::from_fn(|| listener.accept());
            let line = |stream| Line { stream, carry: Vec::new(), results: 0, out: Vec::new() };
            self.lines.extend(streams.map(line));
        }
        for at in (0..self.lines.len()).rev() {
            if !self.serve(at) {
                let line = self.lines.swap_remove(at);
                self.halves += u64::from(!line.carry.is_empty());
            }
        }
        if self.goes_mad && !self.lines.is_empty() && self.rng.u32(..4_000) == 0 {
            let Line { stream, .. } = self.lines.swap_remove(self.rng.usize(..self.lines.len()));
            match self.rng.u32(..3) {
                0 => stream.reset(),
                1 => stream.vanish(),
                _ => drop(stream),
            }
        }
    }

    /// Whether the line is still of use.
    fn serve(&mut self, at: usize) -> bool {
        let mut some = [0; 100];
        let most = self.rng.usize(1..=some.len());
        let line = &mut self.lines[at];
        match line.stream.read(&mut some[..most]) {
            Ok(read @ 1..) => line.carry.extend(&some[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return false,
        }
        let mut whole = 0;
        while self.lines[at].carry.len() - whole >= RESULT {
            let result = decode(&self.lines[at].carry[whole..whole + RESULT]).unwrap();
            whole += RESULT;
            self.lines[at].results += 1;
            self.take(result);
        }
        let line = &mut self.lines[at];
        line.carry.drain(..whole);
        if whole > 0 && line.out.is_empty() {
            line.out.extend(line.results.to_le_bytes());
        }
        match line.stream.write(&line.out) {
            Ok(written) => _ = line.out.drain(..written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        true
    }

    fn take(&mut self, (token, (_, value)): Shown) {
        let Token { shard, origin, index } = token;
        let name = match self.knows {
            Knows::Token => (shard, origin.source, origin.sequence, index),
            Knows::Name => (value.0, value.1, 0, 0),
        };
        let is_new = match self.knows {
            Knows::Token => self.seen.is_new(&token),
            Knows::Name => !self.had.contains_key(&name),
        };
        if is_new {
            assert_eq!(self.had.insert(name, value), None, "{name:?} was taken for new");
            self.kept.push(value);
        } else {
            self.again += 1;
            assert_eq!(self.had.get(&name), Some(&value), "{name:?} was another result");
        }
    }
}
