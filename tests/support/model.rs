//! A slow and obvious model: plain loops over all records, every record kept, nothing shared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use millstream::Timing;

/// A record as the tests write it. The engine's record has the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    pub at: i64,
    pub key: u64,
    pub value: i64,
}

/// How windows cut time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
    pub lateness: i64,
}

/// Count, sum, least, greatest, first and last value of a window.
pub type Value = (u64, i64, i64, i64, i64, i64);

/// One result of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fired {
    pub end: i64,
    pub start: i64,
    pub key: u64,
    pub value: Value,
    pub timing: Timing,
}

/// What windows make of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the order in which they fire.
    pub fired: Vec<Fired>,
    /// In the order in which they came.
    pub late: Vec<Row>,
}

impl Cut {
    pub fn tumbling(size: i64) -> Self {
        Self::sliding(size, size)
    }

    pub fn sliding(size: i64, slide: i64) -> Self {
        Self { size, slide, offset: 0, lateness: 0 }
    }

    /// The windows that hold an instant, as (end, start), in order of time.
    pub fn windows_of(&self, at: i64) -> Vec<(i128, i128)> {
        let (at, size, slide) = (i128::from(at), i128::from(self.size), i128::from(self.slide));
        let mut start = at - (at - i128::from(self.offset)).rem_euclid(slide);
        let mut windows = Vec::new();
        while start + size > at {
            windows.insert(0, (start + size, start));
            start -= slide;
        }
        windows
    }
}

const MIN: i128 = i64::MIN as i128;

/// The window that ends and starts here.
fn result((end, start): (i128, i128), key: u64, rows: &[Row], timing: Timing) -> Fired {
    // Ends beyond the end of time are at the end of time, with windows as long as ever.
    let [end, length] = [end, end - start].map(|ns| ns.clamp(MIN, i64::MAX.into()) as i64);
    let start = end.saturating_sub(length);
    Fired { end, start, key, value: value_of(rows), timing }
}

impl Fired {
    /// Without what cannot be deducted.
    pub fn invertible(self) -> Self {
        let (count, sum, ..) = self.value;
        Self { value: (count, sum, 0, 0, 0, 0), ..self }
    }

    /// Without what depends on the order of arrival: the first and the last of equal times.
    pub fn without_order(self) -> Self {
        let (count, sum, min, max, ..) = self.value;
        Self { value: (count, sum, min, max, 0, 0), ..self }
    }
}

/// All the values of a window, from all its records in the order in which they came.
pub fn value_of(rows: &[Row]) -> Value {
    let mut value = (0, 0, i64::MAX, i64::MIN, 0, 0);
    let (mut first_at, mut last_at) = (None, None);
    for row in rows {
        value.0 += 1;
        value.1 += row.value;
        value.2 = value.2.min(row.value);
        value.3 = value.3.max(row.value);
        if first_at.is_none_or(|at| row.at < at) {
            (first_at, value.4) = (Some(row.at), row.value);
        }
        if last_at.is_none_or(|at| row.at >= at) {
            (last_at, value.5) = (Some(row.at), row.value);
        }
    }
    value
}

/// The watermark before each record, if records come at most `disorder` behind the latest.
pub fn watermarks(rows: &[Row], disorder: i64) -> Vec<i64> {
    let mut before = Vec::new();
    let mut watermark = i64::MIN;
    for row in rows {
        before.push(watermark);
        // The last instant is kept for the end of the input.
        let reached = row.at.saturating_sub(disorder).min(i64::MAX - 1);
        watermark = watermark.max(reached);
    }
    before
}

/// How far behind the latest one a record comes at most.
pub fn disorder_of(rows: &[Row]) -> i64 {
    let mut furthest = i64::MIN;
    let mut disorder = 0;
    for row in rows {
        furthest = furthest.max(row.at);
        disorder = disorder.max(furthest.saturating_sub(row.at));
    }
    disorder
}

/// What windows make of all records under bounded disorder.
pub fn windows(rows: &[Row], cut: Cut, disorder: i64) -> Answer {
    let before = watermarks(rows, disorder);
    windows_under(rows.iter().copied().zip(before), cut)
}

/// What windows make of records, each with the watermark before it.
pub fn windows_under(rows: impl IntoIterator<Item = (Row, i64)>, cut: Cut) -> Answer {
    windows_of_shape(rows, cut.lateness, |at| cut.windows_of(at))
}

/// What windows of any shape make of records: `windows_of` says which windows hold an instant, as
/// (end, start), in order of time. Records of no window are with the late ones.
pub fn windows_of_shape(
    rows: impl IntoIterator<Item = (Row, i64)>,
    lateness: i64,
    windows_of: impl Fn(i64) -> Vec<(i128, i128)>,
) -> Answer {
    let mut answer = Answer::default();
    let mut held: BTreeMap<((i128, i128), u64), Vec<Row>> = BTreeMap::new();
    let mut revisions: BTreeMap<(i128, u64), u32> = BTreeMap::new();
    let mut passed = i128::MIN;
    let advance = |held: &BTreeMap<((i128, i128), u64), Vec<Row>>, from: i128, to: i128| {
        // They are in the order of their ends.
        let behind = held.range(((from.saturating_add(1), i128::MIN), 0)..);
        let due = behind.take_while(|(((end, _), _), _)| *end <= to);
        due.map(|((window, key), rows)| result(*window, *key, rows, Timing::OnTime))
            .collect::<Vec<_>>()
    };
    for (row, watermark) in rows {
        let watermark = i128::from(watermark);
        if watermark > passed {
            answer.fired.extend(advance(&held, passed, watermark));
            passed = watermark;
        }
        let windows = windows_of(row.at);
        let gone = |end: i128| end + i128::from(lateness) <= watermark;
        if windows.iter().all(|(end, _)| gone(*end)) {
            answer.late.push(row);
            continue;
        }
        for window in windows {
            let rows = held.entry((window, row.key)).or_default();
            rows.push(row);
            let (end, _) = window;
            if end <= watermark && !gone(end) {
                let revision = revisions.entry((end, row.key)).or_default();
                *revision += 1;
                answer.fired.push(result(window, row.key, rows, Timing::Late(*revision)));
            }
        }
    }
    answer.fired.extend(advance(&held, passed, i128::MAX));
    answer
}

/// The running sum of each key, at each record.
pub fn running_sums(rows: &[Row]) -> Vec<(u64, i64)> {
    let mut sums = BTreeMap::new();
    let mut out = Vec::new();
    for row in rows {
        let sum = sums.entry(row.key).or_insert(0);
        *sum += row.value;
        out.push((row.key, *sum));
    }
    out
}

/// The last result of each window and key.
pub fn finals(fired: &[Fired]) -> BTreeMap<(i64, u64), Fired> {
    fired.iter().map(|result| ((result.end, result.key), *result)).collect()
}

/// What each group saw, in order.
pub fn grouped<T: Clone>(all: &[T], group: impl Fn(&T) -> u64) -> BTreeMap<u64, Vec<T>> {
    let mut groups: BTreeMap<u64, Vec<T>> = BTreeMap::new();
    for one in all {
        groups.entry(group(one)).or_default().push(one.clone());
    }
    groups
}

pub fn sorted<T: Ord + Clone>(all: &[T]) -> Vec<T> {
    let mut all = all.to_vec();
    all.sort();
    all
}
