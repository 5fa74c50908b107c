//! Short text kept in place: symbols, venues, names as keys and fields.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::Key;

/// UTF-8 text of at most `N` bytes, kept in place: copied like an integer, never allocated. `N` is
/// at most 255; more does not compile where a text is made.
///
/// Compares, orders and hashes as the `str` it holds, and takes `N + 1` bytes. Comparing and keying
/// look at the bytes alone; [`as_str`](Self::as_str), and what goes through it, checks them as
/// UTF-8 again, which takes nanoseconds at these sizes.
///
/// ```
/// use millstream::state::Text;
///
/// const VENUE: Text<4> = Text::literal("XNAS");
/// let symbol: Text<8> = "MSFT".try_into()?;
/// assert!(symbol == "MSFT" && symbol.starts_with("MS") && VENUE.len() == 4);
/// assert_eq!(Text::<3>::new("MSFT"), None);
/// # Ok::<(), millstream::state::TextTooLong>(())
/// ```
// The bytes past the length are zero. Derived comparison therefore gives the order of `str`: where
// two texts differ within the shorter one it is found in the bytes, where one begins the other the
// longer has a byte that is not zero there, or nothing but zeros, which the length then tells
// apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    /// The longest text it can hold, in bytes.
    pub const CAPACITY: usize = N;

    /// No text.
    const EMPTY: Self = {
        assert!(N <= 255, "a Text holds at most 255 bytes");
        Self { bytes: [0; N], len: 0 }
    };

    /// A copy of `text`, or `None` if it is longer than `N` bytes.
    #[inline]
    pub const fn new(text: &str) -> Option<Self> {
        if text.len() > N {
            return None;
        }
        let mut copy = Self::EMPTY;
        copy.bytes.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
        copy.len = text.len() as u8;
        Some(copy)
    }

    /// A copy of a text known when the program is written; for constants.
    ///
    /// # Panics
    ///
    /// If the text is longer than `N` bytes: in a constant, that is a compile error.
    pub const fn literal(text: &'static str) -> Self {
        match Self::new(text) {
            Some(copy) => copy,
            None => panic!("the literal is longer than the Text"), // tidy: a compile error in a constant
        }
    }

    /// The bytes of the text, without those it does not use.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        // `get` and not an index: the compiler cannot know that the length is in range.
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // Never the default: the bytes were copied from a whole `str`.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl<const N: usize> Key for Text<N> {
    /// Mixes eight bytes at a time, as many as the text needs, and the length.
    #[inline]
    fn mix(self, hash: u64) -> u64 {
        let (words, rest) = self.bytes.as_chunks::<8>();
        let used = usize::from(self.len).div_ceil(8);
        let mut hash = hash ^ u64::from(self.len);
        for word in words.iter().take(used) {
            hash = u64::from_le_bytes(*word).mix(hash);
        }
        // The bytes of the last word when the capacity is no multiple of eight; and a round for the
        // empty text, whose hash would else be the seed.
        if used > words.len() || used == 0 {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            hash = u64::from_le_bytes(word).mix(hash);
        }
        hash
    }
}

impl<const N: usize> Serialize for Text<N> {
    /// As `str` does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for TextVisitor<N> {
    type Value = Text<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {N} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<N>, E> {
        Text::try_from(text).map_err(E::custom)
    }
}

/// A text that did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text of {length} bytes does not fit into {capacity}")]
pub struct TextTooLong {
    /// How long the text is, in bytes.
    pub length: usize,
    /// How many bytes would have fitted.
    pub capacity: usize,
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = TextTooLong;
    #[inline]
    fn try_from(text: &str) -> Result<Self, TextTooLong> {
        Self::new(text).ok_or(TextTooLong { length: text.len(), capacity: N })
    }
}

impl<const N: usize> FromStr for Text<N> {
    type Err = TextTooLong;
    #[inline]
    fn from_str(text: &str) -> Result<Self, TextTooLong> {
        text.try_into()
    }
}

impl<const N: usize> Default for Text<N> {
    #[inline]
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> Hash for Text<N> {
    /// As `str` does, so that a map keyed by texts can be asked for a `&str`.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    #[inline]
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> Borrow<str> for Text<N> {
    #[inline]
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> PartialEq<str> for Text<N> {
    #[inline]
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> PartialEq<&str> for Text<N> {
    #[inline]
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    /// Short texts over a nasty alphabet: zero bytes, and characters of one to four bytes.
    fn texts() -> Vec<String> {
        let mut rng = fastrand::Rng::with_seed(3);
        let alphabet = ['\0', 'a', 'b', '\u{e9}', '\u{20ac}', '\u{1f980}'];
        (0..400).map(|_| (0..rng.usize(0..5)).map(|_| alphabet[rng.usize(..6)]).collect()).collect()
    }

    fn text<const N: usize>(text: &str) -> Text<N> {
        Text::new(text).expect("short enough")
    }

    #[test]
    fn it_compares_as_its_text_does() {
        for a in &texts() {
            for b in &texts() {
                let (x, y) = (text::<19>(a), text::<19>(b));
                assert_eq!(x.cmp(&y), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(x == y, a == b);
                assert_eq!(x == b.as_str(), a == b);
                assert_eq!(x.mix(1) == y.mix(1), a == b, "{a:?} {b:?}");
            }
            assert_eq!(text::<19>(a).as_str(), a);
        }
    }

    #[test]
    fn it_fits_or_says_by_how_much_it_does_not() {
        assert_eq!(Text::<4>::new("MSFT").expect("fits"), "MSFT");
        assert_eq!(Text::<0>::new("").expect("fits"), "");
        assert_eq!(Text::<255>::new(&"x".repeat(255)).expect("fits").len(), 255);
        // Not cut in the middle of a character, nor anywhere else.
        let error = Text::<4>::try_from("ab\u{20ac}").expect_err("five bytes");
        assert_eq!(error.to_string(), "a text of 5 bytes does not fit into 4");
    }

    #[test]
    fn every_length_and_capacity_hashes_apart() {
        let mut seen = HashSet::new();
        for len in 0..=64 {
            assert!(seen.insert(text::<64>(&"\0".repeat(len)).mix(9)), "{len}");
        }
        assert_ne!(Text::<8>::default().mix(5), 5);
        assert_ne!(Text::<0>::default().mix(5), 5);
        assert_ne!(Text::<3>::literal("abc").mix(0), Text::<3>::literal("abd").mix(0));
        assert_ne!(text::<11>("01234567abc").mix(0), text::<11>("01234567ab").mix(0));
    }

    #[test]
    fn short_symbols_spread_over_the_top_bits() {
        let mut groups = [0u32; 128];
        for i in 0..128_000 {
            groups[(text::<8>(&format!("{i}")).mix(42) >> 57) as usize] += 1;
        }
        assert!(groups.iter().all(|&n| (800..1200).contains(&n)), "{groups:?}");
    }

    #[test]
    fn a_map_can_be_asked_by_str() {
        let map = HashMap::from([(Text::<8>::literal("MSFT"), 1)]);
        assert_eq!(map.get("MSFT"), Some(&1));
        assert_eq!(format!("{:>6}|{0:?}", Text::<8>::literal("MSFT")), "  MSFT|\"MSFT\"");
    }
}
