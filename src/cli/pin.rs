//! Binding a thread to a core.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Binds the calling thread to one CPU. Where the system does not allow it, nothing happens: then
/// the scheduler chooses.
pub fn this_thread(cpu: usize) {
    let mut only = CpuSet::new();
    if only.set(cpu).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &only);
    }
}
