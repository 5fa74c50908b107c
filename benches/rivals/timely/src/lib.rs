//! Workers of timely, each bound to a core: the frame of its contestant, and of differential's,
//! which is built on it.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use rivals_workload::{Args, Digest, Input, Outcome, Stamps, Workload, pin};
use timely::worker::Worker;

/// What a worker found.
pub struct Found {
    /// The results of this worker.
    pub digest: Digest,
    /// How late they were, where that was asked for.
    pub stamps: Option<Stamps>,
}

/// Lets `work` build its dataflow and feed it on each worker, and sums up what they found.
///
/// `work` calls what it is given last once its dataflow is built: all workers wait there for each
/// other, and time counts from then on.
///
/// # Errors
/// What timely says if it cannot start, or if a worker panicked.
pub fn run(
    args: &Args,
    input: &Input,
    work: impl Fn(&mut Worker, Workload, &Input, &mut dyn FnMut()) -> Found + Send + Sync + 'static,
) -> Result<Outcome, String> {
    let config = match args.threads() {
        1 => timely::Config::thread(),
        threads => timely::Config::process(threads),
    };
    let (cpus, workload, input) = (args.cpus.clone(), args.workload, input.clone());
    let together = Barrier::new(cpus.len());
    let guards = timely::execute(config, move |worker| {
        pin(cpus[worker.index()]);
        let mut begun = Instant::now();
        let found = work(worker, workload, &input, &mut || {
            together.wait();
            begun = Instant::now();
        });
        (begun.elapsed(), found)
    })?;
    let (mut elapsed, mut digest, mut stamps) = (Duration::ZERO, Digest::default(), None::<Stamps>);
    for found in guards.join() {
        let (took, found) = found?;
        elapsed = elapsed.max(took);
        digest.merge(found.digest);
        match (&mut stamps, found.stamps) {
            (Some(all), Some(some)) => all.merge(&some),
            (all, some) => *all = all.take().or(some),
        }
    }
    Ok(Outcome { stamps, ..Outcome::new(elapsed, digest) })
}
