//! `millstream compare`: whether two reports differ by more than chance.

mod bootstrap;
mod ranks;
mod recorded;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::{Failure, Result};
use super::{print, table};
use crate::error::ConfigError;
use recorded::{Better, Figure, Recorded, Unit};

/// The flags of `millstream compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// The report.json that is compared with, or its directory.
    pub a: PathBuf,
    /// The report.json that is looked at, or its directory.
    pub b: PathBuf,
    /// Differences below this share are none, however sure they are.
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    #[arg(value_parser = share)]
    pub least: f64,
    /// What chance is drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object to standard output and nothing else.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("not a share from 0 to less than 1".to_owned()),
    }
}

/// The chance that anything at all is said to differ of two reports of the same thing: so small
/// that who compares twice a day is misled once a year.
const ERROR: f64 = 0.002;
/// The chance that one interval misses.
const MISSES: f64 = 0.05;

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// What both measured.
    pub scenario: String,
    /// How many runs there are of each.
    pub runs: [usize; 2],
    /// What a reader must know before any number.
    pub warnings: Vec<String>,
    /// How sure all verdicts together are.
    pub confidence: f64,
    /// All figures that both have.
    pub figures: Vec<Compared>,
}

/// One figure of both.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    #[serde(skip)]
    unit: Unit,
    /// The median of the runs of A.
    pub a: f64,
    /// The median of the runs of B.
    pub b: f64,
    /// B over A.
    pub ratio: f64,
    /// Between which values that ratio lies, with 95 % for each figure.
    pub interval: [f64; 2],
    /// The chance that runs of the same thing are mixed as unequally.
    pub chance: f64,
    /// What can be said.
    pub verdict: Verdict,
}

/// What can be said of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// B is better.
    Better,
    /// B is worse.
    Worse,
    /// B is higher, and nobody said whether that is good.
    Higher,
    /// B is lower, and nobody said whether that is good.
    Lower,
    /// Chance explains it, or it is too small to matter.
    NoDifferenceSeen,
    /// So few runs lie apart by chance.
    TooFewRuns,
}

impl Verdict {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::NoDifferenceSeen => "no difference seen",
            Self::TooFewRuns => "too few runs",
        }
    }
}

/// Compares two reports and prints what came of it.
///
/// # Errors
/// A report that cannot be read, or two of different scenarios.
pub fn run(args: &CompareArgs) -> Result<()> {
    let (a, b) = (Recorded::read(&args.a)?, Recorded::read(&args.b)?);
    if a.scenario != b.scenario {
        let reason = format!("is of another scenario than the first, which is of {}", a.scenario);
        return Err(ConfigError::setting("report", &b.scenario, reason).into());
    }
    let found = compare(&a, &b, args.least, args.seed);
    if args.json {
        let json = serde_json::to_string_pretty(&found)
            .map_err(|error| Failure { message: error.to_string(), code: Failure::RAN })?;
        return print(&(json + "\n"));
    }
    print(&render(&found, &args.a.display().to_string(), &args.b.display().to_string()))
}

/// Compares all figures that both have.
fn compare(a: &Recorded, b: &Recorded, least: f64, seed: u64) -> Comparison {
    let names: BTreeSet<&String> = a.figures.keys().collect();
    let both: Vec<&String> =
        names.into_iter().filter(|name| b.figures.contains_key(*name)).collect();
    // Each figure is one more chance to be wrong (Bonferroni).
    let error = ERROR / both.len().max(1) as f64;
    let figures =
        both.iter().filter_map(|name| figure(name, &a.figures, &b.figures, (error, least, seed)));
    let most = |of: &Recorded| of.figures.values().map(|it| it.runs.len()).max().unwrap_or(0);
    Comparison {
        scenario: a.scenario.clone(),
        runs: [most(a), most(b)],
        warnings: warnings(a, b),
        confidence: 1.0 - ERROR,
        figures: figures.collect(),
    }
}

type Figures = std::collections::BTreeMap<String, Figure>;

fn figure(
    name: &str,
    a: &Figures,
    b: &Figures,
    (error, least, seed): (f64, f64, u64),
) -> Option<Compared> {
    let (a, b) = (a.get(name)?, b.get(name)?);
    let found = bootstrap::ratio_of_medians(&a.runs, &b.runs, MISSES, seed)?;
    let few = least_chance(a.runs.len(), b.runs.len()) > error;
    let chance = ranks::chance(&a.runs, &b.runs);
    let median = |figure: &Figure| super::report::median(&mut figure.runs.clone());
    let is_seen = chance <= error && (found.low > 1.0 || found.high < 1.0);
    let is_apart = is_seen && (found.ratio - 1.0).abs() > least;
    let verdict = match (a.better, found.ratio > 1.0) {
        _ if few => Verdict::TooFewRuns,
        _ if !is_apart => Verdict::NoDifferenceSeen,
        (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
        (Better::Higher, false) | (Better::Lower, true) => Verdict::Worse,
        (Better::Unknown, true) => Verdict::Higher,
        (Better::Unknown, false) => Verdict::Lower,
    };
    Some(Compared {
        name: name.to_owned(),
        unit: a.unit,
        a: median(a)?,
        b: median(b)?,
        ratio: found.ratio,
        interval: [found.low, found.high],
        chance,
        verdict,
    })
}

/// What differs besides the numbers.
fn warnings(a: &Recorded, b: &Recorded) -> Vec<String> {
    let mut warnings = Vec::new();
    if a.is_debug || b.is_debug {
        warnings.push("a debug build: its numbers mean nothing".to_owned());
    }
    for (name, one) in &a.circumstances {
        let other = b.circumstances.get(name).map_or("", String::as_str);
        if one != other {
            warnings.push(format!("{name} differs: {one} and {other}"));
        }
    }
    warnings
}

fn render(found: &Comparison, a: &str, b: &str) -> String {
    let mut out = String::new();
    let [of_a, of_b] = found.runs;
    let _ = writeln!(out, "{}: A {a} ({of_a} runs), B {b} ({of_b} runs)\n", found.scenario);
    for warning in &found.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    if !found.warnings.is_empty() {
        out.push('\n');
    }
    let width = found.figures.iter().map(|it| it.name.len()).max().unwrap_or(0).max(20);
    let _ = writeln!(
        out,
        "{:<width$}{:>11}{:>11}{:>8}  {:<16}verdict",
        "medians of runs", "A", "B", "B/A", "interval"
    );
    for it in &found.figures {
        let shown = |value: f64| match it.unit {
            Unit::Ns => table::nanos(value.round() as u64),
            Unit::PerS => table::rate(value),
            Unit::Ratio => table::ratio(value),
        };
        let [low, high] = it.interval.map(table::ratio);
        let _ = writeln!(
            out,
            "{:<width$}{:>11}{:>11}{:>8}  {:<16}{}",
            it.name,
            shown(it.a),
            shown(it.b),
            table::ratio(it.ratio),
            format!("{low} .. {high}"),
            it.verdict.in_words()
        );
    }
    let sure = found.confidence * 100.0;
    let _ = writeln!(
        out,
        "\nAll verdicts together hold with {sure} % (rank test, corrected for {} figures); each \
         interval\nwith 95 % (bootstrap over runs).",
        found.figures.len()
    );
    if found.figures.iter().any(|it| it.verdict == Verdict::TooFewRuns) {
        let needed = needed(found.figures.len());
        let _ = writeln!(
            out,
            "So few runs lie apart by chance: {needed} of each tell something, --repeat {needed}."
        );
    }
    out
}

/// How many runs of each it takes.
fn needed(figures: usize) -> usize {
    let error = ERROR / figures.max(1) as f64;
    (1..).find(|runs| least_chance(*runs, *runs) <= error).unwrap_or(1)
}

/// The chance that two lots of so many runs of the same thing lie wholly apart. Where that is more
/// than the error allowed, there are too few runs to say anything.
fn least_chance(first: usize, second: usize) -> f64 {
    // Two of all the ways to deal the runs out.
    2.0 / (1..=second).fold(1.0, |ways, at| ways * (first + at) as f64 / at as f64)
}

#[cfg(test)]
mod tests;
