//! The line that a connection begins with: what it wants, and by which right.

use std::fmt;

use crate::trust::{Way, is_word};

/// The longest line, its end included.
pub const LONGEST: usize = 512;

/// What the one who is let in is answered.
pub const WELCOME: &[u8] = b"ok\n";

/// What stands in front of why one is not let in.
pub const REFUSED: &str = "refused: ";

/// What somebody who connects to a [`Gate`](crate::net::Gate) says first: a line such as
/// `publish trades` or `subscribe bars 0f7e5c1b9a3d4826`, of which the last word is a secret. He is
/// answered by `ok`, or by `refused:` and why, each a line too.
///
/// ```
/// use millstream::net::Hello;
///
/// let hello = Hello::publish("trades").token("0f7e5c1b9a3d4826");
/// assert_eq!(hello.line(), "publish trades 0f7e5c1b9a3d4826\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    pub(super) way: Way,
    pub(super) stream: String,
    pub(super) token: Option<String>,
}

impl Hello {
    /// Records of this stream will come.
    pub fn publish(stream: &str) -> Self {
        Self { way: Way::Publish, stream: stream.to_owned(), token: None }
    }

    /// Records of this stream are wanted.
    pub fn subscribe(stream: &str) -> Self {
        Self { way: Way::Subscribe, stream: stream.to_owned(), token: None }
    }

    /// With a secret by which he is known.
    pub fn token(self, secret: &str) -> Self {
        Self { token: Some(secret.to_owned()), ..self }
    }

    /// The line.
    pub fn line(&self) -> String {
        match &self.token {
            Some(token) => format!("{} {} {token}\n", self.way, self.stream),
            None => format!("{} {}\n", self.way, self.stream),
        }
    }

    /// Whether that is one line of three words at most.
    pub(super) fn is_whole(&self) -> bool {
        let word = |word: &String| is_word(word.as_bytes());
        word(&self.stream) && self.token.as_ref().is_none_or(word) && self.line().len() <= LONGEST
    }

    /// What a line says, without its end.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut words = line.split(' ');
        let hello = match (words.next()?, words.next()?) {
            ("publish", stream) => Self::publish(stream),
            ("subscribe", stream) => Self::subscribe(stream),
            _ => return None,
        };
        let hello = match words.next() {
            Some(token) => hello.token(token),
            None => hello,
        };
        (words.next().is_none() && hello.is_whole()).then_some(hello)
    }
}

impl fmt::Debug for Hello {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.way, self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        let hello = Hello::subscribe("bars").token("secret");
        assert_eq!(Hello::parse(b"subscribe bars secret"), Some(hello.clone()));
        assert_eq!(Hello::parse(b"subscribe bars secret\r"), Some(hello));
        assert_eq!(Hello::parse(b"publish x"), Some(Hello::publish("x")));
        let long = format!("publish {}", "x".repeat(300));
        let others: [&[u8]; 9] = [
            b"",
            b"publish",
            b"publish ",
            b"Publish x",
            b"publish x y z",
            b"publish x\0",
            b"publish  x",
            b"\xff\xfe",
            long.as_bytes(),
        ];
        for other in others {
            assert_eq!(Hello::parse(other), None, "{other:?}");
        }
        assert!(!format!("{:?}", Hello::publish("x").token("secret")).contains("secret"));
    }
}
