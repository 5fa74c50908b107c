//! Keys that come from another number of shards.

use crate::operators::process::Process;
use crate::operators::process::context::Slot;
use crate::state::{Rescale, Table};

/// The keys that belong to this shard now, on their way here from those that there were: see
/// [`Process::on_moved`].
pub struct Moved<'a, P: Process> {
    /// What each of those shards held.
    pub(super) from: Vec<(usize, Table<P::Key, Slot<P::State>>)>,
    pub(super) to: Rescale,
    pub(super) into: &'a mut Table<P::Key, Slot<P::State>>,
}

impl<P: Process> Moved<'_, P> {
    /// Calls `each` with the shard where it was, the key and the state of each key that has any, in
    /// the order of those shards.
    pub fn each(&mut self, mut each: impl FnMut(usize, P::Key, &mut P::State)) {
        let Self { from, to, into } = self;
        for (shard, table) in from.drain(..) {
            into.take_over(
                &table,
                |key| to.owns(key),
                |key, slot| {
                    slot.pending.forget_place();
                    slot.lease.moved().into_iter().for_each(|state| each(shard, key, state));
                },
            );
        }
    }
}
