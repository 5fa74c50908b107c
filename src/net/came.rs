//! A datagram that has come, and how far it is decoded.

use crate::io::{Codec, Framing, Malformed, Split};
use crate::net::counts::Count;
use crate::time::Timestamp;

/// A datagram, and how far it is decoded.
#[derive(Debug)]
pub struct Came {
    pub buffer: u16,
    pub start: usize,
    pub end: usize,
    pub at: Timestamp,
    /// Nothing of it has been looked at.
    pub is_new: bool,
    /// How many of its first records are left out, and how many there are in all, where it says so.
    pub skip: u64,
    pub records: Option<u64>,
}

impl Came {
    /// When it arrived, and the time of its records: that of its stamp if it has one.
    pub fn times(&self, now: Timestamp, is_stamped: bool) -> (Timestamp, Timestamp) {
        // Another clock's may be ahead of the shard's.
        (self.at.min(now), if is_stamped { self.at } else { now })
    }

    /// Decodes at most `left` records of its bytes, and hands on nothing for each that is left out
    /// by rule; returns whether it is over.
    pub fn take<C: Codec>(
        &mut self,
        bytes: &[u8],
        (framing, codec): (&mut impl Framing, &mut C),
        left: &mut usize,
        emit: &mut impl FnMut(Option<C::Value>),
        reject: &mut impl FnMut(usize, Count, Malformed),
    ) -> bool {
        if std::mem::take(&mut self.is_new) {
            framing.restart();
        }
        while *left > 0 && self.start < self.end && self.records != Some(0) {
            let rest = &bytes[self.start..self.end];
            let (count, malformed, total) = match framing.split(rest, 0) {
                Ok(Split::Frame { start, end, total }) => {
                    self.records = self.records.map(|records| records - 1);
                    if self.skip > 0 {
                        self.skip -= 1;
                        self.start += total;
                        continue;
                    }
                    match codec.decode(&rest[start..end]) {
                        Ok(value) => {
                            emit(value);
                            self.start += total;
                            *left -= 1;
                            continue;
                        }
                        Err(malformed) => (Count::Malformed, malformed, total),
                    }
                }
                Ok(Split::More(_)) => {
                    self.records = None;
                    (Count::CutShort, "it ends within a record".into(), rest.len())
                }
                Err(reason) => {
                    self.records = None;
                    (Count::Garbage, Malformed::from(reason), rest.len())
                }
            };
            reject(self.start, count, malformed);
            self.start += total;
            *left -= 1;
        }
        let is_over = self.start >= self.end || self.records == Some(0);
        if is_over && self.start < self.end {
            reject(self.start, Count::Garbage, "it has more than it says".into());
        } else if is_over && self.records.is_some_and(|records| records > 0) {
            reject(self.end, Count::CutShort, "it has fewer records than it says".into());
        }
        is_over
    }
}
