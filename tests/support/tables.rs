//! Tables as plain maps, and what everybody may expect of a changelog.

use std::collections::{BTreeMap, BTreeSet};

use millstream::Change;

use super::joins::is_left;
use super::model::Row;

/// What came out: time, key, change.
pub type Changed<V = i64> = (i64, (u64, Change<V>));

/// Which versions a modelled table keeps.
#[derive(Clone, Copy, Debug)]
pub struct Keeps {
    pub by_event_time: bool,
    pub equal: bool,
    pub life: Option<i64>,
}

pub const BY_ARRIVAL: Keeps = Keeps { by_event_time: false, equal: false, life: None };

/// What a row of input puts into a table: few values, so that some are equal, and tombstones.
pub fn upsert(row: &Row) -> Option<i64> {
    let value = row.value.rem_euclid(9);
    (value > 1).then_some(value / 2)
}

#[derive(Clone, Copy, Default)]
struct Version {
    value: Option<i64>,
    at: i64,
    until: Option<i64>,
}

/// The changes of a table, and how many records came too late. Each record comes with the watermark
/// before it.
pub fn folded(rows: impl IntoIterator<Item = (Row, i64)>, keeps: Keeps) -> (Vec<Changed>, u64) {
    let mut table: BTreeMap<u64, Version> = BTreeMap::new();
    let (mut out, mut late) = (Vec::new(), 0);
    for (row, watermark) in rows {
        let version =
            table.entry(row.key).or_insert(Version { at: i64::MIN, ..Version::default() });
        expire(row.key, version, watermark.max(row.at), &mut out);
        let is_behind = version.value.is_none() && row.at < watermark;
        if keeps.by_event_time && (row.at < version.at || is_behind) {
            late += 1;
            continue;
        }
        let (old, new) = (version.value, upsert(&row));
        let until = new.and(keeps.life).map(|life| row.at.saturating_add(life));
        *version = Version {
            value: new,
            at: row.at,
            until: until.max(version.until.filter(|_| until.is_some())),
        };
        let change = Change::between(old, new).filter(|c| keeps.equal || c.is_visible());
        out.extend(change.map(|change| (row.at, (row.key, change))));
        expire(row.key, version, watermark, &mut out);
    }
    table.iter_mut().for_each(|(key, version)| expire(*key, version, i64::MAX, &mut out));
    (out, late)
}

fn expire(key: u64, version: &mut Version, now: i64, out: &mut Vec<Changed>) {
    if let (Some(value), Some(until)) = (version.value, version.until)
        && until <= now
    {
        out.push((until, (key, Change::Delete(value))));
        // A row that is not there has no version, but for a tombstone.
        *version = Version { at: i64::MIN, ..Version::default() };
    }
}

/// The rows that are left when all is over. Each key's changes must be a chain, and each must be
/// one that can be seen.
pub fn rows_after<K: Ord + Copy, V: PartialEq + Copy + std::fmt::Debug>(
    changes: impl IntoIterator<Item = (K, Change<V>)>,
) -> BTreeMap<K, V> {
    let mut table: BTreeMap<K, V> = BTreeMap::new();
    for (key, change) in changes {
        assert_eq!(change.before(), table.get(&key), "a chain: {change:?}");
        assert!(change.is_visible(), "{change:?}");
        match change.after() {
            Some(new) => table.insert(key, *new),
            None => table.remove(&key),
        };
    }
    table
}

/// What a group of rows by key shows: results by a key within the group.
pub type Show<O> = fn(&BTreeMap<u64, i64>) -> BTreeMap<u64, O>;

/// What came out of groups: time, group and key within it, change.
pub type GroupChanged<O> = (i64, ((u64, u64), Change<O>));

/// The changes of what groups of rows show, when each change of a row is seen at once. The group
/// that a row leaves sees it first; of what a group shows deletes come first, then the rest.
pub fn regrouped<O: Copy + PartialEq>(
    changes: &[Changed],
    group: impl Fn(u64, i64) -> u64,
    show: Show<O>,
) -> Vec<GroupChanged<O>> {
    let mut groups: BTreeMap<u64, BTreeMap<u64, i64>> = BTreeMap::new();
    let mut out = Vec::new();
    for (at, (key, change)) in changes {
        let from = change.before().map(|row| group(*key, *row));
        let to = change.after().map(|row| group(*key, *row));
        let stays = from == to;
        for (group, enters) in [(from.filter(|_| !stays), false), (to.or(from), to.is_some())] {
            let Some(group) = group.filter(|group| enters || Some(*group) == from) else {
                continue;
            };
            let rows = groups.entry(group).or_default();
            let before = show(rows);
            match change.after().filter(|_| enters) {
                Some(row) => rows.insert(*key, *row),
                None => rows.remove(key),
            };
            let after = show(rows);
            let keys = before.keys().filter(|key| !after.contains_key(key)).chain(after.keys());
            for key in keys {
                let change = Change::between(before.get(key).copied(), after.get(key).copied());
                let change = change.filter(Change::is_visible);
                out.extend(change.map(|change| (*at, ((group, *key), change))));
            }
        }
    }
    out
}

/// How many rows, their sum, the largest, and that of the least key.
pub fn totals(rows: &BTreeMap<u64, i64>) -> BTreeMap<u64, (u64, i64, i64)> {
    let max = rows.values().max();
    let total = max.map(|max| (0, (rows.len() as u64, rows.values().sum(), *max)));
    total.into_iter().collect()
}

/// How many rows and their sum.
pub fn sums(rows: &BTreeMap<u64, i64>) -> BTreeMap<u64, (u64, i64)> {
    totals(rows).into_iter().map(|(key, (count, sum, _))| (key, (count, sum))).collect()
}

/// The three largest rows, of equal ones those with the least keys.
pub fn first_three(rows: &BTreeMap<u64, i64>) -> BTreeMap<u64, i64> {
    let mut sorted: Vec<_> = rows.iter().map(|(key, row)| (-row, *key)).collect();
    sorted.sort();
    sorted.into_iter().take(3).map(|(row, key)| (key, -row)).collect()
}

/// Whether there are rows.
pub fn any_row(rows: &BTreeMap<u64, i64>) -> BTreeMap<u64, ()> {
    rows.keys().take(1).map(|_| (0, ())).collect()
}

/// Into which of a few groups a row belongs.
pub fn group_of(key: u64, row: i64) -> u64 {
    (key + row as u64) % 3
}

/// What `suppress` lets go on of a table by arrival, when changes are held back for a span of event
/// time. Each row of input comes with the watermark before it.
pub fn suppressed(rows: impl IntoIterator<Item = (Row, i64)>, span: i64) -> Vec<Changed> {
    /// What was known, what is there now, and when that goes on.
    type Held = (Option<i64>, Option<i64>, i64);
    let mut table: BTreeMap<u64, i64> = BTreeMap::new();
    let mut held: BTreeMap<u64, Held> = BTreeMap::new();
    let mut out = Vec::new();
    let mut let_go = |held: &mut BTreeMap<u64, Held>, key: u64, now: i64| {
        if let Some((known, row, due)) = held.get(&key).copied().filter(|held| held.2 <= now) {
            held.remove(&key);
            let change = Change::between(known, row).filter(Change::is_visible);
            out.extend(change.map(|change| (due, (key, change))));
        }
    };
    for (row, watermark) in rows {
        let (old, new) = (table.get(&row.key).copied(), upsert(&row));
        match new {
            Some(new) => table.insert(row.key, new),
            None => table.remove(&row.key),
        };
        if old == new {
            continue;
        }
        let_go(&mut held, row.key, watermark.max(row.at));
        held.entry(row.key).or_insert((old, new, row.at.saturating_add(span))).1 = new;
        let_go(&mut held, row.key, watermark);
    }
    let keys: Vec<u64> = held.keys().copied().collect();
    keys.into_iter().for_each(|key| let_go(&mut held, key, i64::MAX));
    out
}

/// What a join makes of the rows of a key.
pub type Joined = (Option<i64>, Option<i64>);

/// Which keys a joined table has.
#[derive(Clone, Copy, Debug)]
pub enum TableKind {
    Inner,
    Left,
    Full,
}

/// The rows that a table has in the end.
pub fn table(rows: &[Row], side: bool) -> BTreeMap<u64, i64> {
    let mut table = BTreeMap::new();
    for row in rows.iter().filter(|row| is_left(row) == side) {
        match upsert(row) {
            Some(value) => table.insert(row.key, value),
            None => table.remove(&row.key),
        };
    }
    table
}

/// The joined rows in the end, by key.
pub fn joined_by_key(rows: &[Row], kind: TableKind) -> BTreeMap<u64, Joined> {
    let (left, right) = (table(rows, true), table(rows, false));
    let keys: BTreeSet<u64> = left.keys().chain(right.keys()).copied().collect();
    let row = |key: u64| (key, (left.get(&key).copied(), right.get(&key).copied()));
    let is_there = |(_, (left, right)): &(u64, Joined)| match kind {
        TableKind::Inner => left.is_some() && right.is_some(),
        TableKind::Left => left.is_some(),
        TableKind::Full => true,
    };
    keys.into_iter().map(row).filter(is_there).collect()
}

/// What a row names: one of three rows, or none.
pub fn names(value: &i64) -> Option<u64> {
    let named = value.rem_euclid(5) as u64;
    (named < 3).then_some(named)
}

/// The joined rows in the end: of all left rows, or of those whose row is there.
pub fn joined_by_name(rows: &[Row], is_left_join: bool) -> BTreeMap<u64, Joined> {
    let (left, right) = (table(rows, true), table(rows, false));
    let found = |value: &i64| names(value).and_then(|named| right.get(&named).copied());
    let all = left.iter().map(|(key, value)| (*key, (Some(*value), found(value))));
    all.filter(|(_, (_, found))| is_left_join || found.is_some()).collect()
}
