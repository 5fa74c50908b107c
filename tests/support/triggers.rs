//! A slow and obvious model of windows with triggers: each window keeps all that ever happened to
//! it, and what its trigger says is worked out from the beginning every time.

use std::collections::BTreeMap;

use millstream::Timing;

use super::model::{Cut, Fired, Row, value_of};
use super::sessions::Visit;

/// What happens to a window of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A record, before the watermark has reached the end of the window.
    Record(Row),
    /// The watermark reaches it.
    End,
    /// A record, after that.
    Late(Row),
}

/// A trigger, as data.
#[derive(Clone, Debug)]
pub enum Spec {
    Never,
    Each,
    Count(usize),
    /// Of the value.
    Delta(f64),
    Continuous(i64),
    EventTime(Box<Spec>, Box<Spec>),
    Any(Box<Spec>, Box<Spec>),
    All(Box<Spec>, Box<Spec>),
    Purging(Box<Spec>),
}

/// Whether to fire, and whether to purge then.
type Said = (bool, bool);

impl Spec {
    pub fn event_time(early: Self, late: Self) -> Self {
        Self::EventTime(Box::new(early), Box::new(late))
    }

    pub fn any(a: Self, b: Self) -> Self {
        Self::Any(Box::new(a), Box::new(b))
    }

    pub fn all(a: Self, b: Self) -> Self {
        Self::All(Box::new(a), Box::new(b))
    }

    pub fn purging(self) -> Self {
        Self::Purging(Box::new(self))
    }

    fn knows_end(&self) -> bool {
        match self {
            Self::EventTime(..) => true,
            Self::Any(a, b) | Self::All(a, b) => a.knows_end() || b.knows_end(),
            Self::Purging(a) => a.knows_end(),
            _ => false,
        }
    }

    /// What it says at each of these events.
    fn said(&self, events: &[Event]) -> Vec<Said> {
        match self {
            Self::Never => vec![(false, false); events.len()],
            Self::Each => by_record(events, |_, _| true),
            Self::Count(n) => by_record(events, |number, _| (number + 1) % n == 0),
            Self::Delta(threshold) => {
                let mut from = None;
                by_record(events, |_, row| {
                    let value = row.value as f64;
                    let moved = (value - *from.get_or_insert(value)).abs() > *threshold;
                    if moved {
                        from = Some(value);
                    }
                    moved
                })
            }
            Self::Continuous(every) => {
                let mut pieces = None;
                by_record(events, |_, row| {
                    let piece = row.at.div_euclid(*every);
                    let next = piece > *pieces.get_or_insert(piece);
                    pieces = pieces.max(Some(piece));
                    next
                })
            }
            Self::EventTime(early, late) => {
                let is_record = |event: &&Event| matches!(event, Event::Record(_));
                let before = events.iter().take_while(is_record).count();
                let (before, rest) = events.split_at(before);
                let mut said = early.said(before);
                let (end, after) = match rest.split_first() {
                    Some((Event::End, after)) => (Some((true, false)), after),
                    _ => (None, rest),
                };
                said.extend(end);
                said.extend(late.said(after));
                said
            }
            Self::Any(a, b) => {
                let both = a.said(events).into_iter().zip(b.said(events));
                both.map(|(a, b)| (a.0 || b.0, a.1 || b.1)).collect()
            }
            Self::All(a, b) => {
                let (mut left, mut right) = ((false, false), (false, false));
                let both = a.said(events).into_iter().zip(b.said(events));
                let both = both.map(|(a, b)| {
                    left = (left.0 || a.0, left.1 || a.1);
                    right = (right.0 || b.0, right.1 || b.1);
                    if left.0 && right.0 {
                        let purge = left.1 || right.1;
                        (left, right) = ((false, false), (false, false));
                        return (true, purge);
                    }
                    (false, false)
                });
                both.collect()
            }
            Self::Purging(a) => {
                a.said(events).into_iter().map(|(fire, purge)| (fire, purge || fire)).collect()
            }
        }
    }
}

/// What a trigger says that looks at records only.
fn by_record(events: &[Event], mut fires: impl FnMut(usize, &Row) -> bool) -> Vec<Said> {
    let mut number = 0;
    let said = events.iter().map(|event| match event {
        Event::Record(row) | Event::Late(row) => {
            number += 1;
            (fires(number - 1, row), false)
        }
        Event::End => (false, false),
    });
    said.collect()
}

/// What is dropped from a window before each result.
#[derive(Clone, Copy, Debug)]
pub enum Evict {
    Nothing,
    /// All but the last so many.
    Count(usize),
    /// What is so much behind the latest.
    Time(i64),
    /// What is so far from the last value.
    Delta(f64),
}

impl Evict {
    fn drop_from(self, rows: &mut Vec<Row>) {
        let (Some(last), Some(latest)) = (rows.last().copied(), rows.iter().map(|r| r.at).max())
        else {
            return;
        };
        let len = rows.len();
        let mut place = 0;
        rows.retain(|row| {
            place += 1;
            match self {
                Self::Nothing => true,
                Self::Count(n) => len - place < n,
                Self::Time(span) => place == len || row.at > latest - span,
                Self::Delta(threshold) => {
                    place == len || ((row.value - last.value).abs() as f64) < threshold
                }
            }
        });
    }
}

/// The windows of a model.
#[derive(Clone, Debug)]
pub struct Triggered {
    /// `None` is the global window.
    pub cut: Option<Cut>,
    pub spec: Spec,
    pub evict: Evict,
}

#[derive(Default)]
struct Held {
    events: Vec<Event>,
    rows: Vec<Row>,
    latest: Option<i64>,
    early: u32,
    late: u32,
}

/// What such windows make of records, each with the watermark before it: results with their times,
/// and the records that no window took.
pub fn triggered_under(
    rows: impl IntoIterator<Item = (Row, i64)>,
    windows: &Triggered,
) -> (Vec<(i64, Visit)>, Vec<Row>) {
    let (mut results, mut gone) = (Vec::new(), Vec::new());
    let mut held: BTreeMap<(i128, i128, u64), Held> = BTreeMap::new();
    let end_those = |held: &mut BTreeMap<_, Held>, results: &mut Vec<_>, to: i128| {
        for (&(end, start, key), window) in held.iter_mut() {
            let ended = window.events.iter().any(|e| !matches!(e, Event::Record(_)));
            if end <= to && !ended {
                results.extend(window.happens(Event::End, (end, start, key), windows));
            }
        }
    };
    for (row, watermark) in rows {
        let watermark = i128::from(watermark);
        end_those(&mut held, &mut results, watermark);
        let (all, lateness) = match windows.cut {
            Some(cut) => (cut.windows_of(row.at), i128::from(cut.lateness)),
            None => (vec![(i64::MAX.into(), i64::MIN.into())], 0),
        };
        let mut taken = false;
        for (end, start) in all.into_iter().filter(|(end, _)| end + lateness > watermark) {
            let window = held.entry((end, start, row.key)).or_default();
            let event = if end <= watermark { Event::Late(row) } else { Event::Record(row) };
            results.extend(window.happens(event, (end, start, row.key), windows));
            taken = true;
        }
        if !taken {
            gone.push(row);
        }
    }
    end_those(&mut held, &mut results, i128::MAX);
    (results, gone)
}

impl Held {
    fn happens(
        &mut self,
        event: Event,
        (end, start, key): (i128, i128, u64),
        windows: &Triggered,
    ) -> Option<(i64, Visit)> {
        self.events.push(event);
        if let Event::Record(row) | Event::Late(row) = event {
            self.rows.push(row);
            self.latest = self.latest.max(Some(row.at));
        }
        let (mut fire, purge) = *windows.spec.said(&self.events).last().unwrap();
        fire |= !windows.spec.knows_end() && !matches!(event, Event::Record(_));
        if !fire || self.rows.is_empty() {
            return None;
        }
        let timing = match event {
            Event::Record(_) => Timing::Early(self.early),
            Event::End => Timing::OnTime,
            Event::Late(_) => Timing::Late(self.late + 1),
        };
        self.early += u32::from(matches!(event, Event::Record(_)));
        self.late += u32::from(matches!(event, Event::Late(_)));
        windows.evict.drop_from(&mut self.rows);
        let value = value_of(&self.rows);
        if purge {
            self.rows.clear();
        }
        let at = if windows.cut.is_none() { self.latest.unwrap() } else { end as i64 - 1 };
        let (end, start) = (end as i64, start as i64);
        Some((at, (Fired { end, start, key, value, timing }, timing)))
    }
}
