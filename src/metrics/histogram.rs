//! Latency as a distribution. The only place that knows hdrhistogram.

use std::hint::black_box;

use hdrhistogram::Histogram;

use super::series::Series;
use crate::time::Timestamp;

/// The longest latency told apart from longer ones: 60 s.
const LONGEST_NS: u64 = 60_000_000_000;
/// Significant decimal digits: values are right within 0.1 %.
const DIGITS: u8 = 3;
/// The width of a part of a coarse one, at first.
const COARSE_SLOT_NS: u64 = 1_000_000_000;
/// Points of the curve for each halving of what lies above: smooth, and a few hundred in all.
const TICKS_PER_HALVING: u32 = 8;

/// What is said about a distribution of latencies, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Percentiles {
    /// Half of the samples were at most this.
    pub p50: u64,
    /// 90 % were at most this.
    pub p90: u64,
    /// 99 % were at most this.
    pub p99: u64,
    /// 99.9 % were at most this.
    pub p999: u64,
    /// 99.99 % were at most this; means little with fewer than a million samples.
    pub p9999: u64,
    /// The worst one, exact.
    pub max: u64,
    /// The mean.
    pub mean: u64,
    /// How many samples there were.
    pub samples: u64,
}

/// Latencies of one shard: their distribution, and how they went over time.
///
/// From 1 ns to 60 s within 0.1 %; what is longer counts as 60 s (the maximum stays exact). Takes
/// about 0.8 MB, all of it at construction, of which recording touches a few lines.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
    worst: u64,
    series: Series,
}

impl Latency {
    /// An empty one, whose time starts with the first sample.
    pub fn new() -> Self {
        Self::over(Series::new())
    }

    /// An empty one whose time starts at `origin`: what the shards of one run should share.
    pub fn starting_at(origin: Timestamp) -> Self {
        Self::over(Series::starting_at(origin))
    }

    /// An empty one of a few kilobytes, for shards that are made by the thousand: within 10 %, and
    /// of its course over time it knows two parts.
    pub fn coarse() -> Self {
        Self::of(Series::with_slots(2, COARSE_SLOT_NS), 1)
    }

    fn over(series: Series) -> Self {
        Self::of(series, DIGITS)
    }

    fn of(series: Series, digits: u8) -> Self {
        let Ok(mut histogram) = Histogram::new_with_bounds(1, LONGEST_NS, digits) else {
            unreachable!("the bounds are constants that hdrhistogram accepts")
        };
        // Touches the counts, so that no page fault is left for the first sample of a range.
        black_box(&mut histogram).reset();
        Self { histogram, worst: 0, series }
    }

    /// Counts `count` samples of one latency at `now`. Never allocates, never fails.
    #[inline]
    pub fn record(&mut self, now: Timestamp, latency_ns: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.histogram.saturating_record_n(latency_ns, count);
        self.worst = self.worst.max(latency_ns);
        self.series.record(now, latency_ns, count);
    }

    /// Forgets every sample, as after a warm-up, and starts time again at `origin`.
    pub fn clear(&mut self, origin: Timestamp) {
        self.histogram.reset();
        self.worst = 0;
        self.series.clear(origin);
    }

    /// Adds the samples of another one. For the report: it allocates.
    pub fn merge(&mut self, other: &Self) {
        // Cannot fail: both have the same bounds.
        let added = self.histogram.add(&other.histogram);
        debug_assert!(added.is_ok());
        self.worst = self.worst.max(other.worst);
        self.series.merge(&other.series);
    }

    /// How many samples there are.
    pub fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that a share of the samples (0.99, say) does not exceed; zero without samples.
    pub fn at(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.worst)
    }

    /// The usual percentiles.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.at(0.5),
            p90: self.at(0.9),
            p99: self.at(0.99),
            p999: self.at(0.999),
            p9999: self.at(0.9999),
            max: self.worst,
            mean: self.histogram.mean().round() as u64,
            samples: self.samples(),
        }
    }

    /// The percentile curve: (quantile, latency in ns), denser towards 1, for a plot.
    pub fn curve(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let steps = self.histogram.iter_quantiles(TICKS_PER_HALVING);
        steps.map(|step| (step.quantile_iterated_to(), step.value_iterated_to().min(self.worst)))
    }

    /// Latency over time.
    pub const fn series(&self) -> &Series {
        &self.series
    }

    /// The memory it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.histogram.distinct_values() * size_of::<u64>() + self.series.memory()
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes an HdrHistogram V2 interval log, one line for each tagged distribution of one run.
///
/// The HdrHistogram plotter and `HistogramLogProcessor` read it. A tag holds no comma, space or
/// line break; one that does is left out.
///
/// # Errors
/// Whatever the writer says.
#[cfg(feature = "cli")]
pub fn write_log<W: std::io::Write>(
    out: &mut W,
    started: std::time::SystemTime,
    lasted: std::time::Duration,
    comment: &str,
    entries: &[(&str, &Latency)],
) -> std::io::Result<()> {
    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{
        IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
    };
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(comment)
        .add_comment("[Histogram log format version 1.3]")
        .with_base_time(started)
        .with_start_time(started)
        .begin_log_with(out, &mut serializer)?;
    log.write_comment("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Histogram\"")?;
    for (tag, latency) in entries {
        log.write_histogram(&latency.histogram, std::time::Duration::ZERO, lasted, Tag::new(tag))
            .map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            other => std::io::Error::other(other.to_string()),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    fn close(value: u64, expected: u64) -> bool {
        value.abs_diff(expected) as f64 <= expected as f64 * 0.001
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let mut latency = Latency::new();
        (1..=100_000).for_each(|value| latency.record(NOW, value * 100, 1));
        let said = latency.percentiles();
        assert!(close(said.p50, 5_000_000), "{said:?}");
        assert!(close(said.p99, 9_900_000), "{said:?}");
        assert!(close(said.p9999, 9_999_000), "{said:?}");
        assert!(close(said.mean, 5_000_050), "{said:?}");
        assert_eq!((said.max, said.samples), (10_000_000, 100_000));
        assert_eq!(Latency::new().percentiles(), Percentiles::default());
    }

    #[test]
    fn extremes_saturate() {
        let mut latency = Latency::new();
        latency.record(NOW, 0, 1);
        assert_eq!(latency.percentiles().max, 0);
        latency.record(NOW, u64::MAX, 1);
        latency.record(NOW, 5, 0);
        let said = latency.percentiles();
        assert_eq!((said.max, said.samples), (u64::MAX, 2));
        assert!(close(latency.at(0.99), LONGEST_NS));
        latency.record(NOW, 7, 1 << 60);
        assert_eq!(latency.percentiles().p50, 7);
    }

    #[test]
    fn merging_is_recording_into_one() {
        let (mut left, mut right, mut both) = (Latency::new(), Latency::new(), Latency::new());
        for value in 1..2000u64 {
            let one = if value % 3 == 0 { &mut left } else { &mut right };
            one.record(NOW, value * value, 2);
            both.record(NOW, value * value, 2);
        }
        left.merge(&right);
        assert_eq!(left.percentiles(), both.percentiles());
        assert_eq!(left.series().points(), both.series().points());
        left.clear(NOW);
        assert_eq!((left.samples(), left.series().points().len()), (0, 0));
    }

    #[test]
    fn the_curve_rises_and_ends_at_the_maximum() {
        let mut latency = Latency::new();
        (1..100_000u64).for_each(|value| latency.record(NOW, value, 1));
        let curve: Vec<_> = latency.curve().collect();
        assert!(curve.is_sorted() && curve.len() < 300, "{}", curve.len());
        assert_eq!(curve.last().map(|point| point.1), Some(99_999));
        assert!(latency.memory() > 100_000 && latency.memory() < 1_000_000);
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_log_can_be_read_back() {
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let mut latency = Latency::new();
        latency.record(NOW, 1234, 5);
        let (mut log, second) = (Vec::new(), std::time::Duration::from_secs(1));
        let entries = [("records", &latency), ("noise", &latency)];
        write_log(&mut log, std::time::UNIX_EPOCH, second, "bars", &entries).unwrap();
        let tags: Vec<String> = IntervalLogIterator::new(&log)
            .filter_map(|entry| match entry {
                Ok(LogEntry::Interval(one)) => one.tag().map(|tag| tag.as_str().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(tags, ["records", "noise"], "{}", String::from_utf8_lossy(&log));
    }
}
