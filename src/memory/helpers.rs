//! Threads that share work with this one, where nobody counts microseconds: while state is read
//! back.

use std::panic::resume_unwind;
use std::thread;

use super::affinity;

/// Threads at most: reading state back is held up by memory from some on.
const MOST: usize = 8;

/// Calls `work` on this thread, and at the same time on up to `others` beside it that have CPUs of
/// their own near the same memory. What they share they must take in turns.
///
/// Panics as `work` does.
pub fn together<R: Send>(others: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    let cpus = affinity::near_this_thread();
    let others = others.min(MOST - 1).min(affinity::threads(cpus.as_ref()) - 1);
    let help = || {
        affinity::keep_to(cpus);
        work()
    };
    thread::scope(|scope| {
        // Whoever gets no thread does it alone.
        let start = |_| thread::Builder::new().name("helper".to_owned()).spawn_scoped(scope, help);
        let helpers: Vec<_> = (0..others).map_while(|index| start(index).ok()).collect();
        let mut results = vec![work()];
        for helper in helpers {
            results.push(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn work_is_done_once_by_whoever_comes_first() {
        let next = AtomicUsize::new(0);
        let mut done: Vec<usize> = together(3, || {
            let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            taken.take_while(|number| *number < 1_000).collect::<Vec<_>>()
        })
        .concat();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..1_000));
        assert_eq!(together(0, || 7), [7]);
    }
}
