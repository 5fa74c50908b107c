//! One query in an open loop: events are made as they are due, so that they last for any time.

use std::time::Duration;

use super::{Digest, queries};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::scenario::open_loop::{self, Sample, Times};
use crate::cli::scenario::trial::Found;
use crate::error::ConfigError;
use crate::nexmark::{Nexmark, Query};

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
    Nexmark { period: Duration::from_secs_f64(1.0 / per_s), ..Nexmark::default() }
}

/// One rate, for so long.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let (query, nexmark) = (query(args)?, house(rate));
    open_loop::fed(args, &query.to_string(), rate, span, progress, move |p, feed| {
        let events = feed.share((p.shard(), p.shards()), move |place, _| nexmark.arrival(place))?;
        query.run(p.source(events), &nexmark, Digest(Found::default()));
        Ok(())
    })
}

/// Events a second that the shards make where nobody takes them.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    query(args)?;
    let nexmark = house(open_loop::RATE);
    open_loop::made(args, span, move |place, _| nexmark.arrival(place))
}
