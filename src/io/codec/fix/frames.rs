//! Where messages end.

use crate::io::codec::fix::{END, TRAILER};
use crate::io::framing::{Framing, Split};

/// A [`Framing`] of FIX messages by their BodyLength.
///
/// Where the CheckSum does not stand at the place that BodyLength says, the message is taken up to
/// where one does, and the decoder says what is wrong: so one garbled message is left out, as the
/// standard has it, and the connection goes on. What does not begin as a message is no frame.
///
/// ```
/// use millstream::io::fix::{Encoder, Frames};
/// use millstream::io::{Framing, Split};
///
/// let mut bytes = Vec::new();
/// Encoder::begin(&mut bytes, "FIX.4.2", "0").finish()?;
/// let whole = bytes.len();
/// bytes.extend(b"8=FIX");
/// let frame = Split::Frame { start: 0, end: whole, total: whole };
/// assert_eq!(Frames::new(4096).split(&bytes, 0), Ok(frame));
/// # Ok::<(), millstream::io::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Frames(usize);

impl Frames {
    /// Of messages of at most so many bytes each.
    pub const fn new(bytes_max: usize) -> Self {
        Self(bytes_max)
    }
}

/// The longest that BeginString and BodyLength are together, with their ends.
const START_MAX: usize = 32;

/// Where the body begins, how long it is said to be, and where that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub body: usize,
    pub length: usize,
    pub length_at: usize,
}

/// The beginning of a message; none if there is too little of it. The error is the place.
#[inline]
pub(super) fn start(bytes: &[u8]) -> Result<Option<Start>, (usize, &'static str)> {
    let prefix = b"8=FIX";
    let common = bytes.iter().zip(prefix).take_while(|(a, b)| a == b).count();
    if common < prefix.len() {
        return match common == bytes.len() {
            true => Ok(None),
            false => Err((common, "a message begins with 8=FIX")),
        };
    }
    let head = &bytes[..bytes.len().min(START_MAX)];
    let cut = |place, reason| match bytes.len() < START_MAX {
        true => Ok(None),
        false => Err((place, reason)),
    };
    let Some(version) = head.iter().position(|byte| *byte == END) else {
        return cut(0, "BeginString has no end");
    };
    let rest = &head[version + 1..];
    if rest.len() < 2 {
        return cut(version + 1, "BodyLength is missing");
    }
    if !rest.starts_with(b"9=") {
        return Err((version + 1, "BodyLength comes second"));
    }
    let length_at = version + 3;
    let digits = head[length_at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length_end = length_at + digits;
    match head.get(length_end) {
        None => cut(length_at, "BodyLength has no end"),
        Some(&END) if (1..=9).contains(&digits) => {
            let length =
                head[length_at..length_end].iter().fold(0, |n, b| n * 10 + usize::from(b - b'0'));
            Ok(Some(Start { body: length_end + 1, length, length_at }))
        }
        Some(_) => Err((length_at, "BodyLength is no length")),
    }
}

/// Whether a whole CheckSum begins there, behind the end of another field.
#[inline]
pub(super) fn is_trailer(bytes: &[u8], at: usize) -> bool {
    at > 0
        && bytes.get(at - 1) == Some(&END)
        && bytes.get(at..at + TRAILER).is_some_and(|it| {
            it.starts_with(b"10=") && it[3..6].iter().all(u8::is_ascii_digit) && it[6] == END
        })
}

/// The first CheckSum at or behind a place.
fn find_trailer(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut ends = memchr::memchr_iter(END, rest).map(|end| from + end + 1);
    ends.find(|at| is_trailer(bytes, *at))
}

impl Framing for Frames {
    fn frame_max(&self) -> usize {
        self.0
    }

    fn around(&self) -> usize {
        0
    }

    /// The shortest message has two fields before its body, and a CheckSum.
    fn least(&self) -> usize {
        20
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], _seen: usize) -> Result<Split, String> {
        let start = start(bytes).map_err(|(at, reason)| format!("at byte {at}: {reason}"))?;
        let Some(start) = start else { return Ok(Split::More(1)) };
        let trailer = start.body + start.length;
        let total = trailer + TRAILER;
        if total > self.0 {
            return Err(format!("a message of {total} bytes, at most {} are allowed", self.0));
        }
        if is_trailer(bytes, trailer) {
            return Ok(Split::Frame { start: 0, end: total, total });
        }
        if bytes.len() < total {
            return Ok(Split::More(total - bytes.len()));
        }
        match find_trailer(bytes, start.body - 1) {
            Some(at) => {
                let total = at + TRAILER;
                Ok(Split::Frame { start: 0, end: total, total })
            }
            None if bytes.len() < self.0 => Ok(Split::More(1)),
            None => Err(format!(
                "at byte {trailer}: no CheckSum is there, where BodyLength at byte {} has it, nor \
                 anywhere else",
                start.length_at
            )),
        }
    }

    fn begin(&mut self, _into: &mut Vec<u8>) {}

    fn end(&mut self, _into: &mut Vec<u8>, _from: usize) {}
}
