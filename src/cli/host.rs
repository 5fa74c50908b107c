//! The host's fingerprint: what a number measured here depends on.
//!
//! Everything is read from `/proc` and `/sys`. What is not there (another system, a container that
//! hides it) is `None`, never an error.

use std::fs;
use std::ops::Add;

use serde::Serialize;

/// What a latency figure has to be read beside.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct Host {
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor's model name.
    pub cpu_model: Option<String>,
    /// Cores that are online.
    pub cores: Option<u64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Whether this is a guest of a hypervisor.
    pub virtualised: Option<bool>,
    /// The kernel's clock source; anything but `tsc` makes each look at the clock slow.
    pub clocksource: Option<String>,
    /// Whether the time-stamp counter runs at one rate in every sleep and frequency state.
    pub invariant_tsc: Option<bool>,
    /// The frequency governor of the first core.
    pub governor: Option<String>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// The cores that the scheduler leaves alone, as a list such as `2-7`.
    pub isolated_cpus: Option<String>,
    /// The cores without a timer tick, as a list.
    pub nohz_full: Option<String>,
    /// The load average of the last minute, when it was read.
    pub load: Option<f64>,
    /// This crate's version.
    pub version: String,
    /// The commit it was built from, if the build was told in `MILLSTREAM_GIT_HASH`.
    pub git_hash: Option<String>,
    /// Whether this is a build with debug assertions: its numbers mean nothing.
    pub debug_build: bool,
}

impl Host {
    /// Reads it.
    pub fn read() -> Self {
        let cpuinfo = text("/proc/cpuinfo");
        let cpuinfo = cpuinfo.as_deref();
        let flag = |name: &str| {
            let flags = field(cpuinfo?, "flags")?;
            Some(flags.split_whitespace().any(|flag| flag == name))
        };
        let system = "/sys/devices/system";
        Self {
            kernel: text("/proc/sys/kernel/osrelease"),
            cpu_model: cpuinfo.and_then(|all| field(all, "model name")).map(squeeze),
            cores: text(&format!("{system}/cpu/online")).and_then(|list| count_cpus(&list)),
            memory_bytes: text("/proc/meminfo").and_then(|all| kibibytes(&all, "MemTotal")),
            virtualised: flag("hypervisor"),
            clocksource: text(&format!("{system}/clocksource/clocksource0/current_clocksource")),
            invariant_tsc: flag("constant_tsc")
                .zip(flag("nonstop_tsc"))
                .map(|(constant, nonstop)| constant && nonstop),
            governor: text(&format!("{system}/cpu/cpu0/cpufreq/scaling_governor")),
            huge_pages: text("/sys/kernel/mm/transparent_hugepage/enabled")
                .and_then(|all| bracketed(&all)),
            isolated_cpus: text(&format!("{system}/cpu/isolated")),
            nohz_full: text(&format!("{system}/cpu/nohz_full")).filter(|list| list != "(null)"),
            load: text("/proc/loadavg").and_then(|all| all.split(' ').next()?.parse().ok()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_hash: option_env!("MILLSTREAM_GIT_HASH").map(str::to_owned),
            debug_build: cfg!(debug_assertions),
        }
    }
}

/// What took cores away from us. Read before and after a run; the difference is what counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Disturbance {
    /// Time that the hypervisor gave to others although a core of ours wanted to run, over all
    /// cores, in ticks of 10 ms.
    pub steal_ticks: Option<u64>,
    /// How often a thread of ours was taken off its core without asking for it.
    pub involuntary_switches: Option<u64>,
}

impl Disturbance {
    /// What has added up so far, for all threads of this process that are alive.
    ///
    /// A thread's switches are forgotten when it ends: threads that end within a run read
    /// [`of_this_thread`](Self::of_this_thread) themselves, and the sums are added.
    pub fn read() -> Self {
        let tasks = fs::read_dir("/proc/self/task").ok();
        let switches = tasks.map(|tasks| {
            let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("status")));
            paths.filter_map(|path| switches(&fs::read_to_string(path).ok()?)).sum()
        });
        let steal_ticks = text("/proc/stat").and_then(|all| steal(&all));
        Self { steal_ticks, involuntary_switches: switches }
    }

    /// What has added up so far for the calling thread; steal is not told apart by thread.
    pub fn of_this_thread() -> Self {
        let status = text("/proc/thread-self/status");
        Self {
            steal_ticks: None,
            involuntary_switches: status.and_then(|status| switches(&status)),
        }
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn delta(self, earlier: Self) -> Self {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            steal_ticks: less(self.steal_ticks, earlier.steal_ticks),
            involuntary_switches: less(self.involuntary_switches, earlier.involuntary_switches),
        }
    }
}

impl Add for Disturbance {
    type Output = Self;
    /// The sum of what is known.
    fn add(self, other: Self) -> Self {
        let sum = |one: Option<u64>, two: Option<u64>| match (one, two) {
            (Some(one), Some(two)) => Some(one.saturating_add(two)),
            (one, two) => one.or(two),
        };
        Self {
            steal_ticks: sum(self.steal_ticks, other.steal_ticks),
            involuntary_switches: sum(self.involuntary_switches, other.involuntary_switches),
        }
    }
}

/// A file's text without the white space around it; nothing if there is none.
fn text(path: &str) -> Option<String> {
    let all = fs::read_to_string(path).ok()?;
    let all = all.trim();
    (!all.is_empty()).then(|| all.to_owned())
}

/// The value of the first line `name : value`.
fn field<'a>(all: &'a str, name: &str) -> Option<&'a str> {
    all.lines().find_map(|line| {
        let (left, right) = line.split_once(':')?;
        (left.trim() == name).then(|| right.trim())
    })
}

/// A line `name: 123 kB`, in bytes.
fn kibibytes(all: &str, name: &str) -> Option<u64> {
    let number: u64 = field(all, name)?.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// The word in brackets of `always [madvise] never`.
fn bracketed(all: &str) -> Option<String> {
    let (_, rest) = all.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// Single spaces only.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many CPUs a list such as `0-3,8` names.
fn count_cpus(list: &str) -> Option<u64> {
    let mut count = 0u64;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

/// The steal column of the first line of `/proc/stat`.
fn steal(all: &str) -> Option<u64> {
    let line = all.lines().find(|line| line.starts_with("cpu "))?;
    line.split_whitespace().nth(8)?.parse().ok()
}

/// The involuntary context switches in a thread's status.
fn switches(status: &str) -> Option<u64> {
    field(status, "nonvoluntary_ctxt_switches")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert_eq!(count_cpus("0-3,8"), Some(5));
        assert_eq!(count_cpus("3-1"), None);
        assert_eq!(bracketed("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(kibibytes("A: 1 kB\nMemTotal:  8 kB\n", "MemTotal"), Some(8192));
        assert_eq!(steal("cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1\n"), Some(88));
        assert_eq!(switches("Name:\tx\nnonvoluntary_ctxt_switches:\t42\n"), Some(42));
        assert_eq!(field("model name\t: A  B", "model name").map(squeeze).as_deref(), Some("A B"));
    }

    #[test]
    fn missing_files_are_none() {
        assert_eq!(text("/nowhere/at/all"), None);
        assert_eq!(steal(""), None);
        assert_eq!(switches("Name: x"), None);
        let nothing = Disturbance::default();
        assert_eq!(Disturbance::read().delta(nothing), nothing);
    }

    #[test]
    fn disturbances_subtract_and_add() {
        let now = Disturbance { steal_ticks: Some(9), involuntary_switches: Some(5) };
        let then = Disturbance { steal_ticks: Some(4), involuntary_switches: Some(7) };
        let change = now.delta(then);
        assert_eq!((change.steal_ticks, change.involuntary_switches), (Some(5), Some(0)));
        assert_eq!(change + Disturbance::default(), change);
        assert_eq!((now + then).steal_ticks, Some(13));
    }

    #[test]
    fn reading_never_fails() {
        let host = Host::read();
        assert!(!host.version.is_empty());
        if cfg!(target_os = "linux") {
            assert!(host.kernel.is_some());
            assert!(Disturbance::of_this_thread().involuntary_switches.is_some());
        }
    }
}
