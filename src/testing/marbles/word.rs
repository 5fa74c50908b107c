//! Values as words of a case.

use std::fmt::Display;
use std::str::FromStr;

use crate::state::Text;
use crate::window::{Timing, Windowed};

/// A value that can be read from one word of a case.
///
/// Numbers, `bool`, `char`, `String`, [`Text`] and tuples of up to three of these, with `:` between
/// their parts. For a record of your own, read a tuple and `map` it, or say how it is read:
///
/// ```
/// use millstream::testing::FromWord;
///
/// #[derive(Debug, PartialEq)]
/// struct Trade { symbol: char, price: f64 }
///
/// impl FromWord for Trade {
///     fn from_word(word: &str) -> Option<Self> {
///         let (symbol, price) = FromWord::from_word(word)?;
///         Some(Self { symbol, price })
///     }
/// }
/// assert_eq!(Trade::from_word("a:9.5"), Some(Trade { symbol: 'a', price: 9.5 }));
/// ```
pub trait FromWord: Sized + 'static {
    /// Reads the word; `None` if it is no such value.
    fn from_word(word: &str) -> Option<Self>;
}

/// A value that can be written as one word of a case.
///
/// What can be [read](FromWord) can be written the same way. A window's result is `key:value`, with
/// `~early0`, `~late1` behind it if it is not the one on time.
pub trait ToWord {
    /// Writes the value, without white space.
    fn to_word(&self) -> String;
}

macro_rules! words {
    ($($name:ty),*) => {$(
        impl FromWord for $name {
            fn from_word(word: &str) -> Option<Self> {
                from_str(word)
            }
        }
        impl ToWord for $name {
            fn to_word(&self) -> String {
                written(self)
            }
        }
    )*};
}
words!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
words!(f32, f64, bool, char, String);

impl<const N: usize> FromWord for Text<N> {
    fn from_word(word: &str) -> Option<Self> {
        from_str(word)
    }
}

impl<const N: usize> ToWord for Text<N> {
    fn to_word(&self) -> String {
        written(self)
    }
}

fn from_str<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok()
}

fn written(value: &impl Display) -> String {
    value.to_string()
}

impl ToWord for () {
    fn to_word(&self) -> String {
        "()".to_owned()
    }
}

impl<A: FromWord, B: FromWord> FromWord for (A, B) {
    fn from_word(word: &str) -> Option<Self> {
        let (a, b) = word.split_once(':')?;
        Some((A::from_word(a)?, B::from_word(b)?))
    }
}

impl<A: FromWord, B: FromWord, C: FromWord> FromWord for (A, B, C) {
    fn from_word(word: &str) -> Option<Self> {
        let (a, rest) = word.split_once(':')?;
        let (b, c) = FromWord::from_word(rest)?;
        Some((A::from_word(a)?, b, c))
    }
}

impl<A: ToWord, B: ToWord> ToWord for (A, B) {
    fn to_word(&self) -> String {
        format!("{}:{}", self.0.to_word(), self.1.to_word())
    }
}

impl<A: ToWord, B: ToWord, C: ToWord> ToWord for (A, B, C) {
    fn to_word(&self) -> String {
        format!("{}:{}:{}", self.0.to_word(), self.1.to_word(), self.2.to_word())
    }
}

impl<T: ToWord> ToWord for Option<T> {
    fn to_word(&self) -> String {
        self.as_ref().map_or("none".to_owned(), T::to_word)
    }
}

impl<K: ToWord, R: ToWord> ToWord for Windowed<K, R> {
    fn to_word(&self) -> String {
        let timing = match self.timing {
            Timing::OnTime => String::new(),
            Timing::Early(n) => format!("~early{n}"),
            Timing::Late(n) => format!("~late{n}"),
        };
        format!("{}:{}{timing}", self.key.to_word(), self.value.to_word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_way() {
        let word = "a:7:-1.5";
        let value: (char, u8, f64) = FromWord::from_word(word).unwrap();
        assert_eq!((value, value.to_word().as_str()), (('a', 7, -1.5), word));
        let text: (Text<8>, bool) = FromWord::from_word("MSFT:true").unwrap();
        assert_eq!(text.to_word(), "MSFT:true");
        assert_eq!((Some(4u8).to_word(), None::<u8>.to_word()), ("4".into(), "none".into()));
        for word in ["a", "a:", "ab:1", "a:1:2"] {
            assert_eq!(<(char, u64)>::from_word(word), None, "{word}");
        }
    }
}
