//! A slow and obvious model of sessions: every record kept, every session looked at every time.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::{Timing, Windowed, ns};

use super::model::{Fired, Row, Value, value_of};

/// How far behind a record its session goes on, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub enum Gap {
    /// The same for all.
    Fixed(i64),
    /// Its value modulo this; a record that says zero waits for one nanosecond.
    ByValue(i64),
}

impl Gap {
    /// What the record says.
    pub fn said(self, row: &Row) -> Duration {
        match self {
            Self::Fixed(gap) => ns(gap as u64),
            Self::ByValue(most) => ns(row.value.rem_euclid(most) as u64),
        }
    }

    fn reach(self, row: &Row) -> i64 {
        row.at + (self.said(row).as_nanos() as i64).max(1)
    }
}

/// A result, and when it came.
pub type Visit = (Fired, Timing);

/// What sessions make of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visits {
    /// In the order in which they fire.
    pub fired: Vec<Visit>,
    /// In the order in which they came.
    pub late: Vec<Row>,
}

/// A session that may still change: its records in the order in which they came.
#[derive(Clone, Debug)]
struct Held {
    key: u64,
    rows: Vec<(usize, Row)>,
    fired: bool,
    late: u32,
}

impl Held {
    fn start(&self) -> i64 {
        self.rows.iter().map(|(_, row)| row.at).min().unwrap()
    }

    fn end(&self, gap: Gap) -> i64 {
        self.rows.iter().map(|(_, row)| gap.reach(row)).max().unwrap()
    }

    fn result(&self, gap: Gap, timing: Timing) -> Visit {
        let rows: Vec<Row> = self.rows.iter().map(|(_, row)| *row).collect();
        let value = value_of(&rows);
        let (start, end) = (self.start(), self.end(gap));
        (Fired { end, start, key: self.key, value, timing }, timing)
    }
}

/// What sessions make of records, each with the watermark before it.
pub fn sessions_under(
    rows: impl IntoIterator<Item = (Row, i64)>,
    gap: Gap,
    lateness: i64,
) -> Visits {
    let mut visits = Visits::default();
    let mut held: Vec<Held> = Vec::new();
    for (number, (row, watermark)) in rows.into_iter().enumerate() {
        let watermark = i128::from(watermark);
        pass(&mut held, &mut visits, gap, lateness, watermark);
        let reach = gap.reach(&row);
        let (touched, others): (Vec<Held>, Vec<Held>) = held.into_iter().partition(|session| {
            session.key == row.key && session.start() <= reach && row.at <= session.end(gap)
        });
        held = others;
        if touched.is_empty() && i128::from(reach) + i128::from(lateness) < watermark {
            visits.late.push(row);
            continue;
        }
        let late = touched.iter().map(|session| session.late).max().unwrap_or(0);
        let mut rows: Vec<_> = touched.into_iter().flat_map(|session| session.rows).collect();
        rows.push((number, row));
        rows.sort_by_key(|(number, _)| *number);
        let mut session = Held { key: row.key, rows, fired: false, late };
        if i128::from(session.end(gap)) < watermark {
            (session.fired, session.late) = (true, late + 1);
            visits.fired.push(session.result(gap, Timing::Late(late + 1)));
        }
        held.push(session);
    }
    pass(&mut held, &mut visits, gap, lateness, i128::MAX);
    visits
}

/// The watermark has come to `to`: fires what it has passed and forgets what is closed.
fn pass(held: &mut Vec<Held>, visits: &mut Visits, gap: Gap, lateness: i64, to: i128) {
    held.sort_by_key(|session| session.end(gap));
    for session in held.iter_mut().filter(|session| !session.fired) {
        if i128::from(session.end(gap)) < to {
            (session.fired, session.late) = (true, 0);
            visits.fired.push(session.result(gap, Timing::OnTime));
        }
    }
    held.retain(|session| i128::from(session.end(gap)) + i128::from(lateness) >= to);
}

/// The sessions of all records at once, none of which is late: what is sorted by time and then cut
/// where the reach of all before ends.
pub fn sessions_of_all(rows: &[Row], gap: Gap) -> Vec<Fired> {
    let mut keys: BTreeMap<u64, Vec<(usize, Row)>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        keys.entry(row.key).or_default().push((number, *row));
    }
    let mut fired = Vec::new();
    for (key, mut rows) in keys {
        rows.sort_by_key(|(_, row)| row.at);
        let mut session: Vec<(usize, Row)> = Vec::new();
        let mut end = i64::MIN;
        let mut cut = |session: &mut Vec<(usize, Row)>| {
            let held = Held { key, rows: std::mem::take(session), fired: true, late: 0 };
            if !held.rows.is_empty() {
                fired.push(held.result(gap, Timing::OnTime).0);
            }
        };
        for (number, row) in rows {
            if row.at > end {
                cut(&mut session);
            }
            end = end.max(gap.reach(&row));
            session.push((number, row));
        }
        cut(&mut session);
    }
    fired
}

/// A result as the model writes it.
pub fn visit(result: Windowed<u64, Value>) -> Visit {
    (super::world::fired(result), result.timing)
}
