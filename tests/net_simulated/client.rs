//! A client that sends orders until it is told that they are durable, and again those of which it
//! is not told.

use std::io::ErrorKind;
use std::net::SocketAddr;

use fastrand::Rng;
use millstream::Timestamp;
use millstream::io::{Codec, Fixed, codec};
use millstream::sim::{SimNetwork, SimStream};
use serde::{Deserialize, Serialize};

/// What is sent: an order, by number from 1 of each client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    pub client: u32,
    pub number: u32,
    pub key: u32,
    pub value: u32,
}

/// The bytes of an order behind its length.
const ORDER: usize = 16;

/// The bytes of an acknowledgement: a client, and up to which number all is durable.
pub const ACK: usize = 8;

pub fn words<const N: usize>(bytes: &[u8]) -> Result<[u32; N], String> {
    let mut words = [0; N];
    if bytes.len() != 4 * N {
        return Err(format!("{} bytes, not {}", bytes.len(), 4 * N));
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap());
    }
    Ok(words)
}

pub fn put(words: &[u32], into: &mut Vec<u8>) {
    words.iter().for_each(|word| into.extend(word.to_le_bytes()));
}

/// An order carries what it is made of twice over, so that a wrong one does not decode.
pub fn orders() -> impl Codec<Value = Order> {
    codec(
        ORDER + 4,
        |order: &Order, into: &mut Vec<u8>| {
            let Order { client, number, key, value } = *order;
            put(&[client, number, key, value, check(order)], into);
        },
        |bytes: &[u8]| {
            let [client, number, key, value, told] = words(bytes)?;
            let order = Order { client, number, key, value };
            if told == check(&order) { Ok(order) } else { Err(format!("no order: {order:?}")) }
        },
    )
}

fn check(order: &Order) -> u32 {
    let Order { client, number, key, value } = *order;
    [client, number, key, value].iter().fold(17, |sum: u32, it| sum.wrapping_mul(31) ^ it)
}

pub fn acks() -> impl Codec<Value = (u32, u32)> {
    codec(
        ACK,
        |ack: &(u32, u32), into: &mut Vec<u8>| put(&[ack.0, ack.1], into),
        |bytes: &[u8]| words(bytes).map(|[client, number]| (client, number)),
    )
}

pub fn ack_frames() -> Fixed {
    Fixed::new(ACK)
}

/// After so long without word it connects anew and sends again.
const PATIENCE_NS: u64 = 2_000_000;

/// Orders that it sends without word of them.
const AHEAD: u32 = 40;

/// Somebody who sends orders.
pub struct Client {
    network: SimNetwork,
    rng: Rng,
    server: SocketAddr,
    orders: Vec<Order>,
    /// All up to this number are durable, so it was told.
    acked: u32,
    /// The next to be sent, and when there was word last.
    next: u32,
    heard: Timestamp,
    stream: Option<SimStream>,
    /// What is encoded and not written.
    out: Vec<u8>,
    /// Where it is told, and what has come there.
    desks: Vec<(SocketAddr, Option<SimStream>, Vec<u8>)>,
    /// How often it connected.
    pub calls: u32,
    goes_mad: bool,
}

impl Client {
    pub fn new(
        network: &SimNetwork,
        rng: Rng,
        server: SocketAddr,
        desks: &[SocketAddr],
        orders: Vec<Order>,
        goes_mad: bool,
    ) -> Self {
        Self {
            network: network.clone(),
            rng,
            server,
            orders,
            acked: 0,
            next: 1,
            heard: Timestamp::MIN,
            stream: None,
            out: Vec::new(),
            desks: desks.iter().map(|at| (*at, None, Vec::new())).collect(),
            calls: 0,
            goes_mad,
        }
    }

    /// Whether all that it has to say is durable.
    pub fn is_done(&self) -> bool {
        self.acked as usize == self.orders.len()
    }

    pub fn step(&mut self, now: Timestamp) {
        self.hear_acks(now);
        if self.is_done() {
            self.stream = None;
            return;
        }
        if now.since(self.heard) > PATIENCE_NS {
            self.hang_up();
        }
        if self.stream.is_none() {
            self.stream = Some(self.network.call(self.server));
            (self.next, self.heard) = (self.acked + 1, now);
            self.out.clear();
            self.calls += 1;
        }
        if self.rng.u32(..4) == 0 {
            self.send();
        }
    }

    /// Leaves in one of the ways that there are.
    fn hang_up(&mut self) {
        let Some(stream) = self.stream.take() else { return };
        match self.rng.u32(..4) {
            0 => stream.reset(),
            1 => stream.vanish(),
            _ => drop(stream),
        }
    }

    fn send(&mut self) {
        let batch = self.rng.u32(1..5);
        while self.out.len() < 64
            && self.next as usize <= self.orders.len()
            && self.next < (self.acked + AHEAD).min(self.next + batch)
        {
            self.out.extend((ORDER as u32 + 4).to_le_bytes());
            orders().encode(&self.orders[self.next as usize - 1], &mut self.out);
            self.next += 1;
        }
        let most = self.rng.usize(..=self.out.len());
        let Some(stream) = &mut self.stream else { return };
        let written = stream.write(&self.out[..most]);
        let read = stream.read(&mut [0; 8]);
        match (written, read) {
            (Ok(written), Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.out.drain(..written);
            }
            (Err(written), Err(read))
                if [written.kind(), read.kind()] == [ErrorKind::WouldBlock; 2] => {}
            _ => self.stream = None,
        }
        if self.goes_mad && self.rng.u32(..300) == 0 {
            self.hang_up();
        }
    }

    fn hear_acks(&mut self, now: Timestamp) {
        for (at, stream, said) in &mut self.desks {
            let desk = stream.get_or_insert_with(|| self.network.call(*at));
            let mut some = [0; 33];
            match desk.read(&mut some) {
                Ok(read @ 1..) => said.extend(&some[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                _ => {
                    *stream = None;
                    said.clear();
                }
            }
            while said.len() >= ACK {
                let [client, number] = words(&said[..ACK]).unwrap();
                said.drain(..ACK);
                if client == self.orders[0].client && number > self.acked {
                    assert!(number < self.next.max(self.acked + 2 + AHEAD), "not sent: {number}");
                    (self.acked, self.heard) = (number, now);
                }
            }
        }
    }
}
