//! As-of joins, as a search through all right records for each left one.

use super::joins::is_left;
use super::model::Row;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Backward,
    Forward,
    Nearest,
}

pub const DIRECTIONS: [Direction; 3] =
    [Direction::Backward, Direction::Forward, Direction::Nearest];

/// An as-of join: its direction, and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct AsOf {
    pub direction: Direction,
    pub strict: bool,
    pub tolerance: Option<i64>,
    pub lateness: i64,
}

/// A left record and what belongs to it.
pub type Answer = (Row, Option<Row>);

/// Every left record that is not late, with its right one, in the order of the left ones' times;
/// and the late records.
pub fn answers(rows: &[Row], before: &[i64], asof: AsOf) -> (Vec<Answer>, Vec<Row>) {
    let late = |(row, before): &(&Row, &i64)| row.at < before.saturating_sub(asof.lateness);
    let (late, taken): (Vec<_>, Vec<_>) = rows.iter().zip(before).partition(late);
    let taken: Vec<Row> = taken.into_iter().map(|(row, _)| *row).collect();
    let (left, right): (Vec<Row>, Vec<Row>) = taken.iter().partition(|row| is_left(row));
    let mut answers: Vec<Answer> = left.iter().map(|l| (*l, partner(l, &right, asof))).collect();
    answers.sort();
    (answers, late.into_iter().map(|(row, _)| *row).collect())
}

/// `right` is in the order of arrival.
fn partner(left: &Row, right: &[Row], asof: AsOf) -> Option<Row> {
    let near = |r: &&(usize, Row)| {
        let apart = (r.1.at - left.at).abs();
        r.1.key == left.key
            && asof.tolerance.is_none_or(|most| apart <= most)
            && (!asof.strict || apart > 0)
    };
    let right: Vec<(usize, Row)> = right.iter().copied().enumerate().collect();
    let right: Vec<&(usize, Row)> = right.iter().filter(near).collect();
    let back = right.iter().filter(|r| r.1.at <= left.at).max_by_key(|r| (r.1.at, r.0));
    let ahead = right.iter().filter(|r| r.1.at >= left.at).min_by_key(|r| (r.1.at, r.0));
    let found = match asof.direction {
        Direction::Backward => back,
        Direction::Forward => ahead,
        Direction::Nearest => match (back, ahead) {
            (Some(back), Some(ahead)) if ahead.1.at - left.at < left.at - back.1.at => Some(ahead),
            (Some(back), _) => Some(back),
            (None, ahead) => ahead,
        },
    };
    found.map(|r| r.1)
}

/// A left record and the values of the right ones around it, in order of time and arrival.
pub type Around = (Row, Vec<i64>);

/// Every left record that is not late, with the right ones from `from` to `to` around it, and the
/// latest before them if there is none at their very beginning.
pub fn around(
    rows: &[Row],
    before: &[i64],
    [from, to, lateness]: [i64; 3],
    prevailing: bool,
) -> Vec<Around> {
    let on_time = |(row, before): &(&Row, &i64)| row.at >= before.saturating_sub(lateness);
    let taken = rows.iter().zip(before).filter(on_time).map(|(row, _)| *row);
    let (left, mut right): (Vec<Row>, Vec<Row>) = taken.partition(is_left);
    right.sort_by_key(|row| row.at);
    let values = |left: Row| {
        let of_key = right.iter().filter(|row| row.key == left.key);
        let inside = |row: &&Row| left.at + from <= row.at && row.at <= left.at + to;
        let mut found: Vec<Row> = of_key.clone().filter(inside).copied().collect();
        if prevailing && found.first().is_none_or(|first| first.at > left.at + from) {
            let in_force = of_key.clone().rfind(|row| row.at < left.at + from);
            found.splice(..0, in_force.copied());
        }
        (left, found.iter().map(|row| row.value).collect())
    };
    let mut all: Vec<Around> = left.into_iter().map(values).collect();
    all.sort();
    all
}
