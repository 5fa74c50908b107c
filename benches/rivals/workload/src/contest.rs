//! Passes over the same input, of which all but the first are timed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::nexmark::Event;

use crate::args::{Args, Workload};
use crate::auctions::events;
use crate::digest::Digest;
use crate::line::{Line, left_out};
use crate::pace::{Pace, Stamps};
use crate::readings::{Reading, readings};

/// What a pass is given.
#[derive(Clone)]
pub enum Input {
    /// Readings, in order of time.
    Readings(Arc<[Reading]>),
    /// Two streams of them.
    Sides(Arc<[Reading]>, Arc<[Reading]>),
    /// Events of NEXMark, in order of time.
    Events(Arc<[Event]>),
    /// Readings that are made as they are due.
    Paced(Pace),
}

/// What came of a pass.
pub struct Outcome {
    /// From when everything was built until the last result was there.
    pub elapsed: Duration,
    /// The results.
    pub digest: Digest,
    /// How late they were, where that was asked for.
    pub stamps: Option<Stamps>,
    /// What is to be said of it.
    pub note: String,
}

impl Outcome {
    /// With nothing to be said.
    pub fn new(elapsed: Duration, digest: Digest) -> Self {
        Self { elapsed, digest, stamps: None, note: String::new() }
    }

    /// With latencies.
    pub fn stamped(elapsed: Duration, digest: Digest, stamps: Stamps) -> Self {
        Self { stamps: Some(stamps), ..Self::new(elapsed, digest) }
    }
}

/// Passes that are timed: at the least, where they are short, and at the most.
const PASSES: std::ops::RangeInclusive<usize> = 2..=1000;

/// Of a pass as long as that one is enough.
const LONG: Duration = Duration::from_secs(1);

/// Reads the command line, runs passes, prints the line of JSON.
///
/// `pass` says why if the contestant has no such workload, or what went wrong.
pub fn contest(
    contestant: &str,
    mut pass: impl FnMut(&Args, &Input) -> Result<Outcome, String>,
) -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{contestant}: {error}");
            return ExitCode::from(2);
        }
    };
    match run(contestant, &args, &mut pass) {
        Ok(line) => line.print(),
        Err(why) => left_out(contestant, &args.workload.to_string(), &why),
    }
    ExitCode::SUCCESS
}

fn run<'a>(
    contestant: &'a str,
    args: &'a Args,
    pass: &mut impl FnMut(&Args, &Input) -> Result<Outcome, String>,
) -> Result<Line<'a>, String> {
    let line = |records, passes, digest, note| Line {
        contestant,
        args,
        records,
        passes,
        digest,
        late: None,
        note,
    };
    let (records, input) = match args.workload {
        Workload::Latency => {
            let pace = Pace::new(args);
            let records = pace.records;
            let outcome = pass(args, &Input::Paced(pace))?;
            let late = outcome.stamps.map(|stamps| stamps.late);
            let passes = vec![outcome.elapsed.as_secs_f64()];
            return Ok(Line { late, ..line(records, passes, outcome.digest, outcome.note) });
        }
        Workload::Join => {
            let all = readings(args.records);
            let side = |of: usize| all.iter().skip(of).step_by(2).copied().collect();
            (args.records, Input::Sides(side(0), side(1)))
        }
        Workload::Query(_) => (args.records, Input::Events(events(args.records).into())),
        _ => (args.records, Input::Readings(readings(args.records).into())),
    };
    let first = pass(args, &input)?;
    let least = if first.elapsed < LONG { *PASSES.start() } else { 1 };
    let (begun, mut passes, mut note) = (Instant::now(), Vec::new(), first.note);
    while passes.len() < least
        || begun.elapsed().as_secs_f64() < args.seconds && passes.len() < *PASSES.end()
    {
        let again = pass(args, &input)?;
        if again.digest != first.digest {
            // Whoever compares them with another's sees that they are wrong; this says how.
            let rows = (first.digest.rows, again.digest.rows);
            note = format!("not the same results in each pass: {} rows, {} rows", rows.0, rows.1);
        }
        passes.push(again.elapsed.as_secs_f64());
    }
    Ok(line(records, passes, first.digest, note))
}

/// Binds the calling thread to a core, where the system allows it.
pub fn pin(cpu: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
}
