//! To one shard after the other.

use crate::dataflow::{Context, Placement, Record, Saved};
use crate::exchange::partition::Route;
use crate::exchange::ports::Ports;

/// Each record to the shard after that of the one before.
pub struct InTurn {
    next: usize,
}

impl InTurn {
    /// The first record goes to `next`.
    pub fn from(next: usize) -> Self {
        Self { next }
    }
}

impl<T: 'static> Route<T> for InTurn {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        let shard = self.next;
        self.next = if shard + 1 == ports.shards() { 0 } else { shard + 1 };
        ports.push(shard, record);
    }

    fn save(&self, out: &mut Saved) {
        out.put("in turn", &self.next);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take_unless_rescaled("in turn", &mut self.next);
    }

    fn placement(&self) -> Placement {
        Placement::Anywhere
    }
}
