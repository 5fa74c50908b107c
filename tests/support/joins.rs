//! Joins by interval of time, as a loop over all pairs.

use super::model::Row;

/// What a join makes of two records, or of one that stays alone.
pub type Pair = (Option<Row>, Option<Row>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

pub const KINDS: [Kind; 6] =
    [Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::Semi, Kind::Anti];

/// A join: its kind, both ends of the interval (included), the lateness that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    pub kind: Kind,
    pub from: i64,
    pub to: i64,
    pub lateness: i64,
}

/// One stream holds both inputs: those of even value are the left ones.
pub fn is_left(row: &Row) -> bool {
    row.value % 2 == 0
}

/// What came out with which time, in order of time; and the late records.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    pub pairs: Vec<(i64, Pair)>,
    pub late: Vec<Row>,
}

/// All pairs of records that were not late, given the watermark before each row.
pub fn joined(rows: &[Row], before: &[i64], near: Near) -> Joined {
    let mut taken = Vec::new();
    let mut late = Vec::new();
    for (row, before) in rows.iter().zip(before) {
        let is_late = row.at < before.saturating_sub(near.lateness);
        if is_late { late.push(*row) } else { taken.push(*row) }
    }
    let (left, right): (Vec<Row>, Vec<Row>) = taken.iter().partition(|row| is_left(row));
    let belong = |l: &Row, r: &Row| {
        let apart = r.at - l.at;
        l.key == r.key && near.from <= apart && apart <= near.to
    };
    let mut pairs: Vec<(i64, Pair)> = Vec::new();
    for l in &left {
        let partners: Vec<&Row> = right.iter().filter(|r| belong(l, r)).collect();
        match near.kind {
            Kind::Semi if !partners.is_empty() => pairs.push((l.at, (Some(*l), None))),
            Kind::Semi => {}
            Kind::Anti | Kind::Left | Kind::Full if partners.is_empty() => {
                pairs.push((l.at, (Some(*l), None)));
            }
            Kind::Anti => {}
            _ => {
                let pair = |r: &&Row| (l.at.max(r.at), (Some(*l), Some(**r)));
                pairs.extend(partners.iter().map(pair));
            }
        }
    }
    if let Kind::Right | Kind::Full = near.kind {
        let alone = right.iter().filter(|r| !left.iter().any(|l| belong(l, r)));
        pairs.extend(alone.map(|r| (r.at, (None, Some(*r)))));
    }
    pairs.sort();
    Joined { pairs, late }
}

/// A join in windows of a size, one every `slide`.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    pub kind: Kind,
    pub size: i64,
    pub slide: i64,
    pub lateness: i64,
}

/// What windows hold, given the watermark before each row: each window by itself.
pub fn joined_in_windows(rows: &[Row], before: &[i64], within: Within) -> Joined {
    let Within { kind, size, slide, lateness } = within;
    joined_in_shape(rows, before, (kind, lateness), |at| {
        let first = (at - size).div_euclid(slide) + 1;
        (first..=at.div_euclid(slide)).map(|n| n * slide + size).collect()
    })
}

/// The same for windows of any shape, of which `ends` says which hold an instant. Rows of no window
/// are among the late ones.
pub fn joined_in_shape(
    rows: &[Row],
    before: &[i64],
    (kind, lateness): (Kind, i64),
    ends: impl Fn(i64) -> Vec<i64>,
) -> Joined {
    let mut windows = std::collections::BTreeMap::<(i64, u64), [Vec<Row>; 2]>::new();
    let mut late = Vec::new();
    for (row, before) in rows.iter().zip(before) {
        let is_open = |end: &i64| *end > before.saturating_sub(lateness);
        let open: Vec<i64> = ends(row.at).into_iter().filter(is_open).collect();
        if open.is_empty() {
            late.push(*row);
        }
        for end in open {
            let window = windows.entry((end, row.key)).or_default();
            window[usize::from(!is_left(row))].push(*row);
        }
    }
    let mut pairs = Vec::new();
    for ((end, _), [left, right]) in windows {
        let mut emit = |pair: Pair| pairs.push((end - 1, pair));
        match (left.is_empty(), right.is_empty(), kind) {
            (false, false, Kind::Semi) => left.iter().for_each(|l| emit((Some(*l), None))),
            (false, false, Kind::Anti) => {}
            (false, false, _) => {
                for l in &left {
                    right.iter().for_each(|r| emit((Some(*l), Some(*r))));
                }
            }
            (false, true, Kind::Left | Kind::Full | Kind::Anti) => {
                left.iter().for_each(|l| emit((Some(*l), None)));
            }
            (true, false, Kind::Right | Kind::Full) => {
                right.iter().for_each(|r| emit((None, Some(*r))));
            }
            _ => {}
        }
    }
    pairs.sort();
    Joined { pairs, late }
}
