//! Keeps the threads beside a shard off its core.
//!
//! A thread may run where the thread that started it may. A shard is bound to one core, and spins
//! there: a thread bound to the same core would wait for the scheduler's tick, 4 ms on most hosts.

#[cfg(feature = "tls")]
pub use with::{Cpus, in_both};
#[cfg(any(feature = "uring", feature = "net"))]
pub use with::{beside_this_thread, keep_to, near_this_thread, threads};
#[cfg(not(any(feature = "uring", feature = "net")))]
pub use without::{beside_this_thread, keep_to, near_this_thread, threads};

#[cfg(any(feature = "uring", feature = "net"))]
mod with {
    use std::path::Path;

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

    /// Of the CPUs [beside this thread](beside_this_thread), those that have the same memory near:
    /// what their threads touch first is where this thread will look for it.
    pub fn near_this_thread() -> Option<CpuSet> {
        let own = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let own = (0..CpuSet::count()).find(|cpu| own.is_set(*cpu).unwrap_or(false))?;
        let beside = beside_this_thread()?;
        let system = Path::new("/sys/devices/system/cpu");
        let entries = system.join(format!("cpu{own}")).read_dir().into_iter().flatten().flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_node = |name: &String| {
            name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok())
        };
        // Where the system has no nodes, all memory is as near as any.
        let Some(node) = names.find(is_node) else { return Some(beside) };
        let mut near = CpuSet::new();
        for cpu in 0..CpuSet::count() {
            let is_near = || system.join(format!("cpu{cpu}")).join(&node).exists();
            if beside.is_set(cpu).unwrap_or(false) && is_near() {
                let _ = near.set(cpu);
            }
        }
        Some(near)
    }

    /// How many threads have a CPU each: this one, and those that keep to `beside`.
    pub fn threads(beside: Option<&CpuSet>) -> usize {
        match beside {
            Some(beside) => 1 + count(beside),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
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
                let near = near_this_thread();
                assert!(threads(near.as_ref()) <= threads(cpus.as_ref()));
                assert!(near.is_none_or(|near| !near.is_set(cpu).unwrap()));
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

    /// Nothing is known of CPUs.
    pub fn near_this_thread() -> Option<()> {
        None
    }

    /// As many as the system says.
    pub fn threads(_beside: Option<&()>) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Stays where it is.
    pub fn keep_to(_cpus: Option<()>) {}
}
