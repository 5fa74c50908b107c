//! Differential dataflow, by its collections.
//!
//! A window is a part of the key, and logical time is the number of a window or of a slide: so the
//! result of a window comes once, when its time is over, and is not taken back. Nothing is dropped
//! that is over: a collection has no notion of it.

mod collections;
mod queries;

use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rivals_workload::{Args, Digest, Input, Outcome, Stamps, Workload, contest, pin};
use timely::worker::Worker;

fn main() -> ExitCode {
    contest("differential", run)
}

/// What a worker found.
pub struct Found {
    /// The results of this worker.
    pub digest: Digest,
    /// How late they were.
    pub stamps: Option<Stamps>,
}

fn run(args: &Args, input: &Input) -> Result<Outcome, String> {
    let config = match args.threads() {
        1 => timely::Config::thread(),
        threads => timely::Config::process(threads),
    };
    let (cpus, workload, input) = (args.cpus.clone(), args.workload, input.clone());
    let together = Arc::new(Barrier::new(cpus.len()));
    let guards = timely::execute(config, move |worker| {
        pin(cpus[worker.index()]);
        work(worker, workload, &input, &together)
    })?;
    let (mut elapsed, mut digest, mut stamps) = (Duration::ZERO, Digest::default(), None::<Stamps>);
    for found in guards.join() {
        let (took, found) = found?;
        elapsed = elapsed.max(took);
        digest.merge(found.digest);
        match (&mut stamps, found.stamps) {
            (Some(all), Some(some)) => all.merge(&some),
            (all, some) => *all = all.take().or(some),
        }
    }
    Ok(Outcome { stamps, ..Outcome::new(elapsed, digest) })
}

/// A start that all workers wait for, once their dataflows are built.
pub type Together = Arc<Barrier>;

fn work(
    worker: &mut Worker,
    workload: Workload,
    input: &Input,
    together: &Together,
) -> (Duration, Found) {
    let mut begun = Instant::now();
    let begin = || {
        together.wait();
        begun = Instant::now();
    };
    let found = match (workload, input) {
        (Workload::Sliding, Input::Readings(all)) => collections::sliding(worker, all, begin),
        (_, Input::Readings(all)) => collections::tumbling(worker, all, begin),
        (_, Input::Sides(left, right)) => collections::join(worker, left, right, begin),
        (Workload::Query(query), Input::Events(all)) => queries::query(worker, query, all, begin),
        (_, Input::Paced(pace)) => collections::paced(worker, pace, begin),
        (_, Input::Events(_)) => unreachable!("only queries are about events"),
    };
    (begun.elapsed(), found)
}
