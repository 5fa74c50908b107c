//! An open-loop source: records have intended times, and falling behind does not skip any.

mod moved;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Record, Saved};
use crate::error::{ConfigError, IoError};
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// Records a second that can be asked for: from one in eleven days to a thousand a nanosecond.
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e12;

/// A source that makes its own records, each with an intended time.
///
/// Record `i` of the sequence is intended for `start + i / rate` and carries that time. Paced by
/// [`at_rate`](Self::at_rate) it is emitted when that time has come; a generator that was kept from
/// running emits what it owes as fast as it is polled, skips nothing, and gives the intended time
/// of the oldest as [`Polled::ingress`], so that latency is free of coordinated omission. By
/// [`flat_out`](Self::flat_out) records come as fast as they are asked for, and only event time
/// advances by the rate.
///
/// Timestamps never decrease, so every poll promises the time of the next record as
/// [`Polled::watermark`]. Times are kept in units of 2^-64 ns: a period that is no whole number of
/// nanoseconds does not drift.
///
/// ```
/// use millstream::io::{Generator, Source};
/// use millstream::Timestamp;
///
/// // Three records a second, each carrying its number.
/// let mut source = Generator::at_rate(3.0, |i, _intended| i)?.count(100);
/// let mut seen = Vec::new();
/// source.poll(0, Timestamp(0), 64, &mut |r| seen.push(r))?; // The first poll is the start.
/// let polled = source.poll(0, Timestamp::from_millis(700), 64, &mut |r| seen.push(r))?;
///
/// assert_eq!(seen.iter().map(|r| r.at.0).collect::<Vec<_>>(), [0, 333_333_333, 666_666_666]);
/// assert_eq!(polled.ingress, Some(Timestamp(333_333_333)));
/// assert_eq!(polled.watermark, Some(Timestamp(1_000_000_000)));
/// # Ok::<(), millstream::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator<F> {
    make: F,
    paced: bool,
    /// Between two records of the whole sequence, in 2^-64 ns.
    period: u128,
    start: Option<Timestamp>,
    /// How many records the whole sequence may have.
    count_max: u64,
    /// How long the whole sequence may last.
    span_max: Option<Duration>,
    /// Which records are ours: `first`, `first + stride`, and so on.
    first: u64,
    stride: u64,
    /// Known from the first poll on.
    run: Option<Run>,
    /// After a move to another number of shards: how far each of those that there were had come.
    given: Vec<u64>,
}

/// Where a generator is in its sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    beat: Beat,
    /// The number of the next record in the whole sequence.
    index: u64,
    /// How many records are left to this instance.
    left: u64,
}

impl<F> Generator<F> {
    /// Emits `records_per_s` records a second of the step's clock.
    ///
    /// `make` gets the record's number and its intended time. The start is the time of the first
    /// poll unless [`start_at`](Self::start_at) gives one.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the rate is not within 1e-6 and 1e12.
    pub fn at_rate<T>(records_per_s: f64, make: F) -> Result<Self, ConfigError>
    where
        F: FnMut(u64, Timestamp) -> T,
    {
        Self::new("rate", records_per_s, make, None)
    }

    /// Emits as many records as it is asked for; `event_rate` of them make a second of event time.
    ///
    /// Event time starts at 0, the Unix epoch, unless [`start_at`](Self::start_at) gives a time, so
    /// the same sequence comes every time. A record arrives when it is polled:
    /// [`Polled::ingress`] is `None`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the rate is not within 1e-6 and 1e12.
    pub fn flat_out<T>(event_rate: f64, make: F) -> Result<Self, ConfigError>
    where
        F: FnMut(u64, Timestamp) -> T,
    {
        Self::new("event_rate", event_rate, make, Some(Timestamp(0)))
    }

    fn new(
        setting: &'static str,
        rate: f64,
        make: F,
        flat_out_from: Option<Timestamp>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            make,
            paced: flat_out_from.is_none(),
            period: period(setting, rate)?,
            start: flat_out_from,
            count_max: u64::MAX,
            span_max: None,
            first: 0,
            stride: 1,
            run: None,
            given: Vec::new(),
        })
    }

    /// The intended time of record 0. Shares of one sequence need the same start to be one.
    pub fn start_at(mut self, start: Timestamp) -> Self {
        self.start = Some(start);
        self
    }

    /// Ends the whole sequence, all its shares together, after `records` records.
    pub fn count(mut self, records: u64) -> Self {
        self.count_max = records;
        self
    }

    /// Ends the whole sequence before the first record intended for `start + span` or later.
    pub fn duration(mut self, span: Duration) -> Self {
        self.span_max = Some(span);
        self
    }

    /// Makes this instance one of `of` that share one sequence: it makes the records `index`,
    /// `index + of`, `index + 2 of`, and so on, with the numbers and times of the whole.
    ///
    /// # Panics
    /// Unless `index < of`.
    pub fn share(mut self, index: usize, of: usize) -> Self {
        assert!(index < of, "share {index} of {of}: shares are counted from 0");
        (self.first, self.stride) = (index as u64, of as u64);
        self
    }

    /// Where this instance starts, once it is known when.
    fn begin(&self, now: Timestamp) -> Run {
        let start = self.start.unwrap_or(now);
        // All limits become one count, so that the loops below have one thing to look at. One of
        // them is the end of time: a timestamp must not wrap.
        let end_of_time = Timestamp::MAX.since(start);
        let span = self.span_max.map_or(end_of_time, |span| {
            u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).min(end_of_time)
        });
        let by_span = ((span as u128) << 64).div_ceil(self.period);
        let all = by_span.min(self.count_max as u128) as u64;
        let left = all.saturating_sub(self.first).div_ceil(self.stride);
        let beat = Beat::new(start, self.period, self.first, self.stride);
        Run { beat, index: self.first, left }
    }
}

impl<T: 'static, F: FnMut(u64, Timestamp) -> T + 'static> Source for Generator<F> {
    type Out = T;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        if self.run.is_none() {
            self.run = Some(self.begin(now));
        }
        let Some(run) = &mut self.run else { return Ok(Polled::open()) };
        let most = run.left.min(budget as u64);
        let due = if self.paced { run.beat.due(now, most) } else { most };
        let oldest = run.beat.time();
        match self.given.is_empty() {
            true => run.emit(due, self.stride, &mut self.make, emit),
            false => run.emit_new(due, self.stride, &mut self.given, &mut self.make, emit),
        }
        let ended = run.left == 0;
        Ok(Polled {
            ingress: (self.paced && due > 0).then_some(oldest),
            watermark: (!ended).then(|| run.beat.time()),
            ended,
            ..Polled::open()
        })
    }

    fn position(&self, _partition: usize) -> Option<u64> {
        Some(self.run.as_ref().map_or(self.first, |run| run.index))
    }

    /// Its position is the number of the next record.
    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("generator");
        let share = moved::Share { first: self.first, stride: self.stride };
        out.put("generator", &(share, self.run.clone(), self.given.clone()));
    }

    fn load(&mut self, from: &mut Saved) {
        self.go_on(from);
    }
}

impl Run {
    /// Makes and emits the next `due` records.
    ///
    /// The state lives in locals while the loop runs: through `self` it would be stored and loaded
    /// again around every call of `emit` that is not inlined.
    #[inline]
    fn emit<T>(
        &mut self,
        due: u64,
        stride: u64,
        make: &mut impl FnMut(u64, Timestamp) -> T,
        emit: &mut impl FnMut(Record<T>),
    ) {
        let (mut beat, mut index) = (self.beat, self.index);
        for _ in 0..due {
            let at = beat.time();
            emit(Record::new(at, make(index, at)));
            beat.advance();
            index = index.wrapping_add(stride);
        }
        (self.beat, self.index) = (beat, index);
        self.left -= due;
    }
}

/// The time between two records in 2^-64 ns, rounded up, for a rate in records a second.
///
/// Rounded up because the time of a record is rounded down to whole nanoseconds: three periods of a
/// third of a second are then a second, and not a nanosecond less.
pub(super) fn period(setting: &'static str, rate: f64) -> Result<u128, ConfigError> {
    if !RATES.contains(&rate) {
        let reason = "a rate is a number of records a second from 1e-6 to 1e12";
        return Err(ConfigError::setting(setting, rate, reason));
    }
    let second = 1_000_000_000_u128 << 64;
    if rate.fract() == 0.0 {
        return Ok(second.div_ceil(rate as u128));
    }
    Ok((second as f64 / rate).ceil() as u128)
}

/// A clock that advances by a fixed step finer than a nanosecond.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    /// Whole nanoseconds since the epoch in the upper half, 2^-64 ns in the lower.
    time: i128,
    step: i128,
}

impl Beat {
    /// The times `start + (first + k * stride) * period` for k from 0, with `period` in 2^-64 ns.
    pub(super) fn new(start: Timestamp, period: u128, first: u64, stride: u64) -> Self {
        Self::from((start.0 as i128) << 64, period, first, stride)
    }

    /// The same from a start between two nanoseconds.
    fn from(start: i128, period: u128, first: u64, stride: u64) -> Self {
        // Wrapping is right in two's complement while the times themselves are within i64.
        let ahead = period.wrapping_mul(first as u128) as i128;
        let step = period.wrapping_mul(stride as u128) as i128;
        Self { time: start.wrapping_add(ahead), step }
    }

    /// When the record of number 0 was due, if this one has that number.
    fn begin(&self, period: u128, number: u64) -> i128 {
        self.time.wrapping_sub(period.wrapping_mul(number as u128) as i128)
    }

    /// The time of this beat, rounded down to whole nanoseconds.
    #[inline(always)]
    pub(super) fn time(&self) -> Timestamp {
        Timestamp((self.time >> 64) as i64)
    }

    /// How many of the next `most` beats are at `now` or before.
    #[inline]
    pub(super) fn due(mut self, now: Timestamp, most: u64) -> u64 {
        let mut due = 0;
        while due < most && self.time() <= now {
            self.advance();
            due += 1;
        }
        due
    }

    /// Goes to the next beat: two additions.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.time = self.time.wrapping_add(self.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    type Seen = Vec<(i64, u64)>;

    fn poll(source: &mut impl Source<Out = u64>, now: i64, budget: usize) -> (Polled, Seen) {
        let mut seen = Vec::new();
        let emit = &mut |r: Record<u64>| seen.push((r.at.0, r.value));
        (source.poll(0, Timestamp(now), budget, emit).unwrap(), seen)
    }

    #[test]
    fn does_not_drift_and_hits_whole_seconds() {
        for rate in [3.0, 7.0, 999_983.0, 1e6, 3e9] {
            let mut beat = Beat::new(Timestamp(0), period("rate", rate).unwrap(), 0, 1);
            let mut passed = 0_u64;
            while beat.time() < Timestamp(1_000_000_000) && passed < 5_000_000 {
                let exact = passed as u128 * 1_000_000_000 / rate as u128;
                assert_eq!(beat.time().0 as u128, exact, "record {passed} at {rate}/s");
                beat.advance();
                passed += 1;
            }
            assert_eq!(passed, (rate as u64).min(5_000_000));
        }
    }

    #[test]
    fn half_a_record_a_second_is_a_rate() {
        let mut source = Generator::at_rate(0.5, |i, _| i).unwrap().start_at(Timestamp(5));
        let (polled, seen) = poll(&mut source, 4_000_000_004, 9);
        assert_eq!(seen, [(5, 0), (2_000_000_005, 1)]);
        assert_eq!(polled.watermark, Some(Timestamp(4_000_000_005)));
    }

    #[test]
    fn emits_what_is_due_and_owes_what_the_budget_refused() {
        let mut source = Generator::at_rate(1e6, |i, _| i).unwrap();
        assert_eq!(poll(&mut source, 100, 9).1, [(100, 0)]);
        let (polled, seen) = poll(&mut source, 99, 9);
        assert_eq!((polled.ingress, seen.len()), (None, 0), "a clock that steps back is no harm");
        assert_eq!(polled.watermark, Some(Timestamp(1_100)));
        let (polled, seen) = poll(&mut source, 5_100, 3);
        assert_eq!(seen, [(1_100, 1), (2_100, 2), (3_100, 3)]);
        assert_eq!(polled.ingress, Some(Timestamp(1_100)));
        let (polled, seen) = poll(&mut source, 5_100, 9);
        assert_eq!(seen, [(4_100, 4), (5_100, 5)]);
        assert_eq!((polled.ingress, polled.ended), (Some(Timestamp(4_100)), false));
    }

    #[test]
    fn flat_out_ignores_the_clock() {
        let source = Generator::flat_out(1e6, |i, _| i).unwrap();
        let mut source = source.start_at(Timestamp(-500)).count(5);
        let (polled, seen) = poll(&mut source, 0, 3);
        assert_eq!(seen, [(-500, 0), (500, 1), (1_500, 2)]);
        assert_eq!((polled.ingress, polled.watermark), (None, Some(Timestamp(2_500))));
        let (polled, seen) = poll(&mut source, 0, 3);
        assert_eq!((seen.len(), polled), (2, Polled::ended()));
        assert_eq!(poll(&mut source, 0, 3), (Polled::ended(), vec![]));
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        for (count, span) in [(10, None), (1, None), (0, None), (u64::MAX, Some(ms(10)))] {
            let build = |index, of| {
                let source = Generator::flat_out(997.0, |i, _| i).unwrap().count(count);
                let source = source.share(index, of);
                if let Some(span) = span { source.duration(span) } else { source }
            };
            let whole = poll(&mut build(0, 1), 0, 100).1;
            let mut shares: Seen = (0..3).flat_map(|i| poll(&mut build(i, 3), 0, 100).1).collect();
            shares.sort_unstable();
            assert_eq!(shares, whole);
        }
    }

    #[test]
    fn a_duration_is_half_open() {
        let mut source = Generator::flat_out(4.0, |i, _| i).unwrap().duration(secs(1));
        let (polled, seen) = poll(&mut source, 0, 100);
        assert_eq!((seen.len(), polled.ended), (4, true));
    }

    #[test]
    fn ends_before_the_end_of_time() {
        let source = Generator::flat_out(1e-6, |i, _| i).unwrap();
        let mut source = source.start_at(Timestamp(i64::MAX - 1_500_000_000_000_000)).share(1, 2);
        let (polled, seen) = poll(&mut source, 0, 100);
        assert_eq!(seen, [(i64::MAX - 500_000_000_000_000, 1)]);
        assert!(polled.ended);
        let mut source = Generator::flat_out(1e-6, |i, _| i).unwrap().start_at(Timestamp::MIN);
        let (polled, seen) = poll(&mut source, 0, usize::MAX);
        assert!(polled.ended && seen.is_sorted());
    }

    #[test]
    fn impossible_rates_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 1e13] {
            let error = Generator::at_rate(rate, |i, _| i).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.starts_with("rate = ")), "{rate}");
        }
    }
}
