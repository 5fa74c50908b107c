//! What records look back on: all that is kept of them, and what is to be done with it next.

use serde::{Deserialize, Serialize};

use crate::state::{Chunks, Cursor, EachBulk, Key, Queue, Rescale, Rescaled, State, Table};
use crate::time::{Timestamp, Watermark};
use crate::window::pending::Pending;
use crate::window::{Aggregate, Entry, Fifo, Span};

/// How far back a window reaches.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Reach {
    /// So many nanoseconds before the record, which is in itself.
    Back(i64),
    /// So many records.
    Last(u32),
}

/// What a rolling operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How far back its windows reach.
    pub reach: Reach,
    /// Records that are fed, dropped or answered at most in one slice.
    pub fire_max: usize,
    /// Keys that may be held at most.
    pub keys_max: usize,
    /// Records that may be held at most.
    pub records_max: usize,
    /// Records of a batch at most.
    pub batch_max: usize,
    /// Seeds the table's hash.
    pub hash_seed: u64,
}

/// A result that is due.
pub struct Due<K, Acc> {
    pub key: K,
    pub at: Timestamp,
    pub span: Span,
    pub acc: Acc,
}

/// What one small piece of work led to.
pub enum Did<K, Acc> {
    /// There was nothing to do.
    Nothing,
    /// A record was fed to its window, or dropped from it.
    Moved,
    /// A record has its result.
    Answered(Due<K, Acc>),
}

/// The records of all keys: first waiting for the watermark, in order of time, then in the windows
/// of their keys, in the same order, until nothing can need them.
///
/// Since the order is one over all keys, each piece of work is the same whatever came before it in
/// the same slice or in another, and each is O(1), or O(log n) where records wait.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Held<K: Key, Acc: State> {
    reach: Reach,
    pending: Pending<(K, Acc)>,
    windows: Table<K, Fifo<Acc>>,
    chunks: Chunks<Entry<Acc, Timestamp>>,
    /// The records in windows, over all keys, the oldest first. Empty where none ever goes by time.
    order: Queue,
    ordered: Chunks<(Timestamp, K)>,
    /// The time in hand, and the keys of its records that are in their windows and have no result
    /// yet.
    time: Option<Timestamp>,
    peers: Queue,
    peering: Chunks<K>,
}

impl<K: Key, Acc: State> Rescaled for Held<K, Acc> {
    /// Shows the windows and what is in them.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.windows);
        self.chunks.bulk(each);
        self.ordered.bulk(each);
    }

    /// No record is waiting for its peers, at rest.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let first = from.first().ok_or("there was no shard")?;
        let mut all = Self::with_windows(first.reach, first.windows.empty());
        let Self { pending, windows, chunks, .. } = &mut all;
        let mut order: Vec<(Timestamp, K)> = Vec::new();
        for mut other in from {
            while let Some((at, (key, acc))) = other.pending.pop() {
                if to.owns(key) {
                    pending.push(at, (key, acc));
                }
            }
            windows.take_over(
                &other.windows,
                |key| to.owns(key),
                |_, fifo| {
                    *fifo = fifo.in_other(&other.chunks, chunks);
                },
            );
            while let Some((at, key)) = other.ordered.pop(&mut other.order) {
                if to.owns(key) {
                    order.push((at, key));
                }
            }
        }
        order.sort_by_key(|(at, _)| *at);
        order.into_iter().for_each(|one| all.ordered.push(&mut all.order, one));
        Ok(all)
    }
}

impl<K: Key, Acc: State> Held<K, Acc> {
    /// Nothing is held.
    pub fn new(settings: &Settings) -> Self {
        Self::with_windows(settings.reach, Table::new(settings.hash_seed))
    }

    fn with_windows(reach: Reach, windows: Table<K, Fifo<Acc>>) -> Self {
        Self {
            reach,
            pending: Pending::new(),
            windows,
            chunks: Chunks::new(),
            order: Queue::default(),
            ordered: Chunks::new(),
            time: None,
            peers: Queue::default(),
            peering: Chunks::new(),
        }
    }

    /// How many records are held.
    pub fn records(&self) -> usize {
        self.pending.len() + self.chunks.len()
    }

    /// How many keys have a window.
    pub fn keys(&self) -> usize {
        self.windows.len()
    }

    /// Shows what the window of each key comes to, as of the last record in it.
    pub fn visit<T, A: Aggregate<T, Acc = Acc>>(
        &self,
        aggregate: &A,
        mut each: impl FnMut(K, Acc),
    ) {
        self.windows.visit(&mut Cursor::default(), usize::MAX, |key, fifo| {
            each(key, fifo.total(&self.chunks, aggregate));
        });
    }

    /// A record comes, which the watermark has not passed.
    #[inline]
    pub fn push(&mut self, at: Timestamp, key: K, acc: Acc) {
        self.pending.push(at, (key, acc));
    }

    /// The next piece of work that the watermark allows. A record may still come at the watermark
    /// itself, so what is there waits.
    #[inline]
    pub fn act<T, A: Aggregate<T, Acc = Acc>>(
        &mut self,
        aggregate: &A,
        watermark: Watermark,
    ) -> Did<K, Acc> {
        let due = |at: &Timestamp| *at < watermark.at || watermark.is_end();
        let next = self.pending.next().filter(due);
        match (self.time, next) {
            (Some(time), next) if next != Some(time) => self.answer(aggregate, time),
            (Some(time), _) => self.feed(aggregate, time),
            (None, Some(next)) if self.drop_before(aggregate, next) => Did::Moved,
            (None, Some(next)) => self.feed(aggregate, next),
            (None, None) if watermark.is_end() => Did::Nothing,
            (None, None) if self.drop_before(aggregate, watermark.at) => Did::Moved,
            (None, None) => Did::Nothing,
        }
    }

    /// The next record that waits, which is of this time, goes into the window of its key.
    fn feed<T, A: Aggregate<T, Acc = Acc>>(
        &mut self,
        aggregate: &A,
        time: Timestamp,
    ) -> Did<K, Acc> {
        let Some((_, (key, acc))) = self.pending.pop() else { return Did::Nothing };
        let fifo = self.windows.entry(key);
        if let Reach::Last(records) = self.reach {
            if fifo.len() == records {
                fifo.pop(&mut self.chunks, aggregate);
            }
            fifo.push(&mut self.chunks, aggregate, acc, time);
            return self.due(aggregate, key, time);
        }
        fifo.push(&mut self.chunks, aggregate, acc, time);
        self.ordered.push(&mut self.order, (time, key));
        if self.peers.is_empty() && self.pending.next() != Some(time) {
            return self.due(aggregate, key, time);
        }
        self.time = Some(time);
        self.peering.push(&mut self.peers, key);
        Did::Moved
    }

    /// All records of this time are in their windows: the next of them has its result.
    fn answer<T, A: Aggregate<T, Acc = Acc>>(
        &mut self,
        aggregate: &A,
        time: Timestamp,
    ) -> Did<K, Acc> {
        let key = self.peering.pop(&mut self.peers);
        if self.peers.is_empty() {
            self.time = None;
        }
        key.map_or(Did::Nothing, |key| self.due(aggregate, key, time))
    }

    fn due<T, A: Aggregate<T, Acc = Acc>>(
        &self,
        aggregate: &A,
        key: K,
        at: Timestamp,
    ) -> Did<K, Acc> {
        let Some(fifo) = self.windows.get(key) else { return Did::Nothing };
        let start = match self.reach {
            Reach::Back(length) => at.offset(-length),
            Reach::Last(_) => fifo.front(&self.chunks).unwrap_or(at),
        };
        let span = Span { start, end: at.offset(1) };
        let acc = fifo.total(&self.chunks, aggregate);
        Did::Answered(Due { key, at, span, acc })
    }

    /// Drops the oldest record of all if windows that end at `at` do not reach back to it.
    #[inline]
    fn drop_before<T, A: Aggregate<T, Acc = Acc>>(&mut self, aggregate: &A, at: Timestamp) -> bool {
        let Reach::Back(length) = self.reach else { return false };
        if self.order.is_empty() {
            return false;
        }
        let (oldest, key) = self.ordered[self.order.front()];
        if oldest >= at.offset(-length) {
            return false;
        }
        self.ordered.pop(&mut self.order);
        if let Some(fifo) = self.windows.get_mut(key) {
            fifo.pop(&mut self.chunks, aggregate);
            if fifo.is_empty() {
                self.windows.remove(key);
            }
        }
        true
    }
}
