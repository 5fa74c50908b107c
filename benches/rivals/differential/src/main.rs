//! Differential dataflow, by its collections.
//!
//! A window is a part of the key, and logical time is the number of a window or of a slide: so the
//! result of a window comes once, when its time is over, and is not taken back. Nothing is dropped
//! that is over: a collection has no notion of it.

mod collections;
mod queries;

use std::process::ExitCode;

use rival_timely::{Found, run};
use rivals_workload::{Input, Workload, contest};
use timely::worker::Worker;

fn main() -> ExitCode {
    contest("differential", |args, input| run(args, input, work))
}

fn work(worker: &mut Worker, workload: Workload, input: &Input, begin: &mut dyn FnMut()) -> Found {
    match (workload, input) {
        (Workload::Sliding, Input::Readings(all)) => collections::sliding(worker, all, begin),
        (_, Input::Readings(all)) => collections::tumbling(worker, all, begin),
        (_, Input::Sides(left, right)) => collections::join(worker, left, right, begin),
        (Workload::Query(query), Input::Events(all)) => queries::query(worker, query, all, begin),
        (_, Input::Paced(pace)) => collections::paced(worker, pace, begin),
        (_, Input::Events(_)) => unreachable!("only queries are about events"),
    }
}
