//! Who decides where a record goes, and which shard a key is sent to.

use std::rc::Rc;

use crate::dataflow::{Context, Placement, Record, Saved};
use crate::exchange::ports::Ports;
use crate::state::{Key, hash, key_group, owner};

/// Decides which shard a record goes to, or which shards.
pub trait Route<T>: 'static {
    /// Puts a record into the ports that it goes to.
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, cx: &mut Context);

    /// A batch has ended.
    #[inline(always)]
    fn on_batch_end(&mut self) {}

    /// What decides on which shard the operator behind it keeps what.
    fn placement(&self) -> Placement;

    /// Puts what it keeps between two records into a snapshot.
    fn save(&self, _out: &mut Saved) {}

    /// Takes it from a snapshot.
    fn load(&mut self, _from: &mut Saved) {}
}

/// To the shard that owns the record's key.
pub struct ByKey<F> {
    key: Rc<F>,
    seed: u64,
    shards: usize,
}

impl<F> ByKey<F> {
    /// Routes by `key` over this many shards, hashing with `seed`.
    pub fn new(key: Rc<F>, seed: u64, shards: usize) -> Self {
        Self { key, seed, shards }
    }
}

impl<T, K: Key, F: Fn(&T) -> K + 'static> Route<T> for ByKey<F> {
    #[inline(always)]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        if let Some(record) = ports.push_if_alone(record) {
            let group = key_group(hash((self.key)(&record.value), self.seed));
            ports.push(owner(group, self.shards), record);
        }
    }

    fn placement(&self) -> Placement {
        Placement::ByKey
    }
}

/// All to one shard.
pub struct To(pub usize);

impl<T: 'static> Route<T> for To {
    #[inline(always)]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        ports.push(self.0, record);
    }

    fn placement(&self) -> Placement {
        Placement::At(self.0)
    }
}
