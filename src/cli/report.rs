//! What a benchmark found: the one object that `--json` prints.

mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

use super::host::{Disturbance, Host};
use super::load::{Found, Probe};
use crate::metrics::{Counters, Percentiles};

pub use queries::{Paced, QueryFigures};

/// The result of one scenario. Field names are stable: programs read them.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// This crate's version.
    pub version: String,
    /// When it was made, in seconds since the Unix epoch.
    pub unix_time: u64,
    /// The command line that made it.
    pub command: String,
    /// Where it ran.
    pub host: Host,
    /// What took cores away during the run.
    pub disturbance: Disturbance,
    /// What ran on which cores, in words.
    pub setup: String,
    /// How the input was paced, in words: `open loop`, `flat out`.
    pub pace: String,
    /// What an empty loop measured on the same cores in the same run.
    pub noise_floor: Option<LatencyNs>,
    /// The rate of the open loop; none when input came as fast as it was taken.
    pub offered_per_s: Option<f64>,
    /// Records that went through in a second.
    pub records_per_s: f64,
    /// What became of the open loop that latencies are of, where `records_per_s` is of another run,
    /// flat out; of several the worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<Paced>,
    /// How long the measured part lasted.
    pub seconds: f64,
    /// From a record's intended time to the result that it completed.
    pub latency_ns: Option<LatencyNs>,
    /// From a record's intended time to its having been processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_latency_ns: Option<LatencyNs>,
    /// Other latencies that a reader should see beside those, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beside_ns: BTreeMap<String, LatencyNs>,
    /// What was found of each query, where there are queries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryFigures>,
    /// Where the time went, piece by piece, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breakdown: Vec<Piece>,
    /// The highest rate that holds an objective, if it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<Found>,
    /// Latency against load, if it was swept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<Probe>,
    /// The step that took longest after the warm-up.
    pub worst_step: Option<Step>,
    /// The most that each stage did in one call after the warm-up, upstream first: a bound on a
    /// step that does not depend on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_work: Vec<StageUnits>,
    /// The counters of all shards, summed, by name.
    #[serde(serialize_with = "by_name")]
    pub counters: Counters,
    /// Allocations for each step after the warm-up.
    pub allocations_per_step: Option<f64>,
    /// Ratios by stable name, medians over the repeats.
    pub ratios: BTreeMap<String, f64>,
    /// The lowest and highest of each ratio over the repeats.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ratio_ranges: BTreeMap<String, [f64; 2]>,
    /// What the ratios ought to reach, where a goal is set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub goals: BTreeMap<String, Goal>,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
    /// How many times it ran.
    pub repeats: u32,
    /// What each of those runs found, for `millstream compare`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunFigures>,
}

/// What one of several runs found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunFigures {
    /// Records that went through in a second.
    pub records_per_s: f64,
    /// As in the report.
    pub latency_ns: Option<LatencyNs>,
    /// As in the report.
    pub record_latency_ns: Option<LatencyNs>,
    /// As in the report.
    pub noise_floor: Option<LatencyNs>,
    /// As in the report.
    pub ratios: BTreeMap<String, f64>,
}

/// A part of a latency, between two stamps of the same batch.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Piece {
    /// Of what: `records` or `results`.
    pub of: String,
    /// Between which stamps.
    pub span: String,
    /// How long that took.
    pub latency_ns: LatencyNs,
}

/// The step that took longest, and what the core had to do with it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Step {
    /// How long it took, from one clock reading of the shard's loop to the next.
    pub ns: u64,
    /// What it did, in records, marks and slices of deferred work.
    pub work: u64,
    /// The stage with the most units of work in one call of that step.
    pub stage: String,
    /// The core that it ran on.
    pub cpu: Option<usize>,
    /// The longest that an empty loop was away from that core, in the same run.
    pub stall_ns: Option<u64>,
}

/// The most that a stage did in one call.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct StageUnits {
    /// The stage, by its steps.
    pub stage: String,
    /// In records, marks and slices of deferred work.
    pub work: u64,
}

/// What a ratio ought to reach.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Goal {
    /// Whether a value reaches it; one that is no number does not.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        }
    }

    /// By what share of the goal a value misses it; zero if it does not.
    pub fn missed_by(self, value: f64) -> f64 {
        match self {
            _ if self.is_met(value) => 0.0,
            Self::AtLeast(goal) => (goal - value) / goal,
            Self::AtMost(goal) => (value - goal) / goal,
        }
    }
}

/// A distribution of latencies in nanoseconds, as it stands in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct LatencyNs {
    /// The median.
    pub p50: u64,
    /// What 90 % do not exceed.
    pub p90: u64,
    /// What 99 % do not exceed.
    pub p99: u64,
    /// What 99.9 % do not exceed.
    pub p99_9: u64,
    /// What 99.99 % do not exceed.
    pub p99_99: u64,
    /// The worst.
    pub max: u64,
    /// The mean.
    pub mean: u64,
    /// How many samples.
    pub samples: u64,
}

impl From<Percentiles> for LatencyNs {
    fn from(said: Percentiles) -> Self {
        Self {
            p50: said.p50,
            p90: said.p90,
            p99: said.p99,
            p99_9: said.p999,
            p99_99: said.p9999,
            max: said.max,
            mean: said.mean,
            samples: said.samples,
        }
    }
}

impl LatencyNs {
    /// The columns of a table, without the mean and the number of samples.
    pub const COLUMNS: [&str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];

    /// The values of those columns.
    pub const fn columns(&self) -> [u64; 6] {
        [self.p50, self.p90, self.p99, self.p99_9, self.p99_99, self.max]
    }

    /// Over repeated runs: medians, but the worst of all for the maximum.
    pub fn of_repeats(runs: &[Self]) -> Option<Self> {
        let pick = |what: fn(&Self) -> u64| {
            let mut values: Vec<u64> = runs.iter().map(what).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied()
        };
        Some(Self {
            p50: pick(|run| run.p50)?,
            p90: pick(|run| run.p90)?,
            p99: pick(|run| run.p99)?,
            p99_9: pick(|run| run.p99_9)?,
            p99_99: pick(|run| run.p99_99)?,
            max: runs.iter().map(|run| run.max).max()?,
            mean: pick(|run| run.mean)?,
            samples: pick(|run| run.samples)?,
        })
    }
}

impl RunFigures {
    fn of(run: &Report) -> Self {
        Self {
            records_per_s: run.records_per_s,
            latency_ns: run.latency_ns,
            record_latency_ns: run.record_latency_ns,
            noise_floor: run.noise_floor,
            ratios: run.ratios.clone(),
        }
    }
}

impl Report {
    /// An empty report of a scenario: version, host and command line filled in.
    pub fn new(scenario: &str) -> Self {
        let host = Host::read();
        Self {
            scenario: scenario.to_owned(),
            version: host.version.clone(),
            unix_time: UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
            command: command_line(),
            host,
            repeats: 1,
            ..Self::default()
        }
    }

    /// The rows of a table of latencies, with what is known.
    pub fn latencies(&self) -> Vec<(&str, LatencyNs)> {
        let beside = self.beside_ns.iter().map(|(name, latency)| (name.as_str(), Some(*latency)));
        let all = [("noise floor", self.noise_floor)].into_iter().chain(beside);
        let own = [("records", self.record_latency_ns), ("results", self.latency_ns)];
        all.chain(own).filter_map(|(name, latency)| Some((name, latency?))).collect()
    }

    /// The names of all ratios and goals: a goal without a ratio must show as not measured.
    pub fn ratio_names(&self) -> BTreeSet<&str> {
        self.ratios.keys().chain(self.goals.keys()).map(String::as_str).collect()
    }

    /// The object that `--json` prints.
    ///
    /// # Errors
    /// None in practice: every field can be written, and a ratio that is no number becomes `null`.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// One report of repeated runs; `None` of none.
    ///
    /// Rates, percentiles and ratios are medians. Maximum latency, the worst step and allocations
    /// are the worst of all runs and disturbances are summed, because a median would hide them.
    /// Counters are those of the run with the median rate.
    pub fn of_repeats(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by(|one, two| one.records_per_s.total_cmp(&two.records_per_s));
        let mut sum = runs.get(runs.len() / 2)?.clone();
        let latency = |what: fn(&Self) -> Option<LatencyNs>| {
            LatencyNs::of_repeats(&runs.iter().filter_map(what).collect::<Vec<_>>())
        };
        sum.noise_floor = latency(|run| run.noise_floor);
        sum.latency_ns = latency(|run| run.latency_ns);
        sum.record_latency_ns = latency(|run| run.record_latency_ns);
        for (name, latency) in &mut sum.beside_ns {
            let of_runs: Vec<LatencyNs> =
                runs.iter().filter_map(|run| run.beside_ns.get(name).copied()).collect();
            *latency = LatencyNs::of_repeats(&of_runs).unwrap_or(*latency);
        }
        for (at, piece) in sum.breakdown.iter_mut().enumerate() {
            let of_runs: Vec<LatencyNs> = runs
                .iter()
                .filter_map(|run| run.breakdown.get(at))
                .map(|piece| piece.latency_ns)
                .collect();
            piece.latency_ns = LatencyNs::of_repeats(&of_runs).unwrap_or(piece.latency_ns);
        }
        sum.allocations_per_step =
            runs.iter().filter_map(|run| run.allocations_per_step).max_by(f64::total_cmp);
        sum.worst_step =
            runs.iter().filter_map(|run| run.worst_step.clone()).max_by_key(|step| step.ns);
        for (at, units) in sum.stage_work.iter_mut().enumerate() {
            let of_runs = runs.iter().filter_map(|run| run.stage_work.get(at));
            units.work = of_runs.map(|units| units.work).max().unwrap_or(units.work);
        }
        sum.open_loop = Paced::worst(runs.iter().filter_map(|run| run.open_loop));
        for (at, query) in sum.queries.iter_mut().enumerate() {
            let of_runs: Vec<_> = runs.iter().filter_map(|run| run.queries.get(at)).collect();
            *query = QueryFigures::of_repeats(&of_runs).unwrap_or_default();
        }
        sum.disturbance =
            runs.iter().fold(Disturbance::default(), |all, run| all + run.disturbance);
        sum.repeats = runs.iter().map(|run| run.repeats).sum();
        sum.runs = runs.iter().map(RunFigures::of).collect();
        sum.notes = unique(runs.iter().flat_map(|run| &run.notes));
        sum.gather_ratios(&runs);
        Some(sum)
    }

    /// Medians and ranges of each ratio.
    fn gather_ratios(&mut self, runs: &[Self]) {
        let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.ratios.keys()).collect();
        for name in names {
            let values = runs.iter().filter_map(|run| run.ratios.get(name).copied());
            let mut values: Vec<f64> = values.collect();
            let Some(middle) = median(&mut values) else { continue };
            self.ratios.insert(name.clone(), middle);
            if let (Some(&low), Some(&high), true) =
                (values.first(), values.last(), values.len() > 1)
            {
                self.ratio_ranges.insert(name.clone(), [low, high]);
            }
        }
    }
}

/// The median, of an even number the mean of the two in the middle; sorts what it is given.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(lower + (upper - lower) / 2.0)
}

/// This process's command line, quoted where it must be.
fn command_line() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(program).chain(words).map(quoted).collect::<Vec<_>>().join(" ")
}

/// A word as a shell would want it.
fn quoted(word: String) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Each text once, in the order of first appearance.
fn unique<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    all.filter(|text| seen.insert(text.as_str())).cloned().collect()
}

fn by_name<S: Serializer>(counters: &Counters, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counters.named())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;

    #[test]
    fn json_has_the_stable_names() {
        let mut report = Report::new("bars");
        report.noise_floor = Some(LatencyNs { p99_9: 7, ..LatencyNs::default() });
        report.ratios.insert("hop_vs_rtrb".into(), 1.25);
        report.ratios.insert("broken".into(), f64::NAN);
        report.goals.insert("hop_vs_rtrb".into(), Goal::AtMost(1.5));
        report.counters.set(Counter::Late, 3);
        let stage = "key_by > reduce".to_owned();
        report.worst_step =
            Some(Step { ns: 900, work: 12, stage: stage.clone(), cpu: Some(1), stall_ns: None });
        report.stage_work.push(StageUnits { stage, work: 11 });
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(json["scenario"], "bars");
        assert_eq!(json["noise_floor"]["p99_9"], 7);
        assert_eq!(json["ratios"]["hop_vs_rtrb"], 1.25);
        assert!(json["ratios"]["broken"].is_null() && json["latency_ns"].is_null());
        assert_eq!(json["goals"]["hop_vs_rtrb"]["at_most"], 1.5);
        assert_eq!(json["counters"]["late"], 3);
        let step = &json["worst_step"];
        assert_eq!((&step["ns"], &step["work"]), (&900.into(), &12.into()));
        assert_eq!((&step["stage"], &step["cpu"]), (&"key_by > reduce".into(), &1.into()));
        assert!(step["stall_ns"].is_null());
        assert_eq!(json["stage_work"][0]["work"], 11);
        for name in ["version", "host", "offered_per_s", "records_per_s", "seconds", "repeats"] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }

    fn run(rate: f64, max: u64, ratio: f64) -> Report {
        let latency = LatencyNs { p50: max / 10, max, ..LatencyNs::default() };
        Report {
            records_per_s: rate,
            latency_ns: Some(latency),
            ratios: BTreeMap::from([("a".to_owned(), ratio)]),
            allocations_per_step: Some(ratio),
            worst_step: Some(Step { ns: max, work: 7, ..Step::default() }),
            stage_work: vec![StageUnits { stage: "s".to_owned(), work: max / 2 }],
            notes: vec!["same".to_owned()],
            repeats: 1,
            ..Report::default()
        }
    }

    #[test]
    fn repeats_give_medians_and_the_worst_maximum() {
        let runs = vec![run(3.0, 500, 1.0), run(1.0, 100, 4.0), run(2.0, 300, 2.0)];
        let sum = Report::of_repeats(runs).unwrap();
        assert_eq!((sum.records_per_s, sum.repeats), (2.0, 3));
        let latency = sum.latency_ns.unwrap();
        assert_eq!((latency.p50, latency.max), (30, 500));
        assert_eq!((sum.ratios["a"], sum.ratio_ranges["a"]), (2.0, [1.0, 4.0]));
        assert_eq!((sum.allocations_per_step, sum.notes.len()), (Some(4.0), 1));
        assert_eq!(sum.worst_step.map(|step| step.ns), Some(500));
        assert_eq!(sum.stage_work[0].work, 250);
        let ratios: Vec<f64> = sum.runs.iter().map(|run| run.ratios["a"]).collect();
        assert_eq!(ratios, [4.0, 2.0, 1.0], "every run, in order of its rate");
        assert!(Report::of_repeats(Vec::new()).is_none());
    }

    #[test]
    fn goals_know_by_how_much_they_are_missed() {
        assert!(Goal::AtLeast(1.0).is_met(1.0) && !Goal::AtLeast(1.0).is_met(f64::NAN));
        assert_eq!(Goal::AtMost(2.0).missed_by(3.0), 0.5);
        assert_eq!(Goal::AtLeast(2.0).missed_by(1.5), 0.25);
        assert_eq!(Goal::AtLeast(2.0).missed_by(2.5), 0.0);
    }

    #[test]
    fn medians_and_quoting() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 4.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
        assert_eq!(quoted("--rate=5".into()), "--rate=5");
        assert_eq!(quoted("it's".into()), r"'it'\''s'");
    }
}
