//! A query in an open loop: events are made as they are due, so that they last for any time.

use std::time::Duration;

use super::{Digest, queries};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::{Paced, QueryFigures};
use crate::cli::scenario::Measured;
use crate::cli::scenario::feed::Feed;
use crate::cli::scenario::measured::Pieces;
use crate::cli::scenario::open_loop::{self, Sample, Times};
use crate::cli::scenario::trial::{Found, interrupted};
use crate::cli::{interrupt, table};
use crate::config::{Config, Idle};
use crate::dataflow::Pipeline;
use crate::error::ConfigError;
use crate::metrics::{Counter, Latency};
use crate::nexmark::{Nexmark, Query};
use crate::runtime::Engine;
use crate::shard::Latencies;
use crate::time::ns;

/// The open loop of a run, the same for each of its queries.
pub struct Load<'a> {
    args: &'a BenchArgs,
    rate: f64,
    span: Times,
    /// Whether it is of one query only, whose distributions are kept.
    is_one: bool,
}

impl<'a> Load<'a> {
    /// At the rate asked for, for so long, warm-up included.
    pub fn of(args: &'a BenchArgs, whole: Duration, is_one: bool) -> Self {
        Self { args, rate: args.rate.unwrap_or(open_loop::RATE), span: Times::of(whole), is_one }
    }

    /// Measures a query of which it is known what it does flat out.
    pub fn measure(
        &self,
        query: Query,
        figures: QueryFigures,
        progress: &mut Progress,
        to: &mut Measured,
    ) -> Result<()> {
        let config = Config { idle: Idle::Spin, ..self.args.config()? };
        let (feed, nexmark) = (Feed::due(self.args, self.rate, self.span), house(self.rate));
        progress.phase("open loop", None);
        let build = move |p: Pipeline<'_>| asked(p, feed, query, nexmark);
        let (ran, kept_up) = open_loop::paced(Engine::new(config)?, self.span, progress, build)?;
        if interrupt::is_seen() {
            return Err(interrupted());
        }
        // What is through in time took as long as its events were due, and not as long as it takes
        // to end.
        let took = match kept_up {
            true => self.span.whole(),
            false => ran.summary.elapsed.saturating_sub(self.span.lead),
        };
        let records = ran.summary.counters.get(Counter::RecordsIn) as f64;
        let achieved_per_s = records / took.as_secs_f64().max(1e-9);
        let latencies = &ran.summary.latencies;
        let percentiles = |of: &Latency| (of.samples() > 0).then(|| of.percentiles().into());
        if self.is_one {
            keep(latencies, to);
        }
        to.report.queries.push(QueryFigures {
            open_loop: Paced { achieved_per_s, kept_up },
            latency_ns: percentiles(&latencies.to_sink),
            record_latency_ns: percentiles(&latencies.to_state),
            ..figures
        });
        Ok(())
    }

    /// Says what the latencies of all queries are.
    pub fn report(&self, shards: usize, to: &mut Measured) {
        let report = &mut to.report;
        report.open_loop = Paced::worst(report.queries.iter().map(|of| of.open_loop));
        report.offered_per_s = Some(self.rate);
        report.pace = format!("flat out; latencies: {}", self.args.load.pace());
        let shards = if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
        to.note(format!(
            "Latencies are those of an open loop of {} on {shards}, {:.2?} for each query after \
             {:.2?} of warm-up, with events made as they are due. A result counts from the event \
             that led to it; what a window still held at the end of the loop, from its end.",
            table::rate(self.rate),
            self.span.measured,
            self.span.warm_up
        ));
    }
}

/// Keeps the distributions of the only query that there is.
fn keep(latencies: &Latencies, to: &mut Measured) {
    if latencies.to_state.samples() > 0 {
        to.records(&latencies.to_state);
    }
    if latencies.to_sink.samples() > 0 {
        to.results(&latencies.to_sink);
    }
    if let Some(breakdown) = &latencies.breakdown {
        to.pieces(Pieces::of(breakdown));
    }
}

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

/// The auction house where so many events make a second.
fn house(per_s: f64) -> Nexmark {
    let period = Duration::from_secs_f64(1.0 / per_s).max(ns(1));
    Nexmark { period, ..Nexmark::default() }
}

/// A query over events that come when they are due.
fn asked(p: Pipeline<'_>, feed: Feed, query: Query, nexmark: Nexmark) -> crate::error::Result<()> {
    let events = feed.share((p.shard(), p.shards()), move |place, _| nexmark.arrival(place))?;
    query.run(p.source(events), &nexmark, Digest(Found::default()));
    Ok(())
}

/// One rate, for so long.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let (query, nexmark) = (query(args)?, house(rate));
    open_loop::fed(args, &query.to_string(), rate, span, progress, move |p, feed| {
        asked(p, feed, query, nexmark)
    })
}

/// Events a second that the shards make where nobody takes them.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    query(args)?;
    let nexmark = house(open_loop::RATE);
    open_loop::made(args, span, move |place, _| nexmark.arrival(place))
}
