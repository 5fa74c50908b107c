//! What is counted of lines that carry the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::arbiter::Why;

/// Parts of each doubling that are told apart: what is said is right within an eighth.
const PARTS: usize = 8;

/// Doublings: up to about 18 minutes.
const DOUBLINGS: usize = 38;

/// Counts that lines are added up in and anybody reads. Clones are the same counts.
///
/// ```
/// use millstream::net::LineCounts;
///
/// let counts = LineCounts::of(2);
/// assert_eq!((counts.first(0), counts.lead_ns(0, 0.99)), (0, 0));
/// ```
#[derive(Clone, Debug)]
pub struct LineCounts(Arc<All>);

#[derive(Debug)]
struct All {
    each: Vec<Each>,
    lost: AtomicU64,
    given_up: AtomicU64,
    refused: [AtomicU64; Why::Impossible as usize + 1],
}

#[derive(Debug)]
struct Each {
    datagrams: AtomicU64,
    first: AtomicU64,
    missed: AtomicU64,
    silences: AtomicU64,
    leads: [AtomicU64; PARTS * DOUBLINGS],
}

/// Which part of which doubling a time is in.
fn part_of(ns: u64) -> usize {
    let doubling = ns.max(PARTS as u64).ilog2() as usize - PARTS.ilog2() as usize;
    let part = (ns >> doubling) as usize;
    (doubling * PARTS + part).min(PARTS * DOUBLINGS - 1)
}

/// The least time that is in none of the parts up to this one.
fn end_of(part: usize) -> u64 {
    let doubling = (part / PARTS).saturating_sub(1);
    ((part + 1 - doubling * PARTS) as u64) << doubling
}

fn one_more(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

impl LineCounts {
    /// Of so many lines, 1 to 64.
    pub fn of(lines: usize) -> Self {
        let each = |_| Each {
            datagrams: AtomicU64::new(0),
            first: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            silences: AtomicU64::new(0),
            leads: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        Self(Arc::new(All {
            each: (0..lines.clamp(1, 64)).map(each).collect(),
            lost: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        }))
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.0.each.len()
    }

    fn of_line(&self, line: usize, of: impl Fn(&Each) -> &AtomicU64) -> u64 {
        self.0.each.get(line).map_or(0, |each| read(of(each)))
    }

    /// Datagrams that came by a line, counted from 0.
    pub fn datagrams(&self, line: usize) -> u64 {
        self.of_line(line, |each| &each.datagrams)
    }

    /// Datagrams that came by this line and by another one, and by this one first.
    pub fn first(&self, line: usize) -> u64 {
        self.of_line(line, |each| &each.first)
    }

    /// Datagrams that another line brought and this one did not. Counted late, when what is known
    /// of them makes way for others: some thousand datagrams later.
    pub fn missed(&self, line: usize) -> u64 {
        self.of_line(line, |each| &each.missed)
    }

    /// How often a line has fallen silent.
    pub fn silences(&self, line: usize) -> u64 {
        self.of_line(line, |each| &each.silences)
    }

    /// By how much it was first where it was, in nanoseconds, within an eighth: what a share of its
    /// leads (0.99, say) does not exceed. Without stamps of the kernel (see
    /// [`stamped`](crate::net::UdpLines::stamped)) a step is the least that can be told apart.
    pub fn lead_ns(&self, line: usize, quantile: f64) -> u64 {
        let Some(each) = self.0.each.get(line) else { return 0 };
        let all: u64 = each.leads.iter().map(read).sum();
        let mut left = (quantile.clamp(0.0, 1.0) * all as f64).ceil().max(1.0) as u64;
        for (part, count) in each.leads.iter().enumerate() {
            match left.checked_sub(read(count)) {
                None | Some(0) => return if all == 0 { 0 } else { end_of(part) - 1 },
                Some(more) => left = more,
            }
        }
        0
    }

    /// Numbers that came by no line in time.
    pub fn lost(&self) -> u64 {
        read(&self.0.lost)
    }

    /// Those of them that were given up before their time, since what followed was beyond the
    /// window or there was no more room to hold it.
    pub fn given_up(&self) -> u64 {
        read(&self.0.given_up)
    }

    /// Datagrams that were not wanted, by reason.
    pub fn refused_as(&self, why: Why) -> u64 {
        read(&self.0.refused[why as usize])
    }

    pub(super) fn came(&self, line: usize) {
        one_more(&self.0.each[line].datagrams, 1);
    }

    pub(super) fn was_first(&self, line: usize, by_ns: u64) {
        let each = &self.0.each[line];
        one_more(&each.first, 1);
        one_more(&each.leads[part_of(by_ns)], 1);
    }

    pub(super) fn has_missed(&self, line: usize) {
        one_more(&self.0.each[line].missed, 1);
    }

    pub(super) fn is_silent(&self, line: usize) {
        one_more(&self.0.each[line].silences, 1);
    }

    pub(super) fn has_lost(&self, numbers: u64, early: bool) {
        one_more(&self.0.lost, numbers);
        one_more(&self.0.given_up, if early { numbers } else { 0 });
    }

    pub(super) fn refused(&self, why: Why) {
        one_more(&self.0.refused[why as usize], 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_and_are_an_eighth_at_most() {
        for part in 0..PARTS * DOUBLINGS - 1 {
            let end = end_of(part);
            assert_eq!((part_of(end - 1), part_of(end)), (part, part + 1));
            assert!(part < PARTS || (end_of(part + 1) - end) * 8 <= end, "{part}");
        }
        assert_eq!(part_of(u64::MAX), PARTS * DOUBLINGS - 1);
        assert!(end_of(PARTS * DOUBLINGS - 1) > 1_000_000_000_000);
    }

    #[test]
    fn leads_are_said_by_their_share() {
        let counts = LineCounts::of(2);
        (0..1_000).for_each(|n| counts.was_first(1, n * 1_000));
        for (share, ns) in [(0.01, 9_000), (0.5, 499_000), (0.99, 989_000), (1.0, 999_000)] {
            let said = counts.lead_ns(1, share);
            assert!(said >= ns && said <= ns * 9 / 8, "{share}: {said}");
        }
        assert_eq!((counts.first(1), counts.first(0), counts.lead_ns(0, 0.5)), (1_000, 0, 0));
        assert_eq!((counts.first(7), counts.lead_ns(7, 0.5)), (0, 0));
    }
}
