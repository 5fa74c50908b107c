//! It in an open loop: what happens is made as it is due, and the latency of counts is taken.

use std::hint::black_box;
use std::time::Duration;

use super::{CAMPAIGNS, Shown, shown, views};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::scenario::open_loop::{self, FASTEST, LEAD, Sample, Times};
use crate::error::ConfigError;
use crate::io::{Arrival, Generator, Source};
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp, ms};

/// Records a second unless the command line says so.
pub const RATE: f64 = 1e6;

/// The length of a window: one of ten seconds would not end while a rate is tried.
const WINDOW_MS: u64 = 10;

/// What the shards build.
#[derive(Clone, Copy)]
struct Shows {
    per_s: f64,
    arrival: Arrival,
    start: Timestamp,
    campaigns: u64,
}

impl Shows {
    /// Some that begin in a moment.
    fn of(args: &BenchArgs, per_s: f64) -> Self {
        let campaigns = args.keys.unwrap_or(CAMPAIGNS).into();
        let start = SystemClock::new().now() + LEAD;
        Self { per_s, arrival: args.load.arrival(), start, campaigns }
    }

    /// What one shard is shown.
    fn events(
        self,
        (shard, shards): (usize, usize),
        span: Duration,
    ) -> std::result::Result<impl Source<Out = Shown>, ConfigError> {
        let events = Generator::at_rate(self.per_s, move |place, _| shown(place, self.campaigns))?;
        let events = events.arrival(self.arrival)?.start_at(self.start).duration(span);
        Ok(events.share(shard, shards))
    }
}

/// One rate, for so long.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let engine = Engine::new(args.config()?)?;
    let shows = Shows::of(args, rate);
    let (campaigns, cpus) = (shows.campaigns, engine.cpus());
    let setup = format!("{campaigns} campaigns, windows of {WINDOW_MS} ms, CPUs {cpus:?}");
    open_loop::sample(engine, setup, span, progress, move |p| {
        let events = p.source(shows.events((p.shard(), p.shards()), span.whole())?);
        views(events, campaigns, ms(WINDOW_MS)).for_each(|counted| {
            black_box(counted);
        });
        Ok(())
    })
}

/// Records a second that the shards make where nobody takes them: the generator alone, on the first
/// of the cores, times the shards.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let engine = Engine::new(args.config()?)?;
    let (shards, cpu) = (engine.cpus().len(), engine.cpus().first().copied().unwrap_or(0));
    let shows = Shows { per_s: FASTEST, ..Shows::of(args, RATE) };
    let events = move || Ok(shows.events((0, shards), Duration::MAX)?);
    Ok(open_loop::alone(cpu, span.measured, events)? * shards as f64)
}
