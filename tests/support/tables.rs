//! Tables as plain maps, and what everybody may expect of a changelog.

use std::collections::BTreeMap;

use millstream::Change;

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
