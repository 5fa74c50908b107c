//! What is watched on the threads of shards and nowhere else: allocations, and how often the
//! scheduler took the core away.
//!
//! An engine calls the build closure on the calling thread first, to check the pipeline, and then
//! once on the thread of each shard. [`watched`] tells the two apart and marks the latter.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::host::Disturbance;
use crate::dataflow::Pipeline;
use crate::error::Result;

thread_local! {
    /// Const and without a destructor: the allocator may look at it at any time, even while the
    /// thread starts or ends.
    static IS_SHARD: Cell<bool> = const { Cell::new(false) };
    static GOODBYE: Cell<Option<Goodbye>> = const { Cell::new(None) };
}

static COUNTS_ALLOCATIONS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static SWITCHES: AtomicU64 = AtomicU64::new(0);

/// Reads a thread's context switches at its end, when the kernel is about to forget them.
struct Goodbye;

impl Drop for Goodbye {
    fn drop(&mut self) {
        let switches = Disturbance::of_this_thread().involuntary_switches.unwrap_or(0);
        SWITCHES.fetch_add(switches, Ordering::Relaxed);
    }
}

/// A build closure that marks the threads of shards as such.
pub fn watched(
    build: impl Fn(Pipeline<'_>) -> Result<()> + Send + Sync + 'static,
) -> impl Fn(Pipeline<'_>) -> Result<()> + Send + Sync + 'static {
    let caller = thread::current().id();
    move |pipeline| {
        if thread::current().id() != caller && !IS_SHARD.get() {
            GOODBYE.set(Some(Goodbye));
            IS_SHARD.set(true);
        }
        build(pipeline)
    }
}

/// Whether this is the thread of a shard. In a build closure: whether what is built will run.
pub fn is_here() -> bool {
    IS_SHARD.get()
}

/// To be called by the global allocator for each allocation. Neither allocates nor blocks.
#[inline]
pub fn on_allocation() {
    if IS_SHARD.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says that the global allocator calls [`on_allocation`].
pub fn allocations_are_counted() {
    COUNTS_ALLOCATIONS.store(true, Ordering::Relaxed);
}

/// Allocations on threads of shards since the process started, if the allocator counts them.
pub fn allocations() -> Option<u64> {
    COUNTS_ALLOCATIONS.load(Ordering::Relaxed).then(|| ALLOCATIONS.load(Ordering::Relaxed))
}

/// Involuntary context switches of all threads of shards that have ended.
pub fn involuntary_switches() -> u64 {
    SWITCHES.load(Ordering::Relaxed)
}
