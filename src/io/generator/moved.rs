//! A generator that goes on from a snapshot, perhaps from those of another number of shards.

use serde::{Deserialize, Serialize};

use super::{Gaps, Generator, Run};
use crate::dataflow::{Record, Saved};
use crate::time::Timestamp;

/// Which of all records one shard gives.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) first: u64,
    pub(super) stride: u64,
}

/// What a generator keeps.
type Moved = (Share, Option<Run>, Vec<u64>);

impl<F> Generator<F> {
    /// On another number of shards it goes on from where the first of those that there were had
    /// come, without what any of them has given.
    pub(super) fn go_on(&mut self, from: &mut Saved) {
        let mut all: Vec<Moved> = from.take_all("generator");
        if !from.is_rescaled() {
            if let Some((_, run, given)) = all.pop() {
                (self.run, self.given) = (run, given);
            }
            return;
        }
        let shares = all.iter().map(|(share, ..)| (share.first, share.stride));
        let shards = all.len() as u64;
        if !shares.eq((0..shards).map(|shard| (shard, shards))) {
            let reason = "what it gave was not shared out among all shards";
            return from.not_rescaled("generator", reason);
        }
        if all.iter().any(|(_, _, given)| !given.is_empty()) {
            let reason = "it has not caught up yet with the shards of the time before; try later";
            return from.not_rescaled("generator", reason);
        }
        let Some(runs) = all.into_iter().map(|(_, run, _)| run).collect::<Option<Vec<Run>>>()
        else {
            let reason = "some shards had not begun, so there is no common beginning";
            return from.not_rescaled("generator", reason);
        };
        self.go_on_from(&runs);
    }

    /// Gives, of its own share, what none of these has.
    fn go_on_from(&mut self, runs: &[Run]) {
        // When the furthest record is due that a shard would have come to. Where a shard had not
        // asked for the time before the others, its records are due later.
        let most = runs.iter().map(|run| run.index).max().unwrap_or_default();
        let furthest = |run: &Run| {
            run.beat.exact().wrapping_add(self.gaps.between(run.index, most - run.index))
        };
        let furthest = runs.iter().map(furthest).max().unwrap_or_default();
        let least = runs.iter().map(|run| run.index).min().unwrap_or_default();
        let passed = least.saturating_sub(self.first).div_ceil(self.stride);
        let index = self.first + passed * self.stride;
        let time = match index <= most {
            true => furthest.wrapping_sub(self.gaps.between(index, most - index)),
            false => furthest.wrapping_add(self.gaps.between(most, index - most)),
        };
        let shards = runs.len() as u64;
        let all = runs.iter().map(|run| run.left.saturating_add(run.index / shards));
        let all = all.fold(0, u64::saturating_add);
        let left = all.saturating_sub(index).div_ceil(self.stride);
        let beat = self.gaps.beat_from(time, self.stride);
        let until = runs.iter().map(|run| run.until).max().unwrap_or(Timestamp::MAX);
        self.run = Some(Run { beat, index, left, until });
        self.given = runs.iter().map(|run| run.index).collect();
    }
}

impl Run {
    /// As [`emit`](Self::emit), but only what no shard has given that there was.
    #[cold]
    pub(super) fn emit_new<T>(
        &mut self,
        due: u64,
        stride: u64,
        gaps: &Gaps,
        given: &mut Vec<u64>,
        make: &mut impl FnMut(u64, Timestamp) -> T,
        emit: &mut impl FnMut(Record<T>),
    ) {
        let shards = given.len() as u64;
        for _ in 0..due {
            let is_new = self.index >= given[(self.index % shards) as usize];
            if is_new {
                self.emit(1, stride, gaps, make, emit);
            } else {
                gaps.advance(&mut self.beat, self.index, stride);
                self.index = self.index.wrapping_add(stride);
                self.left -= 1;
            }
        }
        if given.iter().all(|given| *given <= self.index) {
            given.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Arrival, Polled, Source};
    use crate::state::Rescale;

    type Seen = Vec<(i64, u64)>;

    fn poll(source: &mut impl Source<Out = u64>, budget: usize) -> (Polled, Seen) {
        let mut seen = Vec::new();
        let emit = &mut |r: Record<u64>| seen.push((r.at.0, r.value));
        (source.poll(0, Timestamp(0), budget, emit).unwrap(), seen)
    }

    const ARRIVALS: [Arrival; 3] =
        [Arrival::Constant, Arrival::Poisson { seed: 3 }, Arrival::Burst { size: 7, duty: 0.5 }];

    #[test]
    fn shares_of_another_number_of_shards_give_the_rest() {
        for arrival in ARRIVALS {
            for (before, shards, count) in
                [(3, 2, 100), (2, 3, 100), (1, 4, 7), (4, 1, 50), (2, 5, 0)]
            {
                moves(arrival, (before, shards), count);
            }
        }
    }

    fn moves(arrival: Arrival, (before, shards): (usize, usize), count: u64) {
        let source = |index, of| {
            let source = Generator::flat_out(997.0, |i, _| i).unwrap().count(count);
            source.arrival(arrival).unwrap().share(index, of)
        };
        let whole = poll(&mut source(0, 1), 1000).1;
        let (mut seen, mut all) = (Seen::new(), Vec::new());
        for index in 0..before {
            let mut one = source(index, before);
            seen.extend(poll(&mut one, 5 + 9 * index).1);
            let mut saved = Saved::new();
            one.save(&mut saved);
            all.push(saved);
        }
        for shard in 0..shards {
            let to = Rescale { shard, shards, before, hash_seed: 0 };
            let mut saved = Saved::rescaling(all.clone(), to);
            let mut one = source(shard, shards);
            one.load(&mut saved);
            assert_eq!(saved.finish(), Ok(()));
            loop {
                let (polled, more) = poll(&mut one, 4);
                seen.extend(more);
                if polled.ended {
                    break;
                }
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, whole, "{arrival}, {before} to {shards}");
    }
}
