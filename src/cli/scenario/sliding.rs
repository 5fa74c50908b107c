//! `sliding`: keyed sliding counts and sums as fast as they go, beside a hand-written slice table.

use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{self, Found, Tally, Trials, agree, failed, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::Checksum;
use crate::cli::baseline::sliding::{Hashed, Packed, count_and_sum};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::{Reading, reading};
use crate::config::{Config, Idle};
use crate::dataflow::{Keyed, Pipeline, Plan};
use crate::runtime::Engine;
use crate::time::ns;
use crate::window::aggregates::{count, max, sum};
use crate::window::{Sliding, Windowed};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "sliding",
    about: "sliding count, sum, max of 10 s, 100 000 keys, flat out, beside a hand-written table",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate, in shorter windows.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| reading(index, KEYS.into())),
    sample,
);

/// Readings of so many meters.
const KEYS: u32 = 100_000;

/// Trials that share the time of a run; each of the seven takes a second or two for so many.
const RECORDS_PER_SECOND: f64 = 3e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

const SIZE_NS: u64 = 10_000_000_000;
const SLIDE_NS: u64 = 1_000_000_000;
const FINE_NS: u64 = 100_000_000;
/// Where readings come at a rate, windows are so many times as short.
const SHORTER: u64 = 100;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?.plan(|p| {
        let readings = readings(p, Feed::flat_out(1), KEYS.into())?;
        totals(readings, SIZE_NS, SLIDE_NS, &into);
        Ok(())
    })?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpu = *Engine::new(config.clone())?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let records = (times.measured.as_secs_f64() * RECORDS_PER_SECOND) as u64;
    let keys = u64::from(args.keys.unwrap_or(KEYS));
    measured.report.setup = format!(
        "{} records a trial of {} keys, 1 shard on CPU {cpu}, at most {batch_max} a batch",
        table::count(records),
        table::count(keys)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    let trials = Trials { config, records };
    let mut results = 0;
    let mut of_sum = 0.0;
    for (slide, name, goal) in [(FINE_NS, "sliding_fine", 0.5), (SLIDE_NS, "sliding", 0.75)] {
        let overlap = SIZE_NS / slide;
        progress.phase("hand loop", None);
        let hashed = move || count_and_sum::<Hashed>(records, keys, slide as i64, overlap);
        let hashed = pinned(cpu, hashed, records)?;
        let packed = move || count_and_sum::<Packed>(records, keys, slide as i64, overlap);
        let packed = pinned(cpu, packed, records)?;
        let build = move |p: Pipeline<'_>, into: &Found| {
            totals(readings(p, Feed::flat_out(records), keys)?, SIZE_NS, slide, into);
            Ok(())
        };
        let (ours, ran) = trials.engine("count and sum", &[cpu], progress, build)?;
        agree("hand-written slice table", hashed.1, ours.1)?;
        agree("hand-written table of packed slices", packed.1, ours.1)?;
        let ratio = ours.0 / hashed.0;
        measured.ratio(&format!("{name}_vs_hand"), ratio, args.goal(Goal::AtLeast(goal)));
        measured.ratio(&format!("{name}_vs_packed"), ours.0 / packed.0, None);
        measured.note(format!(
            "10 s every {:?}: engine {}, hand-written slice table {}, with slices packed into \
             arrays once they are over {}; {} results.",
            ns(slide),
            table::rate(ours.0),
            table::rate(hashed.0),
            table::rate(packed.0),
            table::count(ours.1.results)
        ));
        measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
        (of_sum, results) = (ours.0, ours.1.results);
    }
    measured.report.records_per_s = of_sum;
    let build = move |p: Pipeline<'_>, into: &Found| {
        largest(readings(p, Feed::flat_out(records), keys)?, into);
        Ok(())
    };
    let (most, _) = trials.engine("max", &[cpu], progress, build)?;
    if most.1.results != results {
        return Err(failed("max and sum have different numbers of results"));
    }
    measured.ratio("sliding_max_vs_sum", most.0 / of_sum, args.goal(Goal::AtLeast(0.5)));
    measured.note(format!("10 s every 1s, max instead of count and sum: {}.", table::rate(most.0)));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let (size, slide) = (SIZE_NS / SHORTER, SLIDE_NS / SHORTER);
    let words = format!("{} keys, {:?} every {:?}", table::count(keys), ns(size), ns(slide));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        totals(readings(p, feed, keys)?, size, slide, &Found::default());
        Ok(())
    })
}

/// Readings by key.
fn readings<'p>(
    p: Pipeline<'p>,
    feed: Feed,
    keys: u64,
) -> crate::error::Result<Keyed<'p, u64, Reading>> {
    let readings = feed.share((p.shard(), p.shards()), move |index, _at| reading(index, keys))?;
    Ok(p.source(readings).key_by(|r| r.key))
}

fn totals(readings: Keyed<'_, u64, Reading>, size: u64, slide: u64, into: &Found) {
    readings
        .window(Sliding::of(ns(size)).every(ns(slide)))
        .aggregate((count(), sum(|r: &Reading| r.value)))
        .sink(Tally::new(into, trial::count_and_sum));
}

fn largest(readings: Keyed<'_, u64, Reading>, into: &Found) {
    let add = |found: &mut Checksum, result: Windowed<u64, u32>| {
        found.add(result.key, result.span.end.as_nanos(), 0, result.value.into());
    };
    readings
        .window(Sliding::of(ns(SIZE_NS)).every(ns(SLIDE_NS)))
        .aggregate(max(|r: &Reading| r.value))
        .sink(Tally::new(into, add));
}
