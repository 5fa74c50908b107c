//! A datagram that has come, and how far it is decoded.

use crate::io::{Codec, Framing, Split};
use crate::net::counts::Count;
use crate::time::Timestamp;

/// A datagram, and how far it is decoded.
#[derive(Debug)]
pub struct Came {
    pub buffer: u16,
    pub start: usize,
    pub end: usize,
    pub at: Timestamp,
    /// How many of its first records are left out, and how many there are in all, where it says so.
    pub skip: u64,
    pub records: Option<u64>,
}

impl Came {
    /// Decodes at most `left` records of its bytes; returns whether it is over.
    pub fn take<C: Codec>(
        &mut self,
        bytes: &[u8],
        (framing, codec): (&mut impl Framing, &mut C),
        left: &mut usize,
        emit: &mut impl FnMut(C::Value),
        reject: &mut impl FnMut(usize, Count, String),
    ) -> bool {
        while *left > 0 && self.start < self.end && self.records != Some(0) {
            let rest = &bytes[self.start..self.end];
            let (count, reason, total) = match framing.split(rest, 0) {
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
                        Err(reason) => (Count::Malformed, reason, total),
                    }
                }
                Ok(Split::More(_)) => {
                    self.records = None;
                    (Count::CutShort, "it ends within a record".to_owned(), rest.len())
                }
                Err(reason) => {
                    self.records = None;
                    (Count::Garbage, reason, rest.len())
                }
            };
            reject(self.start, count, reason);
            self.start += total;
            *left -= 1;
        }
        let is_over = self.start >= self.end || self.records == Some(0);
        if is_over && self.start < self.end {
            reject(self.start, Count::Garbage, "it has more than it says".to_owned());
        } else if is_over && self.records.is_some_and(|records| records > 0) {
            reject(self.end, Count::CutShort, "it has fewer records than it says".to_owned());
        }
        is_over
    }
}
