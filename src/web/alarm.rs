//! Waking the server's thread.

use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::Notify;

/// What the server sleeps at while a shard sends nothing: the counterpart of the shard's
/// [`Bell`](crate::memory::Bell), by the same protocol.
#[derive(Debug, Default)]
pub struct Alarm {
    asleep: AtomicBool,
    notify: Notify,
}

impl Alarm {
    /// Wakes the server if it sleeps. Call after what it should find has been published.
    #[inline]
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.notify.notify_one();
        }
    }

    /// Says that the server means to sleep. It looks once more whether something came, and then
    /// either sleeps or [gets up](Self::get_up).
    pub fn lie_down(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Sleeps until rung.
    pub async fn sleep(&self) {
        self.notify.notified().await;
    }

    /// Need not be rung any more.
    pub fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
