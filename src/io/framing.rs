//! Where one record ends and the next begins, in a stream of bytes.

/// What the first bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A whole frame: its record is in `bytes[start..end]`, and the next one begins at `total`.
    Frame {
        /// Where the record begins.
        start: usize,
        /// Where it ends.
        end: usize,
        /// Where the frame ends.
        total: usize,
    },
    /// The frame goes on, for at least so many bytes.
    More(usize),
}

/// How records are told apart in a stream of bytes. What a record is made of is the matter of a
/// [`Codec`](crate::io::Codec).
///
/// ```
/// use millstream::io::{Framing, LengthPrefixed, Lines, Split};
///
/// let mut wire = Vec::new();
/// let mut framing = LengthPrefixed::new(100);
/// framing.begin(&mut wire);
/// wire.extend(b"hello");
/// framing.end(&mut wire, 0);
/// assert_eq!(wire, b"\x05\0\0\0hello");
/// assert_eq!(framing.split(&wire, 0), Ok(Split::Frame { start: 4, end: 9, total: 9 }));
/// assert_eq!(framing.split(&wire[..6], 0), Ok(Split::More(3)));
/// assert!(framing.split(b"\xff\xff\xff\xff", 0).is_err(), "longer than a frame may be");
/// assert_eq!(Lines::new(80).split(b"a\r\nb", 0), Ok(Split::Frame { start: 0, end: 1, total: 3 }));
/// ```
pub trait Framing: Clone + 'static {
    /// The most bytes that a frame takes.
    fn frame_max(&self) -> usize;

    /// The most bytes that a frame takes beside the record in it, when it is written.
    fn around(&self) -> usize;

    /// The least bytes that a frame takes.
    fn least(&self) -> usize {
        1
    }

    /// Looks for the first frame. In the first `seen` bytes it was looked for before.
    ///
    /// # Errors
    /// Why no frame begins here, in words. Where the next one does is then not known.
    fn split(&mut self, bytes: &[u8], seen: usize) -> Result<Split, String>;

    /// Begins a frame, behind which the record is then written.
    fn begin(&mut self, into: &mut Vec<u8>);

    /// Ends the frame that began at `from`.
    fn end(&mut self, into: &mut Vec<u8>, from: usize);
}

/// Records of one length each, with nothing between them.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(usize);

impl Fixed {
    /// Of so many bytes; at least one.
    pub const fn new(bytes: usize) -> Self {
        Self(if bytes == 0 { 1 } else { bytes })
    }
}

impl Framing for Fixed {
    fn frame_max(&self) -> usize {
        self.0
    }

    fn around(&self) -> usize {
        0
    }

    fn least(&self) -> usize {
        self.0
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], _seen: usize) -> Result<Split, String> {
        Ok(match self.0.checked_sub(bytes.len()) {
            None | Some(0) => Split::Frame { start: 0, end: self.0, total: self.0 },
            Some(more) => Split::More(more),
        })
    }

    fn begin(&mut self, _into: &mut Vec<u8>) {}

    /// A record that is shorter is filled up with zeros, a longer one is cut.
    fn end(&mut self, into: &mut Vec<u8>, from: usize) {
        into.resize(from + self.0, 0);
    }
}

/// Records behind their length: four bytes, the least significant first.
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefixed(usize);

impl LengthPrefixed {
    /// The length of the length.
    const PREFIX: usize = 4;

    /// Of at most so many bytes each.
    pub const fn new(bytes_max: usize) -> Self {
        Self(bytes_max)
    }
}

impl Framing for LengthPrefixed {
    fn frame_max(&self) -> usize {
        self.0 + Self::PREFIX
    }

    fn around(&self) -> usize {
        Self::PREFIX
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], _seen: usize) -> Result<Split, String> {
        let Some(prefix) = bytes.first_chunk() else {
            return Ok(Split::More(Self::PREFIX - bytes.len()));
        };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > self.0 {
            return Err(format!("a record of {length} bytes, at most {} are allowed", self.0));
        }
        let total = Self::PREFIX + length;
        Ok(match total.checked_sub(bytes.len()) {
            None | Some(0) => Split::Frame { start: Self::PREFIX, end: total, total },
            Some(more) => Split::More(more),
        })
    }

    fn begin(&mut self, into: &mut Vec<u8>) {
        into.extend([0; Self::PREFIX]);
    }

    fn end(&mut self, into: &mut Vec<u8>, from: usize) {
        let length = into.len().saturating_sub(from + Self::PREFIX) as u32;
        if let Some(prefix) = into.get_mut(from..from + Self::PREFIX) {
            prefix.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Lines of text. A carriage return before the end of a line belongs to the end.
#[derive(Clone, Copy, Debug)]
pub struct Lines(usize);

impl Lines {
    /// Of at most so many bytes each.
    pub const fn new(bytes_max: usize) -> Self {
        Self(bytes_max)
    }
}

impl Framing for Lines {
    fn frame_max(&self) -> usize {
        self.0 + 2
    }

    fn around(&self) -> usize {
        1
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], seen: usize) -> Result<Split, String> {
        let fresh = bytes.get(seen..).unwrap_or_default();
        let Some(found) = fresh.iter().position(|byte| *byte == b'\n') else {
            return match bytes.len() > self.0 + 1 {
                true => Err(format!("a line of more than {} bytes", self.0)),
                false => Ok(Split::More(1)),
            };
        };
        let at = seen + found;
        let end = if at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
        match end > self.0 {
            true => Err(format!("a line of {end} bytes, at most {} are allowed", self.0)),
            false => Ok(Split::Frame { start: 0, end, total: at + 1 }),
        }
    }

    fn begin(&mut self, _into: &mut Vec<u8>) {}

    fn end(&mut self, into: &mut Vec<u8>, _from: usize) {
        into.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a stream that is looked at after every byte.
    fn bytewise(framing: &mut impl Framing, stream: &[u8]) -> Vec<Vec<u8>> {
        let (mut held, mut seen, mut records) = (Vec::new(), 0, Vec::new());
        for byte in stream {
            held.push(*byte);
            match framing.split(&held, seen).unwrap() {
                Split::Frame { start, end, total } => {
                    assert_eq!(total, held.len());
                    records.push(held[start..end].to_vec());
                    (held, seen) = (Vec::new(), 0);
                }
                Split::More(more) => {
                    assert!(more > 0);
                    seen = held.len();
                }
            }
        }
        assert!(held.is_empty());
        records
    }

    #[test]
    fn what_is_written_is_read_byte_by_byte() {
        fn check(mut framing: impl Framing) {
            let records = [b"abcd".to_vec(), b"efgh".to_vec()];
            let mut stream = Vec::new();
            for record in &records {
                let from = stream.len();
                framing.begin(&mut stream);
                stream.extend(record);
                framing.end(&mut stream, from);
                assert!(stream.len() - from <= framing.frame_max());
            }
            assert_eq!(bytewise(&mut framing, &stream), records);
        }
        check(Fixed::new(4));
        check(LengthPrefixed::new(4));
        check(Lines::new(4));
    }

    #[test]
    fn a_line_may_be_as_long_as_it_may_be() {
        let mut lines = Lines::new(3);
        assert_eq!(lines.split(b"abc\r\n", 4), Ok(Split::Frame { start: 0, end: 3, total: 5 }));
        assert_eq!(lines.split(b"abc\r", 0), Ok(Split::More(1)));
        assert!(lines.split(b"abcd\n", 0).is_err());
        assert!(lines.split(b"abcde", 0).is_err());
    }
}
