//! Records from whoever connects.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Framing, Malformed, Polled, Source};
use crate::net::counts::{Count, Counts, Problem};
use crate::net::listener::{Listens, State, Way};
use crate::net::local::Remote;
use crate::net::peer::{Chunk, Decoded, Desk, Peer, counted_end};
use crate::net::rate::Telling;
use crate::net::wire::{Connection, Event, Rung, Shape, Wire};
use crate::time::Timestamp;

/// What happened to sockets, looked at in one step at most.
const EVENTS_MAX: usize = 256;

/// Connections that are taken in, or refused, in one step at most: each is some calls to the
/// system, and those who are there do not wait for a crowd.
const ACCEPTS_MAX: usize = 4;

/// Records of one connection before it is the next one's turn.
const TURN: usize = 64;

/// Connections that are asked in one step how long they have been silent.
const LOOKS: usize = 4;

/// The limits of a [`TcpSource`], on each shard.
#[derive(Clone, Copy, Debug)]
pub struct Receiving {
    /// Connections at a time; one more is closed at once. Each has room for one frame of up to
    /// 16 KiB that comes in pieces; for a longer one it takes memory when the first does.
    pub connections_max: usize,
    /// Buffers that are received into: what has come and is not decoded takes no more. At most
    /// 32768, made up to a power of two.
    pub buffers: u16,
    /// How long each is.
    pub buffer_bytes: usize,
    /// Closes a connection on which nothing comes for so long. `None` keeps it; the kernel's
    /// keep-alive then finds peers that are gone.
    pub idle_max: Option<Duration>,
    /// Closes a connection on which one record takes so long to come.
    pub record_max: Option<Duration>,
    /// Ends the source when so many connections have come and gone, over all shards. `None` never
    /// does; [`Listener::stop`](crate::net::Listener::stop) ends it in any case.
    pub ends_after: Option<u64>,
    /// The best way to serve sockets that is tried.
    pub from: Rung,
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            buffers: 256,
            buffer_bytes: 16 << 10,
            idle_max: None,
            record_max: Some(Duration::from_secs(10)),
            ends_after: None,
            from: Rung::Ring,
        }
    }
}

impl Receiving {
    fn check(&self) -> Result<(), ConfigError> {
        let within = |setting, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(ConfigError::setting(setting, value, format!("must be 1 to {most}"))),
        };
        within("connections_max", self.connections_max, 1 << 20)?;
        within("buffers", self.buffers.into(), 1 << 15)?;
        within("buffer_bytes", self.buffer_bytes, 1 << 24)
    }
}

/// A source of what is sent by whoever connects to a [`Listener`](crate::net::Listener), or to a
/// [`LocalListener`](crate::net::LocalListener).
///
/// The records of one connection keep their order; those of several come as they come. A record's
/// timestamp is when it was decoded: [`event_time`](crate::Stream::event_time) takes another. A
/// record that does not decode is counted and left out, and so is one that its codec skips; where
/// no record can be found any more, the connection is closed. Who wants to know why asks by
/// [`on_problem`](Self::on_problem).
///
/// Nothing is sent back, and what comes cannot come again: wrap it in
/// [`Journalled`](crate::io::journal::Journalled) where a crash must lose none of it.
///
/// ```
/// use std::io::Write;
///
/// use millstream::io::{Lines, codec};
/// use millstream::net::{Listener, Receiving, TcpSource};
/// use millstream::{Config, Shard, Timestamp};
///
/// let listener = Listener::on("127.0.0.1:0".parse().unwrap(), 1)?;
/// let numbers = || codec(
///     20,
///     |number: &u64, into: &mut Vec<u8>| _ = write!(into, "{number}"),
///     |line: &[u8]| match std::str::from_utf8(line).map(str::parse) {
///         Ok(Ok(number)) => Ok(number),
///         _ => Err("not a number".to_owned()),
///     },
/// );
/// let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
/// let (mut shard, mut sums) = Shard::embed(Config::embedded(), |p| {
///     let source = TcpSource::new(p, &listener, Lines::new(20), numbers(), receiving)?;
///     Ok(p.source(source).map(|n: u64| n + 1).output())
/// })?;
///
/// let mut peer = std::net::TcpStream::connect(listener.address()).unwrap();
/// peer.write_all(b"20\nnonsense\n41\n").unwrap();
/// drop(peer);
/// let mut seen = Vec::new();
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     seen.extend(std::iter::from_fn(|| sums.pop()).map(|record| record.value));
///     if shard.is_done() {
///         break;
///     }
/// }
/// assert_eq!(seen, [21, 42]);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct TcpSource<F, C> {
    wire: Wire,
    state: Arc<State>,
    framing: F,
    codec: C,
    limits: Receiving,
    peers: Vec<Peer>,
    chunks: Vec<Chunk>,
    /// Connections that have something to be decoded, or have ended.
    ready: VecDeque<usize>,
    open: usize,
    /// The connection that is next asked how long it has been silent.
    look: usize,
    stopping: bool,
    counts: Counts,
    telling: Telling,
}

impl<F: Framing, C: Codec> TcpSource<F, C> {
    /// Receives what is sent to the listener's socket of this shard.
    ///
    /// # Errors
    /// A limit that cannot be, or what the system said.
    pub fn new(
        p: Pipeline<'_>,
        listener: &impl Listens,
        framing: F,
        codec: C,
        limits: Receiving,
    ) -> Result<Self> {
        limits.check()?;
        listener.check(Way::Publish)?;
        let Receiving { connections_max: slots, buffers, buffer_bytes, from, .. } = limits;
        let buffers = buffers.next_power_of_two();
        let wire = listener.wire(p.shard(), Shape { slots, buffers, buffer_bytes }, from)?;
        let pieces = slots.saturating_mul(Peer::room(framing.frame_max()));
        p.reserve_bytes((usize::from(buffers) * buffer_bytes).saturating_add(pieces));
        Ok(Self {
            wire,
            state: listener.state().clone(),
            framing,
            codec,
            limits,
            peers: (0..slots).map(|_| Peer::new()).collect(),
            chunks: vec![Chunk::default(); buffers.into()],
            ready: VecDeque::with_capacity(slots),
            open: 0,
            look: 0,
            stopping: false,
            counts: Counts::default(),
            telling: Telling::nobody(),
        })
    }

    /// Adds to these counts, which may be those of several shards.
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Tells of every record that is left out and every connection that does not end well. It is
    /// called on the shard's thread, and what it does is part of the step: a hundred times a second
    /// at most, the rest is only counted.
    pub fn on_problem(self, f: impl FnMut(&Problem) + 'static) -> Self {
        Self { telling: Telling::by(f), ..self }
    }

    /// How sockets are served.
    pub fn rung(&self) -> Rung {
        self.wire.rung()
    }

    /// Why they are not served by a better way; none if there is none, or none was wanted.
    pub fn refused(&self) -> Option<&str> {
        self.wire.refused()
    }

    fn on_event(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Accepted(connection) => self.on_accepted(connection, now),
            Event::NotAccepted => self.counts.add(Count::NotAccepted, 1),
            Event::Received { slot, buffer, bytes } => {
                self.counts.add(Count::BytesIn, bytes as u64);
                let chunk = Chunk { start: 0, end: bytes, at: now, next: None };
                self.peers[slot].push(buffer, chunk, &mut self.chunks);
                self.queue(slot);
            }
            Event::Ended { slot, error } => {
                if let Some(end) = self.wire.end_of(slot, error) {
                    self.peers[slot].ended = Some(end);
                    self.queue(slot);
                }
            }
            Event::Sent { .. } | Event::Released { .. } | Event::Writable { .. } => {}
        }
    }

    fn on_accepted(&mut self, connection: Connection, now: Timestamp) {
        let address = Remote::of(&connection);
        if self.stopping {
            return;
        }
        // He may be gone by now.
        let Ok(address) = address else { return self.counts.add(Count::Broken, 1) };
        match self.wire.adopt(connection) {
            Ok(slot) => {
                self.wire.prepare(slot);
                self.counts.add(Count::Accepted, 1);
                self.open += 1;
                self.peers[slot].begin(address, self.framing.frame_max(), now);
                self.wire.receive(slot);
            }
            Err(_) => self.counts.add(Count::Refused, 1),
        }
    }

    fn queue(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.peers[slot].queued, true) {
            self.ready.push_back(slot);
        }
    }

    /// Closes a connection, and says why if that was not as it should be.
    fn close(&mut self, slot: usize, why: Option<Count>, reason: String) {
        let peer = &mut self.peers[slot];
        if let Some(count) = why {
            self.counts.add(count, 1);
            let (peer, offset) = (peer.address, peer.offset);
            self.telling.tell(|| Problem { peer, offset, count, reason });
        }
        peer.clear(&mut self.wire, &self.chunks);
        self.wire.close(slot);
        self.open -= 1;
        self.counts.add(Count::Closed, 1);
        self.state.gone.fetch_add(1, Ordering::AcqRel);
    }

    /// Closes those on which nothing has come for too long.
    fn look_for_silence(&mut self, now: Timestamp) {
        let is_over = |since: Timestamp, most: Option<Duration>| {
            most.is_some_and(|most| now.since(since) >= most.as_nanos() as u64)
        };
        for _ in 0..LOOKS.min(self.peers.len()) {
            let slot = self.look;
            self.look = (slot + 1) % self.peers.len();
            let peer = &self.peers[slot];
            // What waits here is not the peer's silence.
            if !peer.open || peer.queued {
                continue;
            }
            if peer.began.is_some_and(|began| is_over(began, self.limits.record_max)) {
                self.close(slot, Some(Count::Slow), "a record takes too long".to_owned());
            } else if is_over(peer.heard, self.limits.idle_max) {
                self.close(slot, Some(Count::Idle), "nothing comes".to_owned());
            }
        }
    }

    /// Whether nothing more will come.
    fn is_over(&mut self) -> bool {
        let state = &self.state;
        let enough =
            self.limits.ends_after.is_some_and(|most| state.gone.load(Ordering::Acquire) >= most);
        if !self.stopping && (enough || state.stopped.load(Ordering::Acquire)) {
            self.stopping = true;
            self.wire.stop_listening();
            for slot in 0..self.peers.len() {
                if self.peers[slot].open {
                    self.peers[slot].ended.get_or_insert(None);
                    self.queue(slot);
                }
            }
        }
        self.stopping && self.open == 0
    }

    /// Decodes at most `turn` records of one connection; returns how many were given and left out.
    fn take(&mut self, slot: usize, turn: usize, emit: &mut impl FnMut(C::Value)) -> (usize, u32) {
        let Self { wire, framing, codec, peers, chunks, counts, telling, .. } = self;
        let (peer, mut left, mut rejected) = (&mut peers[slot], turn, 0);
        let address = peer.address;
        let mut reject = |malformed: Malformed, offset| {
            rejected += 1;
            let count = Count::Malformed;
            counts.add(count, 1);
            telling.tell(|| {
                let reason = malformed.to_string();
                Problem { peer: address, offset, count, reason }
            });
        };
        let mut desk = Desk { wire, chunks, framing, codec, skipped: 0 };
        let decoded = peer.decode(&mut desk, &mut left, emit, &mut reject);
        let skipped = desk.skipped;
        self.counts.add(Count::Skipped, skipped);
        match decoded {
            Decoded::Cut => self.queue(slot),
            Decoded::Lost(reason) => self.close(slot, Some(Count::Garbage), reason),
            Decoded::All => {
                if let Some(error) = self.peers[slot].ended.take() {
                    let within = self.peers[slot].is_within_a_record();
                    let (why, reason) = counted_end(&error, within);
                    self.close(slot, why, reason);
                }
            }
        }
        (turn - left, rejected)
    }
}

impl<F: Framing, C: Codec> Source for TcpSource<F, C> {
    type Out = C::Value;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<C::Value>),
    ) -> Result<Polled, IoError> {
        let (mut left, mut polled) = (budget, Polled::open());
        let mut each = |value| emit(Record::new(now, value));
        while left > 0
            && let Some(slot) = self.ready.pop_front()
        {
            let peer = &mut self.peers[slot];
            peer.queued = false;
            if !peer.open {
                continue;
            }
            if let Some(came) = peer.came_at(&self.chunks) {
                polled.ingress = Some(polled.ingress.map_or(came, |other| other.min(came)));
            }
            let (done, rejected) = self.take(slot, left.min(TURN), &mut each);
            polled.rejected += rejected;
            left -= done;
        }
        polled.ended = self.is_over();
        Ok(polled)
    }

    fn drive(&mut self, now: Timestamp) -> Result<(), IoError> {
        self.telling.at(now);
        self.wire.drive(now);
        let mut accepts = 0;
        for _ in 0..EVENTS_MAX {
            if accepts == ACCEPTS_MAX {
                break;
            }
            let Some(event) = self.wire.next() else { break };
            accepts += usize::from(matches!(event, Event::Accepted(_)));
            self.on_event(event, now);
        }
        self.counts.add(Count::Calls, self.wire.take_calls());
        self.look_for_silence(now);
        Ok(())
    }
}
