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

    /// What is looked at next is the beginning of a datagram, whatever was there before.
    fn restart(&mut self) {}

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

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    LittleU32,
    BigU16,
    BigU32,
    Varint,
}

/// Records behind their length.
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefixed {
    bytes_max: usize,
    prefix: Prefix,
}

impl LengthPrefixed {
    /// The longest varint of 32 bits.
    const VARINT_MAX: usize = 5;

    /// Of at most so many bytes each. A length has four bytes, the least significant first.
    pub const fn new(bytes_max: usize) -> Self {
        Self::with(Prefix::LittleU32, bytes_max, u32::MAX as usize)
    }

    /// The same with lengths of two bytes, the most significant first, as exchanges frame messages.
    pub const fn big_endian_u16(bytes_max: usize) -> Self {
        Self::with(Prefix::BigU16, bytes_max, u16::MAX as usize)
    }

    /// The same with lengths of four bytes, the most significant first.
    pub const fn big_endian_u32(bytes_max: usize) -> Self {
        Self::with(Prefix::BigU32, bytes_max, u32::MAX as usize)
    }

    /// The same with lengths of one to five bytes, of which each but the last has its highest bit
    /// set and seven bits of the length, the least significant first: as Protobuf delimits
    /// messages.
    pub const fn varint(bytes_max: usize) -> Self {
        Self::with(Prefix::Varint, bytes_max, u32::MAX as usize)
    }

    const fn with(prefix: Prefix, bytes_max: usize, most: usize) -> Self {
        Self { bytes_max: if bytes_max < most { bytes_max } else { most }, prefix }
    }

    /// The length that bytes begin with, and how long it is itself.
    #[inline]
    fn length(&self, bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
        let four = |read: fn([u8; 4]) -> u32| bytes.first_chunk().map(|b| (read(*b) as usize, 4));
        match self.prefix {
            Prefix::LittleU32 => Ok(four(u32::from_le_bytes)),
            Prefix::BigU32 => Ok(four(u32::from_be_bytes)),
            Prefix::BigU16 => Ok(bytes.first_chunk().map(|b| (u16::from_be_bytes(*b).into(), 2))),
            Prefix::Varint => {
                let mut length = 0;
                for (at, byte) in bytes.iter().take(Self::VARINT_MAX).enumerate() {
                    length |= u64::from(byte & 0x7f) << (7 * at);
                    if byte & 0x80 == 0 {
                        return Ok(Some((length as usize, at + 1)));
                    }
                }
                match bytes.len() < Self::VARINT_MAX {
                    true => Ok(None),
                    false => Err("a length of more than five bytes".to_owned()),
                }
            }
        }
    }
}

impl Framing for LengthPrefixed {
    fn frame_max(&self) -> usize {
        self.bytes_max + self.around()
    }

    fn around(&self) -> usize {
        match self.prefix {
            Prefix::LittleU32 | Prefix::BigU32 => 4,
            Prefix::BigU16 => 2,
            Prefix::Varint => varint(self.bytes_max as u32).1,
        }
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], _seen: usize) -> Result<Split, String> {
        let Some((length, start)) = self.length(bytes)? else {
            let least = if self.prefix == Prefix::Varint { bytes.len() + 1 } else { self.around() };
            return Ok(Split::More(least - bytes.len()));
        };
        if length > self.bytes_max {
            let most = self.bytes_max;
            return Err(format!("a record of {length} bytes, at most {most} are allowed"));
        }
        let total = start + length;
        Ok(match total.checked_sub(bytes.len()) {
            None | Some(0) => Split::Frame { start, end: total, total },
            Some(more) => Split::More(more),
        })
    }

    fn begin(&mut self, into: &mut Vec<u8>) {
        // A varint is made room for when the length is known: most have one byte.
        let room = if self.prefix == Prefix::Varint { 1 } else { self.around() };
        into.extend_from_slice(&[0; 4][..room]);
    }

    /// A record that is longer than may be is cut.
    fn end(&mut self, into: &mut Vec<u8>, from: usize) {
        let room = if self.prefix == Prefix::Varint { 1 } else { self.around() };
        into.truncate(from + room + self.bytes_max);
        let length = into.len().saturating_sub(from + room);
        let (bytes, long) = match self.prefix {
            Prefix::LittleU32 => (fifth((length as u32).to_le_bytes()), 4),
            Prefix::BigU32 => (fifth((length as u32).to_be_bytes()), 4),
            Prefix::BigU16 => {
                let [high, low] = (length as u16).to_be_bytes();
                ([high, low, 0, 0, 0], 2)
            }
            Prefix::Varint => varint(length as u32),
        };
        if long > room {
            let end = into.len();
            into.extend_from_slice(&[0; 4][..long - room]);
            into.copy_within(from + room..end, from + long);
        }
        if let Some(prefix) = into.get_mut(from..from + long) {
            prefix.copy_from_slice(&bytes[..long]);
        }
    }
}

fn fifth([a, b, c, d]: [u8; 4]) -> [u8; 5] {
    [a, b, c, d, 0]
}

/// A number as a varint, and how long that is.
fn varint(mut number: u32) -> ([u8; 5], usize) {
    let (mut bytes, mut at) = ([0; 5], 0);
    while number >= 0x80 {
        bytes[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    (bytes, at + 1)
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
        let Some(found) = memchr::memchr(b'\n', fresh) else {
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
    use proptest::prelude::*;

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
        check(LengthPrefixed::big_endian_u16(4));
        check(LengthPrefixed::big_endian_u32(4));
        check(LengthPrefixed::varint(4));
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

    fn framed(mut framing: LengthPrefixed, record: &[u8]) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        framing.begin(&mut bytes);
        bytes.extend(record);
        framing.end(&mut bytes, 6);
        bytes.split_off(6)
    }

    #[test]
    fn lengths_are_written_as_they_are_meant() {
        let record = [7; 300];
        let starts = |framing, start: &[u8]| {
            let bytes = framed(framing, &record);
            assert_eq!((&bytes[..start.len()], bytes.len()), (start, 300 + start.len()));
            assert!(bytes[start.len()..].iter().all(|byte| *byte == 7));
        };
        starts(LengthPrefixed::new(300), &[44, 1, 0, 0]);
        starts(LengthPrefixed::big_endian_u16(300), &[1, 44]);
        starts(LengthPrefixed::big_endian_u32(300), &[0, 0, 1, 44]);
        starts(LengthPrefixed::varint(300), &[0xac, 2]);
        assert_eq!(framed(LengthPrefixed::varint(300), b"x"), b"\x01x");
    }

    #[test]
    fn what_is_too_long_is_cut_or_refused() {
        assert_eq!(framed(LengthPrefixed::big_endian_u16(2), b"abc"), b"\0\x02ab");
        assert_eq!(framed(LengthPrefixed::varint(2), b"abc"), b"\x02ab");
        assert_eq!(LengthPrefixed::big_endian_u16(1 << 20).frame_max(), 65_537);
        assert!(LengthPrefixed::big_endian_u16(2).split(b"\0\x03", 0).is_err());
        let mut varint = LengthPrefixed::varint(1 << 20);
        assert!(varint.split(&[0xff; 5], 0).is_err());
        assert_eq!(varint.split(&[0xff; 4], 0), Ok(Split::More(1)));
        assert!(varint.split(&[0xff, 0xff, 0xff, 0x0f], 0).is_err());
    }

    proptest! {
        #[test]
        fn records_of_any_length_come_back(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..4),
        ) {
            let all = [
                LengthPrefixed::new(400),
                LengthPrefixed::big_endian_u16(400),
                LengthPrefixed::big_endian_u32(400),
                LengthPrefixed::varint(400),
            ];
            for mut framing in all {
                let mut stream = Vec::new();
                for record in &records {
                    let from = stream.len();
                    framing.begin(&mut stream);
                    stream.extend(record);
                    framing.end(&mut stream, from);
                }
                prop_assert_eq!(&bytewise(&mut framing, &stream), &records);
            }
        }

        #[test]
        fn any_bytes_are_a_frame_within_them_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let all = [
                LengthPrefixed::new(9),
                LengthPrefixed::big_endian_u16(9),
                LengthPrefixed::big_endian_u32(9),
                LengthPrefixed::varint(9),
            ];
            for mut framing in all {
                if let Ok(Split::Frame { start, end, total }) = framing.split(&bytes, 0) {
                    prop_assert!(start <= end && end == total && total <= bytes.len());
                }
            }
        }
    }
}
