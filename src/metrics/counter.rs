//! Counters with one writer, readable from another core.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a counter may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only ever grows: the difference of two readings is what happened between them.
    Count,
    /// Goes up and down: only the latest reading means something.
    Gauge,
}

/// Declares the catalogue: the enum, its order, and each counter's name, kind, unit and help.
macro_rules! catalogue {
    ($($variant:ident $name:literal $kind:ident $unit:literal $help:literal;)*) => {
        /// Everything a shard counts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Counter {
            $(#[doc = concat!($help, ".")] $variant,)*
        }

        impl Counter {
            /// The whole catalogue, in the order in which it is shown.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name: in JSON, in a metrics page, in a table.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it only grows.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// What is counted, in the plural.
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)* }
            }

            /// One line for someone who sees the name for the first time.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

catalogue! {
    Steps "steps" Count "steps" "Times the shard was stepped";
    BusySteps "busy_steps" Count "steps" "Steps that found something to do";
    RecordsIn "records_in" Count "records" "Records taken from sources";
    RecordsOut "records_out" Count "records" "Records given to sinks";
    RecordsExchanged "records_exchanged" Count "records" "Records sent to another shard";
    Late "late" Count "records" "Records that came after their window had closed";
    Ahead "ahead" Count "records" "Records too far ahead to move the watermark";
    Dropped "dropped" Count "records" "Records given up by an overflow policy";
    PairsDropped "pairs_dropped" Count "pairs" "Pairs of a join beyond the cap of one record";
    DeadLettered "dead_lettered" Count "records" "Records set aside as unreadable or unusable";
    Refused "refused" Count "pushes" "Pushes refused because a queue was full";
    WindowsFired "windows_fired" Count "results" "Window results emitted";
    HotKeys "hot_keys" Gauge "keys" "Keys split over the shards they arrive on now";
    HotRecords "hot_records" Count "records" "Records of hot keys aggregated where they arrived";
    LookupCalls "lookup_calls" Count "calls" "Calls made to lookups, retries among them";
    LookupRetries "lookup_retries" Count "calls" "Calls made again after an attempt that failed";
    LookupTimeouts "lookup_timeouts" Count "calls" "Calls given up because no answer came in time";
    LookupLate "lookup_late" Count "answers" "Answers that came after their call was given up";
    LookupFailed "lookup_failed" Count "records" "Records whose lookup failed for good";
    CacheHits "cache_hits" Count "records" "Records answered out of a lookup's cache";
    CacheShared "cache_shared" Count "records" "Records that shared a call under way for their key";
    Keys "keys" Gauge "keys" "Keys that hold state now, in each operator that keeps them";
    Parked "parked" Count "times" "Times the shard gave up its core for want of work";
}

/// How many counters there are.
const COUNT: usize = Counter::ALL.len();

/// One shard's counters. The shard owns one `Arc` of it and a reporter another.
///
/// Only the shard may write: [`add`](Self::add) is a load and a store, not a read-modify-write, so
/// that counting costs what it costs on a plain integer. A second writer would lose counts (and
/// nothing worse). Readers see each counter whole, but not all of them at one instant.
///
/// Aligned to two cache lines, because the prefetcher of current x86 cores fetches lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardCounters {
    values: [AtomicU64; COUNT],
}

impl ShardCounters {
    /// All zero.
    pub const fn new() -> Self {
        Self { values: [const { AtomicU64::new(0) }; COUNT] }
    }

    /// Adds `n`. For the owning shard only. Wraps after 2^64.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.values[counter as usize];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// What one counter says now.
    #[inline]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// A plain copy of all of them.
    pub fn snapshot(&self) -> Counters {
        Counters { values: std::array::from_fn(|at| self.values[at].load(Ordering::Relaxed)) }
    }
}

impl Default for ShardCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// What one of several contributes to a gauge of its shard, which reads as the sum of them.
#[derive(Debug)]
pub struct Share {
    gauge: Counter,
    shown: u64,
}

impl Share {
    /// Nothing yet.
    pub const fn of(gauge: Counter) -> Self {
        Self { gauge, shown: 0 }
    }

    /// It is so much now. For the owning shard only.
    #[inline]
    pub fn show(&mut self, counters: &ShardCounters, now: u64) {
        // The sum wraps on the way down, as it does on the way up.
        counters.add(self.gauge, now.wrapping_sub(self.shown));
        self.shown = now;
    }
}

/// Readings of all counters, of one shard or summed over shards.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    values: [u64; COUNT],
}

impl Counters {
    /// What one counter said.
    pub const fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Sets one reading, for a reporter that makes up a sum itself.
    pub const fn set(&mut self, counter: Counter, value: u64) {
        self.values[counter as usize] = value;
    }

    /// What happened since an earlier reading; gauges stay as they are now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut result = *self;
        for &counter in Counter::ALL {
            if counter.kind() == Kind::Count {
                let now = self.get(counter);
                result.set(counter, now.saturating_sub(earlier.get(counter)));
            }
        }
        result
    }

    /// Each counter with its reading, in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self.get(counter)))
    }

    /// Each stable name with its reading: what a serializer wants.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.iter().map(|(counter, value)| (counter.name(), value))
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            *mine = mine.saturating_add(theirs);
        }
    }
}

impl Add for Counters {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl std::iter::Sum for Counters {
    fn sum<I: Iterator<Item = Self>>(readings: I) -> Self {
        readings.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Counters {
    /// `steps=12 busy_steps=3 ...`, those that are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (name, value) in self.named().filter(|&(_, value)| value != 0) {
            write!(f, "{gap}{name}={value}")?;
            gap = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_add_up_over_shards() {
        let (left, right) = (ShardCounters::new(), ShardCounters::new());
        left.add(Counter::RecordsIn, 3);
        left.add(Counter::RecordsIn, 4);
        right.add(Counter::RecordsIn, 5);
        Share::of(Counter::Keys).show(&right, 2);
        let sum: Counters = [&left, &right].iter().map(|shard| shard.snapshot()).sum();
        assert_eq!(sum.get(Counter::RecordsIn), 12);
        assert_eq!(sum.to_string(), "records_in=12 keys=2");
    }

    #[test]
    fn a_difference_leaves_gauges_alone() {
        let shard = ShardCounters::new();
        shard.add(Counter::Late, 10);
        let mut keys = Share::of(Counter::Keys);
        keys.show(&shard, 7);
        let before = shard.snapshot();
        shard.add(Counter::Late, 1);
        keys.show(&shard, 6);
        let change = shard.snapshot().since(&before);
        assert_eq!((change.get(Counter::Late), change.get(Counter::Keys)), (1, 6));
    }

    #[test]
    fn a_gauge_is_the_sum_of_its_shares() {
        let shard = ShardCounters::new();
        let mut shares = [Share::of(Counter::Keys), Share::of(Counter::Keys)];
        for (number, now, sum) in [(0, 5, 5), (1, 9, 14), (0, 2, 11), (1, 0, 2), (0, 0, 0)] {
            shares[number].show(&shard, now);
            assert_eq!(shard.get(Counter::Keys), sum);
        }
    }

    #[test]
    fn names_are_distinct_and_in_order() {
        for (at, &counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter as usize, at);
            let same = Counter::ALL.iter().filter(|other| other.name() == counter.name());
            assert_eq!(same.count(), 1, "{}", counter.name());
        }
    }

    #[test]
    fn a_reader_on_another_core_sees_the_count_grow() {
        let shard = std::sync::Arc::new(ShardCounters::new());
        let writer = shard.clone();
        let thread = std::thread::spawn(move || {
            (0..10_000).for_each(|_| writer.add(Counter::Steps, 1));
        });
        let mut last = 0;
        while last < 10_000 {
            let now = shard.get(Counter::Steps);
            assert!(now >= last);
            last = now;
        }
        thread.join().unwrap();
        assert!(std::mem::align_of::<ShardCounters>() >= 128);
    }
}
