//! The noise floor: what an empty benchmark measures on this host.
//!
//! A core that does nothing but look at the clock is still interrupted: by the timer tick, by
//! other processes, by the hypervisor. The same open loop as in a benchmark, with an empty body,
//! shows how long. No result on this host can be better, and none should be read without it.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::metrics::{Latency, Percentiles};
use crate::time::Timestamp;

/// The noise floor of some cores.
#[derive(Clone, Debug)]
pub struct Noise {
    /// All cores together. Time zero is the start of the measurement.
    pub latency: Latency,
    /// Each core by itself, in the order they were given.
    pub cores: Vec<CoreNoise>,
}

/// The noise floor of one core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreNoise {
    /// The core's number.
    pub cpu: usize,
    /// How late its ticks were.
    pub percentiles: Percentiles,
}

impl Noise {
    /// The longest that any core was away, in nanoseconds.
    pub fn worst_stall_ns(&self) -> u64 {
        self.latency.percentiles().max
    }
}

/// Measures the floor of `cpus`, all at once, one thread to each.
///
/// Each thread has `rate_per_core` intended times a second and takes for every one how much later
/// the clock says it is. `pin` binds the calling thread to a core; if it does nothing, the floor
/// is that of wherever the scheduler puts the thread. Takes `duration`, and a little longer where
/// the host stalls. `pin` must not panic: the other threads would wait for its thread for ever.
/// A rate above 20 million a second is more than the clock can be read.
pub fn measure(
    cpus: &[usize],
    duration: Duration,
    rate_per_core: u64,
    pin: impl Fn(usize) + Sync,
) -> Noise {
    let together = Barrier::new(cpus.len());
    let listen_on = |cpu: usize| {
        pin(cpu);
        // Allocated after pinning, so that its memory is near the core.
        let mut latency = Latency::starting_at(Timestamp(0));
        together.wait();
        listen(&mut latency, duration, rate_per_core.max(1));
        latency
    };
    let parts: Vec<(usize, Latency)> = thread::scope(|scope| {
        let listen_on = &listen_on;
        let threads: Vec<_> =
            cpus.iter().map(|&cpu| (cpu, scope.spawn(move || listen_on(cpu)))).collect();
        threads.into_iter().filter_map(|(cpu, thread)| Some((cpu, thread.join().ok()?))).collect()
    });
    let mut latency = Latency::starting_at(Timestamp(0));
    parts.iter().for_each(|(_, part)| latency.merge(part));
    let core =
        |(cpu, part): &(usize, Latency)| CoreNoise { cpu: *cpu, percentiles: part.percentiles() };
    Noise { latency, cores: parts.iter().map(core).collect() }
}

/// An open loop with an empty body.
fn listen(latency: &mut Latency, duration: Duration, rate: u64) {
    let length = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let start = Instant::now();
    let (mut tick, mut intended) = (0u64, 0u64);
    while intended < length {
        // No spin hint: on many cores it pauses for longer than the floor is high, and under a
        // hypervisor it may give the core away.
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if now < intended {
            continue;
        }
        let when = Timestamp(i64::try_from(now).unwrap_or(i64::MAX));
        latency.record(when, now - intended, 1);
        // After a stall every tick that it swallowed is counted, with its own lateness.
        tick += 1;
        intended = intended_ns(tick, rate);
    }
}

/// When a tick is due; computed from its number, so that rounding does not add up.
fn intended_ns(tick: u64, rate: u64) -> u64 {
    let (seconds, rest) = (tick / rate, tick % rate);
    let part = u128::from(rest) * 1_000_000_000 / u128::from(rate);
    seconds.saturating_mul(1_000_000_000).saturating_add(part as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_tick_is_counted_on_every_core() {
        let pinned = AtomicUsize::new(0);
        let noise = measure(&[0, 1], Duration::from_millis(20), 10_000, |cpu| {
            pinned.fetch_add(cpu + 1, Ordering::Relaxed);
        });
        assert_eq!(pinned.into_inner(), 3);
        assert_eq!(noise.latency.samples(), 2 * 200);
        assert_eq!(noise.cores.iter().map(|core| core.cpu).collect::<Vec<_>>(), [0, 1]);
        let worst = noise.cores.iter().map(|core| core.percentiles.max).max();
        assert_eq!(worst, Some(noise.worst_stall_ns()));
        let points = noise.latency.series().points();
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 400);
    }

    #[test]
    fn no_core_no_noise() {
        let noise = measure(&[], Duration::from_millis(1), 10, |_| ());
        assert_eq!((noise.latency.samples(), noise.cores.len()), (0, 0));
    }

    #[test]
    fn ticks_do_not_drift() {
        assert_eq!(intended_ns(3_000_000, 3_000_000), 1_000_000_000);
        assert_eq!(intended_ns(1, 3_000_000), 333);
        assert_eq!(intended_ns(u64::MAX, 1), u64::MAX);
    }
}
