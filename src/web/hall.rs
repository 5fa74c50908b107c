//! A stream on the server's thread: the latest of each key, and those who have subscribed.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::dataflow::{Fabric, Pipeline};
use crate::error::ConfigError;
use crate::web::counts::{Count, Counts};
use crate::web::outgoing::{Over, Post, Receipt};
use crate::web::sink::Publishing;
use crate::web::subscriber::{End, Frame, Subscriber};
use crate::web::writing::Writing;

/// How often subscribers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The keys that a subscriber wants; all without it.
pub type Keys = Option<HashSet<Box<str>>>;

/// Where records of all shards become texts, and texts go to whoever has subscribed.
pub struct Hall {
    state: Mutex<State>,
    settings: Publishing,
    counts: Counts,
    /// Subscribers whose connections are there, and may hold what they have not been sent.
    present: AtomicUsize,
    left: Notify,
}

struct State {
    /// Where the shards meet whose sinks these are.
    fabric: Weak<Fabric>,
    /// How many pipelines there have been.
    pipeline: u64,
    shards: Vec<Shard>,
    has_keys: bool,
    latest: BTreeMap<Arc<str>, Frame>,
    subscribers: Vec<Arc<Subscriber>>,
    ended: bool,
    /// Given when all is over.
    receipts: Vec<Receipt>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shard {
    Away,
    Sends,
    Ended,
}

impl Hall {
    /// Nobody is there.
    pub fn new(settings: Publishing, counts: Counts) -> Self {
        let state = State {
            fabric: Weak::new(),
            pipeline: 0,
            shards: Vec::new(),
            has_keys: false,
            latest: BTreeMap::new(),
            subscribers: Vec::new(),
            ended: false,
            receipts: Vec::new(),
        };
        let (state, present, left) = (Mutex::new(state), AtomicUsize::new(0), Notify::new());
        Self { state, settings, counts, present, left }
    }

    /// The sink of a shard that is being built will send, in the place of one of a pipeline that
    /// was there before. Returns the number of this one.
    ///
    /// # Errors
    /// The pipeline has one already.
    pub fn attach(&self, p: Pipeline<'_>, name: &str, has_keys: bool) -> Result<u64, ConfigError> {
        let mut state = self.lock();
        let fabric = Arc::downgrade(&p.fabric());
        if !state.fabric.ptr_eq(&fabric) {
            *state = State {
                fabric,
                pipeline: state.pipeline + 1,
                has_keys,
                latest: std::mem::take(&mut state.latest),
                subscribers: std::mem::take(&mut state.subscribers),
                shards: Vec::new(),
                ended: false,
                receipts: Vec::new(),
            };
        }
        state.shards.resize(p.shards(), Shard::Away);
        if std::mem::replace(&mut state.shards[p.shard()], Shard::Sends) == Shard::Sends {
            let reason = format!("`{name}` takes the records of two sinks of one pipeline");
            return Err(ConfigError::Pipeline(reason));
        }
        Ok(state.pipeline)
    }

    /// Publishes what a shard of a pipeline sends until nothing more will come.
    pub async fn run<T: 'static>(
        self: Arc<Self>,
        mut post: Post<T>,
        mut writing: Writing<T>,
        (pipeline, shard): (u64, usize),
    ) {
        let (mut key, mut text) = (String::new(), Vec::new());
        let take = |value: T| {
            key.clear();
            text.clear();
            let is_written = writing.write(&value, &mut key, &mut text);
            match std::str::from_utf8(&text) {
                Ok(text) if is_written && text.len() <= self.settings.text_bytes_max => {
                    self.publish(&key, text);
                }
                _ => self.counts.add(Count::Unwritable, 1),
            }
        };
        let over = post.each(take, || self.wake()).await;
        self.on_over(pipeline, shard, over, post.receipt()).await;
    }

    fn publish(&self, key: &str, text: &str) {
        let frame = Frame::new(text);
        let mut state = self.lock();
        let key = match state.latest.get_key_value(key) {
            Some((known, _)) => known.clone(),
            None => Arc::from(key),
        };
        if state.latest.len() < self.settings.keys_max || state.latest.contains_key(&key) {
            state.latest.insert(key.clone(), frame.clone());
        } else {
            self.counts.add(Count::NotKept, 1);
        }
        let Publishing { queue_max, slow, .. } = self.settings;
        for subscriber in &state.subscribers {
            subscriber.offer(&key, &frame, queue_max, slow, &self.counts);
        }
        self.counts.add(Count::Published, 1);
    }

    /// There is nothing more for anybody, whatever shards still send.
    pub fn close(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.subscribers.iter().for_each(|subscriber| subscriber.end(End::Stream));
    }

    fn wake(&self) {
        self.lock().subscribers.iter().for_each(|subscriber| subscriber.wake());
    }

    /// A shard sends nothing more. When all have said so, the stream is over, and the shards hear
    /// when everybody has got all of it, or has had the time to.
    async fn on_over(&self, pipeline: u64, shard: usize, over: Over, receipt: Receipt) {
        {
            let mut state = self.lock();
            if state.pipeline != pipeline {
                return;
            }
            let Some(place) = state.shards.get_mut(shard) else { return };
            if over == Over::Lost {
                *place = Shard::Away;
                return;
            }
            *place = Shard::Ended;
            state.receipts.push(receipt);
            if state.shards.iter().any(|shard| *shard != Shard::Ended) {
                return;
            }
            state.ended = true;
            state.subscribers.iter().for_each(|subscriber| subscriber.end(End::Stream));
        }
        let all_left = async {
            while self.present.load(Ordering::Acquire) > 0 {
                self.left.notified().await;
            }
        };
        let _ = tokio::time::timeout(self.settings.linger, all_left).await;
        self.lock().receipts.drain(..).for_each(|receipt| receipt.give());
    }

    /// Lets somebody in, with the latest of each key that he wants.
    pub fn subscribe(
        self: &Arc<Self>,
        keys: Keys,
        cut: Arc<Notify>,
    ) -> Result<(Subscription, Present), NotSubscribed> {
        let mut state = self.lock();
        if keys.is_some() && !state.has_keys {
            return Err(NotSubscribed::NoKeys);
        }
        if self.present.load(Ordering::Acquire) >= self.settings.subscribers_max {
            self.counts.add(Count::NotSubscribed, 1);
            return Err(NotSubscribed::Full);
        }
        let snapshot = snapshot(&state, &keys);
        let subscriber = Arc::new(Subscriber::new(keys, snapshot, cut));
        if state.ended {
            subscriber.end(End::Stream);
        }
        state.subscribers.push(subscriber.clone());
        self.counts.add(Count::Subscribed, 1);
        self.present.fetch_add(1, Ordering::AcqRel);
        let hall = self.clone();
        Ok((Subscription { hall: hall.clone(), subscriber }, Present(hall)))
    }

    /// Cuts off those who take nothing, for as long as there is a hall.
    pub async fn look_after(hall: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(hall) = hall.upgrade() else { return };
            let most = hall.settings.stalled_max.as_secs().clamp(1, u32::MAX.into()) as u32;
            let state = hall.lock();
            for subscriber in &state.subscribers {
                subscriber.look(most, &hall.counts);
                subscriber.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn snapshot(state: &State, keys: &Keys) -> VecDeque<Frame> {
    match keys {
        None => state.latest.values().cloned().collect(),
        Some(keys) => {
            let mut keys: Vec<_> = keys.iter().collect();
            keys.sort_unstable();
            keys.into_iter().filter_map(|key| state.latest.get(&**key).cloned()).collect()
        }
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSubscribed {
    /// He wants keys, and there are none.
    NoKeys,
    /// There are as many as there may be.
    Full,
}

/// One who is let in; he is out when it is dropped.
pub struct Subscription {
    hall: Arc<Hall>,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// The subscriber.
    pub fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// Counts what he has been sent.
    pub fn sent(&self) {
        self.hall.counts.add(Count::Sent, 1);
    }

    /// He wants other keys from now on, and gets the latest of those. False if there are none.
    pub fn set_keys(&self, keys: Keys) -> bool {
        let state = self.hall.lock();
        if keys.is_some() && !state.has_keys {
            return false;
        }
        let snapshot = snapshot(&state, &keys);
        self.subscriber.set_keys(keys, snapshot, |key| state.latest.contains_key(key));
        true
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hall.counts.add(Count::Unsubscribed, 1);
        let mut state = self.hall.lock();
        if let Some(at) = state.subscribers.iter().position(|it| Arc::ptr_eq(it, &self.subscriber))
        {
            state.subscribers.swap_remove(at);
        }
    }
}

/// Held by the connection of a subscriber until it is over.
pub struct Present(Arc<Hall>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_one();
    }
}
