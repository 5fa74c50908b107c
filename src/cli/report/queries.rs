//! What was found of each of several queries over the same records.

use serde::Serialize;

use super::{LatencyNs, median};

/// An open loop beside a run that was flat out.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Paced {
    /// Records a second that went through.
    pub achieved_per_s: f64,
    /// Whether every record was sent by the end of its time.
    pub kept_up: bool,
}

impl Paced {
    /// The one that a reader has to know of where one stands for all: what fell behind, and most.
    pub fn worst(all: impl Iterator<Item = Self>) -> Option<Self> {
        all.min_by(|one, other| {
            let by_rate = one.achieved_per_s.total_cmp(&other.achieved_per_s);
            one.kept_up.cmp(&other.kept_up).then(by_rate)
        })
    }
}

/// What was found of one query.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct QueryFigures {
    /// Its name.
    pub query: String,
    /// How many shards are all of them.
    pub shards: usize,
    /// Records that went through in a second, flat out.
    pub one_shard_per_s: f64,
    /// The same on all shards; none where there is one.
    pub all_shards_per_s: Option<f64>,
    /// The same on one shard, of records that came disordered.
    pub disordered_per_s: f64,
    /// What became of the open loop that latencies are of.
    pub open_loop: Paced,
    /// Of results in the open loop; none if it had none.
    pub latency_ns: Option<LatencyNs>,
    /// Of records on their way to keyed state in the open loop; none if there is no such state.
    pub record_latency_ns: Option<LatencyNs>,
    /// How many rows the result has.
    pub rows: u64,
    /// What the rows come to, whatever their order, in hexadecimal.
    pub hash: String,
}

impl QueryFigures {
    /// One of repeated runs: medians, and the worst open loop.
    pub fn of_repeats(runs: &[&Self]) -> Option<Self> {
        let first = (*runs.first()?).clone();
        let rate = |what: fn(&Self) -> Option<f64>| {
            median(&mut runs.iter().filter_map(|run| what(run)).collect::<Vec<_>>())
        };
        let latency = |what: fn(&Self) -> Option<LatencyNs>| {
            LatencyNs::of_repeats(&runs.iter().filter_map(|run| what(run)).collect::<Vec<_>>())
        };
        Some(Self {
            one_shard_per_s: rate(|run| Some(run.one_shard_per_s))?,
            all_shards_per_s: rate(|run| run.all_shards_per_s),
            disordered_per_s: rate(|run| Some(run.disordered_per_s))?,
            open_loop: Paced::worst(runs.iter().map(|run| run.open_loop))?,
            latency_ns: latency(|run| run.latency_ns),
            record_latency_ns: latency(|run| run.record_latency_ns),
            ..first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_give_medians_and_the_worst_open_loop() {
        let run = |per_s: f64, kept_up| QueryFigures {
            query: "q5".to_owned(),
            one_shard_per_s: per_s,
            open_loop: Paced { achieved_per_s: per_s / 2.0, kept_up },
            latency_ns: Some(LatencyNs { p99: per_s as u64, ..LatencyNs::default() }),
            hash: "ab".to_owned(),
            ..QueryFigures::default()
        };
        let runs = [run(10.0, true), run(30.0, false), run(20.0, true)];
        let all = QueryFigures::of_repeats(&runs.each_ref()).unwrap();
        assert_eq!((all.one_shard_per_s, all.latency_ns.unwrap().p99), (20.0, 20));
        assert_eq!(all.open_loop, Paced { achieved_per_s: 15.0, kept_up: false });
        assert_eq!((all.all_shards_per_s, all.hash.as_str()), (None, "ab"));
        assert!(QueryFigures::of_repeats(&[]).is_none());
    }
}
