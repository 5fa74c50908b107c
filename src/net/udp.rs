//! Records from datagrams.

use std::collections::VecDeque;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Framing, Malformed, Polled, Source};
use crate::net::came::Came;
use crate::net::counts::{Count, Counts, Problem};
use crate::net::datagrams::Datagrams;
use crate::net::local::Remote;
use crate::net::rate::Telling;
use crate::net::stamp::{self, Stamps};
use crate::net::udp_sink::LONGEST;
use crate::net::wire::{Event, Rung, Shape, Wire};
use crate::time::Timestamp;

/// What happened to the socket, looked at in one step at most.
const EVENTS_MAX: usize = 256;

/// How often the kernel is asked how many datagrams it has dropped.
const ASK_EVERY_NS: u64 = 100_000_000;

/// The limits of a [`UdpSource`].
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The longest that is taken; a longer one is counted and left out.
    pub bytes_max: usize,
    /// Datagrams that are taken before they are decoded; others wait in the kernel. At most 32768,
    /// made up to a power of two.
    pub buffers: u16,
    /// The best way to serve sockets that is tried.
    pub from: Rung,
}

impl Default for Datagram {
    fn default() -> Self {
        Self { bytes_max: 1_500, buffers: 1_024, from: Rung::Ring }
    }
}

/// A source of what is in the datagrams that come to an address or a multicast group. The first
/// shard reads them.
///
/// A datagram holds any number of whole records. One that does not decode is counted and left out,
/// and so is what follows where no record can be found. What the kernel had no room for is lost,
/// and counted ([`Count::Lost`]); nothing tells of what the network has lost.
///
/// ```
/// use millstream::io::{Lines, codec};
/// use millstream::net::{Datagram, Datagrams, UdpSource};
/// use millstream::{Config, Shard, Timestamp};
///
/// let datagrams = Datagrams::at("127.0.0.1:0".parse().unwrap())?;
/// let bytes = codec(80, |_: &usize, _: &mut Vec<u8>| {}, |line: &[u8]| Ok(line.len()));
/// let (mut shard, mut lengths) = Shard::embed(Config::embedded(), |p| {
///     let source = UdpSource::new(p, &datagrams, Lines::new(80), bytes, Datagram::default())?;
///     Ok(p.source(source).output())
/// })?;
/// let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// peer.send_to(b"one\nthree\n", datagrams.address()).unwrap();
/// let mut seen = Vec::new();
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     seen.extend(std::iter::from_fn(|| lengths.pop()).map(|record| record.value));
///     if seen.len() == 2 {
///         break;
///     }
/// }
/// assert_eq!(seen, [3, 5]);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct UdpSource<F, C> {
    wire: Wire,
    slot: Option<usize>,
    datagrams: Datagrams,
    framing: F,
    codec: C,
    bytes_max: usize,
    /// What came and is not decoded.
    came: VecDeque<Came>,
    /// Bytes of all datagrams before the one that is decoded.
    offset: u64,
    /// When the kernel is asked next what it has dropped, and what it said last.
    ask_at: Timestamp,
    dropped: u64,
    /// Whose clock says when a datagram was received; none is the step's.
    stamps: Option<Stamps>,
    begun: bool,
    counts: Counts,
    telling: Telling,
}

impl<F: Framing, C: Codec> UdpSource<F, C> {
    /// Receives what comes.
    ///
    /// # Errors
    /// A limit that cannot be, or what the system said.
    pub fn new(
        p: Pipeline<'_>,
        datagrams: &Datagrams,
        framing: F,
        codec: C,
        limits: Datagram,
    ) -> Result<Self> {
        let Datagram { bytes_max, buffers, from } = limits;
        if !(1..=LONGEST).contains(&bytes_max) || !(1..=1 << 15).contains(&buffers) {
            let reason = "a datagram has 1 to 65507 bytes, and there are 1 to 32768 buffers";
            let value = format!("{bytes_max} bytes, {buffers} buffers");
            return Err(ConfigError::setting("datagram", value, reason).into());
        }
        let failed = |cause| IoError::new("receive at", datagrams.address().to_string(), cause);
        // A byte more than is taken: one that fills it was longer.
        let buffer_bytes = (stamp::START + bytes_max + 1).next_multiple_of(64);
        let buffers = buffers.next_power_of_two();
        let shape = Shape { slots: 1, buffers, buffer_bytes };
        let (wire, slot) = datagrams.wire(shape, from, p.shard() == 0).map_err(failed)?;
        if slot.is_some() {
            p.reserve_bytes(usize::from(buffers) * buffer_bytes);
        }
        Ok(Self {
            wire,
            slot,
            datagrams: datagrams.clone(),
            framing,
            codec,
            bytes_max,
            came: VecDeque::with_capacity(buffers.into()),
            offset: 0,
            ask_at: Timestamp::MIN,
            dropped: 0,
            stamps: None,
            begun: false,
            counts: Counts::default(),
            telling: Telling::nobody(),
        })
    }

    /// Adds to these counts.
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Tells of everything that is left out, with its place in all bytes that came. It is called on
    /// the shard's thread, and what it does is part of the step.
    pub fn on_problem(self, f: impl FnMut(&Problem) + 'static) -> Self {
        Self { telling: Telling::by(f), ..self }
    }

    /// Takes for the timestamp of a record, and for when it came in, when the kernel or the network
    /// card has received its datagram, by the host's clock of the day, instead of when the shard
    /// saw it. Where there is no such stamp it is the shard's.
    ///
    /// # Errors
    /// What the system said: it does not stamp.
    pub fn stamped(self, stamps: Stamps) -> Result<Self> {
        let failed = |cause| IoError::new("stamp at", self.datagrams.address().to_string(), cause);
        self.datagrams.ask_for_stamps(stamps).map_err(failed)?;
        Ok(Self { stamps: Some(stamps), ..self })
    }

    /// How the socket is served.
    pub fn rung(&self) -> Rung {
        self.wire.rung()
    }

    fn tell(&mut self, at: usize, count: Count, malformed: Malformed) {
        self.counts.add(count, 1);
        let Self { telling, datagrams, offset, .. } = self;
        telling.tell(|| {
            let reason = malformed.to_string();
            let peer = Remote::Anybody(datagrams.address());
            Problem { peer, offset: *offset + at as u64, count, reason }
        });
    }

    /// Decodes at most `left` records of a datagram; returns whether it is over.
    fn take(
        &mut self,
        came: &mut Came,
        left: &mut usize,
        rejected: &mut u32,
        emit: &mut impl FnMut(C::Value),
    ) -> bool {
        let Self { wire, framing, codec, counts, telling, datagrams, offset, stamps, .. } = self;
        let begins = if stamps.is_some() { stamp::START } else { 0 };
        let mut reject = |at: usize, count, malformed: Malformed| {
            *rejected += 1;
            counts.add(count, 1);
            telling.tell(|| {
                let peer = Remote::Anybody(datagrams.address());
                let offset = *offset + (at - begins) as u64;
                Problem { peer, offset, count, reason: malformed.to_string() }
            });
        };
        let bytes = wire.received(came.buffer, came.end);
        let mut each = |value: Option<C::Value>| match value {
            Some(value) => emit(value),
            None => counts.add(Count::Skipped, 1),
        };
        came.take(bytes, (framing, codec), left, &mut each, &mut reject)
    }

    /// Takes a datagram in that begins at `start` of its buffer.
    fn on_received(&mut self, buffer: u16, start: usize, end: usize, at: Timestamp) {
        if end - start > self.bytes_max {
            self.tell(0, Count::TooLong, "a datagram that is too long".into());
        }
        if start == end || end - start > self.bytes_max {
            return self.wire.give_back(buffer);
        }
        self.counts.add(Count::BytesIn, (end - start) as u64);
        self.came.push_back(Came { buffer, start, end, at, is_new: true, skip: 0, records: None });
    }

    fn on_event(&mut self, event: Event, now: Timestamp) {
        match (event, self.stamps) {
            (Event::Received { buffer, bytes, .. }, None) => {
                self.on_received(buffer, 0, bytes, now);
            }
            (Event::Received { buffer, bytes, .. }, Some(stamps)) => {
                let stamp = stamp::read(self.wire.received(buffer, bytes), stamps);
                if let Some(dropped) = stamp.dropped {
                    self.on_dropped(dropped.into());
                }
                let start = stamp::START.min(bytes);
                self.on_received(buffer, start, bytes, stamp.at.unwrap_or(now));
            }
            // An empty one, or an error that says something about one that was sent.
            (Event::Ended { slot, .. }, _) => self.wire.receive(slot),
            _ => {}
        }
    }

    /// So many were dropped in all.
    fn on_dropped(&mut self, dropped: u64) {
        self.counts.add(Count::Lost, dropped.saturating_sub(self.dropped));
        self.dropped = self.dropped.max(dropped);
    }

    fn ask_for_drops(&mut self, now: Timestamp) {
        if now < self.ask_at || self.slot.is_none() {
            return;
        }
        self.ask_at = now.offset(ASK_EVERY_NS as i64);
        if let Some(dropped) = self.datagrams.dropped() {
            self.on_dropped(dropped);
        }
    }
}

impl<F: Framing, C: Codec> Source for UdpSource<F, C> {
    type Out = C::Value;

    fn partitions(&self) -> usize {
        usize::from(self.slot.is_some())
    }

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<C::Value>),
    ) -> std::result::Result<Polled, IoError> {
        let (mut left, mut polled) = (budget, Polled::open());
        let is_stamped = self.stamps.is_some();
        while left > 0
            && let Some(mut came) = self.came.pop_front()
        {
            let (came_in, at) = came.times(now, is_stamped);
            polled.ingress = Some(polled.ingress.map_or(came_in, |other| other.min(came_in)));
            let mut each = |value| emit(Record::new(at, value));
            if self.take(&mut came, &mut left, &mut polled.rejected, &mut each) {
                self.wire.give_back(came.buffer);
                let begins = if is_stamped { stamp::START } else { 0 };
                self.offset += (came.end - begins) as u64;
            } else {
                self.came.push_front(came);
            }
        }
        polled.ended = self.came.is_empty() && self.datagrams.is_stopped();
        if polled.ended {
            self.ask_at = now;
            self.ask_for_drops(now);
        }
        Ok(polled)
    }

    fn drive(&mut self, now: Timestamp) -> std::result::Result<(), IoError> {
        self.telling.at(now);
        if let (Some(slot), false) = (self.slot, std::mem::replace(&mut self.begun, true)) {
            match self.stamps {
                Some(_) => self.wire.receive_stamped(slot),
                None => self.wire.receive(slot),
            }
        }
        self.wire.drive(now);
        for _ in 0..EVENTS_MAX {
            let Some(event) = self.wire.next() else { break };
            self.on_event(event, now);
        }
        self.counts.add(Count::Calls, self.wire.take_calls());
        self.ask_for_drops(now);
        Ok(())
    }
}
