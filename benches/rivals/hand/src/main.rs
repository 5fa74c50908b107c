//! Loops written by hand over the tables in the workload's `by_hand/`: no engine, and so neither
//! watermarks nor anything else that is not asked for. One thread; two for tumbling windows.

mod pair;
mod queries;

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use rivals_workload::by_hand::{Join, Sliding, Tumbling};
use rivals_workload::pace::{Pace, WINDOW};
use rivals_workload::readings::{REACH, SECOND};
use rivals_workload::{Args, CHUNK, Digest, Input, Outcome, Reading, Stamps, Workload};
use rivals_workload::{contest, pin};

fn main() -> ExitCode {
    contest("hand", |args, input| match (args.threads(), args.workload) {
        (2, Workload::Tumbling) => Ok(pair::tumbling(&args.cpus, input)),
        (1, _) => on_one(args, input),
        _ => Err("written by hand for one core only".to_owned()),
    })
}

fn on_one(args: &Args, input: &Input) -> Result<Outcome, String> {
    let (workload, cpu, input) = (args.workload, args.cpus[0], input.clone());
    let thread = thread::spawn(move || {
        pin(cpu);
        let begun = Instant::now();
        let mut stamps = None;
        let digest = match (workload, input) {
            (Workload::Tumbling, Input::Readings(all)) => tumbling(&all),
            (Workload::Sliding, Input::Readings(all)) => sliding(&all),
            (_, Input::Sides(left, right)) => join(&left, &right),
            (Workload::Query(query), Input::Events(all)) => queries::query(query, &all),
            (_, Input::Paced(pace)) => paced(&pace, &mut stamps),
            (other, _) => return Err(format!("no {other} by hand")),
        };
        Ok(Outcome { stamps, ..Outcome::new(begun.elapsed(), digest) })
    });
    thread.join().map_err(|_| "panicked".to_owned())?
}

fn tumbling(all: &[Reading]) -> Digest {
    let (mut digest, mut windows) = (Digest::default(), Tumbling::new(SECOND));
    for some in all.chunks(CHUNK) {
        windows.add_all(some);
        windows.advance(some[some.len() - 1].at, |row| digest.add(row));
    }
    windows.advance(i64::MAX, |row| digest.add(row));
    digest
}

fn sliding(all: &[Reading]) -> Digest {
    let (mut digest, mut windows) = (Digest::default(), Sliding::new(10 * SECOND, SECOND));
    for some in all.chunks(CHUNK) {
        windows.add_all(some);
        windows.advance(some[some.len() - 1].at, |row| digest.add(row));
    }
    windows.advance(i64::MAX, |row| digest.add(row));
    digest
}

fn join(left: &[Reading], right: &[Reading]) -> Digest {
    let (mut digest, mut join) = (Digest::default(), Join::new(REACH));
    for (left, right) in left.iter().zip(right) {
        join.add(true, *left, left.at, |row| digest.add(row));
        join.add(false, *right, right.at, |row| digest.add(row));
    }
    digest
}

/// Spins on the clock; counts what is due, and closes windows as soon as the next record is known
/// to be behind their end.
fn paced(pace: &Pace, kept: &mut Option<Stamps>) -> Digest {
    let (mut digest, mut windows) = (Digest::default(), Tumbling::new(WINDOW));
    let (mut share, mut stamps) = (pace.share(0, 1), Stamps::new(pace.clone()));
    while !share.is_over() {
        share.due(pace.now(), CHUNK, |reading| windows.add(reading));
        let (mut closed, mut rows) = (0, 0);
        windows.advance(share.next_at(), |row| {
            (closed, rows) = (row[1] as i64, rows + 1);
            digest.add(row);
        });
        if rows > 0 {
            stamps.results(closed, pace.now(), rows);
        }
    }
    windows.advance(i64::MAX, |row| digest.add(row));
    *kept = Some(stamps);
    digest
}
