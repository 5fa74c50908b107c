//! DBSP, by its circuits.
//!
//! It keeps views up to date: what goes in is a change, what comes out is what it changes. A
//! transaction here is what one window or slide of event time holds, so that the result of a window
//! comes once and need not be taken back; its documentation asks for large ones where throughput
//! counts.

mod circuit;
mod paced;
mod queries;
mod view;
mod windows;

use std::process::ExitCode;

use rivals_workload::{Args, Input, Outcome, Workload, contest};

fn main() -> ExitCode {
    contest("dbsp", |args, input| run(args, input).map_err(|error| error.to_string()))
}

fn run(args: &Args, input: &Input) -> Result<Outcome, dbsp::Error> {
    let workers = args.threads();
    match (args.workload, input) {
        (Workload::Sliding, Input::Readings(all)) => windows::sliding(workers, all),
        (_, Input::Readings(all)) => windows::tumbling(workers, all),
        (_, Input::Sides(left, right)) => windows::join(workers, left, right),
        (Workload::Query(query), Input::Events(all)) => queries::query(workers, query, all),
        (_, Input::Paced(pace)) => paced::tumbling(workers, pace),
        (_, Input::Events(_)) => unreachable!("only queries are about events"),
    }
}
