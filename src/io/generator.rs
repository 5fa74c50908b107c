//! An open-loop source: records have intended times, and falling behind does not skip any.

mod moved;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::{Beat, Gaps, period};
use crate::dataflow::{Record, Saved};
use crate::error::{ConfigError, IoError};
use crate::io::{Arrival, Polled, Source};
use crate::time::Timestamp;

/// A source that makes its own records, each with an intended time.
///
/// Record `i` of the sequence is intended for `start + i / rate` and carries that time; other
/// [arrivals](Self::arrival) spread the times around that rate. Paced by
/// [`at_rate`](Self::at_rate) it is emitted when that time has come; a generator that was kept from
/// running emits what it owes as fast as it is polled, skips nothing, and gives the intended time
/// of the oldest as [`Polled::ingress`], so that latency is free of coordinated omission. By
/// [`flat_out`](Self::flat_out) records come as fast as they are asked for, and only event time
/// advances by the rate. A [`closed_loop`](Self::closed_loop) shows what all that is good for.
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
    pace: Pace,
    /// The mean time between two records of the whole sequence, in 2^-64 ns.
    period: u128,
    gaps: Gaps,
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

/// What makes records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Their intended times, however late they are.
    OpenLoop,
    /// Their intended times, each of which counts from when the record before was given.
    ClosedLoop,
    /// Being asked for them.
    FlatOut,
}

/// Where a generator is in its sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    beat: Beat,
    /// The number of the next record in the whole sequence.
    index: u64,
    /// How many records are left to this instance, as far as their number says it.
    left: u64,
    /// No record is intended for this time or a later one.
    until: Timestamp,
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
        let period = period(setting, rate)?;
        Ok(Self {
            make,
            pace: if flat_out_from.is_none() { Pace::OpenLoop } else { Pace::FlatOut },
            period,
            gaps: Gaps::Even { period },
            start: flat_out_from,
            count_max: u64::MAX,
            span_max: None,
            first: 0,
            stride: 1,
            run: None,
            given: Vec::new(),
        })
    }

    /// Spreads the intended times around the mean rate in another way than evenly.
    ///
    /// ```
    /// use millstream::io::{Arrival, Generator, Source};
    /// use millstream::Timestamp;
    ///
    /// let trades = Generator::at_rate(1e6, |i, _intended| i)?;
    /// let mut trades = trades.arrival(Arrival::Burst { size: 64, duty: 0.0 })?;
    /// let mut seen = 0;
    /// trades.poll(0, Timestamp(0), 1000, &mut |_| seen += 1)?;
    /// assert_eq!(seen, 64);
    /// # Ok::<(), millstream::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if there can be no such arrivals.
    pub fn arrival(self, arrival: Arrival) -> Result<Self, ConfigError> {
        Ok(Self { gaps: Gaps::new(arrival, self.period)?, ..self })
    }

    /// Gives one record a poll at most, and counts the time to the next from when it gave the last:
    /// what a caller does who waits for an answer before it asks again. Latency then counts from
    /// when a record was given, and a record carries that time.
    ///
    /// This is how latency should not be measured. While the pipeline stalls no record is due, so
    /// those that a stall would have delayed are missing from the percentiles: coordinated
    /// omission. It is here to be set beside the open loop.
    pub fn closed_loop(self) -> Self {
        Self { pace: Pace::ClosedLoop, ..self }
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
        // One of the limits is the end of time: a timestamp must not wrap.
        let end_of_time = Timestamp::MAX.since(start);
        let span = self.span_max.map_or(end_of_time, |span| {
            u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).min(end_of_time)
        });
        let mut all = self.count_max;
        if self.is_even() {
            // All limits become one count, so that the loops below have one thing to look at.
            let by_span = ((span as u128) << 64).div_ceil(self.period);
            all = by_span.min(all as u128) as u64;
        }
        let left = all.saturating_sub(self.first).div_ceil(self.stride);
        let beat = self.gaps.beat(start, self.first, self.stride);
        let until = Timestamp(start.0.saturating_add_unsigned(span));
        Run { beat, index: self.first, left, until }
    }

    /// Whether the times of all records are known from their numbers.
    #[inline(always)]
    fn is_even(&self) -> bool {
        self.gaps.is_even() && self.pace != Pace::ClosedLoop
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
        let is_even = self.is_even();
        if self.run.is_none() {
            self.run = Some(self.begin(now));
        }
        let Some(run) = &mut self.run else { return Ok(Polled::open()) };
        if !is_even && run.beat.time() >= run.until {
            run.left = 0;
        }
        let (gaps, place) = (&self.gaps, (run.index, self.stride));
        let due = match (self.pace, run.left.min(budget as u64)) {
            (Pace::FlatOut, most) if is_even => most,
            (Pace::FlatOut, most) => gaps.due(run.beat, place, Timestamp::MAX, run.until, most),
            (Pace::OpenLoop, most) => gaps.due(run.beat, place, now, run.until, most),
            (Pace::ClosedLoop, most) => gaps.due(run.beat, place, now, run.until, most.min(1)),
        };
        if self.pace == Pace::ClosedLoop && due > 0 {
            run.beat.catch_up(now);
        }
        let oldest = run.beat.time();
        match self.given.is_empty() {
            true => run.emit(due, self.stride, gaps, &mut self.make, emit),
            false => run.emit_new(due, self.stride, gaps, &mut self.given, &mut self.make, emit),
        }
        let ended = run.left == 0 || !is_even && run.beat.time() >= run.until;
        Ok(Polled {
            ingress: (self.pace != Pace::FlatOut && due > 0).then_some(oldest),
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
        gaps: &Gaps,
        make: &mut impl FnMut(u64, Timestamp) -> T,
        emit: &mut impl FnMut(Record<T>),
    ) {
        let (mut beat, mut index, mut left) = (self.beat, self.index, due);
        while left > 0 {
            // Even times are one straight run. Only one place calls `emit`: what it inlines is the
            // whole stage.
            let straight = if gaps.is_even() { left } else { 1 };
            let from = index;
            for _ in 0..straight {
                let at = beat.time();
                emit(Record::new(at, make(index, at)));
                beat.advance();
                index = index.wrapping_add(stride);
            }
            if !gaps.is_even() {
                gaps.advance(&mut beat, from, stride);
            }
            left -= straight;
        }
        (self.beat, self.index) = (beat, index);
        self.left -= due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Schedule;
    use crate::time::{ms, secs, us};

    type Seen = Vec<(i64, u64)>;

    fn poll(source: &mut impl Source<Out = u64>, now: i64, budget: usize) -> (Polled, Seen) {
        let mut seen = Vec::new();
        let emit = &mut |r: Record<u64>| seen.push((r.at.0, r.value));
        (source.poll(0, Timestamp(now), budget, emit).unwrap(), seen)
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

    const ARRIVALS: [Arrival; 3] = [
        Arrival::Poisson { seed: 5 },
        Arrival::Burst { size: 4, duty: 0.0 },
        Arrival::Burst { size: 3, duty: 0.5 },
    ];

    #[test]
    fn arrivals_are_the_same_for_the_whole_and_its_shares() {
        for arrival in ARRIVALS {
            let build = |index, of| {
                let source = Generator::at_rate(1e6, |i, _| i).unwrap().arrival(arrival).unwrap();
                source.start_at(Timestamp(0)).duration(us(100)).share(index, of)
            };
            let schedule = Schedule::new(1e6, arrival, Timestamp(0)).unwrap();
            let times = schedule.map(|at| at.0).zip(0..).take_while(|(at, _)| *at < 100_000);
            let expected: Seen = times.collect();
            let (polled, whole) = poll(&mut build(0, 1), 1_000_000, 1000);
            assert_eq!((&whole, polled.ended), (&expected, true), "{arrival}");
            let shares = (0..3).flat_map(|i| poll(&mut build(i, 3), 1_000_000, 1000).1);
            let mut shares: Seen = shares.collect();
            shares.sort_unstable();
            assert_eq!(shares, whole, "{arrival}");
        }
    }

    #[test]
    fn what_falls_behind_skips_nothing_whatever_the_arrival() {
        for arrival in ARRIVALS {
            let build = || {
                let source = Generator::at_rate(1e6, |i, _| i).unwrap().arrival(arrival).unwrap();
                source.start_at(Timestamp(0)).count(500)
            };
            let (mut prompt, mut late) = (build(), build());
            let mut in_time = Vec::new();
            for now in (0..2_000_000).step_by(100) {
                in_time.extend(poll(&mut prompt, now, 1000).1);
            }
            let (mut caught_up, mut ended) = (Vec::new(), false);
            while !ended {
                let (polled, seen) = poll(&mut late, 2_000_000, 64);
                let oldest = seen.first().map(|(at, _)| Timestamp(*at));
                assert_eq!(polled.ingress, oldest, "latency counts from the intended time");
                caught_up.extend(seen);
                ended = polled.ended;
            }
            assert_eq!((in_time.len(), &in_time), (500, &caught_up), "{arrival}");
        }
    }

    #[test]
    fn flat_out_with_arrivals_has_their_event_times() {
        let source = Generator::flat_out(1e6, |i, _| i).unwrap();
        let source = source.arrival(Arrival::Burst { size: 2, duty: 0.0 }).unwrap();
        let (polled, seen) = poll(&mut source.duration(us(4)), -1, 100);
        assert_eq!(seen, [(0, 0), (0, 1), (2_000, 2), (2_000, 3)]);
        assert_eq!((polled.ingress, polled.ended), (None, true));
    }

    #[test]
    fn a_closed_loop_forgets_what_a_stall_kept_from_being_sent() {
        let build = || {
            let source = Generator::at_rate(1e6, |i, _| i).unwrap();
            source.start_at(Timestamp(0)).duration(us(10))
        };
        let (mut open, mut closed) = (build(), build().closed_loop());
        assert_eq!(poll(&mut closed, 0, 9).1, [(0, 0)]);
        assert_eq!(poll(&mut closed, 999, 9).1, []);
        // A stall of five periods: the open loop owes five records and one, the closed one.
        assert_eq!(poll(&mut open, 0, 9).1, [(0, 0)]);
        assert_eq!(poll(&mut open, 6_500, 9).1.len(), 6);
        let (polled, seen) = poll(&mut closed, 6_500, 9);
        assert_eq!((seen, polled.ingress), (vec![(6_500, 1)], Some(Timestamp(6_500))));
        assert_eq!(polled.watermark, Some(Timestamp(7_500)));
        let counts = [&mut open, &mut closed].map(|source| {
            (7_000..20_000).step_by(100).map(|now| poll(source, now, 9).1.len()).sum::<usize>()
        });
        assert_eq!(counts, [3, 3], "both end with their span");
        assert!(poll(&mut closed, 30_000, 9).0.ended);
    }
}
