//! Recorded records, paced anew.

use std::collections::VecDeque;

use crate::dataflow::Record;
use crate::error::{ConfigError, IoError};
use crate::io::{Arrival, Polled, Schedule, Source};
use crate::time::Timestamp;

/// How many records are read ahead of their time.
const AHEAD: usize = 256;

/// When recorded records come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are asked for.
    FlatOut,
    /// So many a second of the step's clock, whatever their timestamps say.
    Rate(f64),
    /// As their timestamps say, so many times as fast.
    Speed(f64),
}

/// A source that gives the records of another one at a pace.
///
/// At `Rate(r)` record `i` of a partition is due at `start + i / r`; at `Speed(x)` a record is due
/// at `start + (at - first_at) / x`, and if its timestamp lies behind that of a record before it,
/// together with that one: the order is always that of the inner source. The start is the time of
/// the first poll. Nothing is skipped, and [`Polled::ingress`] is when the oldest record of the
/// poll was due, so latency counts from there however late it came. `FlatOut` passes everything
/// through. Up to 256 records of each partition are read ahead.
///
/// ```
/// use millstream::io::{MemorySource, Pace, Replay, Source};
/// use millstream::{Record, Timestamp};
///
/// let recorded = [0, 500, 2000].map(|ms| Record::new(Timestamp::from_millis(ms), ms));
/// let mut source = Replay::new(MemorySource::new(recorded.to_vec()), Pace::Speed(10.0))?;
/// let mut seen = Vec::new();
/// source.poll(0, Timestamp::from_millis(7000), 64, &mut |r| seen.push(r.value))?;
/// assert_eq!(seen, [0]);
/// let polled = source.poll(0, Timestamp::from_millis(7060), 64, &mut |r| seen.push(r.value))?;
/// assert_eq!(seen, [0, 500]);
/// assert_eq!(polled.ingress, Some(Timestamp::from_millis(7050)));
/// # Ok::<(), millstream::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Replay<S: Source> {
    inner: S,
    timing: Timing,
    start: Option<Timestamp>,
    first_at: Option<Timestamp>,
    lanes: Vec<Lane<S::Out>>,
}

/// A pace, ready for use.
#[derive(Clone, Copy, Debug)]
enum Timing {
    FlatOut,
    /// Records a second, and how they are spread.
    Rate(f64, Arrival),
    /// What to multiply event time by.
    Speed(f64),
}

/// One partition.
#[derive(Debug)]
struct Lane<T> {
    ahead: VecDeque<Record<T>>,
    /// What the inner source promised about the records after those in `ahead`.
    promise: Option<Timestamp>,
    rejected: u32,
    ended: bool,
    /// When the next record is due, at a rate.
    schedule: Option<Schedule>,
    /// When the record before was due: none is due earlier than the one before it.
    last_due: Timestamp,
}

impl<S: Source> Replay<S> {
    /// Paces `inner`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for a rate that is not within 1e-6 and 1e12 records a second, or a
    /// speed that is not a finite number above 0.
    pub fn new(inner: S, pace: Pace) -> Result<Self, ConfigError> {
        let timing = match pace {
            Pace::FlatOut => Timing::FlatOut,
            Pace::Rate(rate) => {
                Schedule::new(rate, Arrival::Constant, Timestamp(0))?;
                Timing::Rate(rate, Arrival::Constant)
            }
            Pace::Speed(speed) if speed > 0.0 && (1.0 / speed).is_normal() => {
                Timing::Speed(1.0 / speed)
            }
            Pace::Speed(speed) => {
                let reason = "a speed is a factor above 0: 1 is as recorded";
                return Err(ConfigError::setting("speed", speed, reason));
            }
        };
        let lanes = (0..inner.partitions()).map(|_| Lane::new()).collect();
        Ok(Self { inner, timing, start: None, first_at: None, lanes })
    }

    /// Spreads the records of a [`Pace::Rate`] around it in another way than evenly; recorded gaps
    /// stay as they are. The partitions of a source are spread alike.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if there can be no such arrivals.
    pub fn arrival(mut self, arrival: Arrival) -> Result<Self, ConfigError> {
        arrival.check()?;
        if let Timing::Rate(_, constant) = &mut self.timing {
            *constant = arrival;
        }
        Ok(self)
    }

    /// When the first record is due, instead of at the first poll. Shards that replay parts of one
    /// recording need the same start, and the same [`first_at`](Self::first_at), to stay in step.
    pub fn start_at(mut self, start: Timestamp) -> Self {
        self.start = Some(start);
        self
    }

    /// The timestamp that is due at the start, instead of that of the first record read.
    pub fn first_at(mut self, at: Timestamp) -> Self {
        self.first_at = Some(at);
        self
    }
}

impl<S: Source> Source for Replay<S> {
    type Out = S::Out;

    fn partitions(&self) -> usize {
        self.inner.partitions()
    }

    fn drive(&mut self, now: Timestamp) -> Result<(), IoError> {
        self.inner.drive(now)
    }

    fn position(&self, partition: usize) -> Option<u64> {
        match self.timing {
            Timing::FlatOut => self.inner.position(partition),
            _ => None,
        }
    }

    /// At a pace the inner source is ahead of what is given, and may know no more what that was.
    fn write_down(&mut self, value: &S::Out, into: &mut Vec<u8>) {
        if let Timing::FlatOut = self.timing {
            self.inner.write_down(value, into);
        }
    }

    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> Result<Polled, IoError> {
        let Self { inner, timing, start, first_at, lanes } = self;
        if let Timing::FlatOut = timing {
            return inner.poll(partition, now, budget, emit);
        }
        let Some(lane) = lanes.get_mut(partition) else { return Ok(Polled::ended()) };
        let start = *start.get_or_insert(now);
        let mut polled = Polled::open();
        for _ in 0..budget {
            if lane.ahead.is_empty() {
                // Only now is the promise true of what is still to come.
                polled.watermark = lane.promise.take().or(polled.watermark);
                lane.refill(inner, partition, now)?;
            }
            let Some(next) = lane.ahead.front() else { break };
            let origin = *first_at.get_or_insert(next.at);
            let due = lane.due(*timing, start, origin, next.at);
            if due > now {
                break;
            }
            polled.ingress = polled.ingress.or(Some(due));
            lane.passed(due);
            if let Some(record) = lane.ahead.pop_front() {
                emit(record);
            }
        }
        lane.conclude(&mut polled);
        Ok(polled)
    }
}

impl<T: 'static> Lane<T> {
    fn new() -> Self {
        let ahead = VecDeque::with_capacity(AHEAD);
        let last_due = Timestamp::MIN;
        Self { ahead, promise: None, rejected: 0, ended: false, schedule: None, last_due }
    }

    /// Reads ahead. A source that counts on its clock is given the true one.
    fn refill<S: Source<Out = T>>(
        &mut self,
        inner: &mut S,
        partition: usize,
        now: Timestamp,
    ) -> Result<(), IoError> {
        if self.ended {
            return Ok(());
        }
        let ahead = &mut self.ahead;
        let got = inner.poll(partition, now, AHEAD, &mut |record| ahead.push_back(record))?;
        self.promise = got.watermark;
        self.rejected += got.rejected;
        self.ended = got.ended;
        Ok(())
    }

    /// When the next record is due.
    fn due(
        &mut self,
        timing: Timing,
        start: Timestamp,
        origin: Timestamp,
        at: Timestamp,
    ) -> Timestamp {
        let due = match timing {
            Timing::FlatOut => start,
            Timing::Rate(rate, arrival) => {
                if self.schedule.is_none() {
                    self.schedule = Schedule::new(rate, arrival, start).ok();
                }
                self.schedule.as_ref().map_or(start, Schedule::due)
            }
            // Converting saturates: what is due after the end of time is due at its end.
            Timing::Speed(factor) => start.offset((at.since(origin) as f64 * factor) as i64),
        };
        due.max(self.last_due)
    }

    /// The next record is taken.
    fn passed(&mut self, due: Timestamp) {
        self.last_due = due;
        if let Some(schedule) = &mut self.schedule {
            schedule.advance();
        }
    }

    /// Adds to a poll what is known at its end.
    fn conclude(&mut self, polled: &mut Polled) {
        polled.rejected = std::mem::take(&mut self.rejected);
        if self.ahead.is_empty() {
            polled.watermark = self.promise.take().or(polled.watermark);
            polled.ended = self.ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemorySource;

    fn recorded(times: &[i64]) -> MemorySource<usize> {
        let records = times.iter().enumerate().map(|(i, at)| Record::new(Timestamp(*at), i));
        MemorySource::new(records.collect::<Vec<_>>())
    }

    /// The numbers of the records that come at each of these times, and their ingress.
    fn polls(
        source: &mut impl Source<Out = usize>,
        times: &[i64],
    ) -> Vec<(Vec<usize>, Option<i64>)> {
        let poll = |now: &i64| {
            let mut seen = Vec::new();
            let polled = source.poll(0, Timestamp(*now), 4, &mut |r| seen.push(r.value)).unwrap();
            (seen, polled.ingress.map(Timestamp::as_nanos))
        };
        times.iter().map(poll).collect()
    }

    #[test]
    fn speed_follows_the_timestamps_and_catches_up_by_budget() {
        let times = [1000, 1010, 1020, 1030, 1040, 1050, 2000];
        let mut source = Replay::new(recorded(&times), Pace::Speed(2.0)).unwrap();
        let got = polls(&mut source, &[50, 54, 55, 100, 100, 549, 550]);
        let want = [
            (vec![0], Some(50)),
            (vec![], None),
            (vec![1], Some(55)),
            (vec![2, 3, 4, 5], Some(60)),
            (vec![], None),
            (vec![], None),
            (vec![6], Some(550)),
        ];
        assert_eq!(got, want);
        assert!(source.poll(0, Timestamp(551), 4, &mut |_| ()).unwrap().ended);
    }

    #[test]
    fn disordered_records_keep_their_place_and_come_with_the_one_before() {
        let mut source = Replay::new(recorded(&[100, 300, 200, 50]), Pace::Speed(1.0)).unwrap();
        let got = polls(&mut source, &[0, 199, 200]);
        assert_eq!(got, [(vec![0], Some(0)), (vec![], None), (vec![1, 2, 3], Some(200))]);
    }

    #[test]
    fn rate_ignores_the_timestamps() {
        let mut source = Replay::new(recorded(&[9, 9, 0, 9]), Pace::Rate(3e9)).unwrap();
        let got = polls(&mut source.start_at(Timestamp(5)), &[4, 5, 6]);
        assert_eq!(got, [(vec![], None), (vec![0, 1, 2], Some(5)), (vec![3], Some(6))]);
        source = Replay::new(recorded(&[]), Pace::Rate(1.0)).unwrap();
        assert_eq!(source.poll(0, Timestamp(0), 4, &mut |_| ()).unwrap(), Polled::ended());
    }

    #[test]
    fn a_rate_may_come_in_bursts() {
        let bursts = Arrival::Burst { size: 2, duty: 0.0 };
        let source = Replay::new(recorded(&[0; 5]), Pace::Rate(1e9)).unwrap();
        let mut source = source.arrival(bursts).unwrap().start_at(Timestamp(7));
        let got = polls(&mut source, &[7, 8, 9, 11]);
        let want =
            [(vec![0, 1], Some(7)), (vec![], None), (vec![2, 3], Some(9)), (vec![4], Some(11))];
        assert_eq!(got, want);
        // Recorded gaps are what they are.
        let source = Replay::new(recorded(&[0, 1]), Pace::Speed(1.0)).unwrap();
        assert_eq!(polls(&mut source.arrival(bursts).unwrap(), &[7])[0].0, [0]);
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        let times = [i64::MIN, i64::MAX, i64::MAX];
        let mut source = Replay::new(recorded(&times), Pace::Speed(0.5)).unwrap();
        let got = polls(&mut source, &[0, i64::MAX - 1, i64::MAX]);
        assert_eq!(got, [(vec![0], Some(0)), (vec![], None), (vec![1, 2], Some(i64::MAX))]);
    }

    #[test]
    fn a_promise_waits_for_the_records_before_it() {
        /// Gives one record a poll and promises its time.
        struct Promising(i64);
        impl Source for Promising {
            type Out = usize;
            fn poll(
                &mut self,
                _partition: usize,
                _now: Timestamp,
                _budget: usize,
                emit: &mut impl FnMut(Record<usize>),
            ) -> Result<Polled, IoError> {
                self.0 += 10;
                emit(Record::new(Timestamp(self.0), 0));
                Ok(Polled { watermark: Some(Timestamp(self.0)), rejected: 1, ..Polled::open() })
            }
        }
        let mut source = Replay::new(Promising(0), Pace::Speed(1.0)).unwrap();
        let mut poll = |now| source.poll(0, Timestamp(now), 9, &mut |_| ()).unwrap();
        let polled = poll(0);
        assert_eq!((polled.watermark, polled.rejected), (Some(Timestamp(10)), 2));
        assert_eq!(poll(9).watermark, None);
        assert_eq!(poll(10).watermark, Some(Timestamp(20)));
    }

    #[test]
    fn impossible_paces_are_refused() {
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Replay::new(recorded(&[]), Pace::Speed(speed)).is_err(), "{speed}");
        }
        assert!(Replay::new(recorded(&[]), Pace::Rate(0.0)).is_err());
    }
}
