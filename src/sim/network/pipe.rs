//! One way of a connection: bytes on their way from one end to the other.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use fastrand::Rng;

use crate::sim::network::faults::NetFaults;
use crate::time::Timestamp;

/// How what is sent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other end says no more.
    Said,
    /// The connection broke.
    Broke(ErrorKind),
}

/// Bytes that were sent together, and when they are there.
#[derive(Debug)]
struct Segment {
    at: Timestamp,
    bytes: VecDeque<u8>,
}

/// Bytes on their way, in order.
#[derive(Debug, Default)]
pub struct Pipe {
    segments: VecDeque<Segment>,
    held: usize,
    /// When what was sent last is there.
    last: Timestamp,
    end: Option<(Timestamp, End)>,
    /// Nothing arrives any more, and who sends does not know.
    is_cut: bool,
}

impl Pipe {
    /// How many bytes may be sent.
    pub fn room(&self, faults: &NetFaults) -> usize {
        match self.end {
            Some(_) if !self.is_cut => 0,
            _ => faults.window.saturating_sub(self.held),
        }
    }

    /// Takes some of these bytes, or all; returns how many.
    pub fn send(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        faults: &NetFaults,
        rng: &mut Rng,
    ) -> usize {
        let most = self.room(faults).min(bytes.len());
        let taken = if rng.u32(..4) == 0 { rng.usize(..=most) } else { most };
        if taken > 0 {
            let carried = taken as u64 * 1_000_000 / faults.bytes_per_ms;
            let way = rng.u64(faults.latency_ns.clone()) + carried;
            self.last = self.last.max(now.offset(way as i64));
            let bytes = bytes[..taken].iter().copied().collect();
            self.segments.push_back(Segment { at: self.last, bytes });
            self.held += taken;
        }
        taken
    }

    /// Nothing more is sent: said behind all that was.
    pub fn finish(&mut self, now: Timestamp, faults: &NetFaults, rng: &mut Rng) {
        let at = self.last.max(now.offset(rng.u64(faults.latency_ns.clone()) as i64));
        self.end.get_or_insert((at, End::Said));
    }

    /// It breaks: some of the bytes on their way arrive, and then that.
    pub fn reset(&mut self, now: Timestamp, rng: &mut Rng) {
        let mut left = rng.usize(..=self.held);
        for segment in &mut self.segments {
            segment.bytes.truncate(left);
            left -= segment.bytes.len();
        }
        self.segments.retain(|segment| !segment.bytes.is_empty());
        self.held = self.segments.iter().map(|segment| segment.bytes.len()).sum();
        self.end = Some((now, End::Broke(ErrorKind::ConnectionReset)));
    }

    /// Who sends is gone without a word: what is on its way is lost, and one who waits for it finds
    /// out in the end.
    pub fn vanish(&mut self, now: Timestamp, faults: &NetFaults) {
        self.swallow();
        let at = now.offset(faults.dead_after.as_nanos() as i64);
        self.end = Some((at, End::Broke(ErrorKind::TimedOut)));
    }

    /// Who reads is gone: what is sent goes nowhere.
    pub fn swallow(&mut self) {
        self.segments.clear();
        (self.held, self.is_cut) = (0, true);
    }

    /// How it broke, if it has.
    pub fn broken(&self, now: Timestamp) -> Option<ErrorKind> {
        match self.end {
            Some((at, End::Broke(kind))) if at <= now => Some(kind),
            _ => None,
        }
    }

    /// Reads some of what has come; nothing at the end.
    ///
    /// # Errors
    /// Nothing has come, or the connection broke.
    pub fn read(&mut self, into: &mut [u8], now: Timestamp, rng: &mut Rng) -> io::Result<usize> {
        let most = if rng.u32(..4) == 0 { rng.usize(1..=into.len()) } else { into.len() };
        let mut read = 0;
        while read < most
            && !self.is_cut
            && let Some(segment) = self.segments.front_mut()
            && segment.at <= now
        {
            while read < most
                && let Some(byte) = segment.bytes.pop_front()
            {
                into[read] = byte;
                read += 1;
            }
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
        }
        self.held -= read;
        if read > 0 {
            return Ok(read);
        }
        match self.end {
            Some((at, end)) if at <= now && (self.is_cut || self.segments.is_empty()) => {
                match end {
                    End::Said if self.is_cut => Err(ErrorKind::WouldBlock.into()),
                    End::Said => Ok(0),
                    End::Broke(kind) => Err(kind.into()),
                }
            }
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether all that has come was read.
    pub fn is_read(&self, now: Timestamp) -> bool {
        self.segments.front().is_none_or(|segment| segment.at > now)
    }
}
