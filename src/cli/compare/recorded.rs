//! A report read back: what was measured in each run, and where.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::failure::{Failure, Result};
use crate::cli::report::LatencyNs;
use crate::error::{ConfigError, IoError};

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
    /// Nobody said.
    Unknown,
}

/// What a value is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Records a second.
    PerS,
    /// One number over another.
    Ratio,
}

/// The values of all runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Which way is better.
    pub better: Better,
    /// What they are in.
    pub unit: Unit,
    /// One of each run.
    pub runs: Vec<f64>,
}

/// A report, as far as it can be compared.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// The scenario.
    pub scenario: String,
    /// What has to be the same for a comparison to mean something: name and value.
    pub circumstances: BTreeMap<String, String>,
    /// Whether its numbers mean nothing.
    pub is_debug: bool,
    /// The figures by name.
    pub figures: BTreeMap<String, Figure>,
}

/// What makes a host another one. Its load, and what differs with every run, is not among it.
const HOST: &[&str] = &[
    "kernel",
    "cpu_model",
    "cores",
    "memory_bytes",
    "virtualised",
    "clocksource",
    "governor",
    "huge_pages",
    "isolated_cpus",
    "nohz_full",
    "git_hash",
];

/// Latencies in a run, and what their figures are called.
const LATENCIES: &[(&str, &str)] =
    &[("latency_ns", "results"), ("record_latency_ns", "records"), ("noise_floor", "noise floor")];

impl Recorded {
    /// Reads a `report.json`, or that of a directory that holds one.
    ///
    /// # Errors
    /// A file that cannot be read, or is no report, or one of before there were runs in it.
    pub fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { path.join("report.json") } else { path.to_owned() };
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::refused(IoError::new("read", &shown, error)))?;
        let refused = |reason: String| ConfigError::setting("report", &shown, reason);
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| refused(format!("is no report of `millstream bench`: {error}")))?;
        Self::of(&json).map_err(|reason| refused(reason).into())
    }

    /// Takes out of a report what can be compared.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn of(json: &Value) -> std::result::Result<Self, String> {
        let Some(scenario) = json["scenario"].as_str() else {
            return Err("is no report of `millstream bench`: it names no scenario".to_owned());
        };
        let runs = json["runs"].as_array().filter(|runs| !runs.is_empty());
        let Some(runs) = runs else {
            return Err("holds no figures of single runs: it is of an older version, or of a \
                        search or sweep"
                .to_owned());
        };
        let mut figures = BTreeMap::new();
        for run in runs {
            for (name, better, unit, value) in of_run(run, &json["goals"]) {
                let new = || Figure { better, unit, runs: Vec::new() };
                figures.entry(name).or_insert_with(new).runs.push(value);
            }
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut circumstances: BTreeMap<String, String> =
            HOST.iter().map(|name| ((*name).to_owned(), text(&json["host"][*name]))).collect();
        for name in ["version", "setup", "pace", "offered_per_s"] {
            circumstances.insert(name.to_owned(), text(&json[name]));
        }
        let is_debug = json["host"]["debug_build"] == true;
        Ok(Self { scenario: scenario.to_owned(), circumstances, is_debug, figures })
    }
}

/// What one run measured. What is not above zero is left out: there is no ratio to it.
fn of_run(run: &Value, goals: &Value) -> Vec<(String, Better, Unit, f64)> {
    let mut all = Vec::new();
    let mut add = |name: String, better, unit, value: &Value| {
        if let Some(value) = value.as_f64().filter(|value| *value > 0.0) {
            all.push((name, better, unit, value));
        }
    };
    add("records/s".to_owned(), Better::Higher, Unit::PerS, &run["records_per_s"]);
    for (key, name) in LATENCIES {
        for column in LatencyNs::COLUMNS {
            let value = &run[*key][column.replace('.', "_")];
            add(format!("{name} {column}"), Better::Lower, Unit::Ns, value);
        }
    }
    for (name, value) in run["ratios"].as_object().into_iter().flatten() {
        let better = match &goals[name] {
            goal if goal["at_least"].is_number() => Better::Higher,
            goal if goal["at_most"].is_number() => Better::Lower,
            _ => Better::Unknown,
        };
        add(name.clone(), better, Unit::Ratio, value);
    }
    all
}
