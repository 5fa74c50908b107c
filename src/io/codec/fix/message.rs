//! A message, checked.

use crate::io::codec::Malformed;
use crate::io::codec::fix::field::{Field, Fields};
use crate::io::codec::fix::frames::{is_trailer, start};
use crate::io::codec::fix::{TRAILER, sum, tags};

/// What a session's messages begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// BeginString (8): `FIX.4.2`, `FIXT.1.1`.
    pub version: &'a [u8],
    /// MsgType (35).
    pub kind: &'a [u8],
    /// MsgSeqNum (34).
    pub sequence: u64,
    /// SenderCompID (49).
    pub sender: &'a [u8],
    /// TargetCompID (56).
    pub target: &'a [u8],
    /// SendingTime (52): [`Field::time`] reads it.
    pub sending_time: Field<'a>,
}

/// A message, where it was received: its length and its check sum are right, and the session's
/// fields are there.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The session's fields.
    pub header: Header<'a>,
    /// From MsgType up to CheckSum.
    body: &'a [u8],
    /// Where that begins.
    base: usize,
}

impl<'a> Message<'a> {
    /// The message that bytes are.
    ///
    /// # Errors
    /// A BodyLength or a CheckSum that is wrong, with what it should be; a field of the session
    /// that is missing; what is no field. Fields behind the header are looked at when they are
    /// read.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let start = match start(bytes) {
            Ok(Some(start)) => start,
            Ok(None) => return Err(Malformed::at(bytes.len(), "it ends too early")),
            Err((at, reason)) => return Err(Malformed::at(at, reason)),
        };
        let trailer = bytes.len().saturating_sub(TRAILER);
        if trailer < start.body || !is_trailer(bytes, trailer) {
            return Err(Malformed::at(trailer.max(start.body), "CheckSum does not come last"));
        }
        if trailer - start.body != start.length {
            let (said, found) = (start.length, trailer - start.body);
            let reason = format!("BodyLength says {said}, and the body has {found} bytes");
            return Err(Malformed::at(start.length_at, reason));
        }
        let (sum, said) = (sum(&bytes[..trailer]), &bytes[trailer + 3..trailer + 6]);
        let said = said.iter().fold(0, |n, byte| n * 10 + u32::from(byte - b'0'));
        if u32::from(sum) != said {
            let reason = format!("CheckSum says {said:03}, and the bytes add up to {sum:03}");
            return Err(Malformed::at(trailer + 3, reason));
        }
        let (body, version) = (&bytes[start.body..trailer], &bytes[2..start.length_at - 3]);
        let header = header(version, Fields::new(body, start.body))?;
        Ok(Self { header, body, base: start.body })
    }

    /// All fields but BeginString, BodyLength and CheckSum, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.body, self.base)
    }

    /// The first field of this tag. Looking for it goes through those before it.
    ///
    /// # Errors
    /// What is no field on the way there.
    pub fn get(&self, tag: u32) -> Result<Option<Field<'a>>, Malformed> {
        find(self.fields(), tag)
    }

    /// The entries of a repeating group, in order. `count` is the tag that says how many there are.
    /// `members` are the tags that may be in an entry, those of groups within it included, first
    /// the one that each entry begins with.
    ///
    /// ```
    /// use millstream::io::Malformed;
    /// use millstream::io::fix::{Encoder, Message};
    ///
    /// let mut bytes = Vec::new();
    /// let mut snapshot = Encoder::begin(&mut bytes, "FIX.4.4", "W");
    /// snapshot.session(1, "A", "B", "20261129-09:30:00").number(268, 2);
    /// snapshot.text(269, "0").text(270, "410.5").text(269, "1").text(270, "410.75");
    /// snapshot.text(58, "behind the group");
    /// snapshot.finish()?;
    /// let message = Message::decode(&bytes)?;
    /// let prices: Result<Vec<f64>, Malformed> = message
    ///     .group(268, &[269, 270, 271])?
    ///     .map(|entry| Ok(entry?.get(270)?.map_or(0.0, |it| it.decimal().unwrap().to_f64())))
    ///     .collect();
    /// assert_eq!(prices?, [410.5, 410.75]);
    /// # Ok::<(), millstream::io::Malformed>(())
    /// ```
    ///
    /// # Errors
    /// A count that is none. A group that is not there has no entries.
    pub fn group<'m>(&self, count: u32, members: &'m [u32]) -> Result<Groups<'a, 'm>, Malformed> {
        groups(self.fields(), count, members)
    }
}

fn find(fields: Fields<'_>, tag: u32) -> Result<Option<Field<'_>>, Malformed> {
    for field in fields {
        let field = field?;
        if field.tag == tag {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// The session's fields, in any order but for the first.
#[inline]
fn header<'a>(version: &'a [u8], mut fields: Fields<'a>) -> Result<Header<'a>, Malformed> {
    let place = fields.place();
    let kind = match fields.next().transpose()? {
        Some(field) if field.tag == tags::KIND => field.value,
        _ => return Err(Malformed::at(place, "MsgType comes third")),
    };
    let (mut sequence, mut sender, mut target, mut time) = (None, None, None, None);
    let mut end = fields.place();
    while let Some(field) = fields.next().transpose()? {
        match field.tag {
            tags::SEQUENCE => sequence = Some(field),
            tags::SENDER => sender = Some(field.value),
            tags::TARGET => target = Some(field.value),
            tags::SENDING_TIME => time = Some(field),
            other if !tags::is_of_header(other) => break,
            _ => {}
        }
        end = fields.place();
        if sequence.is_some() && sender.is_some() && target.is_some() && time.is_some() {
            break;
        }
    }
    let missing = |reason| Malformed::at(end, reason);
    let sequence = sequence.ok_or_else(|| missing("MsgSeqNum (34) is missing in the header"))?;
    let number = sequence.int().ok().and_then(|number| u64::try_from(number).ok());
    Ok(Header {
        version,
        kind,
        sequence: number.ok_or(Malformed::at(sequence.at, "MsgSeqNum is no number"))?,
        sender: sender.ok_or_else(|| missing("SenderCompID (49) is missing in the header"))?,
        target: target.ok_or_else(|| missing("TargetCompID (56) is missing in the header"))?,
        sending_time: time.ok_or_else(|| missing("SendingTime (52) is missing in the header"))?,
    })
}

/// One entry of a repeating group.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    bytes: &'a [u8],
    base: usize,
}

impl<'a> Group<'a> {
    /// Its fields, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.bytes, self.base)
    }

    /// The first field of this tag.
    ///
    /// # Errors
    /// What is no field on the way there.
    pub fn get(&self, tag: u32) -> Result<Option<Field<'a>>, Malformed> {
        find(self.fields(), tag)
    }

    /// A group within it: see [`Message::group`].
    ///
    /// # Errors
    /// A count that is none.
    pub fn group<'m>(&self, count: u32, members: &'m [u32]) -> Result<Groups<'a, 'm>, Malformed> {
        groups(self.fields(), count, members)
    }
}

/// The entries of a repeating group.
#[derive(Clone, Debug)]
pub struct Groups<'a, 'm> {
    fields: Fields<'a>,
    members: &'m [u32],
    left: u64,
}

impl Groups<'_, '_> {
    /// How many more there are to be.
    pub fn left(&self) -> u64 {
        self.left
    }
}

fn groups<'a, 'm>(
    mut fields: Fields<'a>,
    count: u32,
    members: &'m [u32],
) -> Result<Groups<'a, 'm>, Malformed> {
    let mut left = 0;
    while let Some(field) = fields.next().transpose()? {
        if field.tag == count {
            let number = field.int().ok().and_then(|number| u64::try_from(number).ok());
            left = number.ok_or(Malformed::at(field.at, "not a count of entries"))?;
            break;
        }
    }
    Ok(Groups { fields, members, left })
}

impl<'a> Iterator for Groups<'a, '_> {
    type Item = Result<Group<'a>, Malformed>;

    /// The next entry; an error where fewer come than were counted. Nothing comes after one.
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.entry();
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

impl<'a> Groups<'a, '_> {
    fn entry(&mut self) -> Result<Group<'a>, Malformed> {
        let (first, from) = (self.members.first().copied(), self.fields.clone());
        match self.fields.next().transpose()? {
            Some(field) if Some(field.tag) == first => {}
            _ => return Err(Malformed::at(from.place(), "an entry of the group is missing")),
        }
        let mut behind = self.fields.clone();
        while let Some(field) = behind.next().transpose()? {
            if Some(field.tag) == first || !self.members.contains(&field.tag) {
                break;
            }
            self.fields = behind.clone();
        }
        Ok(Group { bytes: from.up_to(&self.fields), base: from.place() })
    }
}

#[cfg(test)]
mod tests;
