//! From the server to the shards: a ring to each, and a source that empties it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::dataflow::{Fabric, Pipeline, Record};
use crate::error::{ConfigError, IoError};
use crate::exchange::{PipeReceiver, PipeSender, pipe, pipe_bytes};
use crate::io::Polled;
use crate::memory::Bell;
use crate::time::Timestamp;

/// The server's end of the ring to one shard, and what is needed there.
pub struct Lane<T, X> {
    sender: PipeSender<T>,
    bell: Arc<Bell>,
    capacity: usize,
    pub tools: X,
}

impl<T, X> Lane<T, X> {
    /// How many values it can ever hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many values fit in now.
    pub fn room(&self) -> usize {
        self.sender.room()
    }

    /// Whether the shard is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Puts values in and wakes the shard. There must be room.
    pub fn send(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            let pushed = self.sender.push(value);
            debug_assert!(pushed.is_ok(), "there was room, and only this end takes it");
        }
        self.bell.ring();
    }
}

/// A lane that requests take turns at, in the order in which they came.
pub type Shared<T, X> = Arc<tokio::sync::Mutex<Lane<T, X>>>;

/// How a lane is made.
pub struct Shape<'a> {
    /// At which name.
    pub name: &'a str,
    /// How many values it holds.
    pub capacity: usize,
    /// How long requests wait for it.
    pub patience: Duration,
}

/// The lanes to all shards of the pipeline that is there now.
pub struct Lanes<T, X>(Mutex<Attached<T, X>>);

/// A lane, and whether its shard has begun: until then nothing is sent there, since a pipeline may
/// be built only to be looked at.
struct Place<T, X> {
    lane: Shared<T, X>,
    begun: Arc<AtomicBool>,
}

impl<T, X> Place<T, X> {
    /// One that somebody works with now is not looked at: it leads somewhere, or he will see.
    fn is_closed(&self) -> bool {
        self.lane.try_lock().is_ok_and(|lane| lane.is_closed())
    }

    fn leads_somewhere(&self) -> bool {
        self.begun.load(Ordering::Acquire) && !self.is_closed()
    }
}

struct Attached<T, X> {
    /// Where the shards meet that they lead to.
    pipeline: Weak<Fabric>,
    lanes: Vec<Option<Place<T, X>>>,
    patience: Duration,
    turn: u64,
    stopped: bool,
}

impl<T, X> Attached<T, X> {
    /// The lanes that lead somewhere.
    fn live(&self) -> impl Iterator<Item = &Shared<T, X>> {
        let places = self.lanes.iter().flatten();
        places.filter(|place| place.leads_somewhere()).map(|place| &place.lane)
    }
}

impl<T, X> Default for Lanes<T, X> {
    fn default() -> Self {
        Self(Mutex::new(Attached {
            pipeline: Weak::new(),
            lanes: Vec::new(),
            patience: Duration::ZERO,
            turn: 0,
            stopped: false,
        }))
    }
}

impl<T, X> Lanes<T, X> {
    /// A lane to the shard that is being built, in the place of one to a pipeline that was there
    /// before.
    ///
    /// # Errors
    /// The pipeline has one already; or the capacity is none.
    pub fn attach(
        &self,
        p: Pipeline<'_>,
        Shape { name, capacity, patience }: Shape<'_>,
        tools: X,
    ) -> Result<Incoming<T>, ConfigError> {
        if !(1..=1 << 22).contains(&capacity) {
            let reason = "must be 1 to 4194304";
            return Err(ConfigError::setting("ring_capacity of a source", capacity, reason));
        }
        let mut attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fabric, shard) = (p.fabric(), p.shard());
        let pipeline = Arc::downgrade(&fabric);
        if !attached.pipeline.ptr_eq(&pipeline) {
            attached.pipeline = pipeline;
            attached.lanes.clear();
        }
        attached.patience = patience;
        attached.lanes.resize_with(p.shards(), || None);
        if attached.lanes[shard].as_ref().is_some_and(|place| !place.is_closed()) {
            let reason = format!("`{name}` feeds two sources of one pipeline");
            return Err(ConfigError::Pipeline(reason));
        }
        let (sender, receiver) = pipe(capacity);
        p.reserve_bytes(pipe_bytes::<T>(capacity));
        let begun = Arc::<AtomicBool>::default();
        if !attached.stopped {
            let lane = Lane { sender, bell: fabric.bell(shard), capacity, tools };
            let lane = Arc::new(tokio::sync::Mutex::new(lane));
            attached.lanes[shard] = Some(Place { lane, begun: begun.clone() });
        }
        Ok(Incoming { receiver, promised: Timestamp::MIN, begun })
    }

    /// A lane of those that lead somewhere, by a number of the asker's, and how long to wait.
    pub fn pick(&self, number: u64) -> Option<(Shared<T, X>, Duration)> {
        let attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attached.live().count() as u64;
        let lane = attached.live().nth(number.checked_rem(count)? as usize)?;
        Some((lane.clone(), attached.patience))
    }

    /// A number for those who take turns, and how many lanes there are that lead somewhere.
    pub fn turn(&self) -> (u64, usize) {
        let mut attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attached.turn = attached.turn.wrapping_add(1);
        (attached.turn, attached.live().count())
    }

    /// Ends all sources, now and in pipelines to come, when what is in their rings is taken.
    pub fn stop(&self) {
        let mut attached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attached.stopped = true;
        // Whoever holds a lane this moment finishes with it.
        attached.lanes.clear();
    }
}

/// How often event time goes on by the clock while nothing comes.
const BEAT_NS: u64 = 1_000_000;

/// The shard's end.
pub struct Incoming<T> {
    receiver: PipeReceiver<T>,
    /// Nothing before it will come.
    promised: Timestamp,
    begun: Arc<AtomicBool>,
}

impl<T: 'static> Incoming<T> {
    /// What a source does in a poll. A record is of the moment at which it is taken; so event time
    /// goes on by the clock also while nothing comes, and windows close.
    #[inline]
    pub fn poll(
        &mut self,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        for _ in 0..budget {
            let Some(value) = self.receiver.pop() else { break };
            emit(Record::new(now, value));
        }
        if self.receiver.is_closed() {
            return Ok(Polled::ended());
        }
        if self.promised == Timestamp::MIN {
            self.begun.store(true, Ordering::Release);
        }
        let beats = self.promised == Timestamp::MIN || now.since(self.promised) >= BEAT_NS;
        if beats {
            self.promised = now;
        }
        Ok(Polled { watermark: beats.then_some(now), ..Polled::open() })
    }
}
