//! Millstream, by its public interface: what is measured beside the rivals.
//!
//! `--way precombined` aggregates tumbling windows on each shard before the exchange.

mod queries;
mod sinks;
mod source;

use std::process::ExitCode;
use std::sync::Arc;

use millstream::aggregates::{count, sum};
use millstream::join::{after, before};
use millstream::{
    Config, Engine, Idle, Keyed, Pipeline, Shards, Sliding, Tumbling, Windowed, ns, secs,
};
use rivals_workload::pace::WINDOW;
use rivals_workload::readings::REACH;
use rivals_workload::{Args, CHUNK, Digest, Input, Outcome, Reading, Workload, contest};
use sinks::{Found, Rows, Stamped};
use source::{Chunks, Paced};

fn main() -> ExitCode {
    contest("millstream", |args, input| run(args, input).map_err(|error| error.to_string()))
}

fn run(args: &Args, input: &Input) -> millstream::Result<Outcome> {
    let found = Found::default();
    let (into, input) = (found.clone(), input.clone());
    let (workload, precombined) = (args.workload, args.way == "precombined");
    let summary = Engine::new(config(args))?.run(move |p| {
        match (workload, &input) {
            (Workload::Sliding, Input::Readings(all)) => sliding(p, all, &into),
            (_, Input::Readings(all)) => tumbling(p, all, precombined, &into),
            (_, Input::Sides(left, right)) => join(p, left, right, &into),
            (Workload::Query(query), Input::Events(all)) => queries::build(p, query, all, &into),
            (_, Input::Paced(pace)) => {
                let readings = p.source(Paced::new(pace, &p)).key_by(|r| r.key);
                let windows = readings.window(Tumbling::of(ns(WINDOW as u64)));
                let what = (count(), sum(|r: &Reading| u64::from(r.value)));
                windows.aggregate(what).sink(Stamped::new(pace, &into));
            }
            (_, Input::Events(_)) => unreachable!("only queries are about events"),
        }
        Ok(())
    })?;
    let (digest, stamps) = sinks::take(&found);
    Ok(Outcome { stamps, ..Outcome::new(summary.elapsed, digest) })
}

/// Spinning. A batch is as large as what the other contestants are given at once, and a step does
/// all that it leads to; where latency is asked for both are what the preset says.
fn config(args: &Args) -> Config {
    let shards = Shards::Pinned(args.cpus.clone());
    match args.workload {
        Workload::Latency => Config { shards, ..Config::low_latency() },
        _ => {
            let (batch_max, fire_max) = (CHUNK, 2 * CHUNK);
            Config { shards, idle: Idle::Spin, batch_max, fire_max, ..Config::default() }
        }
    }
}

/// Readings by key.
fn keyed<'p>(p: Pipeline<'p>, all: &Arc<[Reading]>) -> Keyed<'p, u32, Reading> {
    p.source(Chunks::new(all, &p, |reading: &Reading| reading.at)).key_by(|reading| reading.key)
}

fn tumbling(p: Pipeline<'_>, all: &Arc<[Reading]>, precombined: bool, into: &Found) {
    let windows = keyed(p, all).window(Tumbling::of(secs(1)));
    let what = (count(), sum(|r: &Reading| u64::from(r.value)));
    match precombined {
        true => windows.precombine().aggregate(what).sink(Rows::new(into, totals)),
        false => windows.aggregate(what).sink(Rows::new(into, totals)),
    }
}

fn sliding(p: Pipeline<'_>, all: &Arc<[Reading]>, into: &Found) {
    keyed(p, all)
        .window(Sliding::of(secs(10)).every(secs(1)))
        .aggregate((count(), sum(|r: &Reading| u64::from(r.value))))
        .sink(Rows::new(into, totals));
}

/// A row of what windows yield.
#[inline(always)]
fn totals(digest: &mut Digest, result: Windowed<u32, (u64, u64)>) {
    let Windowed { key, span, value: (count, sum), .. } = result;
    digest.add([key.into(), span.end.as_nanos() as u64, count, sum]);
}

fn join(p: Pipeline<'_>, left: &Arc<[Reading]>, right: &Arc<[Reading]>, into: &Found) {
    let reach = ns(REACH as u64);
    keyed(p, left)
        .interval_join(keyed(p, right))
        .between(before(reach), after(reach))
        .select(|left, right| {
            let at = left.at.max(right.at) as u64;
            [left.key.into(), at, left.value.into(), right.value.into()]
        })
        .sink(Rows::new(into, |digest: &mut Digest, row: [u64; 4]| digest.add(row)));
}
