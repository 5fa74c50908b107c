//! Text as numbers: what records say of long texts is where to find them.
//!
//! A record that a shard keeps is copied as bytes, so its text must fit into it. Short text does
//! ([`Text`](crate::Text)); long text is one of a fixed supply here, and a record has its number.
//! Where people read a record the text stands for the number, in a snapshot the number itself.

use std::fmt::Write;
use std::sync::LazyLock;

use fastrand::Rng;
use serde::{Deserialize, Serialize, Serializer};

use crate::state::Key;

/// Letters that phrases are cut out of.
const SUPPLY: usize = 1 << 16;
/// The longest phrase there can be.
const LONGEST: usize = 1 << 10;
/// Channels that have no name of their own.
const CHANNELS: usize = 10_000;
/// Channels through which half of all bids come.
const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

static LETTERS: LazyLock<String> = LazyLock::new(|| {
    let mut rng = Rng::with_seed(0);
    (0..SUPPLY).map(|_| rng.lowercase()).collect()
});

/// The name of each channel and the address that it leads to, the hot ones last.
static PLACES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut rng = Rng::with_seed(1);
    let mut places: Vec<_> = (0..CHANNELS as u32)
        .map(|number| {
            let mut url = address(&mut rng);
            if rng.u8(..10) > 0 {
                // What tells its identity, as in the original: the number with its bits reversed.
                let id = (number.reverse_bits() as i32).unsigned_abs();
                _ = write!(url, "&channel_id={id}");
            }
            (format!("channel-{number}"), url)
        })
        .collect();
    places.extend(HOT.map(|name| (name.to_owned(), address(&mut rng))));
    places
});

fn address(rng: &mut Rng) -> String {
    let mut url = "https://www.nexmark.com".to_owned();
    for _ in 0..3 {
        let letters = (0..rng.usize(3..5)).map(|_| match rng.u8(..13) {
            0 => '_',
            _ => rng.lowercase(),
        });
        url.push('/');
        url.push_str(&letters.collect::<String>());
    }
    url + "/item.htm?query=1"
}

/// Some letters out of the supply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "(u16, u16)")]
pub struct Phrase {
    start: u16,
    length: u16,
}

impl Phrase {
    /// One of `length` letters, of which there can be 1024 at most.
    pub fn random(rng: &mut Rng, length: usize) -> Self {
        let start = rng.usize(..SUPPLY - LONGEST) as u16;
        Self { start, length: length.min(LONGEST) as u16 }
    }

    /// The text.
    pub fn as_str(self) -> &'static str {
        let start = usize::from(self.start);
        LETTERS.get(start..start + usize::from(self.length)).unwrap_or_default()
    }
}

impl From<(u16, u16)> for Phrase {
    fn from((start, length): (u16, u16)) -> Self {
        Self { start, length }
    }
}

impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match to.is_human_readable() {
            true => to.serialize_str(self.as_str()),
            false => (self.start, self.length).serialize(to),
        }
    }
}

/// What a bid came through. A key of its own: the number that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Channel(u16);

/// The address that a bid was made at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Url(u16);

impl Channel {
    /// One of four for one bid in `hot`, but the first; else any of the ten thousand others.
    pub fn random(rng: &mut Rng, hot: u32) -> Self {
        match rng.u32(..hot) > 0 {
            true => Self((CHANNELS + rng.usize(..HOT.len())) as u16),
            false => Self(rng.usize(..CHANNELS) as u16),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        PLACES.get(usize::from(self.0)).map_or("", |place| &place.0)
    }

    /// The address that it leads to.
    pub fn url(self) -> Url {
        Url(self.0)
    }
}

impl Url {
    /// The text.
    pub fn as_str(self) -> &'static str {
        PLACES.get(usize::from(self.0)).map_or("", |place| &place.1)
    }
}

impl Key for Channel {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        self.0.mix(hash)
    }
}

/// As text for people, as a number in a snapshot.
macro_rules! readable {
    ($($number:ty),*) => {$(
        impl Serialize for $number {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match to.is_human_readable() {
                    true => to.serialize_str(self.as_str()),
                    false => self.0.serialize(to),
                }
            }
        }
    )*};
}
readable!(Channel, Url);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::encoding;

    #[test]
    fn a_phrase_is_a_number_in_a_snapshot_and_text_for_people() {
        let phrase = Phrase::random(&mut Rng::with_seed(7), 20);
        assert_eq!(phrase.as_str().len(), 20);
        let json = serde_json::to_string(&phrase).unwrap();
        assert_eq!(json, format!("{:?}", phrase.as_str()));
        let mut bytes = Vec::new();
        encoding::encode(&phrase, &mut bytes).unwrap();
        assert!(bytes.len() <= 6, "two numbers, of up to three bytes each");
    }

    #[test]
    fn nine_addresses_in_ten_tell_their_channel() {
        let telling = (0..CHANNELS as u16).filter(|n| Url(*n).as_str().contains("channel_id="));
        assert!((8_700..9_300).contains(&telling.count()));
        assert_eq!(Channel(10_003).as_str(), "Apple");
        assert!(!Channel(10_003).url().as_str().contains("channel_id="));
    }
}
