//! Keeps the threads beside a shard off its core.
//!
//! A thread may run where the thread that started it may. A shard is bound to one core, and spins
//! there: a thread bound to the same core would wait for the scheduler's tick, 4 ms on most hosts.

#[cfg(feature = "tls")]
pub use with::{Cpus, in_both};
#[cfg(any(feature = "uring", feature = "net"))]
pub use with::{beside_this_thread, keep_to};
#[cfg(not(any(feature = "uring", feature = "net")))]
pub use without::{beside_this_thread, keep_to};

#[cfg(any(feature = "uring", feature = "net"))]
mod with {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::{Pid, getpid};

    fn count(cpus: &CpuSet) -> usize {
        (0..CpuSet::count()).filter(|cpu| cpus.is_set(*cpu).unwrap_or(false)).count()
    }

    /// The CPUs for a thread beside this one, if this one is bound to a single CPU: all that the
    /// process may use, but for that.
    pub fn beside_this_thread() -> Option<CpuSet> {
        let own = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let process = sched_getaffinity(getpid()).ok()?;
        if count(&own) != 1 {
            return None;
        }
        // A process whose first thread is bound says nothing of what it may use: so ask for all.
        let is_bound = count(&process) == 1;
        let mut cpus = CpuSet::new();
        for cpu in 0..CpuSet::count() {
            let may = is_bound || process.is_set(cpu).unwrap_or(false);
            if may && !own.is_set(cpu).unwrap_or(true) {
                let _ = cpus.set(cpu);
            }
        }
        (count(&cpus) > 0).then_some(cpus)
    }

    #[cfg(feature = "tls")]
    pub type Cpus = CpuSet;

    /// The CPUs that are in both, if there are any.
    #[cfg(feature = "tls")]
    pub fn in_both(one: &CpuSet, other: &CpuSet) -> Option<CpuSet> {
        let mut cpus = CpuSet::new();
        for cpu in 0..CpuSet::count() {
            if one.is_set(cpu).unwrap_or(false) && other.is_set(cpu).unwrap_or(false) {
                let _ = cpus.set(cpu);
            }
        }
        (count(&cpus) > 0).then_some(cpus)
    }

    /// Lets this thread run on these CPUs. Where there are none of them it stays where it was.
    pub fn keep_to(cpus: Option<CpuSet>) {
        if let Some(cpus) = cpus {
            let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_thread_beside_one_that_is_bound_keeps_off_its_core() {
            let bound = std::thread::spawn(|| {
                let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
                assert!(beside_this_thread().is_none() || count(&all) == 1);
                let cpu = (0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap()).unwrap();
                let mut own = CpuSet::new();
                own.set(cpu).unwrap();
                sched_setaffinity(Pid::from_raw(0), &own).unwrap();
                let cpus = beside_this_thread();
                let beside = std::thread::spawn(move || {
                    keep_to(cpus);
                    sched_getaffinity(Pid::from_raw(0)).unwrap()
                });
                (count(&all), beside.join().unwrap().is_set(cpu).unwrap())
            });
            let (cpus, is_on_it) = bound.join().unwrap();
            assert_eq!(is_on_it, cpus == 1, "of {cpus}");
        }
    }
}

#[cfg(not(any(feature = "uring", feature = "net")))]
mod without {
    /// Nothing is known of CPUs.
    pub fn beside_this_thread() -> Option<()> {
        None
    }

    /// Stays where it is.
    pub fn keep_to(_cpus: Option<()>) {}
}
