//! Keeping the threads of a gate off the cores of the shards.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::memory::affinity::{Cpus, beside_this_thread, in_both, keep_to};

/// The CPUs that no shard is bound to, as far as shards have told. Clones are the same, but each
/// knows by itself what its thread has been told.
#[derive(Clone, Default)]
pub struct Beside {
    told: Arc<(AtomicU32, Mutex<Option<Cpus>>)>,
    applied: u32,
}

impl Beside {
    /// A shard runs on this thread.
    pub fn on_shard(&self) {
        let (Some(cpus), Ok(mut all)) = (beside_this_thread(), self.told.1.lock()) else { return };
        // Where shards have all CPUs, the first who told has the say.
        let both = all.as_ref().map_or(Some(cpus), |all| in_both(all, &cpus));
        if let Some(both) = both {
            *all = Some(both);
            self.told.0.fetch_add(1, Ordering::Release);
        }
    }

    /// Moves this thread to where no shard is.
    pub fn apply(&mut self) {
        let told = self.told.0.load(Ordering::Acquire);
        if told != self.applied {
            self.applied = told;
            keep_to(self.told.1.lock().ok().and_then(|cpus| *cpus));
        }
    }
}
