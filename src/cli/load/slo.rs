//! A service level objective: a percentile of the latency, and what it has to stay below.

use std::fmt;
use std::str::FromStr;

use crate::cli::report::LatencyNs;
use crate::cli::{table, values};

/// An objective: `p99.9<100us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slo {
    /// Which of [`LatencyNs::COLUMNS`].
    column: usize,
    /// What it has to stay below, in nanoseconds.
    below_ns: u64,
}

/// The shares of samples above each of the columns; none above the maximum.
const ABOVE: [f64; 6] = [0.5, 0.1, 1e-2, 1e-3, 1e-4, 0.0];

/// Samples that should lie above a percentile for it to be more than an accident.
const ABOVE_MIN: f64 = 10.0;

impl Slo {
    /// The percentile that it is about.
    pub fn percentile(self) -> &'static str {
        LatencyNs::COLUMNS[self.column]
    }

    /// The value of that percentile.
    pub fn value(self, latency: &LatencyNs) -> u64 {
        latency.columns()[self.column]
    }

    /// Whether a distribution holds it. One without samples holds nothing.
    pub fn is_held(self, latency: &LatencyNs) -> bool {
        latency.samples > 0 && self.value(latency) < self.below_ns
    }

    /// Whether so few samples lie above the percentile that its value is an accident.
    pub fn has_few_samples(self, latency: &LatencyNs) -> bool {
        let above = ABOVE[self.column];
        above > 0.0 && latency.samples as f64 * above < ABOVE_MIN
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} < {}", self.percentile(), table::nanos(self.below_ns))
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((percentile, span)) = text.split_once('<') else {
            return Err("an objective is a percentile, `<` and a span: 'p99.9<100us'".to_owned());
        };
        let percentile = percentile.trim();
        let column = LatencyNs::COLUMNS.iter().position(|name| *name == percentile);
        let Some(column) = column else {
            let names = LatencyNs::COLUMNS.join(", ");
            return Err(format!("`{percentile}` is none of {names}"));
        };
        let below = values::span(span.trim())?;
        if below.is_zero() {
            return Err("no latency is below zero".to_owned());
        }
        Ok(Self { column, below_ns: below.as_nanos() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read() {
        let slo: Slo = "p99.9<100us".parse().unwrap();
        assert_eq!((slo.percentile(), slo.below_ns), ("p99.9", 100_000));
        assert_eq!(slo.to_string(), "p99.9 < 100 us");
        let loose: Slo = " max < 5 ms ".parse().unwrap();
        assert_eq!((loose.percentile(), loose.below_ns), ("max", 5_000_000));
        for (text, word) in [
            ("100us", "a percentile, `<` and a span"),
            ("p99.9=100us", "a percentile, `<` and a span"),
            ("p95<100us", "`p95` is none of p50, p90"),
            ("<100us", "`` is none of"),
            ("p99<100", "a number and one of ns, us"),
            ("p99<=1ms", "=1"),
            ("p99<0ns", "below zero"),
            ("p99<", "a number and one of"),
        ] {
            let error = text.parse::<Slo>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn what_has_no_samples_holds_nothing() {
        let slo: Slo = "p99<1ms".parse().unwrap();
        assert!(!slo.is_held(&LatencyNs::default()));
        let latency = LatencyNs { p99: 999_999, max: 1 << 40, samples: 999, ..Default::default() };
        assert!(slo.is_held(&latency) && slo.has_few_samples(&latency));
        assert!(!slo.is_held(&LatencyNs { p99: 1_000_000, ..latency }), "below, not at");
        assert!(!slo.has_few_samples(&LatencyNs { samples: 1000, ..latency }));
    }
}
