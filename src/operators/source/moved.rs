//! A source that goes on from a snapshot, perhaps from that of another number of shards.

use crate::dataflow::Saved;
use crate::io::Source;
use crate::operators::source::{Lanes, Partition, SourceStage};

/// Records that are left out: the partition, and the number in it.
type LeftOut = Vec<(usize, u64)>;

impl<S: Source, N> SourceStage<S, N> {
    /// The numbers of its partitions among those of all shards, if they have any.
    pub(super) fn numbers(&self) -> Vec<Option<u32>> {
        (0..self.lanes.partitions.len()).map(|partition| self.source.number(partition)).collect()
    }
}

/// On as many shards as there were, each reads what it has read before.
pub(super) fn check_numbers(
    numbers: &[Option<u32>],
    before: &[Vec<Option<u32>>],
    from: &mut Saved,
) {
    if let [before] = before
        && before != numbers
    {
        from.is_of_other("a source reads other partitions on this shard than it did");
    }
}

impl Lanes {
    /// Goes on from where the same partitions were.
    pub(super) fn go_on_from(
        &mut self,
        mut partitions: Vec<Vec<Partition>>,
        mut counts: Vec<Vec<u64>>,
        mut left_out: Vec<LeftOut>,
    ) {
        // One that is not there has been noted.
        if let (Some(partitions), Some(counts)) = (partitions.pop(), counts.pop()) {
            (self.partitions, self.counts) = (partitions, counts);
        }
        self.passes_over = left_out.pop().unwrap_or_default();
    }

    /// Goes on from where the partitions of all shards were: one with a number from where that one
    /// was, the others from the least of all of them.
    pub(super) fn go_on_from_lanes(
        &mut self,
        partitions: &[Vec<Partition>],
        counts: &[Vec<u64>],
        left_out: &[LeftOut],
        from: &mut Saved,
    ) {
        let mut moved = 0;
        for (lane, places) in from.lanes().iter().enumerate() {
            let all = places.iter().filter_map(|(shard, lane)| partitions.get(*shard)?.get(*lane));
            if let Some(furthest) = all.map(|partition| partition.furthest).min() {
                self.partitions[lane].furthest = furthest;
            }
            let [(shard, there)] = places[..] else { continue };
            self.counts[lane] =
                counts.get(shard).and_then(|it| it.get(there)).copied().unwrap_or(0);
            let of_it = left_out.get(shard).into_iter().flatten();
            let numbers = of_it.filter(|(partition, _)| *partition == there);
            self.passes_over.extend(numbers.map(|(_, number)| (lane, *number)));
            moved += 1;
        }
        let is_known = moved == self.partitions.len();
        if !is_known && left_out.iter().any(|left_out| !left_out.is_empty()) {
            let reason = "records are left out by their place in partitions that are no more";
            from.not_rescaled("source", reason);
        }
    }
}
