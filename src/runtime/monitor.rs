//! What other threads can see of a running engine, and the one thing they can tell it: to stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::checkpoint::{self, Notice};
use crate::error::{CheckpointError, Error};
use crate::metrics::{Counters, ShardCounters};

/// A window into a running engine. Clones see the same engine.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

struct Shared {
    counters: Vec<Arc<ShardCounters>>,
    /// The shards are to stop, for whatever reason.
    stop: AtomicBool,
    /// Somebody has asked for it.
    asked: AtomicBool,
    /// Shards that have built their pipelines, or failed to.
    built: AtomicUsize,
    /// Shards whose threads have come to their end, and who waits for that.
    ended: Mutex<Vec<bool>>,
    ends: Condvar,
    failure: Mutex<Option<Error>>,
    /// Names of savepoints that were asked for.
    savepoints: Mutex<VecDeque<String>>,
    /// Each once, the oldest first.
    notices: Mutex<VecDeque<Notice>>,
}

/// So many notices are remembered.
const NOTICES_MAX: usize = 64;

impl Monitor {
    pub(super) fn new(shards: usize) -> Self {
        Self(Arc::new(Shared {
            counters: (0..shards).map(|_| Arc::default()).collect(),
            stop: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            built: AtomicUsize::new(0),
            ended: Mutex::new(vec![false; shards]),
            ends: Condvar::new(),
            failure: Mutex::new(None),
            savepoints: Mutex::default(),
            notices: Mutex::default(),
        }))
    }

    /// Asks all shards to stop at the end of their step. What they have done so far is reported as
    /// usual.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.stop.store(true, Ordering::Release);
    }

    /// Whether somebody has asked for it, and it is not just that a shard has failed.
    pub(super) fn was_asked_to_stop(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// The thread of a shard has come to its end.
    pub(super) fn end(&self, shard: usize) {
        self.ended()[shard] = true;
        self.0.ends.notify_all();
    }

    /// Whether it has.
    pub(super) fn has_ended(&self, shard: usize) -> bool {
        self.ended()[shard]
    }

    /// Sleeps until all have, or for so long at most; returns whether they have. Whoever waits may
    /// share a core with a shard, and must not wake for nothing.
    pub(super) fn wait_for_ends(&self, at_most: Option<Duration>) -> bool {
        let is_left = |ended: &mut Vec<bool>| ended.contains(&false);
        let ended = self.ended();
        let ended = match at_most {
            None => self.0.ends.wait_while(ended, is_left).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let waited = self.0.ends.wait_timeout_while(ended, time, is_left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        !ended.contains(&false)
    }

    fn ended(&self) -> MutexGuard<'_, Vec<bool>> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No shard runs any more.
    pub(super) fn over(&self) {
        self.0.stop.store(true, Ordering::Release);
    }

    /// Forgets that shards have failed, before they are built anew.
    pub(super) fn begin_again(&self) {
        self.0.built.store(0, Ordering::Release);
        self.ended().fill(false);
        self.0.stop.store(false, Ordering::Release);
        if self.was_asked_to_stop() {
            self.0.stop.store(true, Ordering::Release);
        }
    }

    /// Whether the shards have been asked to stop.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }

    /// Asks for a savepoint: a checkpoint that keeps this name and stays until somebody removes it.
    /// It is taken as soon as no other checkpoint is under way; nothing comes of it in an engine
    /// without checkpoints, or once all inputs have ended. Where there is one of that name already
    /// it is left as it is, and [`notices`](Self::notices) says so.
    ///
    /// # Errors
    /// If no savepoint can have this name.
    pub fn savepoint(&self, name: &str) -> Result<(), CheckpointError> {
        checkpoint::check_name(name)?;
        self.savepoints().push_back(name.to_owned());
        Ok(())
    }

    /// Names of savepoints that were asked for, the oldest first.
    pub(super) fn savepoints(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.savepoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was no error and nobody may miss of the checkpoints so far: each once, the last 64.
    pub fn notices(&self) -> Vec<Notice> {
        self.told().iter().cloned().collect()
    }

    fn told(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        self.0.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, notices: Vec<Notice>) {
        let mut told = self.told();
        for notice in notices {
            if !told.contains(&notice) {
                told.push_back(notice);
            }
        }
        let too_many = told.len().saturating_sub(NOTICES_MAX);
        told.drain(..too_many);
    }

    /// Counters of all shards, summed. They are read while the shards run: each is right, and they
    /// may be of slightly different moments.
    pub fn counters(&self) -> Counters {
        self.0.counters.iter().map(|shard| shard.snapshot()).sum()
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.0.counters.len()
    }

    pub(super) fn shard(&self, index: usize) -> Arc<ShardCounters> {
        self.0.counters[index].clone()
    }

    /// Stops the engine because of an error; the first one is kept.
    pub(super) fn fail(&self, error: Error) {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.0.stop.store(true, Ordering::Release);
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until every shard has built its pipeline, or the engine has been stopped.
    pub(super) fn meet(&self) {
        self.0.built.fetch_add(1, Ordering::AcqRel);
        while self.0.built.load(Ordering::Acquire) < self.shards() && !self.is_stopped() {
            std::thread::yield_now();
        }
    }
}
