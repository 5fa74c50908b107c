//! Which CPU each shard runs on.

use std::collections::BTreeSet;
use std::fs;

use crate::config::{Config, Idle, Shards};
use crate::error::ConfigError;

/// The CPU of each shard, checked against this host.
///
/// # Errors
/// A CPU that does not exist or is not allowed to this process, or more spinning shards than CPUs.
pub fn place(config: &Config) -> Result<Vec<usize>, ConfigError> {
    let allowed = allowed_cpus();
    match &config.shards {
        Shards::Pinned(cpus) => match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            Some(cpu) => {
                let reason = format!("no such CPU for this process; it may use {}", list(&allowed));
                Err(ConfigError::setting("shards", cpu, reason))
            }
            None => Ok(cpus.clone()),
        },
        Shards::Count(count) => {
            if *count > allowed.len() && config.idle == Idle::Spin && !config.oversubscribe {
                let reason = format!(
                    "more spinning shards than the {} CPUs of this process; \
                     set `oversubscribe` to do it all the same",
                    allowed.len()
                );
                return Err(ConfigError::setting("shards", count, reason));
            }
            let order = by_distance(&allowed);
            Ok((0..*count).map(|shard| order[shard % order.len()]).collect())
        }
    }
}

/// The CPUs that this process may run on, lowest first; CPU 0 alone where the system does not say.
fn allowed_cpus() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = field.map(parse_list).unwrap_or_default();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// CPUs in the order in which shards are placed: one of each physical core first, then their
/// siblings.
fn by_distance(allowed: &[usize]) -> Vec<usize> {
    let mut cores = BTreeSet::new();
    let (first, siblings): (Vec<_>, Vec<_>) =
        allowed.iter().partition(|&&cpu| cores.insert(core_of(cpu)));
    first.into_iter().chain(siblings).collect()
}

/// The lowest sibling of a CPU stands for its physical core.
fn core_of(cpu: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let siblings = fs::read_to_string(path).unwrap_or_default();
    parse_list(&siblings).into_iter().min().unwrap_or(cpu)
}

/// Parses the kernel's lists: "0-3,8".
fn parse_list(text: &str) -> Vec<usize> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}

fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists() {
        assert_eq!(parse_list("0-2,5, 7-8\n"), [0, 1, 2, 5, 7, 8]);
        assert!(parse_list("").is_empty());
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        let config = Config { shards: Shards::Pinned(vec![4095]), ..Config::default() };
        let error = place(&config).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.starts_with("shards = 4095: no such CPU")));
    }

    #[test]
    fn too_many_spinning_shards_are_refused_unless_asked_for() {
        let config = Config { shards: Shards::Count(200), ..Config::low_latency() };
        assert!(place(&config).is_err());
        assert!(place(&Config { oversubscribe: true, ..config.clone() }).is_ok());
        assert!(place(&Config { idle: Idle::Park, ..config }).is_ok());
    }
}
