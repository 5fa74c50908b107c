//! The tables in Kafka Streams' documentation that say what each kind of join makes of one key,
//! cell by cell.
//!
//! Where we differ, on purpose: a row that is not there is not deleted once more; and a record that
//! may be late by 5 is waited for a nanosecond longer, since it still counts at that very time.

use std::collections::BTreeSet;

use millstream::join::{after, before};
use millstream::testing::{TestDriver, TestInput, TestOutput};
use millstream::{Pipeline, Result, Timestamp, ns};

use super::case;
use super::support::Said;
use super::support::tester::Tester;

/// When, and the new value of one side: capital letters are of the left one, `-` and `_` stand for
/// no value on the left and on the right.
const SAID: &str = "1- 2_ 3A 4a 5B 6b 7- 8_ 9C 10c 11_ 12- 13_ 14d 15D";

/// What comes later in the table of streams, when the first letters are long past.
const LATER: &str = "40E 60F 80f 100g";

fn letters(text: &str) -> impl Iterator<Item = (i64, char)> {
    text.split_whitespace().filter_map(|word| {
        let (at, letter) = word.split_at(word.len() - 1);
        Some((at.parse().ok()?, letter.chars().next()?))
    })
}

fn is_left(letter: char) -> bool {
    letter.is_uppercase() || letter == '-'
}

fn is_letter(letter: &char) -> bool {
    letter.is_alphabetic()
}

/// A row, of which there is none if nothing was said.
fn row(letter: &char) -> Option<char> {
    is_letter(letter).then_some(*letter)
}

fn shown(left: Option<&char>, right: Option<&char>) -> [char; 2] {
    [left, right].map(|half| half.copied().unwrap_or('-'))
}

/// Streams, all within 15 of each other, and late by up to 5.
macro_rules! stream_cases {
    ($($name:ident: $want:expr, |$join:ident| $select:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(char => [char; 2], |s| {
                let (left, right) = s.filter(is_letter).split(|letter| is_left(*letter));
                let (left, right) = (left.key_by(|_| ()), right.key_by(|_| ()));
                let $join = left.interval_join(right).between(before(ns(15)), after(ns(15)));
                let $join = $join.allowed_lateness(ns(5));
                $select
            });
            let said = letters(SAID).chain(letters(LATER));
            let said = said.flat_map(|(at, one)| [Said::Record(at, one), Said::Watermark(at)]);
            let golden = $want.to_string();
            let want = golden.split_whitespace().filter_map(|word| {
                let (at, pair) = word.split_at(word.len() - 2);
                let mut pair = pair.chars();
                Some((at.parse().ok()?, [pair.next()?, pair.next()?]))
            });
            let lane = |pair: &[char; 2]| u64::from(pair[0]) << 32 | u64::from(pair[1]);
            Tester::new(steps, said.collect::<Vec<_>>(), want.collect::<Vec<_>>()).by(lane).check();
        }
    )*};
}

const PAIRS: &str = "4Aa 5Ba 6Ab 6Bb 9Ca 9Cb 10Ac 10Bc 10Cc 14Ad 14Bd 14Cd 15Da 15Db 15Dc 15Dd";

stream_cases! {
    streams_inner: PAIRS, |join| join.select(|l, r| shown(Some(l), Some(r)));
    streams_left: format!("{PAIRS} 40E- 60F-"), |join| join.select_left(|l, r| shown(Some(l), r));
    streams_outer: format!("{PAIRS} 40E- 60F- 80-f 100-g"), |join| join.select_full(shown);
}

type Ends<T> = (TestInput<char>, TestInput<char>, TestOutput<T>);

/// What comes of each letter when all that it leads to has come out before the next one is said:
/// its time, and the result.
fn told<T>(
    build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<Ends<T>>,
    tell: impl Fn(T) -> String,
) -> String {
    let (mut driver, (left, right, output)) = TestDriver::new(build).expect("it builds");
    let mut all = Vec::new();
    for (at, letter) in letters(SAID) {
        let side = if is_left(letter) { &left } else { &right };
        side.push(Timestamp(at), letter);
        driver.settle().expect("nothing fails");
        for record in output.take() {
            assert_eq!(record.at, Timestamp(at), "a change is as late as what led to it");
            all.push(format!("{at}{}", tell(record.value)));
        }
    }
    left.close();
    right.close();
    driver.settle().expect("nothing fails");
    assert!(driver.is_done() && output.take().is_empty());
    all.join(" ")
}

#[derive(Clone, Copy)]
enum Kind {
    Inner,
    Left,
    Outer,
}

/// A row of two letters, or `x` where there is none any more.
fn joined_row(row: Option<[char; 2]>) -> String {
    row.map_or("x".to_owned(), |row| row.iter().collect())
}

fn tables(kind: Kind) -> String {
    let build = |p: Pipeline<'_>| -> Result<_> {
        let ((left, l), (right, r)) = (p.test_input::<char>(), p.test_input::<char>());
        let join = l.key_by(|_| ()).table(row).join(r.key_by(|_| ()).table(row));
        let table = match kind {
            Kind::Inner => join.select(|l, r| shown(Some(l), Some(r))).boxed(),
            Kind::Left => join.select_left(|l, r| shown(Some(l), r)).boxed(),
            Kind::Outer => join.select_full(shown).boxed(),
        };
        Ok((left, right, table.to_stream().map(|row| row.1).test_output()))
    };
    told(build, joined_row)
}

#[test]
fn tables_with_tables() {
    assert_eq!(tables(Kind::Inner), "4Aa 5Ba 6Bb 7x 10Cc 11x 15Dd");
    assert_eq!(tables(Kind::Left), "3A- 4Aa 5Ba 6Bb 7x 9C- 10Cc 11C- 12x 15Dd");
    let outer = "3A- 4Aa 5Ba 6Bb 7-b 8x 9C- 10Cc 11C- 12x 14-d 15Dd";
    assert_eq!(tables(Kind::Outer), outer);
}

/// A record without value asks for nothing, and no change of the table leads to a result.
fn stream_with_table(kind: Kind, is_global: bool) -> String {
    let build = |p: Pipeline<'_>| -> Result<_> {
        let ((left, l), (right, r)) = (p.test_input::<char>(), p.test_input::<char>());
        let asks = l.filter(is_letter);
        let found = if is_global {
            let join = asks.join_global(r.global_table(|_| (), row), |_| ());
            match kind {
                Kind::Inner => join.select(|l, r| shown(Some(l), Some(r))).boxed(),
                _ => join.select_left(|l, r| shown(Some(l), r)).boxed(),
            }
        } else {
            let join = asks.key_by(|_| ()).join_table(r.key_by(|_| ()).table(row));
            match kind {
                Kind::Inner => join.select(|l, r| shown(Some(l), Some(r))).boxed(),
                _ => join.select_left(|l, r| shown(Some(l), r)).boxed(),
            }
        };
        Ok((left, right, found.test_output()))
    };
    told(build, |row| joined_row(Some(row)))
}

#[test]
fn streams_with_tables() {
    for is_global in [false, true] {
        assert_eq!(stream_with_table(Kind::Inner, is_global), "5Ba 15Dd");
        assert_eq!(stream_with_table(Kind::Left, is_global), "3A- 5Ba 9C- 15Dd");
    }
}

/// What is said to both tables at each offset: rows that name a number, and rows of numbers.
type Offset<'a> = (Option<(char, Option<u32>)>, Option<(u32, &'a str)>);

const OFFSETS: [Offset<'static>; 9] = [
    (Some(('k', Some(1))), Some((1, "foo"))),
    (Some(('k', Some(2))), None),
    (Some(('k', Some(3))), None),
    (None, Some((3, "bar"))),
    (Some(('k', None)), None),
    (Some(('k', Some(1))), None),
    (Some(('q', Some(10))), None),
    (Some(('r', Some(10))), None),
    (None, Some((10, "baz"))),
];

/// Each offset with the rows that it led to.
fn by_foreign_key(is_left: bool) -> String {
    type Made = (u32, Option<[u8; 3]>);
    let (mut driver, (lefts, rights, output)) = TestDriver::new(|p| {
        let (lefts, l) = p.test_input::<(char, Option<u32>)>();
        let (rights, r) = p.test_input::<(u32, [u8; 3])>();
        let left = l.key_by(|row| row.0).table(|row| row.1);
        let right = r.key_by(|row| row.0).table(|row| Some(row.1));
        let join = left.join_foreign(right, |_, named| Some(*named));
        let table = match is_left {
            true => join.select_left(|named, text| -> Made { (*named, text.copied()) }).boxed(),
            false => join.select(|named, text| -> Made { (*named, Some(*text)) }).boxed(),
        };
        Ok((lefts, rights, table.to_stream().test_output()))
    })
    .expect("it builds");
    let mut all = Vec::new();
    for (offset, (left, right)) in (1..).zip(OFFSETS) {
        if let Some((named, text)) = right {
            let text: [u8; 3] = text.as_bytes().try_into().expect("three letters");
            rights.push(Timestamp(offset), (named, text));
            driver.settle().expect("nothing fails");
        }
        left.into_iter().for_each(|left| lefts.push(Timestamp(offset), left));
        driver.settle().expect("nothing fails");
        let told = output.take_values().into_iter().map(|(key, made)| match made {
            None => format!("{offset}{key}x"),
            Some((named, None)) => format!("{offset}{key}{named}-"),
            Some((named, Some(text))) => {
                format!("{offset}{key}{named}{}", String::from_utf8_lossy(&text))
            }
        });
        // Rows of one offset are in no order.
        all.extend(told.collect::<BTreeSet<_>>());
    }
    all.join(" ")
}

/// The documentation deletes the row of `k` at offset 3 once more, and says nothing of `q` and `r`
/// at offset 9, where the inner join has them too.
#[test]
fn tables_by_foreign_key() {
    assert_eq!(by_foreign_key(false), "1k1foo 2kx 4k3bar 5kx 6k1foo 9q10baz 9r10baz");
    let left = "1k1foo 2k2- 3k3- 4k3bar 5kx 6k1foo 7q10- 8r10- 9q10baz 9r10baz";
    assert_eq!(by_foreign_key(true), left);
}
