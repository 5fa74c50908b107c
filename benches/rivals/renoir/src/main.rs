//! Renoir, by its own windows, joins and folds.
//!
//! Its windows of a key begin with the first record of that key. For windows that begin where those
//! of all others do, records carry the start of their slide as their timestamp (`times.rs`). Where
//! windows overlap, those that begin while a key has no record are missing all the same.

mod queries;
mod source;
mod times;
mod windows;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use renoir::prelude::*;
use rivals_workload::{Args, Digest, Input, Outcome, Stamps, Workload, contest};

fn main() -> ExitCode {
    contest("renoir", run)
}

/// Sums up rows, on each replica and then in one place.
#[macro_export]
macro_rules! digest {
    ($rows:expr) => {
        $rows.fold_assoc(
            rivals_workload::Digest::default(),
            |digest, row| digest.add(row),
            |digest, other| digest.merge(other),
        )
    };
}

fn run(args: &Args, input: &Input) -> Result<Outcome, String> {
    let threads = args.threads() as u64;
    let config = RuntimeConfig::local(threads).map_err(|error| format!("{error:?}"))?;
    let context = StreamContext::new(config);
    let stamps = Arc::new(Mutex::new(match input {
        Input::Paced(pace) => Some(Stamps::new(pace.clone())),
        _ => None,
    }));
    let output = match (args.workload, input) {
        (Workload::Sliding, Input::Readings(all)) => windows::sliding(&context, all),
        (_, Input::Readings(all)) => windows::tumbling(&context, all),
        (_, Input::Sides(left, right)) => windows::join(&context, left, right),
        (Workload::Query(_), _) if threads > 1 => return Err("queries: one core only".to_owned()),
        (Workload::Query(query), Input::Events(all)) => queries::query(&context, query, all),
        (_, Input::Paced(pace)) => windows::paced(&context, pace, &stamps),
        (_, Input::Events(_)) => unreachable!("only queries are about events"),
    };
    // Its threads are started here, and they are those that the shell command has bound.
    let begun = Instant::now();
    context.execute_blocking();
    let elapsed = begun.elapsed();
    let digest = output.get().and_then(|found: Vec<Digest>| found.first().copied());
    let digest = digest.ok_or("no result")?;
    let stamps = stamps.lock().map_err(|_| "a sink panicked")?.take();
    Ok(Outcome { stamps, ..Outcome::new(elapsed, digest) })
}
