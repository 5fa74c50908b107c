//! How far event time has come: watermarks, the strategies that make them, and their merging.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Timestamp, nanos};

/// A promise: no record before `at` will follow on this path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Later records are not before this.
    pub at: Timestamp,
    /// Nothing is coming for now: whoever merges this path with others leaves it out of the minimum
    /// until it wakes.
    pub idle: bool,
}

impl Watermark {
    /// Nothing is known yet.
    pub const START: Self = Self::at(Timestamp::MIN);
    /// The input has ended.
    pub const END: Self = Self::at(Timestamp::MAX);

    /// An active path that has come to `at`.
    #[inline(always)]
    pub const fn at(at: Timestamp) -> Self {
        Self { at, idle: false }
    }

    /// Whether the input has ended.
    #[inline(always)]
    pub fn is_end(self) -> bool {
        self.at == Timestamp::MAX
    }

    /// The least that all of these promise; nothing is known of none.
    pub fn earliest(all: &[Self]) -> Self {
        all.iter().map(|each| each.at).min().map_or(Self::START, Self::at)
    }
}

/// How the watermark follows from the records of one source partition.
pub trait WatermarkStrategy<T>: Clone + 'static {
    /// Looks at a record and says how far event time has come, if the record says so. What it
    /// answers may go back: the caller keeps the maximum.
    fn observe(&self, at: Timestamp, value: &T) -> Option<Timestamp>;
}

/// A watermark strategy, and when a silent input counts as idle. Made by
/// [`bounded_disorder`](Self::bounded_disorder), [`monotonic`](Watermarks::monotonic) and
/// [`punctuated`](Watermarks::punctuated).
///
/// ```
/// use millstream::{ms, us, Watermarks};
/// let late_by_at_most = Watermarks::bounded_disorder(us(500)).idle_after(ms(50));
/// ```
#[derive(Clone, Debug)]
pub struct Watermarks<S> {
    /// What makes the watermark.
    pub strategy: S,
    /// How long an input may be silent before it is left out of the minimum. Never, unless set.
    pub idle_after: Option<Duration>,
    /// How far one record may move the watermark. Any distance, unless set.
    pub jump_at_most: Option<Duration>,
}

impl Watermarks<BoundedDisorder> {
    /// Records come at most `disorder` behind the latest one: the watermark is the latest timestamp
    /// less `disorder`.
    pub fn bounded_disorder(disorder: Duration) -> Self {
        Self::new(BoundedDisorder { disorder_ns: nanos(disorder) })
    }

    /// Records come in order: the watermark is the latest timestamp.
    pub fn monotonic() -> Self {
        Self::bounded_disorder(Duration::ZERO)
    }
}

impl<F> Watermarks<Punctuated<F>> {
    /// Some records say how far event time has come: `f` returns that time, or nothing. It holds
    /// from the record on.
    pub fn punctuated<T>(f: F) -> Self
    where
        F: Fn(&T) -> Option<Timestamp> + Clone + 'static,
    {
        Self::new(Punctuated(f))
    }
}

impl<S> Watermarks<S> {
    const fn new(strategy: S) -> Self {
        Self { strategy, idle_after: None, jump_at_most: None }
    }

    /// Leaves an input out of the minimum when it has been silent for `silence` of processing time.
    /// Time in which the shard was back-pressured, or stalled for more than a millisecond, does not
    /// count as silence.
    pub fn idle_after(mut self, silence: Duration) -> Self {
        self.idle_after = Some(silence);
        self
    }

    /// Does not believe one record whose clock is more than `most` ahead of the watermark of its
    /// partition: a poisoned clock must not make everything after it late.
    ///
    /// Such a record is counted ([`Counter::Ahead`](crate::metrics::Counter::Ahead)) and goes on as
    /// any other, only that it does not move the watermark; a window far ahead that it opens stays
    /// open until event time gets there. After a pause all records are so far ahead: when eight of
    /// them come while no other moves the watermark, each within `most` of the one before it, the
    /// eighth is believed. The first record of a partition always is.
    ///
    /// ```
    /// use millstream::{ms, secs, Watermarks};
    /// let wary = Watermarks::bounded_disorder(ms(5)).jump_at_most(secs(60));
    /// ```
    pub fn jump_at_most(mut self, most: Duration) -> Self {
        self.jump_at_most = Some(most);
        self
    }
}

/// Records far ahead that must agree before they are believed.
const AGREE: u32 = 8;

/// How far a watermark may jump, and what was too far so far. See [`Watermarks::jump_at_most`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jumps {
    most_ns: u64,
    /// The watermark that the records not believed were ahead of, the last of them, and how many
    /// agree.
    from: Timestamp,
    last: Timestamp,
    agree: u32,
}

impl Jumps {
    /// At most this far at a time; any distance if it is not said.
    pub fn at_most(most: Option<Duration>) -> Self {
        let most_ns = most.map_or(u64::MAX, |most| nanos(most) as u64);
        Self { most_ns, from: Timestamp::MIN, last: Timestamp::MIN, agree: 0 }
    }

    /// Whether a watermark may go from `from` to `to`, which is later.
    #[inline(always)]
    pub fn allow(&mut self, from: Timestamp, to: Timestamp) -> bool {
        to.since(from) <= self.most_ns || self.believe(from, to)
    }

    #[cold]
    fn believe(&mut self, from: Timestamp, to: Timestamp) -> bool {
        if from == Timestamp::MIN {
            return true;
        }
        let distance = to.since(self.last).max(self.last.since(to));
        let agrees = self.from == from && distance <= self.most_ns;
        self.agree = if agrees { self.agree + 1 } else { 1 };
        (self.from, self.last) = (from, to);
        self.agree >= AGREE
    }
}

/// See [`Watermarks::bounded_disorder`].
#[derive(Clone, Debug)]
pub struct BoundedDisorder {
    disorder_ns: i64,
}

impl<T> WatermarkStrategy<T> for BoundedDisorder {
    #[inline(always)]
    fn observe(&self, at: Timestamp, _value: &T) -> Option<Timestamp> {
        Some(Timestamp(at.0.saturating_sub(self.disorder_ns)))
    }
}

/// See [`Watermarks::punctuated`].
#[derive(Clone, Debug)]
pub struct Punctuated<F>(F);

impl<T, F: Fn(&T) -> Option<Timestamp> + Clone + 'static> WatermarkStrategy<T> for Punctuated<F> {
    #[inline(always)]
    fn observe(&self, _at: Timestamp, value: &T) -> Option<Timestamp> {
        (self.0)(value)
    }
}

/// The minimum over several paths, without those that are idle or have ended.
///
/// When all that have not ended are idle, the result is the furthest any of them has come, marked
/// idle; it is the end only when all have ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Merged {
    paths: Vec<Watermark>,
    now: Watermark,
}

impl Merged {
    /// No path has said anything. With no path at all the input has ended.
    pub fn new(paths: usize) -> Self {
        let now = if paths == 0 { Watermark::END } else { Watermark::START };
        Self { paths: vec![Watermark::START; paths], now }
    }

    /// So many paths, which go on together from the least that others had come to.
    pub fn among(others: &[Self], paths: usize) -> Self {
        let others: Vec<Watermark> = others.iter().map(|other| other.now).collect();
        let now = if paths == 0 { Watermark::END } else { Watermark::earliest(&others) };
        Self { paths: vec![now; paths], now }
    }

    /// How far all paths together have come.
    #[inline(always)]
    pub fn now(&self) -> Watermark {
        self.now
    }

    /// How far one path has come; one that is idle has come as far as all together.
    #[inline]
    pub fn reached(&self, path: usize) -> Timestamp {
        let known = self.paths[path];
        if known.idle { known.at.max(self.now.at) } else { known.at }
    }

    /// Takes in what one path says; returns the merged watermark if that moved. A path never goes
    /// back, and neither does the result: a path that wakes behind it holds the result where it
    /// is until it has caught up.
    #[inline]
    pub fn update(&mut self, path: usize, watermark: Watermark) -> Option<Watermark> {
        let known = &mut self.paths[path];
        let next = Watermark { at: watermark.at.max(known.at), idle: watermark.idle };
        if *known == next {
            return None;
        }
        *known = next;
        let merged = self.minimum();
        let merged = Watermark { at: merged.at.max(self.now.at), idle: merged.idle };
        (merged != self.now).then(|| {
            self.now = merged;
            merged
        })
    }

    #[inline]
    fn minimum(&self) -> Watermark {
        if let [only] = self.paths[..] {
            return only;
        }
        let unfinished = || self.paths.iter().filter(|path| !path.is_end());
        if let Some(at) = unfinished().filter(|path| !path.idle).map(|path| path.at).min() {
            return Watermark { at, idle: false };
        }
        // What has ended holds nothing back, and ends nothing while another merely sleeps.
        match unfinished().map(|path| path.at).max() {
            Some(at) => Watermark { at, idle: true },
            None => Watermark::END,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    const fn t(n: i64) -> Timestamp {
        Timestamp(n)
    }

    #[test]
    fn merging_takes_the_minimum_of_the_active_paths() {
        let mut merged = Merged::new(3);
        assert_eq!(merged.update(0, Watermark::at(t(10))), None);
        assert_eq!(merged.update(1, Watermark::at(t(20))), None);
        assert_eq!(merged.update(2, Watermark::at(t(5))), Some(Watermark::at(t(5))));
        let idle = Watermark { at: t(5), idle: true };
        assert_eq!(merged.update(2, idle), Some(Watermark::at(t(10))));
        assert_eq!(merged.update(2, Watermark::at(t(7))), None, "a path that wakes behind waits");
        assert_eq!(merged.now(), Watermark::at(t(10)));
    }

    #[test]
    fn all_idle_means_the_furthest_and_idle() {
        let mut merged = Merged::new(2);
        merged.update(0, Watermark { at: t(10), idle: true });
        let all = merged.update(1, Watermark { at: t(30), idle: true });
        assert_eq!(all, Some(Watermark { at: t(30), idle: true }));
    }

    #[test]
    fn the_end_of_one_path_is_not_the_end_while_another_sleeps() {
        let mut merged = Merged::new(2);
        merged.update(0, Watermark::at(t(10)));
        merged.update(1, Watermark { at: t(3), idle: true });
        assert_eq!(merged.now(), Watermark::at(t(10)));
        merged.update(0, Watermark::END);
        assert_eq!(merged.now(), Watermark { at: t(10), idle: true });
        assert_eq!(merged.update(1, Watermark::END), Some(Watermark::END));
    }

    #[test]
    fn no_path_is_an_ended_input() {
        assert!(Merged::new(0).now().is_end());
    }

    #[test]
    fn a_jump_is_believed_when_records_agree() {
        let mut jumps = Jumps::at_most(Some(crate::time::ns(10)));
        assert!(jumps.allow(Timestamp::MIN, t(1_000)), "the first record");
        assert!(jumps.allow(t(0), t(10)));
        let mut ask = |from, to| jumps.allow(t(from), t(to));
        assert!(!(0..20).any(|n| ask(0, 100 + n % 2 * 50)), "they do not agree");
        assert!(!(0..20).any(|n| ask(n, 500)), "the watermark moves by itself");
        assert_eq!((0..9).position(|n| ask(50, 900 + 9 * n)), Some(7));
        let mut any = Jumps::at_most(None);
        assert!(any.allow(t(0), Timestamp::MAX));
    }

    #[test]
    fn strategies() {
        let bounded = Watermarks::bounded_disorder(ms(1)).strategy;
        assert_eq!(bounded.observe(t(5_000_000), &()), Some(t(4_000_000)));
        assert_eq!(bounded.observe(Timestamp::MIN, &()), Some(Timestamp::MIN));
        let marks = Watermarks::punctuated(|v: &i64| (*v > 0).then_some(t(*v))).strategy;
        assert_eq!(marks.observe(t(0), &-1), None);
        assert_eq!(marks.observe(t(0), &7), Some(t(7)));
    }
}
