//! One query in an open loop: events are made as they are due, so that they last for any time.

use std::time::Duration;

use super::{Digest, queries};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::scenario::open_loop::{self, FASTEST, LEAD, Sample, Times};
use crate::cli::scenario::trial::Found;
use crate::error::ConfigError;
use crate::io::{Arrival, Generator, Source};
use crate::nexmark::{Event, Nexmark, Query};
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp};

/// Events a second unless the command line says so.
pub const RATE: f64 = 100_000.0;

/// The one query whose load is chosen.
fn query(args: &BenchArgs) -> Result<Query> {
    match queries(args)?[..] {
        [query] => Ok(query),
        _ => {
            let reason = "the load of one query can be chosen, not of all: say `nexmark q5`";
            Err(ConfigError::setting("query", "all", reason).into())
        }
    }
}

/// What the shards build.
#[derive(Clone)]
struct Auctions {
    query: Query,
    nexmark: Nexmark,
    per_s: f64,
    arrival: Arrival,
    start: Timestamp,
}

impl Auctions {
    /// Some that begin in a moment.
    fn of(args: &BenchArgs, per_s: f64) -> Result<Self> {
        let nexmark =
            Nexmark { period: Duration::from_secs_f64(1.0 / per_s), ..Nexmark::default() };
        let (query, arrival) = (query(args)?, args.load.arrival());
        Ok(Self { query, nexmark, per_s, arrival, start: SystemClock::new().now() + LEAD })
    }

    /// The events of one shard.
    fn events(
        &self,
        (shard, shards): (usize, usize),
        span: Option<Duration>,
    ) -> std::result::Result<impl Source<Out = Event> + use<>, ConfigError> {
        let nexmark = self.nexmark;
        let events = Generator::at_rate(self.per_s, move |place, _| nexmark.arrival(place))?;
        let events = events.arrival(self.arrival)?.start_at(self.start).share(shard, shards);
        Ok(span.map_or(events.clone(), |span| events.duration(span)))
    }
}

/// One rate, for so long.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let engine = Engine::new(args.config()?)?;
    let auctions = Auctions::of(args, rate)?;
    let setup = format!("{} on CPUs {:?}", auctions.query, engine.cpus());
    open_loop::sample(engine, setup, span, progress, move |p| {
        let events = p.source(auctions.events((p.shard(), p.shards()), Some(span.whole()))?);
        auctions.query.run(events, &auctions.nexmark, Digest(Found::default()));
        Ok(())
    })
}

/// Events a second that the shards make where nobody takes them: the generator alone, on the first
/// of the cores, times the shards.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let engine = Engine::new(args.config()?)?;
    let (shards, cpu) = (engine.cpus().len(), engine.cpus().first().copied().unwrap_or(0));
    let auctions = Auctions { per_s: FASTEST, ..Auctions::of(args, RATE)? };
    let events = move || Ok(auctions.events((0, shards), None)?);
    Ok(open_loop::alone(cpu, span.measured, events)? * shards as f64)
}
