//! Waking a shard that sleeps.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::{self, Thread};
use std::time::Duration;

/// A shard's door bell: the shard sleeps at it, whoever sends to the shard rings it.
///
/// The protocol is Dekker's: the sleeper says that it sleeps, then looks once more whether
/// something came; the sender sends, then looks whether the other sleeps. With a full fence between
/// the two steps on both sides, at least one of them sees the other.
#[derive(Debug, Default)]
pub struct Bell {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
    /// A shard that never sleeps is never rung, so its senders skip the fence.
    used: AtomicBool,
}

impl Bell {
    /// Says that the calling thread is the one to wake, and that it means to sleep.
    pub fn attach(&self) {
        self.used.store(self.thread.set(thread::current()).is_ok(), Ordering::SeqCst);
    }

    /// Sleeps until rung, at most `longest`, unless `came` finds after the announcement that
    /// something is there.
    pub fn sleep(&self, longest: Duration, came: impl FnOnce() -> bool) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !came() {
            thread::park_timeout(longest);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Wakes the shard if it sleeps. Call after what it should find has been published.
    #[inline]
    pub fn ring(&self) {
        if !self.used.load(Ordering::Relaxed) {
            return;
        }
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    /// Each side waits for the other's count, so one lost wake-up costs a whole minute and fails
    /// the deadline.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: u32 = 20_000;
        let (bell, sent) = (Arc::new(Bell::default()), Arc::new(AtomicU32::new(0)));
        let seen = Arc::new(AtomicU32::new(0));
        let sleeper = {
            let (bell, sent, seen) = (bell.clone(), sent.clone(), seen.clone());
            thread::spawn(move || {
                bell.attach();
                for round in 1..=ROUNDS {
                    while sent.load(Ordering::Acquire) < round {
                        bell.sleep(Duration::from_secs(60), || {
                            sent.load(Ordering::Acquire) >= round
                        });
                    }
                    seen.store(round, Ordering::Release);
                }
            })
        };
        let start = std::time::Instant::now();
        for round in 1..=ROUNDS {
            sent.store(round, Ordering::Release);
            while seen.load(Ordering::Acquire) < round {
                bell.ring();
                std::hint::spin_loop();
            }
        }
        assert!(sleeper.join().is_ok());
        assert!(start.elapsed() < Duration::from_secs(55));
    }
}
