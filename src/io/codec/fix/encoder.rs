//! Messages put together.

use std::io::Write as _;

use crate::io::codec::Malformed;
use crate::io::codec::fix::{END, sum, tags};

/// Writes a message behind what is there already: BodyLength and CheckSum by itself, all else as it
/// is told.
///
/// It takes no memory of its own. What cannot be in a message makes [`finish`](Self::finish) fail,
/// which then takes back all of it.
#[derive(Debug)]
pub struct Encoder<'a> {
    into: &'a mut Vec<u8>,
    /// Where the message begins, and where its length is to be.
    from: usize,
    length_at: usize,
    wrong: Option<Malformed>,
}

impl<'a> Encoder<'a> {
    /// Begins a message of this version (`FIX.4.2`, `FIXT.1.1`) and kind.
    pub fn begin(into: &'a mut Vec<u8>, version: &str, kind: &str) -> Self {
        let from = into.len();
        let mut encoder = Self { into, from, length_at: 0, wrong: None };
        encoder.put(tags::BEGIN_STRING, version.as_bytes());
        encoder.into.extend_from_slice(b"9=");
        encoder.length_at = encoder.into.len();
        if !version.starts_with("FIX") || version.len() > 10 {
            encoder.wrong = Some(Malformed::at(2, "a version begins with FIX and is short"));
        }
        encoder.put(tags::KIND, kind.as_bytes());
        encoder
    }

    /// Adds the session's fields: sequence number, sender, target, and when it is sent as text.
    pub fn session(&mut self, sequence: u64, sender: &str, target: &str, time: &str) -> &mut Self {
        self.text(tags::SENDER, sender).text(tags::TARGET, target);
        self.number(tags::SEQUENCE, sequence as i64).text(tags::SENDING_TIME, time)
    }

    /// Adds a field.
    pub fn text(&mut self, tag: u32, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes())
    }

    /// Adds a field with a whole number.
    pub fn number(&mut self, tag: u32, value: i64) -> &mut Self {
        // 19 digits and a sign.
        let mut digits = [0; 20];
        let mut rest = &mut digits[..];
        let _ = write!(rest, "{value}");
        let left = rest.len();
        self.bytes(tag, &digits[..20 - left])
    }

    /// Adds a field of any bytes but the end of a field.
    pub fn bytes(&mut self, tag: u32, value: &[u8]) -> &mut Self {
        if value.contains(&END) {
            self.refuse("a value holds the end of a field: write it as data");
        }
        let is_own = matches!(tag, tags::BEGIN_STRING | tags::BODY_LENGTH | tags::CHECK_SUM);
        let is_data = tags::DATA.iter().any(|(length, data)| tag == *length || tag == *data);
        if tag == 0 || tag == u32::MAX || is_own {
            self.refuse("no tag for a field");
        } else if is_data {
            self.refuse("data and its length are written together");
        }
        self.put(tag, value);
        self
    }

    /// Adds raw data behind its length. The tags are a pair of [`tags::DATA`].
    pub fn data(&mut self, length_tag: u32, tag: u32, value: &[u8]) -> &mut Self {
        if !tags::DATA.contains(&(length_tag, tag)) {
            self.refuse("no tags of data and its length");
        }
        let _ = write!(self.into, "{length_tag}={}", value.len());
        self.into.push(END);
        self.put(tag, value);
        self
    }

    /// Ends the message.
    ///
    /// # Errors
    /// The first thing that cannot be in a message, at its place in this one.
    pub fn finish(mut self) -> Result<(), Malformed> {
        if let Some(wrong) = self.wrong.take() {
            self.into.truncate(self.from);
            return Err(wrong);
        }
        // The length of the body is known now, and room is made for it before the body.
        let (mut digits, body) = ([0; 20], self.into.len() - self.length_at);
        let mut rest = &mut digits[..];
        let _ = write!(rest, "{body}");
        let left = rest.len();
        let long = 20 - left + 1;
        digits[long - 1] = END;
        let end = self.into.len();
        self.into.extend_from_slice(&[0; 20][..long]);
        self.into.copy_within(self.length_at..end, self.length_at + long);
        self.into[self.length_at..self.length_at + long].copy_from_slice(&digits[..long]);
        let sum = sum(&self.into[self.from..]);
        let _ = write!(self.into, "10={sum:03}");
        self.into.push(END);
        Ok(())
    }

    fn put(&mut self, tag: u32, value: &[u8]) {
        let _ = write!(self.into, "{tag}=");
        self.into.extend_from_slice(value);
        self.into.push(END);
    }

    #[cold]
    fn refuse(&mut self, reason: &'static str) {
        let at = self.into.len() - self.from;
        self.wrong.get_or_insert(Malformed::at(at, reason));
    }
}
