//! What all shards held of one stage, for one shard of another number of them.

use crate::dataflow::Saved;
use crate::state::Rescale;

/// What decides on which shard the operators of a stage keep what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Where the source is that they follow.
    Source,
    /// Each key is at the shard that owns it.
    ByKey,
    /// All is at this shard.
    At(usize),
    /// Each shard has all of it.
    Everywhere,
    /// It makes no difference.
    Anywhere,
    /// Whoever has built the pipeline.
    Chosen,
}

/// Whose state is one shard's now.
pub(super) enum Keeper {
    /// That of this shard there was.
    One(usize),
    /// Nobody's: it begins anew.
    Nobody,
    /// A share of everybody's.
    All,
}

/// What all shards held of one stage.
#[derive(Clone)]
pub(super) struct Before {
    pub all: Vec<Saved>,
    pub to: Rescale,
    pub placement: Placement,
    /// For each partition of the source here, the shards and partitions that it goes on from.
    pub lanes: Vec<Vec<(usize, usize)>>,
}

impl Before {
    pub fn keeper(&self) -> Keeper {
        match self.placement {
            Placement::At(shard) if shard != self.to.shard => Keeper::Nobody,
            Placement::At(shard) if shard < self.all.len() => Keeper::One(shard),
            Placement::At(_) => Keeper::Nobody,
            Placement::Everywhere => Keeper::One(0),
            _ => Keeper::All,
        }
    }

    /// Whether tables by key of this shard that there was have anything for the one there is.
    pub fn has_keys_of(&self, shard: usize) -> bool {
        self.placement != Placement::ByKey || self.to.takes_from(shard)
    }
}
