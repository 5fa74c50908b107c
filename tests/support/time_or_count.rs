//! A slow and obvious model of windows by time or count: the rows of the open window of a key are
//! kept in a list, and looked at from the beginning every time.

use std::collections::BTreeMap;

use super::model::{Row, watermarks};
use super::sliding::{Slid, digest};

/// What windows of `records` rows or `after` nanoseconds come to, key by key, and what is late, in
/// order of arrival.
pub fn time_or_count(
    rows: &[Row],
    disorder: i64,
    after: i64,
    records: usize,
) -> (Vec<Slid>, Vec<Row>) {
    let mut results = Vec::new();
    let mut late = Vec::new();
    let mut open: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    for (row, watermark) in rows.iter().zip(watermarks(rows, disorder)) {
        let window = open.entry(row.key).or_default();
        if let Some(first) = window.first()
            && first.at + after <= watermark.max(row.at)
        {
            results.push(ended(&std::mem::take(window), after));
        }
        if window.is_empty() && row.at + after <= watermark {
            late.push(*row);
            continue;
        }
        window.push(*row);
        if window.len() == records {
            let (start, latest) = bounds(window);
            let digest = digest(&std::mem::take(window));
            results.push((latest, row.key, start, latest + 1, digest));
        }
    }
    results.extend(open.values().filter(|w| !w.is_empty()).map(|window| ended(window, after)));
    (results, late)
}

/// The result of a window whose time is up.
fn ended(window: &[Row], after: i64) -> Slid {
    let end = window[0].at + after;
    (end - 1, window[0].key, bounds(window).0, end, digest(window))
}

/// The earliest and the latest time.
fn bounds(window: &[Row]) -> (i64, i64) {
    let times = || window.iter().map(|row| row.at);
    (times().min().unwrap_or(0), times().max().unwrap_or(0))
}
