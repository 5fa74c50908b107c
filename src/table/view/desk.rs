//! Where questions wait for a shard.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::Thread;

use crate::dataflow::{NodeId, Pipeline};
use crate::error::{ConfigError, QueryError};
use crate::memory::Bell;
use crate::table::view::ask::Slot;
use crate::table::view::twice;

/// Questions that may wait for one shard.
const ASKS_MAX: usize = 64;

/// A question, and the memory for its answer.
pub struct Ask<K, V> {
    /// From which key on, and up to which.
    pub keys: (Bound<K>, Bound<K>),
    /// Has room for as many rows as are asked for.
    pub rows: Vec<(K, V)>,
    pub rows_max: usize,
    pub slot: Slot<K, V>,
    pub reader: Thread,
}

/// The queue of one shard.
pub struct Desk<K, V> {
    /// How many wait: all that the shard looks at while nobody asks.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Ask<K, V>>>,
    /// The number of who serves it, or 0.
    served_by: AtomicU64,
    server: Mutex<Server>,
}

/// Who served it last.
#[derive(Default)]
struct Server {
    number: u64,
    /// The pipeline, by the address of its fabric, and the step.
    step: (usize, usize),
    bell: Option<Arc<Bell>>,
}

impl<K, V> Desk<K, V> {
    /// Nobody serves it.
    pub fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(VecDeque::with_capacity(ASKS_MAX)),
            served_by: AtomicU64::new(0),
            server: Mutex::default(),
        }
    }

    /// Whether somebody serves it.
    pub fn is_open(&self) -> bool {
        self.served_by.load(Ordering::Acquire) > 0
    }

    /// Puts a question to the shard.
    pub fn ask(&self, ask: Ask<K, V>) -> Result<(), QueryError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_open() {
            return Err(QueryError::Closed);
        }
        if queue.len() == ASKS_MAX {
            return Err(QueryError::Full);
        }
        queue.push_back(ask);
        self.waiting.store(queue.len(), Ordering::Release);
        drop(queue);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.bell.iter().for_each(|bell| bell.ring());
        Ok(())
    }
}

/// A shard that serves a desk; it is closed when this is dropped.
pub struct Serving<K, V> {
    desk: Arc<Desk<K, V>>,
    number: u64,
}

impl<K, V> Serving<K, V> {
    /// Serves a desk from now on, in the place of a pipeline that was built before, if there was
    /// one. A second step of the same pipeline may not.
    pub fn begin(
        desk: &Arc<Desk<K, V>>,
        p: Pipeline<'_>,
        step: NodeId,
    ) -> Result<Self, ConfigError> {
        let fabric = p.fabric();
        let mut server = desk.server.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = desk.is_open();
        let step = (Arc::as_ptr(&fabric).addr(), step.0);
        if is_open && server.step.0 == step.0 && server.step.1 != step.1 {
            return Err(twice());
        }
        let number = server.number + 1;
        *server = Server { number, step, bell: Some(fabric.bell(p.shard())) };
        desk.served_by.store(number, Ordering::Release);
        Ok(Self { desk: desk.clone(), number })
    }

    /// The next question. Never waits: a queue that a reader is at is looked at again later.
    #[inline(always)]
    pub fn next(&self) -> Option<Ask<K, V>> {
        if self.desk.waiting.load(Ordering::Acquire) == 0 { None } else { self.take() }
    }

    fn take(&self) -> Option<Ask<K, V>> {
        let mut queue = match self.desk.queue.try_lock() {
            Ok(queue) => queue,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let ask = queue.pop_front();
        self.desk.waiting.store(queue.len(), Ordering::Release);
        ask
    }

    /// Closes the desk: what waits there is not answered any more.
    pub fn close(&self) {
        let number = self.number;
        let closing =
            self.desk.served_by.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Acquire);
        if closing.is_ok() {
            let mut queue = self.desk.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.clear();
            self.desk.waiting.store(0, Ordering::Release);
        }
    }
}

impl<K, V> Drop for Serving<K, V> {
    fn drop(&mut self) {
        self.close();
    }
}
