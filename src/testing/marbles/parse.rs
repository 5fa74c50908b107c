//! From text to lines: what is said or wanted, and where in the text it stands.

use crate::testing::marbles::{MarbleError, span};
use crate::time::Timestamp;

/// The name of the line that lets processing time pass.
pub const WAIT: &str = "wait";

/// Where something stands in the text, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub fn error(self, reason: String) -> MarbleError {
        MarbleError { line: self.line, column: self.column, reason }
    }
}

/// A line of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub place: Place,
    /// Whom it is said to, or what it is wanted of.
    pub name: String,
    pub said: Vec<(Place, Said)>,
}

/// One thing that is said or wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A value; the time if the line has said one.
    Value {
        at: Option<Timestamp>,
        word: String,
    },
    /// How far event time has come; on a line that waits, how long.
    Watermark(Timestamp),
    Idle,
    End,
}

/// Reads a text.
pub fn parse(text: &str) -> Result<Vec<Line>, MarbleError> {
    let mut lines = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        let line = raw.split('#').next().unwrap_or_default();
        let mut words = words(line, at + 1);
        if words.is_empty() {
            continue;
        }
        let (place, name) = words.remove(0);
        if name.starts_with(['@', '|']) {
            let what = "a line begins with the name of an input or output".to_owned();
            return Err(place.error(what));
        }
        let said = if name == WAIT { wait(place, &words)? } else { said(&words)? };
        if said.is_empty() {
            return Err(place.error(format!("`{name}` says nothing")));
        }
        lines.push(Line { place, name: name.to_owned(), said });
    }
    Ok(lines)
}

/// The words of a line.
fn words(line: &str, number: usize) -> Vec<(Place, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    for word in line.split_whitespace() {
        let at = from + line[from..].find(word).unwrap_or(0);
        from = at + word.len();
        let column = line[..at].chars().count() + 1;
        found.push((Place { line: number, column }, word));
    }
    found
}

fn wait(place: Place, words: &[(Place, &str)]) -> Result<Vec<(Place, Said)>, MarbleError> {
    let [(at, word)] = words else {
        return Err(place.error("a wait is for one span of time: wait 5ms".to_owned()));
    };
    match time(*at, word)? {
        Timestamp(..0) => Err(at.error("time does not go back".to_owned())),
        span => Ok(vec![(place, Said::Watermark(span))]),
    }
}

fn said(words: &[(Place, &str)]) -> Result<Vec<(Place, Said)>, MarbleError> {
    let (mut said, mut at) = (Vec::new(), None);
    let mut words = words.iter();
    while let Some((place, word)) = words.next() {
        if let Some(word) = word.strip_prefix('@') {
            at = Some(time(*place, word)?);
            continue;
        }
        let one = match *word {
            "|idle" => Said::Idle,
            "|end" => Said::End,
            "|wm" => match words.next() {
                Some((place, word)) => Said::Watermark(time(*place, word)?),
                None => return Err(place.error("a watermark needs a time: |wm 10ms".to_owned())),
            },
            _ if word.starts_with('|') => {
                let what = format!("`{word}` is none of |wm, |idle and |end");
                return Err(place.error(what));
            }
            _ => Said::Value { at, word: (*word).to_owned() },
        };
        said.push((*place, one));
    }
    Ok(said)
}

fn time(place: Place, word: &str) -> Result<Timestamp, MarbleError> {
    span::parse(word).ok_or_else(|| {
        place.error(format!("`{word}` is no time: 10ms, 1.5s, 10ms- (the nanosecond before)"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).map_or_else(|error| error.to_string(), |lines| format!("{lines:?}"))
    }

    #[test]
    fn words_know_where_they_stand() {
        let lines = parse("\n  in  @1ms a:1 |wm 2ms  # said\n\n out @2ms- a:1").unwrap();
        let at = |line, column| Place { line, column };
        assert_eq!((lines[0].place, lines[1].place), (at(2, 3), at(4, 2)));
        let value = Said::Value { at: Some(Timestamp(1_000_000)), word: "a:1".to_owned() };
        assert_eq!(lines[0].said[0], (at(2, 12), value));
        assert_eq!(lines[0].said[1], (at(2, 16), Said::Watermark(Timestamp(2_000_000))));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_place() {
        let cases = [
            ("in", "marbles:1:1: `in` says nothing"),
            ("\n@1ms a", "marbles:2:1: a line begins with the name of an input or output"),
            ("in @1m a", "marbles:1:4: `1m` is no time: 10ms, 1.5s, 10ms- (the nanosecond before)"),
            ("in a |wm", "marbles:1:6: a watermark needs a time: |wm 10ms"),
            ("in |stop", "marbles:1:4: `|stop` is none of |wm, |idle and |end"),
            ("wait", "marbles:1:1: a wait is for one span of time: wait 5ms"),
            ("wait -5ms", "marbles:1:6: time does not go back"),
        ];
        for (text, reason) in cases {
            assert_eq!(refused(text), reason, "{text}");
        }
    }
}
