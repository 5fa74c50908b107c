//! What was wanted beside what came.

use crate::testing::marbles::span;
use crate::time::Timestamp;

/// One result, as a case writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub at: Timestamp,
    pub word: String,
}

impl Row {
    /// The word up to its first `:`.
    fn key(&self) -> &str {
        self.word.split(':').next().unwrap_or_default()
    }
}

/// Brings results of the same time into one order of their keys; those of one key keep theirs.
fn settled(mut results: Vec<Row>) -> Vec<Row> {
    let same_time = |one: &Row, two: &Row| one.at == two.at;
    for group in results.chunk_by_mut(same_time) {
        group.sort_by(|one, two| one.key().cmp(two.key()));
    }
    results
}

/// Two rows of results above each other, with the first difference marked; none if they are equal.
pub fn difference(name: &str, want: Vec<Row>, got: Vec<Row>) -> Option<String> {
    let (want, got) = (settled(want), settled(got));
    let differs = (0..want.len().max(got.len())).find(|&at| want.get(at) != got.get(at))?;
    let (mut top, mut bottom, mut mark) = (String::new(), String::new(), String::new());
    let (mut want_at, mut got_at) = (None, None);
    for at in 0..want.len().max(got.len()) {
        let above = cell(want.get(at), &mut want_at);
        let below = cell(got.get(at), &mut got_at);
        if at == differs {
            mark = " ".repeat(top.len()) + &"^".repeat(above.len().max(below.len()));
        }
        let width = above.len().max(below.len()) + 2;
        top += &format!("{above:<width$}");
        bottom += &format!("{below:<width$}");
    }
    let (top, bottom) = (top.trim_end(), bottom.trim_end());
    Some(format!("`{name}` is not as wanted\n  want  {top}\n  got   {bottom}\n        {mark}"))
}

/// A result in its column: with the time where that has changed, `-` where there is none.
fn cell(result: Option<&Row>, time: &mut Option<Timestamp>) -> String {
    let Some(Row { at, word }) = result else { return "-".to_owned() };
    if *time == Some(*at) {
        return word.clone();
    }
    *time = Some(*at);
    format!("@{} {word}", span::text(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(all: &[(i64, &str)]) -> Vec<Row> {
        let result = |(at, word): &(i64, &str)| Row { at: Timestamp(*at), word: (*word).into() };
        all.iter().map(result).collect()
    }

    #[test]
    fn keys_of_one_time_may_change_places() {
        let want = results(&[(9, "a:1"), (9, "b:2"), (10, "a:3")]);
        let got = results(&[(9, "b:2"), (9, "a:1"), (10, "a:3")]);
        assert_eq!(difference("out", want, got), None);
        let (one, two) = (results(&[(9, "a:1"), (9, "a:2")]), results(&[(9, "a:2"), (9, "a:1")]));
        assert!(difference("out", one, two).is_some(), "results of one key may not");
        let (one, two) = (results(&[(9, "a:1"), (10, "b:2")]), results(&[(10, "b:2"), (9, "a:1")]));
        assert!(difference("out", one, two).is_some(), "nor may times");
    }

    #[test]
    fn the_difference_is_marked_in_its_column() {
        let want = results(&[(9_999_999, "a:1"), (9_999_999, "b:22")]);
        let got = results(&[(9_999_999, "a:1"), (9_999_999, "b:2"), (20, "c:1")]);
        let golden = "`out` is not as wanted\n\
                      \x20 want  @10ms- a:1  b:22  -\n\
                      \x20 got   @10ms- a:1  b:2   @20ns c:1\n\
                      \x20                   ^^^^";
        assert_eq!(difference("out", want, got).unwrap(), golden);
    }
}
