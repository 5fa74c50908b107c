//! The lines of a file, counted, none longer than a limit.

use std::io::{BufRead, BufReader, Read, Result};

/// A longer line is not text; reading it whole would take memory without bound.
pub(super) const LINE_MAX: usize = 1 << 20;

/// How much is read at once. More would save next to nothing, and a read copies it in one go while
/// the shard stands still: 64 KiB take some 10 us out of the page cache.
const READ_BYTES: usize = 64 << 10;

/// What came of asking for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read1 {
    /// A line, with its line feed unless it is the last and has none.
    Line,
    /// The first `LINE_MAX` bytes of a longer line, the rest of which is skipped.
    TooLong,
    /// There are no more lines.
    End,
}

/// Reads lines, and takes some back to be read again.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    /// Whole lines that were read too early; to be read again from `back_at` on.
    back: Vec<u8>,
    back_at: usize,
    /// How many lines have been read.
    count: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        let input = BufReader::with_capacity(READ_BYTES, input);
        Self { input, back: Vec::new(), back_at: 0, count: 0 }
    }

    /// The number of the line read last, counted from 1.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.count
    }

    /// Whether the next line has to be waited for, as far as one can tell without asking.
    #[inline]
    pub(super) fn is_drained(&self) -> bool {
        self.input.buffer().is_empty() && self.back_at == self.back.len()
    }

    /// Appends the next line to `line`.
    #[inline]
    pub(super) fn read(&mut self, line: &mut Vec<u8>) -> Result<Read1> {
        if self.back_at < self.back.len() {
            return Ok(self.read_back(line));
        }
        let got = self.input.by_ref().take(LINE_MAX as u64).read_until(b'\n', line)?;
        self.count += u64::from(got > 0);
        if got == LINE_MAX && line.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Read1::TooLong);
        }
        Ok(if got == 0 { Read1::End } else { Read1::Line })
    }

    fn read_back(&mut self, line: &mut Vec<u8>) -> Read1 {
        let rest = &self.back[self.back_at..];
        let len = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        line.extend_from_slice(&rest[..len]);
        self.back_at += len;
        self.count += 1;
        Read1::Line
    }

    /// Takes back the lines that were read last.
    pub(super) fn give_back(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        self.count -= lines.split_inclusive(|b| *b == b'\n').count() as u64;
        self.back.splice(..self.back_at, lines.iter().copied());
        self.back_at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<R: Read>(lines: &mut Lines<R>) -> (Read1, Vec<u8>) {
        let mut line = Vec::new();
        (lines.read(&mut line).unwrap(), line)
    }

    #[test]
    fn lines_are_counted_and_the_last_may_lack_its_end() {
        let mut lines = Lines::new("a\n\nc".as_bytes());
        let all: Vec<_> = (0..3).map(|_| next(&mut lines).1).collect();
        assert_eq!(all, [&b"a\n"[..], b"\n", b"c"]);
        assert_eq!((next(&mut lines).0, lines.number()), (Read1::End, 3));
    }

    #[test]
    fn what_is_given_back_comes_again_under_its_number() {
        let mut lines = Lines::new("a\nb\nc\nd".as_bytes());
        let mut read = Vec::new();
        (0..3).for_each(|_| assert_eq!(lines.read(&mut read).unwrap(), Read1::Line));
        lines.give_back(b"b\nc\n");
        assert_eq!((next(&mut lines).1, lines.number()), (b"b\n".to_vec(), 2));
        lines.give_back(b"b\n");
        let rest: Vec<_> = (0..3).map(|_| next(&mut lines).1).collect();
        assert_eq!(rest, [&b"b\n"[..], b"c\n", b"d"]);
        assert_eq!((lines.number(), lines.is_drained()), (4, true));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::new(std::io::repeat(b'x').take(3 << 20).chain(&b"\nb\n"[..]));
        let (got, line) = next(&mut lines);
        assert_eq!((got, line.len()), (Read1::TooLong, LINE_MAX));
        assert_eq!((next(&mut lines).1, lines.number()), (b"b\n".to_vec(), 2));
    }
}
