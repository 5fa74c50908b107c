//! `fifo`: what a slide by one record costs in combinations, from windows of a hundred records to
//! windows of ten million.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::trial::{failed, interrupted, on_core, worst_stall};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::interrupt;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::mix;
use crate::dataflow::{Pipeline, Plan};
use crate::io::Generator;
use crate::runtime::Engine;
use crate::state::Chunks;
use crate::time::Timestamp;
use crate::window::aggregates::max;
use crate::window::{Aggregate, Fifo};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "fifo",
    about: "combinations of one slide of a count window, by its length from 100 to 10 000 000",
    takes: &[],
    plan,
    run,
};

/// The longest window, in records.
const LONGEST: u32 = 10_000_000;

/// The shortest.
const SHORTEST: u64 = 100;

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(build)?)
}

/// The pipeline that such a window is a part of. What is measured is its aggregate alone.
fn build(p: Pipeline<'_>) -> crate::error::Result<()> {
    let records = Generator::flat_out(1e6, |index, _at| mix(index))?.count(1);
    p.source(records.share(p.shard(), p.shards()))
        .key_by(|_| 0u8)
        .count_window(LONGEST)
        .every(1)
        .aggregate(max(|value: &u64| *value))
        .for_each(drop);
    Ok(())
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], args.schedule().noise, progress));
    let lengths = std::iter::successors(Some(SHORTEST), |length| Some(length * 10));
    let started = Instant::now();
    let mut slides = Vec::new();
    for length in lengths.take_while(|length| *length <= LONGEST.into()) {
        progress.phase("sliding", None);
        slides.push(on_core(cpu, move || slide(length))?);
        if interrupt::is_seen() {
            return Err(interrupted());
        }
    }
    let (Some(first), Some(last)) = (slides.first(), slides.last()) else {
        return Err(failed("no window was slid"));
    };
    let lasted = last.total;
    let stall = on_core(cpu, move || worst_stall(lasted))?;
    measured.report.setup = format!("one queue on CPU {cpu}, max, a record a slide");
    measured.report.pace = "flat out".to_owned();
    measured.report.records_per_s = last.slides as f64 / lasted.as_secs_f64();
    let ratio = last.combined as f64 / first.combined as f64;
    measured.ratio("slide_worst_1e7_vs_1e2", ratio, Some(Goal::AtMost(2.0)));
    for Slid { length, slides, combined, total, worst } in &slides {
        let mean = total.as_nanos() as f64 / *slides as f64;
        measured.note(format!(
            "{} records: at most {combined} combinations a slide; {mean:.1} ns on average with \
             two looks at the clock, {worst:.1?} at worst.",
            table::count(*length)
        ));
    }
    measured.note(format!(
        "A loop that only reads the clock for as long as the longest took was away for {stall:.1?}."
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// How sliding a window of one length went.
struct Slid {
    length: u64,
    slides: u64,
    /// The most combinations of one slide.
    combined: u64,
    total: Duration,
    worst: Duration,
}

/// Fills a window and slides it by twice its length: a record out, a record in, and the result.
fn slide(length: u64) -> Slid {
    let counting = Counting { largest: max(|value: &u64| *value), combined: Cell::new(0) };
    let (mut chunks, mut fifo) = (Chunks::new(), Fifo::default());
    let push = |chunks: &mut _, fifo: &mut Fifo<_>, n: u64| {
        let mut acc = None;
        counting.accumulate(&mut acc, Timestamp(0), &mix(n));
        fifo.push(chunks, &counting, acc, ());
    };
    (0..length).for_each(|n| push(&mut chunks, &mut fifo, n));
    let slides = 2 * length;
    let (mut combined, mut worst, started) = (0, Duration::ZERO, Instant::now());
    for n in length..length + slides {
        let before = counting.combined.get();
        let start = Instant::now();
        fifo.pop(&mut chunks, &counting);
        push(&mut chunks, &mut fifo, n);
        std::hint::black_box(fifo.total(&chunks, &counting));
        worst = worst.max(start.elapsed());
        combined = combined.max(counting.combined.get() - before);
    }
    Slid { length, slides, combined, total: started.elapsed(), worst }
}

/// An aggregate that counts how often it combines, which is the work of a slide.
struct Counting<A> {
    largest: A,
    combined: Cell<u64>,
}

impl<T, A: Aggregate<T>> Aggregate<T> for Counting<A> {
    type Acc = A::Acc;
    type Out = A::Out;

    fn accumulate(&self, acc: &mut A::Acc, at: Timestamp, value: &T) {
        self.largest.accumulate(acc, at, value);
    }

    fn combine(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.combined.set(self.combined.get() + 1);
        self.largest.combine(acc, other);
    }

    fn finish(&self, acc: &A::Acc) -> A::Out {
        self.largest.finish(acc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slide_costs_as_much_whatever_the_length() {
        let [short, long] = [100, 10_000].map(|length| slide(length).combined);
        assert!(0 < long && long <= 6 && long <= short, "{short}, {long}");
    }
}
