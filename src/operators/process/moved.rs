//! Keys that come from another number of shards.

use crate::dataflow::Saved;
use crate::operators::process::Process;
use crate::operators::process::context::Slot;
use crate::state::{Rescale, Table};

/// The keys that belong to this shard now, on their way here from those that there were: see
/// [`Process::on_moved`].
pub struct Moved<'a, P: Process> {
    /// What each of those shards held.
    from: Vec<(usize, Table<P::Key, Slot<P::State>>)>,
    to: Rescale,
    into: &'a mut Table<P::Key, Slot<P::State>>,
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

/// Takes the keys of a function and their state out of a snapshot.
pub(super) fn load<P: Process>(
    process: &mut P,
    table: &mut Table<P::Key, Slot<P::State>>,
    from: &mut Saved,
) {
    let Some(to) = from.shares() else { return from.take(P::NAME, table) };
    let mut moved = Moved { from: from.take_shares(P::NAME), to, into: table };
    process.on_moved(&mut moved);
    moved.each(|_, _, _| ());
}
