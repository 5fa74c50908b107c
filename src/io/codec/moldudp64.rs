//! MoldUDP64: datagrams of numbered messages, as NASDAQ sends ITCH in.
//!
//! A packet is a session of ten bytes, the number of its first message, how many there are, and
//! each message behind its length, the most significant byte first. Without messages it is a
//! heartbeat, which names the number of the message that is to come: so a gap shows at the next
//! packet in any case. What to do about one is up to whoever reads the numbers.
//!
//! ```
//! use millstream::io::moldudp64::{Packet, Writer};
//!
//! let mut bytes = Vec::new();
//! let mut writer = Writer::begin(&mut bytes, *b"SESSION001", 41);
//! writer.push(b"first")?;
//! writer.push(b"second")?;
//! let packet = Packet::decode(&bytes)?;
//! let messages: Vec<_> = packet.messages().collect::<Result<_, _>>()?;
//! assert_eq!(messages, [(41, &b"first"[..]), (42, b"second")]);
//! assert_eq!(packet.next(), 43);
//! # Ok::<(), millstream::io::Malformed>(())
//! ```

use std::cell::Cell;
use std::rc::Rc;

use crate::io::codec::Malformed;
use crate::io::framing::{Framing, Split};

/// What a packet begins with.
pub const HEADER: usize = 20;

/// The length of a length.
const PREFIX: usize = 2;

/// The count that says that the session is over.
const END_OF_SESSION: u16 = u16::MAX;

/// A packet, where it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The session; numbers begin anew with another one.
    pub session: [u8; 10],
    /// The number of the first message; of the next one that is to come if there is none.
    pub sequence: u64,
    /// How many messages there are.
    pub count: u16,
    /// Whether the session is over. There are no messages then.
    pub ends: bool,
    /// The messages, each behind its length.
    blocks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet that a datagram is.
    ///
    /// # Errors
    /// Fewer bytes than a packet begins with.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let Some((header, blocks)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(Malformed::at(bytes.len(), "a packet begins with 20 bytes"));
        };
        let (session, rest) = header.split_at(10);
        let (sequence, count) = rest.split_at(8);
        // The lengths are right: these are parts of an array.
        let session = session.try_into().unwrap_or_default();
        let sequence = u64::from_be_bytes(sequence.try_into().unwrap_or_default());
        let count = u16::from_be_bytes(count.try_into().unwrap_or_default());
        let ends = count == END_OF_SESSION;
        Ok(Self { session, sequence, count: if ends { 0 } else { count }, ends, blocks })
    }

    /// The number of the message that follows this packet.
    #[inline]
    pub fn next(&self) -> u64 {
        self.sequence.saturating_add(self.count.into())
    }

    /// The messages with their numbers. It ends at the first that is cut short, with an error; the
    /// offset counts from the beginning of the packet.
    #[inline]
    pub fn messages(&self) -> Messages<'a> {
        Messages { sequence: self.sequence, left: self.count, blocks: self.blocks, at: HEADER }
    }
}

/// The messages of a [`Packet`] and their numbers.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    sequence: u64,
    left: u16,
    blocks: &'a [u8],
    /// Where they begin in the packet.
    at: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(u64, &'a [u8]), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let block = self
            .blocks
            .split_first_chunk::<PREFIX>()
            .and_then(|(length, rest)| rest.split_at_checked(u16::from_be_bytes(*length).into()));
        let Some((message, rest)) = block else {
            let end = self.at + self.blocks.len();
            self.left = 0;
            return Some(Err(Malformed::at(end, "the packet ends before its last message does")));
        };
        let sequence = self.sequence;
        self.sequence = sequence.saturating_add(1);
        self.at += PREFIX + message.len();
        self.blocks = rest;
        Some(Ok((sequence, message)))
    }
}

/// Which message of which session a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The session.
    pub session: [u8; 10],
    /// The number of the message; where there is none, of the next one that is to come.
    pub sequence: u64,
    /// Whether it is a message. A packet without messages is an empty record.
    pub is_message: bool,
    /// Whether the session is over.
    pub ends: bool,
}

/// The [`Framing`] of messages in packets, one or several to a datagram: for a source of datagrams.
///
/// Its [`place`](Self::place) says of each record, while it is decoded, which one it is: so what a
/// pipeline keeps of a message can have its number, and a gap is seen. A packet without messages is
/// an empty record, since it tells of a gap too.
///
/// ```
/// use millstream::io::moldudp64::{Packets, Writer};
/// use millstream::io::{Codec, Framing, Split, selective};
///
/// let mut framing = Packets::new(100);
/// let place = framing.place();
/// let mut numbered = selective(
///     0,
///     |_: &(u64, u8), _: &mut Vec<u8>| {},
///     move |bytes: &[u8]| Ok(bytes.first().map(|first| (place.get().sequence, *first))),
/// );
/// let mut datagram = Vec::new();
/// let mut writer = Writer::begin(&mut datagram, *b"SESSION001", 41);
/// writer.push(b"a")?;
/// writer.push(b"b")?;
/// let (mut seen, mut rest) = (Vec::new(), &datagram[..]);
/// while let Ok(Split::Frame { start, end, total }) = framing.split(rest, 0) {
///     seen.extend(numbered.decode(&rest[start..end])?);
///     rest = &rest[total..];
/// }
/// assert_eq!(seen, [(41, b'a'), (42, b'b')]);
/// # Ok::<(), millstream::io::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Packets {
    bytes_max: usize,
    /// Messages of the packet that are still to come.
    left: u16,
    place: Rc<Cell<Place>>,
}

impl Packets {
    /// Of messages of at most so many bytes each.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.min(u16::MAX.into()), left: 0, place: Rc::default() }
    }

    /// Which message the record is that was found last. It goes on being that.
    pub fn place(&self) -> Rc<Cell<Place>> {
        self.place.clone()
    }
}

impl Framing for Packets {
    fn frame_max(&self) -> usize {
        HEADER + PREFIX + self.bytes_max
    }

    fn around(&self) -> usize {
        HEADER + PREFIX
    }

    fn restart(&mut self) {
        self.left = 0;
    }

    #[inline]
    fn split(&mut self, bytes: &[u8], _seen: usize) -> Result<Split, String> {
        let (mut place, mut left, mut start) = (self.place.get(), self.left, 0);
        place.sequence = place.sequence.saturating_add(place.is_message.into());
        if left == 0 {
            let Ok(packet) = Packet::decode(bytes) else {
                return Ok(Split::More(HEADER - bytes.len()));
            };
            let Packet { session, sequence, count, ends, .. } = packet;
            place = Place { session, sequence, is_message: count > 0, ends };
            (left, start) = (count, HEADER);
        }
        let mut end = start;
        if place.is_message {
            let rest = bytes.get(start..).unwrap_or_default();
            let Some(length) = rest.first_chunk() else {
                return Ok(Split::More(PREFIX - rest.len()));
            };
            let length = usize::from(u16::from_be_bytes(*length));
            if length > self.bytes_max {
                let most = self.bytes_max;
                return Err(format!("a message of {length} bytes, at most {most} are allowed"));
            }
            start += PREFIX;
            end = start + length;
        }
        match end.checked_sub(bytes.len()) {
            None | Some(0) => {
                self.left = left.saturating_sub(1);
                self.place.set(place);
                Ok(Split::Frame { start, end, total: end })
            }
            Some(more) => Ok(Split::More(more)),
        }
    }

    /// A packet of its own for each message, without a session, numbered from 1 on.
    fn begin(&mut self, into: &mut Vec<u8>) {
        let mut place = self.place.get();
        place.sequence = place.sequence.saturating_add(1);
        self.place.set(place);
        Writer::begin(into, place.session, place.sequence).set_count(1);
        into.extend_from_slice(&[0; PREFIX]);
    }

    /// A message that is longer than may be is cut.
    fn end(&mut self, into: &mut Vec<u8>, from: usize) {
        let start = from + HEADER + PREFIX;
        into.truncate(start + self.bytes_max);
        let length = into.len().saturating_sub(start) as u16;
        if let Some(prefix) = into.get_mut(start - PREFIX..start) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Puts a packet together.
#[derive(Debug)]
pub struct Writer<'a> {
    into: &'a mut Vec<u8>,
    /// Where its count is.
    count_at: usize,
    count: u16,
}

impl<'a> Writer<'a> {
    /// Begins a packet: as it is, a heartbeat.
    pub fn begin(into: &'a mut Vec<u8>, session: [u8; 10], sequence: u64) -> Self {
        into.extend_from_slice(&session);
        into.extend_from_slice(&sequence.to_be_bytes());
        let count_at = into.len();
        into.extend_from_slice(&[0; 2]);
        Self { into, count_at, count: 0 }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// One longer than 65535 bytes, or one too many; the packet is then as it was.
    pub fn push(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let Ok(length) = u16::try_from(message.len()) else {
            return Err(Malformed::at(usize::from(u16::MAX), "a message has at most 65535 bytes"));
        };
        if self.count + 1 == END_OF_SESSION {
            return Err(Malformed::at(0, "a packet has at most 65534 messages"));
        }
        self.into.extend_from_slice(&length.to_be_bytes());
        self.into.extend_from_slice(message);
        self.count += 1;
        self.set_count(self.count);
        Ok(())
    }

    /// Makes it the end of the session, if no message was added.
    pub fn end_session(mut self) {
        if self.count == 0 {
            self.set_count(END_OF_SESSION);
        }
    }

    fn set_count(&mut self, count: u16) {
        let place = self.into.get_mut(self.count_at..self.count_at + 2);
        place.into_iter().for_each(|place| place.copy_from_slice(&count.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_heartbeat_and_an_end_have_no_messages_and_a_number() {
        let mut bytes = Vec::new();
        Writer::begin(&mut bytes, [b'x'; 10], 7);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.sequence, packet.count, packet.ends, packet.next()), (7, 0, false, 7));
        bytes.clear();
        Writer::begin(&mut bytes, [b'x'; 10], 7).end_session();
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.count, packet.ends, packet.next()), (0, true, 7));
        assert_eq!(packet.messages().count(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_the_packet_as_it_was() {
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(&mut bytes, [0; 10], 1);
        writer.push(b"a").unwrap();
        assert!(writer.push(&[0; 65_536]).is_err());
        for _ in 1..65_534 {
            writer.push(b"").unwrap();
        }
        assert!(writer.push(b"").is_err());
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.count, packet.ends), (65_534, false));
        assert!(packet.messages().all(|message| message.is_ok()));
    }

    /// What was found last.
    type Found = Result<Split, String>;

    /// What comes of a datagram.
    fn framed(framing: &mut Packets, datagram: &[u8]) -> (Vec<(Place, Vec<u8>)>, Found) {
        let (place, mut rest, mut records) = (framing.place(), datagram, Vec::new());
        framing.restart();
        loop {
            match framing.split(rest, 0) {
                Ok(Split::Frame { start, end, total }) => {
                    assert!(start <= end && end == total && total <= rest.len());
                    records.push((place.get(), rest[start..end].to_vec()));
                    rest = &rest[total..];
                    if rest.is_empty() {
                        return (records, Ok(Split::More(1)));
                    }
                }
                other => return (records, other),
            }
        }
    }

    #[test]
    fn a_gap_shows_at_a_heartbeat_and_a_datagram_cut_short_hurts_no_other() {
        let mut framing = Packets::new(10);
        let (mut first, mut beat) = (Vec::new(), Vec::new());
        let mut writer = Writer::begin(&mut first, [b'x'; 10], 7);
        writer.push(b"seven").unwrap();
        writer.push(b"eight").unwrap();
        Writer::begin(&mut beat, [b'x'; 10], 12);
        let (records, rest) = framed(&mut framing, &first[..first.len() - 1]);
        assert_eq!((records.len(), rest), (1, Ok(Split::More(1))));
        let (records, _) = framed(&mut framing, &beat);
        let place = Place { session: [b'x'; 10], sequence: 12, is_message: false, ends: false };
        assert_eq!(records, [(place, Vec::new())]);
        let (records, _) = framed(&mut framing, &first);
        assert_eq!(records.iter().map(|it| it.0.sequence).collect::<Vec<_>>(), [7, 8]);
        Writer::begin(&mut beat, [b'x'; 10], 13).end_session();
        let (records, _) = framed(&mut framing, &beat);
        assert_eq!(records.iter().map(|it| it.0.ends).collect::<Vec<_>>(), [false, true]);
        let (records, rest) = framed(&mut Packets::new(4), &first);
        assert!(records.is_empty() && rest.is_err());
        let mut written = Vec::new();
        framing = Packets::new(3);
        for message in [&b"one"[..], b"long"] {
            let from = written.len();
            framing.begin(&mut written);
            written.extend(message);
            framing.end(&mut written, from);
        }
        let (records, _) = framed(&mut Packets::new(3), &written);
        let records: Vec<_> = records.iter().map(|it| (it.0.sequence, &it.1[..])).collect();
        assert_eq!(records, [(1, &b"one"[..]), (2, b"lon")]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            session in any::<[u8; 10]>(),
            sequence in any::<u64>(),
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            cut in 1usize..30,
        ) {
            let mut bytes = Vec::new();
            let mut writer = Writer::begin(&mut bytes, session, sequence);
            messages.iter().for_each(|message| writer.push(message).unwrap());
            let packet = Packet::decode(&bytes).unwrap();
            prop_assert_eq!(packet.session, session);
            let mut next = sequence;
            for (read, written) in packet.messages().zip(&messages) {
                prop_assert_eq!(read, Ok((next, &written[..])));
                next = next.saturating_add(1);
            }
            prop_assert_eq!(packet.messages().count(), messages.len());
            prop_assert_eq!(packet.next(), next);
            let (records, _) = framed(&mut Packets::new(60), &bytes);
            let records = records.into_iter().filter(|it| it.0.is_message).map(|it| it.1);
            prop_assert_eq!(records.collect::<Vec<_>>(), messages);
            // What is cut short gives its whole messages, and then an error at its end.
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            if let Ok(packet) = Packet::decode(&bytes) {
                let read: Vec<_> = packet.messages().collect();
                if let Some((last, whole)) = read.split_last() {
                    prop_assert_eq!(last.as_ref().unwrap_err().offset, Some(bytes.len()));
                    prop_assert!(whole.iter().all(|message| message.is_ok()));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_packet_or_an_error_within_them(
            mut bytes in prop::collection::vec(any::<u8>(), 0..100),
            count in 0u8..5,
        ) {
            if let Some(low) = bytes.get_mut(18..20) {
                low.copy_from_slice(&[0, count]);
            }
            let _ = framed(&mut Packets::new(30), &bytes);
            match Packet::decode(&bytes) {
                Ok(packet) => for message in packet.messages() {
                    match message {
                        Ok((_, message)) => prop_assert!(message.len() <= bytes.len()),
                        Err(error) => prop_assert_eq!(error.offset, Some(bytes.len())),
                    }
                },
                Err(error) => prop_assert_eq!(error.offset, Some(bytes.len())),
            }
        }
    }
}
