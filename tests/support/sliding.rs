//! Windows of records, the slow way: every result from scratch, over all records of the key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use millstream::{Aggregate, Rolling, Timestamp, Windowed, ns};

use super::model::{Row, watermarks};

/// Count and digest: of the values in their order, so that two that change places show.
pub type Digest = (u64, u64);

/// One result, as model and engine are compared: when, key, start, end, value.
pub type Slid = (i64, u64, i64, i64, Digest);

/// What the digest is multiplied by at each value; odd, so that it has an inverse.
const SCALE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The engine's aggregate for the digest, which can take back what slid out, or cannot.
pub struct Digesting<const INVERTIBLE: bool>;

/// x -> scale * x + shift, and how many values it is made of.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Composed {
    count: u64,
    scale: u64,
    shift: u64,
}

impl Default for Composed {
    fn default() -> Self {
        Self { count: 0, scale: 1, shift: 0 }
    }
}

impl<const INVERTIBLE: bool> Aggregate<Row> for Digesting<INVERTIBLE> {
    type Acc = Composed;
    type Out = Digest;
    const INVERTIBLE: bool = INVERTIBLE;

    fn accumulate(&self, acc: &mut Composed, _at: Timestamp, row: &Row) {
        self.combine(acc, &Composed { count: 1, scale: SCALE, shift: row.value as u64 });
    }

    fn combine(&self, acc: &mut Composed, other: &Composed) {
        *acc = Composed {
            count: acc.count + other.count,
            scale: acc.scale.wrapping_mul(other.scale),
            shift: acc.shift.wrapping_mul(other.scale).wrapping_add(other.shift),
        };
    }

    /// Only ever the oldest.
    fn deduct(&self, acc: &mut Composed, other: &Composed) {
        let inverse = (0..6).fold(other.scale, |x, _| {
            x.wrapping_mul(2u64.wrapping_sub(other.scale.wrapping_mul(x)))
        });
        let scale = acc.scale.wrapping_mul(inverse);
        let shift = acc.shift.wrapping_sub(other.shift.wrapping_mul(scale));
        *acc = Composed { count: acc.count - other.count, scale, shift };
    }

    fn finish(&self, acc: &Composed) -> Digest {
        (acc.count, acc.shift)
    }
}

/// The digest of values in their order.
pub fn digest<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Digest {
    rows.into_iter().fold((0, 0), |(count, digest), row| {
        (count + 1, digest.wrapping_mul(SCALE).wrapping_add(row.value as u64))
    })
}

/// A result as it is compared.
pub fn slid(at: i64, result: &Windowed<u64, Digest>) -> Slid {
    (at, result.key, result.span.start.0, result.span.end.0, result.value)
}

/// The records of each key, in the order in which they came.
pub fn by_key(rows: &[Row]) -> BTreeMap<u64, Vec<Row>> {
    let mut keys: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    rows.iter().for_each(|row| keys.entry(row.key).or_default().push(*row));
    keys
}

/// What windows of the latest `size` records, every `every`, come to, key by key.
pub fn count_windows(rows: &[Row], size: usize, every: usize, incomplete: bool) -> Vec<Slid> {
    let mut results = Vec::new();
    for (key, rows) in by_key(rows) {
        let mut ends: Vec<usize> = (every..=rows.len()).step_by(every).collect();
        if incomplete && rows.len() % every > 0 {
            ends.push(rows.len());
        }
        for end in ends {
            // End to end, a window begins where the last one ended; else the latest count.
            let begin = match size == every {
                true => (end - 1) / every * every,
                false => end.saturating_sub(size),
            };
            let window = &rows[begin..end];
            let (first, last) = (window[0].at, window[window.len() - 1].at);
            let (start, finish) = (first.min(last), first.max(last) + 1);
            results.push((last, key, start, finish, digest(window)));
        }
    }
    results
}

/// How far a window reaches back from a record.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// So far in time; what is exactly so old is in, or is not.
    Length { length: i64, inclusive: bool },
    /// So many records.
    Last(usize),
}

impl Back {
    /// The engine's way to say it.
    pub fn rolling(self) -> Rolling {
        match self {
            Self::Length { length, inclusive: true } => Rolling::of(ns(length as u64)).inclusive(),
            Self::Length { length, .. } => Rolling::of(ns(length as u64)),
            Self::Last(count) => Rolling::last(count as u32),
        }
    }
}

/// What windows that end at each record come to, and what is late.
pub fn rolling(rows: &[Row], disorder: i64, back: Back) -> (Vec<Slid>, Vec<Row>) {
    let before = watermarks(rows, disorder);
    let with = rows.iter().copied().zip(before);
    let (late, mut rows): (Vec<_>, Vec<_>) = with.partition(|(row, passed)| row.at < *passed);
    rows.sort_by_key(|(row, _)| row.at);
    let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    let mut results = Vec::new();
    for (key, rows) in by_key(&rows) {
        for (n, row) in rows.iter().enumerate() {
            let window: Vec<Row> = match back {
                Back::Length { length, inclusive } => {
                    let oldest = row.at - length + i64::from(!inclusive);
                    let inside = |other: &&Row| oldest <= other.at && other.at <= row.at;
                    rows.iter().filter(inside).copied().collect()
                }
                Back::Last(count) => rows[(n + 1).saturating_sub(count)..=n].to_vec(),
            };
            let start = match back {
                Back::Length { length, inclusive } => row.at - length + i64::from(!inclusive),
                Back::Last(_) => window[0].at,
            };
            results.push((row.at, key, start, row.at + 1, digest(&window)));
        }
    }
    (results, late.into_iter().map(|(row, _)| row).collect())
}
