//! Timely dataflow. It has no windows and no event-time joins: its users write operators, and these
//! are the loops of the workload's `by_hand/` between two edges of a dataflow.
//!
//! Timestamps are coarse, the number of a window or of a slide, since progress is tracked by the
//! timestamp and not by the record; that is what its users are advised to do for throughput.

mod feed;
mod operators;
mod paced;
mod queries;
mod windows;

use std::process::ExitCode;

use rival_timely::{Found, run};
use rivals_workload::{Input, Workload, contest};
use timely::worker::Worker;

fn main() -> ExitCode {
    contest("timely", |args, input| run(args, input, work))
}

fn work(worker: &mut Worker, workload: Workload, input: &Input, begin: &mut dyn FnMut()) -> Found {
    match (workload, input) {
        (Workload::Sliding, Input::Readings(all)) => windows::sliding(worker, all, begin),
        (_, Input::Readings(all)) => windows::tumbling(worker, all, begin),
        (_, Input::Sides(left, right)) => windows::join(worker, left, right, begin),
        (Workload::Query(query), Input::Events(all)) => queries::query(worker, query, all, begin),
        (_, Input::Paced(pace)) => paced::tumbling(worker, pace, begin),
        (_, Input::Events(_)) => unreachable!("only queries are about events"),
    }
}
