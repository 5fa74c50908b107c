//! What one rate came to, and whose fault it was if it was too much.

use serde::Serialize;

use super::Slo;
use crate::cli::report::LatencyNs;

/// One rate, measured.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Probe {
    /// The rate asked for.
    pub offered_per_s: f64,
    /// What became of it.
    pub achieved_per_s: f64,
    /// Whether every record was sent by the end of its time.
    pub kept_up: bool,
    /// What could not keep up; nothing if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<Limit>,
    /// From a record's intended time on.
    pub latency_ns: LatencyNs,
    /// Whether the objective was held, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// How many runs this is the median of.
    pub runs: u32,
}

/// What keeps a rate from being higher.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Latency: every record was sent in time, and the objective was missed.
    Slo,
    /// What makes the records: it cannot make more of them by itself.
    Generator,
    /// The pipeline: it takes fewer records than are made.
    Pipeline,
}

impl Limit {
    /// What keeps the rate down, in words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Slo => "latency: the generator kept up, and the objective was missed",
            Self::Generator => "the generator: it cannot make more on these cores by itself",
            Self::Pipeline => "throughput: the pipeline took less than was offered",
        }
    }
}

/// Of what the generator does by itself, so much is where it, and not the pipeline, is the limit.
const NEARLY: f64 = 0.9;

impl Probe {
    /// Says what was the limit of a rate that was not kept up with: the generator, if that is about
    /// as much as it does by itself, else the pipeline.
    pub fn limited(self, generator_per_s: f64) -> Self {
        let limit = match self.offered_per_s >= generator_per_s * NEARLY {
            true => Limit::Generator,
            false => Limit::Pipeline,
        };
        Self { limited_by: (!self.kept_up).then_some(limit), ..self }
    }

    /// Says whether it holds an objective. A rate that was not kept up with holds none: how long
    /// its records wait depends on when one stops to look.
    pub fn judged(self, slo: Slo) -> Self {
        let held = self.kept_up && slo.is_held(&self.latency_ns);
        Self { held: Some(held), ..self }
    }

    /// One of several of the same rate: medians, the worst maximum; it kept up if most did.
    pub fn of_repeats(runs: Vec<Self>) -> Option<Self> {
        let latencies: Vec<LatencyNs> = runs.iter().map(|run| run.latency_ns).collect();
        let kept_up = 2 * runs.iter().filter(|run| run.kept_up).count() > runs.len();
        let mut achieved: Vec<f64> = runs.iter().map(|run| run.achieved_per_s).collect();
        let like = runs.iter().find(|run| run.kept_up == kept_up).or(runs.first())?.clone();
        Some(Self {
            achieved_per_s: crate::cli::report::median(&mut achieved)?,
            latency_ns: LatencyNs::of_repeats(&latencies)?,
            kept_up,
            runs: runs.iter().map(|run| run.runs.max(1)).sum(),
            ..like
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_falls_behind() {
        let probe = |rate, kept_up| Probe { offered_per_s: rate, kept_up, ..Probe::default() };
        assert_eq!(probe(5e6, true).limited(5e6).limited_by, None);
        assert_eq!(probe(1e6, false).limited(5e6).limited_by, Some(Limit::Pipeline));
        assert_eq!(probe(1e12, false).limited(5e6).limited_by, Some(Limit::Generator));
    }

    #[test]
    fn what_fell_behind_holds_nothing() {
        let latency_ns = LatencyNs { samples: 9, ..LatencyNs::default() };
        let slo = "max<1s".parse().unwrap();
        let judged = |kept_up| Probe { latency_ns, kept_up, ..Probe::default() }.judged(slo);
        assert_eq!([true, false].map(|kept_up| judged(kept_up).held), [Some(true), Some(false)]);
    }
}
