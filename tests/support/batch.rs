//! A slow and obvious model of batches.

use std::collections::BTreeMap;

use super::model::Row;

/// What is in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Append,
    Update,
    Complete,
}

/// The batches of rows that are cut at every so-manieth, with the time of each. A complete table is
/// in the order of its rows.
pub fn batches(rows: &[Row], records: usize, mode: Mode) -> Vec<(i64, Vec<Row>)> {
    let mut all: BTreeMap<u64, Row> = BTreeMap::new();
    let batch = |rows: &[Row]| {
        all.extend(rows.iter().map(|row| (row.key, *row)));
        let latest = rows.iter().map(|row| row.at).max().unwrap_or_default();
        let inside = match mode {
            Mode::Append => rows.to_vec(),
            Mode::Update => changed(rows),
            Mode::Complete => {
                let mut all: Vec<Row> = all.values().copied().collect();
                all.sort();
                all
            }
        };
        (latest, inside)
    };
    rows.chunks(records).map(batch).collect()
}

/// The last row of each key, in the order in which the keys first come.
pub fn changed(rows: &[Row]) -> Vec<Row> {
    let mut keys: Vec<u64> = Vec::new();
    rows.iter().for_each(|row| {
        if !keys.contains(&row.key) {
            keys.push(row.key)
        }
    });
    let last = |key: &u64| rows.iter().rev().find(|row| row.key == *key).copied();
    keys.iter().filter_map(last).collect()
}
