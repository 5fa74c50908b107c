//! Checkpoints of a running engine: who begins them, and who keeps what the shards bring.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::checkpoint::{self, Manifest, Notice, Store, Taken};
use crate::config::Config;
use crate::dataflow::{Epoch, Plan};
use crate::error::Error;
use crate::io::Files;
use crate::runtime::monitor::Monitor;
use crate::shard::{Shard, Snapshot};
use crate::time::{Clock, SystemClock};

/// A checkpoint, whole.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its number.
    pub epoch: Epoch,
    /// Makes it a savepoint.
    pub name: Option<String>,
    /// The engine's [`Config::hash_seed`].
    pub hash_seed: u64,
    /// What each shard has brought, in the order of shards.
    pub shards: Vec<Snapshot>,
}

/// Where complete checkpoints are kept. Asked on a thread of its own, which may block.
pub trait Keep: Send {
    /// Keeps a checkpoint. When it returns that is complete: it will be found after a crash. After
    /// an error it may be found or not; the engine begins again from what is.
    fn keep(&mut self, kept: Kept) -> Result<(), Error>;

    /// The newest checkpoint that is complete. `fits` says what is wrong with one for
    /// the pipeline that is to go on from it.
    fn newest(
        &mut self,
        fits: &dyn Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Epoch, Vec<Snapshot>)>, Error>;

    /// Whether it can keep a checkpoint that refers to those before it.
    fn takes_increments(&self) -> bool {
        false
    }

    /// Whether there can be a savepoint of this name.
    fn check_name(&mut self, _name: &str) -> Result<(), Error> {
        Ok(())
    }

    /// What is no error, and nobody may miss, of the last call of one of the others.
    fn notices(&self) -> Vec<Notice> {
        Vec::new()
    }
}

/// Keeps the last checkpoint in memory: enough to go on after an operator has panicked, and gone
/// with the process.
#[derive(Debug, Default)]
pub struct InMemory(Option<(Epoch, Vec<Snapshot>)>);

impl Keep for InMemory {
    fn keep(&mut self, Kept { epoch, shards, .. }: Kept) -> Result<(), Error> {
        self.0 = Some((epoch, shards));
        Ok(())
    }

    /// It is always of the same engine.
    fn newest(
        &mut self,
        _fits: &dyn Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Epoch, Vec<Snapshot>)>, Error> {
        Ok(self.0.clone())
    }
}

impl<F: Files + Send> Keep for Store<F> {
    fn keep(&mut self, kept: Kept) -> Result<(), Error> {
        let Kept { epoch, name, hash_seed, shards } = kept;
        let shards = shards.into_iter().map(Snapshot::into).collect();
        let complete_at = SystemClock::new().now();
        Self::keep(self, &Taken { epoch, name, hash_seed, complete_at, shards })?;
        Ok(())
    }

    fn newest(
        &mut self,
        fits: &dyn Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Epoch, Vec<Snapshot>)>, Error> {
        let newest = Self::newest(self, fits)?;
        Ok(newest.map(|(manifest, states)| {
            (manifest.epoch, states.into_iter().map(Into::into).collect())
        }))
    }

    fn takes_increments(&self) -> bool {
        true
    }

    fn check_name(&mut self, name: &str) -> Result<(), Error> {
        Ok(Self::check_name(self, name)?)
    }

    fn notices(&self) -> Vec<Notice> {
        Self::notices(self).to_vec()
    }
}

/// One in so many checkpoints is whole, unless set.
const WHOLE_EVERY: u32 = 8;

/// How often checkpoints are taken, and where they are kept.
#[derive(Clone)]
pub struct Checkpoints {
    every: Duration,
    /// One in so many is whole.
    whole_every: u32,
    keep: Arc<Mutex<dyn Keep>>,
}

impl Checkpoints {
    /// One begins so long after the one before was complete.
    pub fn every(every: Duration, keep: impl Keep + 'static) -> Self {
        let whole_every = if keep.takes_increments() { WHOLE_EVERY } else { 1 };
        Self { every, whole_every, keep: Arc::new(Mutex::new(keep)) }
    }

    /// One in so many is whole, 8 unless set; the others do not write again what has not changed
    /// since, and refer to the files where it is. 1 makes all of them whole. Kept in memory they
    /// always are, and so are savepoints.
    pub fn whole_every(mut self, checkpoints: u32) -> Self {
        if self.store().takes_increments() {
            self.whole_every = checkpoints.max(1);
        }
        self
    }

    /// Kept in a directory, the newest three of them, where another run will find them.
    ///
    /// # Errors
    /// If the directory cannot be created, or another process writes checkpoints there.
    pub fn in_directory(path: impl AsRef<Path>, every: Duration) -> Result<Self, Error> {
        Ok(Self::every(every, checkpoint::open(path, 3)?))
    }

    /// Keeps a checkpoint; it is complete when this returns.
    pub(super) fn keep(&self, kept: Kept) -> Result<(), Error> {
        self.store().keep(kept)
    }

    fn store(&self) -> MutexGuard<'_, dyn Keep + 'static> {
        self.keep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What nobody may miss of the last call.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.store().notices()
    }

    /// The newest checkpoint that is complete, for this pipeline.
    pub(super) fn newest(
        &self,
        config: &Config,
        plan: &Plan,
    ) -> Result<Option<(Epoch, Vec<Snapshot>)>, Error> {
        let (hash_seed, count) = (config.hash_seed, config.shards.count());
        let fits = |Manifest { hash_seed: seed, shards, .. }: &Manifest| {
            if *seed != hash_seed {
                return Err(format!("keys were hashed by seed {seed}, not {hash_seed}"));
            }
            let difference = shards.first().and_then(|first| match shards.len() == count {
                true => plan.difference(&first.plan),
                false => plan.difference_of_steps(&first.plan),
            });
            difference.map_or(Ok(()), |it| Err(format!("it was taken of another pipeline: {it}")))
        };
        self.store().newest(&fits)
    }
}

/// Told to all shards by the coordinator; the line of memory is written twice a checkpoint.
#[derive(Default)]
struct Told {
    /// The checkpoint to begin.
    begin: AtomicU64,
    /// Whether that is to be whole.
    is_whole: AtomicBool,
    /// The last one that is complete.
    complete: AtomicU64,
    /// All shards were done before the last one began: there will be no other.
    is_over: AtomicBool,
    /// Shards that have nothing more to do but for checkpoints.
    done: AtomicUsize,
}

/// What a shard has brought.
type Brought = (usize, Epoch, Result<Snapshot, Error>);

/// The thread that asks for checkpoints, as the shards see it.
pub struct Coordinator {
    checkpoints: Checkpoints,
    monitor: Monitor,
    told: Arc<Told>,
    brought: Receiver<Brought>,
    epoch: u64,
    /// Checkpoints since the last one that was whole.
    increments: u32,
    hash_seed: u64,
}

/// How long the coordinator sleeps between two looks at whether the engine has stopped.
const LOOK: Duration = Duration::from_millis(1);

impl Coordinator {
    /// One for an engine whose last checkpoint was `from`, and the desk of each shard.
    pub fn new(
        checkpoints: Checkpoints,
        monitor: Monitor,
        from: Option<Epoch>,
        hash_seed: u64,
    ) -> (Self, Vec<Desk>) {
        let (told, epoch) = (Arc::new(Told::default()), from.map_or(0, |epoch| epoch.0));
        told.begin.store(epoch, Ordering::Relaxed);
        told.complete.store(epoch, Ordering::Relaxed);
        let (sender, brought) = channel();
        let desk = |shard| Desk {
            shard,
            told: told.clone(),
            brought: sender.clone(),
            begun: epoch,
            completed: epoch,
            is_done: false,
        };
        let desks = (0..monitor.shards()).map(desk).collect();
        let increments = 0;
        (Self { checkpoints, monitor, told, brought, epoch, increments, hash_seed }, desks)
    }

    /// Takes checkpoints until the engine stops, or all shards are done and the last one is
    /// complete.
    pub fn run(mut self) {
        loop {
            if !self.pause() {
                return;
            }
            let is_last = self.told.done.load(Ordering::Acquire) == self.monitor.shards();
            // The last one is no savepoint: whoever goes on from the newest must find it.
            let name = if is_last { None } else { self.savepoint() };
            match self.take(name) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.monitor.fail(error),
            }
            if is_last {
                return self.told.is_over.store(true, Ordering::Release);
            }
        }
    }

    /// The name of a savepoint that was asked for, if it can have that.
    fn savepoint(&self) -> Option<String> {
        let name = self.monitor.savepoints().pop_front()?;
        let checked = self.checkpoints.store().check_name(&name);
        match checked {
            Ok(()) => Some(name),
            Err(refused) => {
                self.monitor.tell(vec![Notice::NotNamed { reason: refused.to_string() }]);
                None
            }
        }
    }

    /// Waits for the time of the next checkpoint, or until all shards are done. Returns whether the
    /// engine still runs.
    fn pause(&self) -> bool {
        let begun = Instant::now(); // tidy: on a thread of its own
        loop {
            if self.monitor.is_stopped() {
                return false;
            }
            let is_done = self.told.done.load(Ordering::Acquire) == self.monitor.shards();
            let left = self.checkpoints.every.saturating_sub(begun.elapsed());
            if is_done || left.is_zero() || !self.monitor.savepoints().is_empty() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Takes one checkpoint, or a savepoint of this name. Returns whether the engine still runs.
    fn take(&mut self, name: Option<String>) -> Result<bool, Error> {
        self.epoch += 1;
        self.increments = self.increments.saturating_add(1);
        let is_whole = name.is_some() || self.increments >= self.checkpoints.whole_every;
        self.increments = match is_whole {
            // Nothing may refer to a savepoint, which is its owner's; so the next is whole too.
            true if name.is_some() => self.checkpoints.whole_every,
            true => 0,
            false => self.increments,
        };
        self.told.is_whole.store(is_whole, Ordering::Relaxed);
        self.told.begin.store(self.epoch, Ordering::Release);
        let mut shards: Vec<Option<Snapshot>> = (0..self.monitor.shards()).map(|_| None).collect();
        while shards.iter().any(Option::is_none) {
            match self.brought.recv_timeout(LOOK) {
                Ok((shard, Epoch(epoch), snapshot)) if epoch == self.epoch => {
                    shards[shard] = Some(snapshot?);
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
            if self.monitor.is_stopped() {
                return Ok(false);
            }
        }
        let shards = shards.into_iter().flatten().collect();
        let (epoch, hash_seed) = (Epoch(self.epoch), self.hash_seed);
        self.checkpoints.keep(Kept { epoch, name, hash_seed, shards })?;
        self.monitor.tell(self.checkpoints.notices());
        self.told.complete.store(self.epoch, Ordering::Release);
        Ok(true)
    }
}

/// Where a shard hears of checkpoints and brings what it holds.
pub struct Desk {
    shard: usize,
    told: Arc<Told>,
    brought: Sender<Brought>,
    begun: u64,
    completed: u64,
    is_done: bool,
}

impl Desk {
    /// Looks at what was told, which costs two loads of a line that hardly ever changes, and lets
    /// the shard do it. Once a step.
    #[inline(always)]
    pub fn look(&mut self, shard: &mut Shard) {
        let begin = self.told.begin.load(Ordering::Relaxed);
        let complete = self.told.complete.load(Ordering::Relaxed);
        if begin > self.completed || complete > self.completed {
            self.attend(begin, complete, shard);
        }
    }

    #[cold]
    fn attend(&mut self, begin: u64, complete: u64, shard: &mut Shard) {
        if begin > self.begun {
            self.begun = begin;
            // Told before `begin`, whose load is repeated to see it.
            self.told.begin.load(Ordering::Acquire);
            match self.told.is_whole.load(Ordering::Relaxed) {
                true => shard.begin_checkpoint(Epoch(begin)),
                false => shard.begin_increment(Epoch(begin)),
            }
        }
        if let Some((epoch, snapshot)) = shard.take_checkpoint() {
            // Nobody listens any more once the engine has stopped.
            let _ = self.brought.send((self.shard, epoch, snapshot));
        }
        if complete > self.completed {
            self.completed = complete;
            shard.complete_checkpoint(Epoch(complete));
        }
    }

    /// Whether the shard, which is done, has nothing more to bring either.
    pub fn is_over(&mut self) -> bool {
        if !std::mem::replace(&mut self.is_done, true) {
            self.told.done.fetch_add(1, Ordering::AcqRel);
        }
        self.told.is_over.load(Ordering::Acquire)
            && self.completed == self.told.complete.load(Ordering::Acquire)
    }
}
