//! Latency over time, in a fixed amount of memory.
//!
//! A fixed number of slots of equal width cover the run. When time passes the last slot, the width
//! doubles: slots merge in pairs and half of them become free. Doing that at once would touch the
//! whole table, a pause of tens of microseconds in the very place that measures pauses. So it is
//! spread out: doubling only renumbers the slots (a few hundred bytes), and a pair is merged when
//! the slot that it frees is first needed, one pair (about 0.2 us) for each slot that opens.

use std::hint::black_box;

use crate::time::Timestamp;

/// Bits of a value that tell buckets of one power of two apart: 8 of them, 12.5 % wide.
const SUB_BITS: u32 = 3;
const SUBS: usize = 1 << SUB_BITS;
/// Enough for 2^36 ns, 68 s; what is longer counts in the last one.
const BUCKETS: usize = (36 - SUB_BITS as usize + 1) * SUBS;
/// The width at the start.
const FIRST_SLOT_NS: u64 = 100_000_000;
/// How many slots: at the first width, 25.6 s.
const SLOTS: usize = 256;

/// What one slot of a [`Series`] says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// Seconds from the start of the series to the slot's beginning.
    pub seconds: f64,
    /// How many samples fell into it.
    pub count: u64,
    /// Median latency in nanoseconds, within 7 %.
    pub p50: u64,
    /// The latency that 99 % stay below, in nanoseconds, within 7 %.
    pub p99: u64,
    /// The worst, exact.
    pub max: u64,
}

/// The samples of one stretch of time.
#[derive(Clone, Debug)]
struct Slot {
    count: u64,
    max: u64,
    buckets: [u64; BUCKETS],
}

impl Slot {
    const EMPTY: Self = Self { count: 0, max: 0, buckets: [0; BUCKETS] };

    fn record(&mut self, latency_ns: u64, count: u64) {
        self.count = self.count.saturating_add(count);
        self.max = self.max.max(latency_ns);
        let bucket = &mut self.buckets[bucket_of(latency_ns)];
        *bucket = bucket.saturating_add(count);
    }

    fn absorb(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.max = self.max.max(other.max);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    fn quantile(&self, quantile: f64) -> u64 {
        let wanted = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        // The last sample is the worst one, and that is known exactly.
        if wanted >= self.count {
            return self.max;
        }
        let mut seen = 0u64;
        for (index, &count) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(count);
            if seen >= wanted {
                return middle_of(index).min(self.max);
            }
        }
        self.max
    }
}

/// The bucket of a value: exact below 16, then 8 to each power of two.
#[inline]
fn bucket_of(value: u64) -> usize {
    if value < SUBS as u64 {
        return value as usize;
    }
    let power = value.ilog2();
    let sub = (value >> (power - SUB_BITS)) as usize & (SUBS - 1);
    (((power - SUB_BITS + 1) as usize) * SUBS + sub).min(BUCKETS - 1)
}

/// The value in the middle of a bucket.
fn middle_of(bucket: usize) -> u64 {
    if bucket < 2 * SUBS {
        return bucket as u64;
    }
    let shift = (bucket / SUBS - 1) as u32;
    let low = ((SUBS + bucket % SUBS) as u64) << shift;
    low + (1u64 << shift) / 2
}

/// Latency over time: count, p50, p99 and maximum of each slot.
///
/// Time starts with the first sample, or where [`starting_at`](Self::starting_at) says. A sample
/// from before that counts in the first slot.
#[derive(Clone, Debug)]
pub struct Series {
    slots: Vec<Slot>,
    /// Which slot in memory holds the slot with this number.
    order: Vec<u16>,
    /// How many pairs of the last doubling are merged; all of them before the first one.
    merged: usize,
    origin: Option<Timestamp>,
    slot_ns: u64,
    /// The slot of the last sample, and the time it covers, to spare most samples a division.
    current: usize,
    current_from: Timestamp,
    current_to: Timestamp,
}

impl Series {
    /// An empty one of 256 slots, 100 ms wide at first. All memory is taken, and touched, here.
    pub fn new() -> Self {
        Self::with_slots(SLOTS, FIRST_SLOT_NS)
    }

    /// An empty one whose time starts at `origin`. Series that are to be merged should share it.
    pub fn starting_at(origin: Timestamp) -> Self {
        Self { origin: Some(origin), ..Self::new() }
    }

    /// An empty one of another size: an even number of slots, at least 2 and at most 65 536.
    ///
    /// # Panics
    /// If `slots` is not that, or `slot_ns` is zero.
    pub fn with_slots(slots: usize, slot_ns: u64) -> Self {
        assert!((2..=1 << 16).contains(&slots) && slots.is_multiple_of(2) && slot_ns > 0);
        let mut table = vec![Slot::EMPTY; slots];
        // Written once more behind the optimizer's back: zeroed memory is not there before it is
        // written to, and a page fault on first use would be measured as latency.
        black_box(&mut table).fill(Slot::EMPTY);
        Self {
            slots: table,
            order: (0..slots).map(|at| at as u16).collect(),
            merged: slots / 2,
            origin: None,
            slot_ns,
            current: 0,
            current_from: Timestamp::MAX,
            current_to: Timestamp::MIN,
        }
    }

    /// Counts `count` samples of one latency at `now`. Never allocates, never fails.
    #[inline]
    pub fn record(&mut self, now: Timestamp, latency_ns: u64, count: u64) {
        if now < self.current_from || now >= self.current_to {
            self.seek(now);
        }
        self.slots[self.order[self.current] as usize].record(latency_ns, count);
    }

    /// Forgets every sample and starts again, at `origin`, with the width it has now.
    pub fn clear(&mut self, origin: Timestamp) {
        self.slots.fill(Slot::EMPTY);
        self.merged = self.slots.len() / 2;
        self.origin = Some(origin);
        (self.current_from, self.current_to) = (Timestamp::MAX, Timestamp::MIN);
    }

    /// The width of a slot now, in nanoseconds.
    pub const fn slot_ns(&self) -> u64 {
        self.slot_ns
    }

    /// When the series starts, once that is known.
    pub const fn origin(&self) -> Option<Timestamp> {
        self.origin
    }

    /// The memory it holds, in bytes.
    pub const fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.order.capacity() * size_of::<u16>()
    }

    /// Adds the samples of another one, whatever its width. For the report: it allocates.
    ///
    /// The wider slot wins. A slot counts where its middle falls, so with different origins a
    /// sample may move by half a slot.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = other.origin else { return };
        let origin = self.origin.map_or(theirs, |mine| mine.min(theirs));
        let width = self.slot_ns.max(other.slot_ns);
        let mut sum = Self::with_slots(self.slots.len(), width);
        sum.origin = Some(origin);
        sum.absorb(self);
        sum.absorb(other);
        *self = sum;
    }

    /// Every slot that has samples, in order of time.
    pub fn points(&self) -> Vec<Point> {
        let filled = self.filled().into_iter();
        filled
            .map(|(number, slot)| Point {
                seconds: number as f64 * self.slot_ns as f64 / 1e9,
                count: slot.count,
                p50: slot.quantile(0.5),
                p99: slot.quantile(0.99),
                max: slot.max,
            })
            .collect()
    }

    /// Makes the slot of `now` the current one, and room for it if there is none.
    #[cold]
    fn seek(&mut self, now: Timestamp) {
        let origin = *self.origin.get_or_insert(now);
        let mut number = now.since(origin) / self.slot_ns;
        while number >= self.slots.len() as u64 {
            self.double();
            number = now.since(origin) / self.slot_ns;
        }
        self.current = number as usize;
        // The slot that opens is the odd half of a pair of old ones, which must leave it first.
        let freed = self.current + 1;
        self.merge_pairs(freed.saturating_sub(self.slots.len() / 2));
        let from = saturating_ns(number, self.slot_ns);
        self.current_from = origin.offset(from);
        self.current_to = self.current_from.offset(saturating_ns(1, self.slot_ns));
    }

    /// Doubles the width: pair `n` becomes slot `n`, and its odd half the slot `n + half`.
    fn double(&mut self) {
        let half = self.slots.len() / 2;
        self.merge_pairs(half);
        self.slot_ns = self.slot_ns.saturating_mul(2);
        self.merged = 0;
        unzip(&mut self.order);
    }

    /// Merges the pairs of the last doubling up to, but not including, pair `end`.
    fn merge_pairs(&mut self, end: usize) {
        let half = self.slots.len() / 2;
        while self.merged < end {
            let even = self.order[self.merged] as usize;
            let odd = self.order[self.merged + half] as usize;
            if self.slots[odd].count > 0
                && let Ok([into, from]) = self.slots.get_disjoint_mut([even, odd])
            {
                into.absorb(from);
                *from = Slot::EMPTY;
            }
            self.merged += 1;
        }
    }

    /// The slots that have samples, with their numbers; pairs not merged yet count as one.
    fn filled(&self) -> Vec<(usize, Slot)> {
        let half = self.slots.len() / 2;
        let slot = |number: usize| &self.slots[self.order[number] as usize];
        let mut filled = Vec::new();
        for number in 0..self.slots.len() {
            // Behind this number lies the odd half of a pair, counted with its even half.
            if number >= half + self.merged {
                break;
            }
            let mut sum = slot(number).clone();
            if number < half && number >= self.merged {
                sum.absorb(slot(number + half));
            }
            if sum.count > 0 {
                filled.push((number, sum));
            }
        }
        filled
    }

    /// Adds the slots of another one to where their middles fall.
    fn absorb(&mut self, other: &Self) {
        let Some(origin) = other.origin else { return };
        for (number, slot) in other.filled() {
            let begin = saturating_ns(number as u64, other.slot_ns);
            let middle = begin.saturating_add_unsigned(other.slot_ns / 2);
            self.seek(origin.offset(middle));
            self.slots[self.order[self.current] as usize].absorb(&slot);
        }
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

/// `number` times `width` as a signed span.
fn saturating_ns(number: u64, width: u64) -> i64 {
    i64::try_from(number.saturating_mul(width)).unwrap_or(i64::MAX)
}

/// Moves what is at even places to the front half and what is at odd places to the back half.
fn unzip(order: &mut [u16]) {
    // Without a second table: bring the halves of each quarter into order, then swap the middle
    // (divide and conquer). 256 entries take under a microsecond, once for each doubling.
    let len = order.len();
    if len <= 2 {
        return;
    }
    let mid = (len / 4) * 2;
    unzip(&mut order[..mid]);
    unzip(&mut order[mid..]);
    let (front, back) = (mid / 2, mid + (len - mid) / 2);
    order[front..back].rotate_left(mid - front);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for value in (0..2000).chain((11..36).flat_map(|power| [1 << power, (1 << power) + 7])) {
            let bucket = bucket_of(value);
            assert!(bucket >= last, "{value}");
            last = bucket;
            let error = middle_of(bucket).abs_diff(value) as f64;
            assert!(error <= value as f64 * 0.07, "{value} in {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_slot_tells_its_quantiles() {
        let mut series = Series::new();
        (1..=1000).for_each(|value| series.record(at(5), value * 1000, 1));
        let points = series.points();
        let point = points[0];
        assert_eq!((points.len(), point.count, point.max), (1, 1000, 1_000_000));
        assert!(point.p50.abs_diff(500_000) < 40_000, "{}", point.p50);
        assert!(point.p99.abs_diff(990_000) < 70_000, "{}", point.p99);
    }

    #[test]
    fn unzip_sends_odd_places_to_the_back() {
        for len in [2u16, 4, 6, 8, 10, 64, 256] {
            let mut order: Vec<u16> = (0..len).collect();
            unzip(&mut order);
            let evens = (0..len).step_by(2);
            let expected: Vec<u16> = evens.chain((1..len).step_by(2)).collect();
            assert_eq!(order, expected);
        }
    }

    /// What the series should say, told by a plain list of samples.
    fn check(series: &Series, samples: &[(i64, u64)], origin: i64) {
        let width = series.slot_ns() as i64;
        for point in series.points() {
            let slot = (point.seconds * 1e9 / width as f64).round() as i64;
            let inside = samples.iter().filter(|(ms, _)| (ms - origin) * MS / width == slot);
            let values: Vec<u64> = inside.map(|&(_, value)| value).collect();
            assert_eq!(point.count, values.len() as u64, "slot {slot}");
            assert_eq!(point.max, values.into_iter().max().unwrap_or(0), "slot {slot}");
        }
        let total: u64 = series.points().iter().map(|point| point.count).sum();
        assert_eq!(total, samples.len() as u64);
    }

    #[test]
    fn time_past_the_end_coarsens_without_losing_a_sample() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut series = Series::with_slots(8, MS as u64);
            let (mut samples, mut now) = (Vec::new(), 1000);
            series.record(at(now), 1, 1);
            samples.push((now, 1));
            for _ in 0..300 {
                now += random.i64(0..4) * random.i64(0..4);
                let (when, value) = ((now - random.i64(0..3)).max(1000), random.u64(1..1000));
                series.record(at(when), value, 1);
                samples.push((when, value));
                check(&series, &samples, 1000);
            }
            assert!(series.slot_ns() > MS as u64);
        }
    }

    #[test]
    fn ends_of_time_are_safe() {
        let mut series = Series::new();
        for now in [Timestamp(0), Timestamp::MAX, Timestamp::MIN, Timestamp(0)] {
            series.record(now, u64::MAX, 3);
        }
        assert_eq!(series.points().iter().map(|point| point.count).sum::<u64>(), 12);
        let mut series = Series::starting_at(Timestamp::MIN);
        series.record(Timestamp::MAX, 1, u64::MAX);
        series.record(Timestamp::MAX, 1, u64::MAX);
        assert_eq!(series.points()[0].count, u64::MAX);
    }

    #[test]
    fn two_widths_merge_into_the_wider_one() {
        let mut long = Series::with_slots(8, MS as u64);
        let mut short = Series::with_slots(8, MS as u64);
        (0..20).for_each(|ms| long.record(at(ms), 10, 1));
        (2..6).for_each(|ms| short.record(at(ms), 99, 2));
        let width = long.slot_ns();
        assert_eq!((width, short.slot_ns()), (4 * MS as u64, MS as u64));
        let mut sum = short.clone();
        sum.merge(&long);
        assert_eq!((sum.slot_ns(), sum.origin()), (width, Some(at(0))));
        let counts: Vec<u64> = sum.points().iter().map(|point| point.count).collect();
        assert_eq!(counts, [4 + 4, 4 + 4, 4, 4, 4]);
        assert_eq!(sum.points()[0].max, 99);
        let mut empty = Series::with_slots(8, MS as u64);
        empty.merge(&sum);
        assert_eq!(empty.points(), sum.points());
    }
}
