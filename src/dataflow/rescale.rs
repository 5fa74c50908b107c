//! Taking out of what all shards held what belongs to one of another number of them.

use crate::dataflow::before::{Before, Keeper, Placement};
use crate::dataflow::saved::{Part, Saved};
use crate::error::SnapshotError;
use crate::memory::{Bulk, EachBulk};
use crate::state::{Rescale, Rescaled, Stored};
use crate::time::{Merged, Watermark};

/// What shards that there were held beside the state of their keys, until that is taken over.
pub struct Others<V>(Vec<(usize, V)>);

impl<V> Default for Others<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Others<V> {
    /// What this shard held.
    pub fn of(&self, shard: usize) -> Option<&V> {
        self.0.iter().find(|(it, _)| *it == shard).map(|(_, held)| held)
    }
}

impl Saved {
    /// What all shards held of a stage, in their order, of which a share is to be taken out.
    pub(crate) fn rescaling(all: Vec<Self>, to: Rescale) -> Self {
        let before = Before { all, to, placement: Placement::Source, lanes: Vec::new() };
        let mut saved = Self::new();
        saved.before = Some(Box::new(before));
        saved
    }

    /// Whether it is of another number of shards.
    pub fn is_rescaled(&self) -> bool {
        self.before.is_some()
    }

    /// The restore onto another number of shards that this is, if it is one.
    pub fn to(&self) -> Option<Rescale> {
        self.before.as_ref().map(|before| before.to)
    }

    /// Takes the next part out, of state by key: from another number of shards, what belongs to
    /// this one.
    pub fn rescale<V: Rescaled>(&mut self, operator: &'static str, into: &mut V) {
        let Some(to) = self.shares() else { return self.take(operator, into) };
        let from = self.take_shares(operator).into_iter().map(|(_, value)| value).collect();
        if self.is_wrong() {
            return;
        }
        match V::rescaled(from, &to) {
            Ok(value) => *into = value,
            Err(reason) => self.not_rescaled(operator, &reason),
        }
    }

    /// If what follows is state by key of which each shard takes a share: that restore. Else it is
    /// taken whole.
    pub(crate) fn shares(&self) -> Option<Rescale> {
        let before = self.before.as_ref()?;
        matches!(before.keeper(), Keeper::All).then_some(before.to)
    }

    /// Takes the next part out of each shard there was that has keys of this one, with the number
    /// of that shard. Each key is in one of them.
    pub(crate) fn take_shares<V: Rescaled>(&mut self, operator: &'static str) -> Vec<(usize, V)> {
        self.take_shares_of(operator, V::bulk)
    }

    /// The same of what cannot be shared out by itself, since what belongs to which key only
    /// another part knows; `bulk` shows what of it may be large.
    pub(crate) fn take_shares_of<V: Stored>(
        &mut self,
        operator: &'static str,
        bulk: fn(&mut V, &mut EachBulk<'_>),
    ) -> Vec<(usize, V)> {
        if self.before.as_ref().is_some_and(|before| before.placement == Placement::Anywhere) {
            self.not_rescaled(operator, "several shards may have state of the same key");
        }
        self.take_parts(operator, bulk)
    }

    /// The same of state of which several shards may hold a part of the same key.
    pub(crate) fn take_parts<V: Stored>(
        &mut self,
        operator: &'static str,
        bulk: fn(&mut V, &mut EachBulk<'_>),
    ) -> Vec<(usize, V)> {
        let Some(before) = &mut self.before else { return Vec::new() };
        if before.placement == Placement::Chosen {
            self.not_rescaled(operator, "its keys are where the pipeline has put them");
        }
        if self.is_wrong() {
            return Vec::new();
        }
        let Some(before) = &mut self.before else { return Vec::new() };
        let mut from = Vec::new();
        for shard in 0..before.all.len() {
            let has_keys = before.has_keys_of(shard);
            let saved = &mut before.all[shard];
            if !has_keys {
                saved.skip(operator);
            } else if let Some(mut value) = saved.take_next::<V>(operator) {
                bulk(&mut value, &mut |bulk| saved.fill(bulk));
                from.push((shard, value));
            }
        }
        if self.note_of_all() { Vec::new() } else { from }
    }

    /// Takes the next part out: a pool that holds things of all keys, none of which may be large.
    /// If each shard takes a share of the keys, `into` stays as it is, and the pools of all shards
    /// that there were are returned.
    pub fn take_pool<V: Stored>(&mut self, operator: &'static str, into: &mut V) -> Others<V> {
        if self.shares().is_none() {
            self.take(operator, into);
            return Others::default();
        }
        Others(self.take_shares_of(operator, |_, _| ()))
    }

    /// Takes the next part out, of state that is by no key: from another number of shards, what
    /// `rescaled` makes of what they held, in their order.
    pub fn rescale_by<V: Stored>(
        &mut self,
        operator: &'static str,
        into: &mut V,
        rescaled: impl FnOnce(Vec<V>, &Rescale) -> V,
    ) {
        let Some(before) = &self.before else { return self.take(operator, into) };
        let to = before.to;
        match before.keeper() {
            Keeper::All => {
                let all = self.take_all(operator);
                if self.before.as_ref().is_some_and(|before| before.all.len() == all.len()) {
                    *into = rescaled(all, &to);
                }
            }
            _ => self.take_whole(operator, into),
        }
    }

    /// The same of what is alike on all shards: that of the first.
    pub(crate) fn rescale_alike<V: Stored>(&mut self, operator: &'static str, into: &mut V) {
        self.rescale_by(operator, into, |all, _| first(all));
    }

    /// The same of how far event time has come: as far as on all of them.
    pub(crate) fn rescale_watermark(&mut self, operator: &'static str, into: &mut Watermark) {
        self.rescale_by(operator, into, |all, _| Watermark::earliest(&all));
    }

    /// The same of what was merged of inputs: each of those there are now, which are so many, has
    /// come as far as all of those that there were.
    pub(crate) fn rescale_merged(
        &mut self,
        operator: &'static str,
        into: &mut Merged,
        inputs: usize,
    ) {
        self.rescale_by(operator, into, |all, _| Merged::among(&all, inputs));
    }

    /// Takes the next part out, unless it is of state by key that is shared out: then it is made
    /// anew of what is.
    pub(crate) fn take_unless_shared<V: Stored>(&mut self, operator: &'static str, into: &mut V) {
        match self.shares() {
            Some(_) => self.take_unless_rescaled(operator, into),
            None => self.take(operator, into),
        }
    }

    /// Takes the next part out of what as many shards held; from another number of them `into`
    /// stays as it was built.
    pub fn take_unless_rescaled<V: Stored>(&mut self, operator: &'static str, into: &mut V) {
        match &mut self.before {
            None => self.take(operator, into),
            Some(before) => before.all.iter_mut().for_each(|saved| _ = saved.skip(operator)),
        }
    }

    /// Passes over what follows of an operator, which depends on the number of shards.
    pub(crate) fn skip_rest_of(&mut self, operator: &'static str) {
        if let Some(before) = &mut self.before {
            before.all.iter_mut().for_each(|saved| while saved.skip(operator) {});
        }
    }

    /// The next part of each shard that there was, in their order; of one if there is no other.
    pub fn take_all<V: Stored>(&mut self, operator: &'static str) -> Vec<V> {
        let all = match &mut self.before {
            None => self.take_next(operator).into_iter().collect(),
            Some(before) => {
                before.all.iter_mut().filter_map(|saved| saved.take_next(operator)).collect()
            }
        };
        if self.note_of_all() { Vec::new() } else { all }
    }

    /// What follows was placed so.
    pub(crate) fn placed(&mut self, placement: Placement) {
        if let Some(before) = &mut self.before {
            before.placement = placement;
        }
    }

    /// Says of which partitions those of this shard go on, by their numbers; those without one go
    /// on from all others without.
    pub(crate) fn set_lanes(&mut self, here: &[Option<u32>], before: &[Vec<Option<u32>>]) {
        let Some(known) = &mut self.before else { return };
        let of = |number: &Option<u32>| {
            let all = before.iter().enumerate().flat_map(|(shard, lanes)| {
                lanes.iter().enumerate().map(move |(lane, it)| (it, (shard, lane)))
            });
            all.filter(|(it, _)| *it == number).map(|(_, place)| place).collect()
        };
        known.lanes = here.iter().map(of).collect();
    }

    /// For each partition here, the shards and partitions that it goes on from.
    pub(crate) fn lanes(&self) -> &[Vec<(usize, usize)>] {
        self.before.as_ref().map_or(&[], |before| &before.lanes)
    }

    /// Puts in what several things of one operator hold, each with its number.
    pub(crate) fn put_nested(&mut self, operator: &'static str, all: Vec<(u32, Saved)>) {
        let table: Vec<(u32, usize)> =
            all.iter().map(|(number, saved)| (*number, saved.parts().len())).collect();
        self.put(operator, &table);
        all.into_iter().for_each(|(_, saved)| self.append(saved));
    }

    /// Takes them out again, those of all shards if there is another number of them now.
    pub(crate) fn take_nested(&mut self, operator: &'static str) -> Vec<(u32, Saved)> {
        let cut = |saved: &mut Saved| {
            let table: Vec<(u32, usize)> = saved.take_next(operator).unwrap_or_default();
            let each = table.into_iter().map(|(number, parts)| (number, saved.cut(parts)));
            each.collect::<Vec<_>>()
        };
        let all = match &mut self.before {
            None => cut(self),
            Some(before) => before.all.iter_mut().flat_map(cut).collect(),
        };
        self.note_of_all();
        all
    }

    /// Loads one of them, which is to be all of it.
    pub(crate) fn load_nested(&mut self, nested: &mut Saved, load: impl FnOnce(&mut Saved)) {
        load(nested);
        if let Err(wrong) = std::mem::take(nested).finish() {
            self.note(wrong);
        }
    }

    /// Notes that something is of another pipeline after all.
    #[cold]
    pub(crate) fn is_of_other(&mut self, what: &str) {
        self.note(SnapshotError::OtherPipeline(what.to_owned()));
    }

    /// Notes that something does not know how it moves to another number of shards.
    #[cold]
    pub fn not_rescaled(&mut self, operator: &'static str, reason: &str) {
        self.note(SnapshotError::NotRescaled { operator, reason: reason.to_owned() });
    }

    /// The part as one shard held it, if it is kept as a whole.
    pub(super) fn take_whole<V: Stored>(&mut self, operator: &'static str, into: &mut V) {
        let Some(before) = &mut self.before else { return };
        let keeper = match before.keeper() {
            Keeper::One(shard) => Some(shard),
            Keeper::Nobody => None,
            Keeper::All => {
                let reason = "it does not say which part of its state is whose then";
                return self.not_rescaled(operator, reason);
            }
        };
        for (shard, saved) in before.all.iter_mut().enumerate() {
            if keeper != Some(shard) {
                saved.skip(operator);
            } else if let Some(value) = saved.take_next(operator) {
                *into = value;
            }
        }
        self.note_of_all();
    }

    /// Fills what was taken whole.
    pub(super) fn fill_whole(&mut self, bulk: &mut dyn Bulk) {
        if let Some(before) = &mut self.before
            && let Keeper::One(shard) = before.keeper()
        {
            before.all[shard].fill(bulk);
        }
        self.note_of_all();
    }

    /// Notes what was wrong with one of all first. Returns whether something was.
    fn note_of_all(&mut self) -> bool {
        let all = self.before.iter_mut().flat_map(|before| &mut before.all);
        let wrong = all.filter_map(|saved| saved.take_wrong()).next();
        if let Some(wrong) = wrong {
            self.note(wrong);
        }
        self.is_wrong()
    }
}

/// There is one.
fn first<V>(mut all: Vec<V>) -> V {
    all.swap_remove(0)
}

impl Before {
    /// Whether every part of every shard was looked at.
    pub fn finish(self) -> Result<(), SnapshotError> {
        for saved in self.all {
            if let Some(Part { operator, type_name, .. }) = saved.rest().first() {
                let what = format!("nothing takes the {type_name} of `{operator}`");
                return Err(SnapshotError::OtherPipeline(what));
            }
        }
        Ok(())
    }
}
