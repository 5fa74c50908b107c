//! Records from datagrams that come by several lines.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Framing, Malformed, Polled, Source};
use crate::net::arbiter::{Arbiter, Arbitration, Next, Notice, Sequence, Why};
use crate::net::came::Came;
use crate::net::counts::{Count, Counts, Problem};
use crate::net::datagrams::Datagrams;
use crate::net::line_counts::LineCounts;
use crate::net::local::Remote;
use crate::net::rate::Telling;
use crate::net::stamp::{self, Stamps};
use crate::net::udp::Datagram;
use crate::net::udp_sink::LONGEST;
use crate::net::wire::{Event, Shape, Wire};
use crate::time::Timestamp;

/// What happened to a socket, looked at in one step at most.
const EVENTS_MAX: usize = 256;

/// How often the kernel is asked how many datagrams it has dropped.
const ASK_EVERY_NS: u64 = 100_000_000;

/// A source of what comes by several lines that carry the same numbered datagrams, as exchanges
/// send them, so that what one loses the other brings. The first shard reads them.
///
/// Each record is given once and in order, by whichever line brings it first. What is missing is
/// waited for as [`Arbitration`] says, and then told as lost by [`on_notice`](Self::on_notice) and
/// counted in [`LineCounts`]; nobody is asked for it again. What waits stays in the buffers that it
/// was received into: at most half of those of one line, and then the oldest gap is given up. What
/// has come is a header, which [`Sequence`] reads, and records as of [`UdpSource`].
///
/// [`UdpSource`]: crate::net::UdpSource
///
/// ```
/// use millstream::io::{Fixed, codec};
/// use millstream::net::{Arbitration, Datagram, Datagrams, LineCounts, Place, UdpLines};
/// use millstream::{Config, Shard, Timestamp};
///
/// let here = || Datagrams::at("127.0.0.1:0".parse().unwrap());
/// let lines = [here()?, here()?];
/// let counts = LineCounts::of(2);
/// let (mut shard, mut output) = Shard::embed(Config::embedded(), |p| {
///     let header = |datagram: &[u8]| match datagram {
///         [first, count, ..] => Ok(Place {
///             session: 0,
///             first: (*first).into(),
///             count: (*count).into(),
///             header: 2,
///         }),
///         _ => Err("no header".to_owned()),
///     };
///     let bytes = codec(1, |n: &u8, to: &mut Vec<u8>| to.push(*n), |bytes: &[u8]| Ok(bytes[0]));
///     let (rules, limits) = (Arbitration::default(), Datagram::default());
///     let source = UdpLines::new(p, &lines, header, (Fixed::new(1), bytes), limits, rules)?;
///     Ok(p.source(source.counting_lines_into(&counts)).output())
/// })?;
/// let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// // The second of the three is lost on the first line.
/// peer.send_to(&[1, 2, b'a', b'b'], lines[0].address()).unwrap();
/// peer.send_to(&[4, 1, b'd'], lines[0].address()).unwrap();
/// peer.send_to(&[1, 2, b'a', b'b'], lines[1].address()).unwrap();
/// peer.send_to(&[3, 1, b'c'], lines[1].address()).unwrap();
/// let mut seen = Vec::new();
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     seen.extend(std::iter::from_fn(|| output.pop()).map(|record| record.value));
///     if seen.len() == 4 {
///         break;
///     }
/// }
/// assert_eq!((seen, counts.lost()), (b"abcd".to_vec(), 0));
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct UdpLines<S, F, C> {
    /// None on other shards than the first.
    lines: Vec<Line>,
    sequence: S,
    framing: F,
    codec: C,
    bytes_max: usize,
    rules: Arbitration,
    held_max: usize,
    arbiter: Arbiter<Token>,
    /// What is to be decoded, in order.
    ready: VecDeque<(Token, Came)>,
    ask_at: Timestamp,
    stamps: Option<Stamps>,
    begun: bool,
    counts: Counts,
    telling: Telling,
    on_notice: Option<Box<dyn FnMut(&Notice)>>,
}

/// One line.
struct Line {
    wire: Wire,
    slot: usize,
    datagrams: Datagrams,
    /// Bytes that came by it, and drops that were counted.
    offset: u64,
    dropped: u64,
}

/// A datagram that is in a buffer of a line.
#[derive(Clone, Copy, Debug)]
struct Token {
    line: usize,
    buffer: u16,
    start: usize,
    end: usize,
    at: Timestamp,
    /// Where what follows the header is among all bytes of the line.
    offset: u64,
}

impl Line {
    fn new(datagrams: &Datagrams, shape: Shape, limits: &Datagram) -> std::io::Result<Self> {
        let (wire, slot) = datagrams.wire(shape, limits.from, true)?;
        let slot = slot.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { wire, slot, datagrams: datagrams.clone(), offset: 0, dropped: 0 })
    }
}

impl<S: Sequence, F: Framing, C: Codec> UdpLines<S, F, C> {
    /// Receives what comes by these lines, 1 to 64, each within these limits.
    ///
    /// # Errors
    /// A limit that cannot be, or what the system said.
    pub fn new(
        p: Pipeline<'_>,
        lines: &[Datagrams],
        sequence: S,
        (framing, codec): (F, C),
        limits: Datagram,
        rules: Arbitration,
    ) -> Result<Self> {
        let Datagram { bytes_max, buffers, .. } = limits;
        let is_so = (1..=LONGEST).contains(&bytes_max) && (2..=1 << 15).contains(&buffers);
        if !is_so || !(1..=64).contains(&lines.len()) || rules.window == 0 {
            let reason = "there are 1 to 64 lines, 2 to 32768 buffers of each, a window, and a \
                          datagram has 1 to 65507 bytes";
            let value = format!("{bytes_max} bytes, {buffers} buffers, {} lines", lines.len());
            return Err(ConfigError::setting("lines", value, reason).into());
        }
        let buffers = buffers.next_power_of_two();
        // A byte more than is taken: one that fills it was longer.
        let buffer_bytes = (stamp::START + bytes_max + 1).next_multiple_of(64);
        let shape = Shape { slots: 1, buffers, buffer_bytes };
        let mut own = Vec::with_capacity(lines.len());
        for datagrams in lines.iter().filter(|_| p.shard() == 0) {
            let failed = |cause| IoError::new("receive at", datagrams.address().to_string(), cause);
            own.push(Line::new(datagrams, shape, &limits).map_err(failed)?);
            p.reserve_bytes(usize::from(buffers) * buffer_bytes);
        }
        let held_max = usize::from(buffers) / 2;
        Ok(Self {
            ready: VecDeque::with_capacity(own.len() * usize::from(buffers)),
            lines: own,
            sequence,
            framing,
            codec,
            bytes_max,
            rules,
            held_max,
            arbiter: Arbiter::new(rules, held_max, &LineCounts::of(lines.len())),
            ask_at: Timestamp::MIN,
            stamps: None,
            begun: false,
            counts: Counts::default(),
            telling: Telling::nobody(),
            on_notice: None,
        })
    }

    /// Adds to these counts.
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Counts by lines into these, which must be of as many lines.
    pub fn counting_lines_into(self, counts: &LineCounts) -> Self {
        debug_assert!(self.lines.is_empty() || counts.lines() == self.lines.len());
        let counts = match counts.lines() >= self.lines.len() {
            true => counts.clone(),
            false => LineCounts::of(self.lines.len()),
        };
        Self { arbiter: Arbiter::new(self.rules, self.held_max, &counts), ..self }
    }

    /// Tells of everything that is left out, with its place in all bytes that came by its line. It
    /// is called on the shard's thread, and what it does is part of the step: a hundred times a
    /// second at most, the rest is only counted.
    pub fn on_problem(self, f: impl FnMut(&Problem) + 'static) -> Self {
        Self { telling: Telling::by(f), ..self }
    }

    /// Tells of numbers that are lost or late, sessions, and lines that fall silent. It is called
    /// on the shard's thread, and what it does is part of the step.
    pub fn on_notice(self, f: impl FnMut(&Notice) + 'static) -> Self {
        Self { on_notice: Some(Box::new(f)), ..self }
    }

    /// Takes for the timestamp of a record, for when it came in, and for which line was first, when
    /// the kernel or the network card has received its datagram, by the host's clock of the day.
    ///
    /// # Errors
    /// What the system said: it does not stamp.
    pub fn stamped(self, stamps: Stamps) -> Result<Self> {
        for Line { datagrams, .. } in &self.lines {
            let failed = |cause| IoError::new("stamp at", datagrams.address().to_string(), cause);
            datagrams.ask_for_stamps(stamps).map_err(failed)?;
        }
        Ok(Self { stamps: Some(stamps), ..self })
    }

    fn tell(&mut self, (line, offset): (usize, u64), count: Count, reason: Cow<'static, str>) {
        self.counts.add(count, 1);
        let Self { telling, lines, .. } = self;
        telling.tell(|| {
            let peer = Remote::Anybody(lines[line].datagrams.address());
            Problem { peer, offset, count, reason: reason.into_owned() }
        });
    }

    fn on_received(&mut self, line: usize, buffer: u16, bytes: usize, now: Timestamp) {
        let it = &mut self.lines[line];
        let (mut start, mut at) = (0, now);
        if let Some(stamps) = self.stamps {
            let stamp = stamp::read(it.wire.received(buffer, bytes), stamps);
            (start, at) = (stamp::START.min(bytes), stamp.at.unwrap_or(now));
        }
        let offset = it.offset;
        it.offset += (bytes - start) as u64;
        let datagram = &it.wire.received(buffer, bytes)[start..];
        let place = match datagram.len() > self.bytes_max {
            true => Err((Count::TooLong, Cow::from("a datagram that is too long"))),
            false => {
                self.sequence.place(datagram).map_err(|reason| (Count::Garbage, reason.into()))
            }
        };
        let length = datagram.len();
        let place = place.and_then(|place| match place.header <= length {
            true => Ok(place),
            false => Err((Count::Garbage, "it ends within its header".into())),
        });
        match place {
            Ok(place) => {
                self.counts.add(Count::BytesIn, length as u64);
                let (start, offset) = (start + place.header, offset + place.header as u64);
                let token = Token { line, buffer, start, end: bytes, at, offset };
                self.arbiter.offer(line, place, token, at, now);
                self.arbitrate();
            }
            Err((count, reason)) => {
                it.wire.give_back(buffer);
                self.tell((line, offset), count, reason);
            }
        }
    }

    /// Does what the arbiter says.
    fn arbitrate(&mut self) {
        while let Some(next) = self.arbiter.next() {
            match next {
                Next::Take { datagram, skip, count } => {
                    let Token { buffer, start, end, at, .. } = datagram;
                    let came =
                        Came { buffer, start, end, at, is_new: true, skip, records: Some(count) };
                    self.ready.push_back((datagram, came));
                }
                Next::Drop(token, why) => {
                    self.lines[token.line].wire.give_back(token.buffer);
                    if why == Why::Impossible {
                        let reason = "it has numbers that cannot be".into();
                        self.tell((token.line, token.offset), Count::Garbage, reason);
                    }
                }
                Next::Told(notice) => self.notice(notice),
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        if let Some(tell) = &mut self.on_notice {
            tell(&notice);
        }
    }

    /// Decodes at most `left` records of a datagram; returns whether it is over.
    fn take(
        &mut self,
        (token, came): &mut (Token, Came),
        left: &mut usize,
        rejected: &mut u32,
        emit: &mut impl FnMut(C::Value),
    ) -> bool {
        let Self { lines, framing, codec, counts, telling, .. } = self;
        let line = &lines[token.line];
        let mut reject = |at: usize, count, malformed: Malformed| {
            *rejected += 1;
            counts.add(count, 1);
            telling.tell(|| {
                let peer = Remote::Anybody(line.datagrams.address());
                let offset = token.offset + at.saturating_sub(token.start) as u64;
                Problem { peer, offset, count, reason: malformed.to_string() }
            });
        };
        let bytes = line.wire.received(came.buffer, came.end);
        let mut each = |value: Option<C::Value>| match value {
            Some(value) => emit(value),
            None => counts.add(Count::Skipped, 1),
        };
        came.take(bytes, (framing, codec), left, &mut each, &mut reject)
    }

    /// Begins to receive, as was asked for.
    fn begin(&mut self) {
        for Line { wire, slot, .. } in &mut self.lines {
            match self.stamps {
                Some(_) => wire.receive_stamped(*slot),
                None => wire.receive(*slot),
            }
        }
    }

    fn ask_for_drops(&mut self, now: Timestamp) {
        if now < self.ask_at {
            return;
        }
        self.ask_at = now.offset(ASK_EVERY_NS as i64);
        for line in &mut self.lines {
            if let Some(dropped) = line.datagrams.dropped() {
                self.counts.add(Count::Lost, dropped.saturating_sub(line.dropped));
                line.dropped = dropped;
            }
        }
    }
}

impl<S: Sequence, F: Framing, C: Codec> Source for UdpLines<S, F, C> {
    type Out = C::Value;

    fn partitions(&self) -> usize {
        usize::from(!self.lines.is_empty())
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
            && let Some(mut next) = self.ready.pop_front()
        {
            let (came_in, at) = next.1.times(now, is_stamped);
            polled.ingress = Some(polled.ingress.map_or(came_in, |other| other.min(came_in)));
            let mut each = |value| emit(Record::new(at, value));
            if self.take(&mut next, &mut left, &mut polled.rejected, &mut each) {
                self.lines[next.0.line].wire.give_back(next.0.buffer);
            } else {
                self.ready.push_front(next);
            }
        }
        if self.ready.is_empty() && self.lines.iter().all(|line| line.datagrams.is_stopped()) {
            self.arbiter.end();
            self.arbitrate();
            polled.ended = self.ready.is_empty();
        }
        Ok(polled)
    }

    fn drive(&mut self, now: Timestamp) -> std::result::Result<(), IoError> {
        self.telling.at(now);
        if !std::mem::replace(&mut self.begun, true) {
            self.begin();
        }
        self.arbiter.pass(now);
        let mut is_quiet = true;
        for line in 0..self.lines.len() {
            self.lines[line].wire.drive(now);
            for _ in 0..EVENTS_MAX {
                match self.lines[line].wire.next() {
                    Some(Event::Received { buffer, bytes, .. }) => {
                        is_quiet = false;
                        self.on_received(line, buffer, bytes, now);
                    }
                    // An empty one, or an error that says something about one that was sent.
                    Some(Event::Ended { slot, .. }) => self.lines[line].wire.receive(slot),
                    Some(_) => {}
                    None => break,
                }
            }
            self.counts.add(Count::Calls, self.lines[line].wire.take_calls());
        }
        if is_quiet {
            self.arbiter.on_quiet();
        }
        self.arbitrate();
        while let Some(notice) = self.arbiter.watch(now) {
            self.notice(notice);
        }
        self.ask_for_drops(now);
        Ok(())
    }
}
