//! A subscriber's queue, and what becomes of one who is slow.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::sync::Notify;

use crate::web::counts::{Count, Counts};

/// What becomes of records for a subscriber who does not read fast enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Of each key he gets the latest; where more keys wait than his queue holds, the oldest of
    /// them is dropped.
    Conflate,
    /// He does not get the oldest.
    DropOldest,
    /// He is disconnected.
    Disconnect,
}

/// A record as it is sent, written once for all.
#[derive(Clone)]
pub struct Frame {
    /// As a server-sent event.
    pub event: Bytes,
    /// The text alone.
    pub text: Bytes,
}

impl Frame {
    /// Of a text, which may have lines.
    pub fn new(text: &str) -> Self {
        const BEGINS: &str = "data: ";
        let is_one_line = !text.contains(['\n', '\r']);
        let mut event = String::with_capacity(text.len() + BEGINS.len() + 2);
        if is_one_line {
            event.extend([BEGINS, text, "\n"]);
        } else {
            // What ends a line here ends one there too, and no text can begin a field of its own.
            for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
                event.extend([BEGINS, line, "\n"]);
            }
        }
        event.push('\n');
        let event = Bytes::from(event);
        let text = match is_one_line {
            true => event.slice(BEGINS.len()..BEGINS.len() + text.len()),
            false => Bytes::copy_from_slice(text.as_bytes()),
        };
        Self { event, text }
    }
}

/// Why a subscriber gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream is over.
    Stream,
    /// He was too slow.
    TooSlow,
}

impl End {
    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stream => "end of stream",
            Self::TooSlow => "too slow",
        }
    }
}

/// What a subscriber gets next.
pub enum Next {
    Frame(Frame),
    End(End),
}

/// One who has asked for a stream.
pub struct Subscriber {
    queue: Mutex<Queue>,
    came: Notify,
    /// Rung when his connection is to be cut, whatever it has not sent.
    cut: Arc<Notify>,
}

struct Queue {
    /// Those that he wants; all without it.
    keys: Option<HashSet<Box<str>>>,
    /// The latest of each key when he came: not counted as waiting.
    snapshot: VecDeque<Frame>,
    waiting: VecDeque<(Arc<str>, Frame)>,
    /// How many have been taken off `waiting` in all.
    taken: u64,
    /// Of each key that waits its place, counted from the first that ever waited. Only where it is
    /// the policy.
    places: HashMap<Arc<str>, u64>,
    end: Option<End>,
    /// Has got something since he was woken last.
    is_new: bool,
    /// What had been taken when he was last looked at, and at how many looks that was so.
    seen: (u64, u32),
}

impl Queue {
    fn pop(&mut self) -> Option<Frame> {
        if let Some(frame) = self.snapshot.pop_front() {
            self.seen.1 = 0;
            return Some(frame);
        }
        let (key, frame) = self.waiting.pop_front()?;
        self.places.remove(&key);
        self.taken += 1;
        Some(frame)
    }

    fn push(&mut self, key: &Arc<str>, frame: Frame, slow: Slow) {
        if slow == Slow::Conflate {
            self.places.insert(key.clone(), self.taken + self.waiting.len() as u64);
        }
        self.waiting.push_back((key.clone(), frame));
        self.is_new = true;
    }

    /// The record of a key that waits.
    fn of_key(&mut self, key: &str) -> Option<&mut Frame> {
        let place = self.places.get(key)? - self.taken;
        self.waiting.get_mut(place as usize).map(|(_, frame)| frame)
    }
}

impl Subscriber {
    /// One who wants these keys, or all, and gets this snapshot first.
    pub fn new(
        keys: Option<HashSet<Box<str>>>,
        snapshot: VecDeque<Frame>,
        cut: Arc<Notify>,
    ) -> Self {
        let queue = Queue {
            keys,
            snapshot,
            waiting: VecDeque::new(),
            taken: 0,
            places: HashMap::new(),
            end: None,
            is_new: false,
            seen: (0, 0),
        };
        Self { queue: Mutex::new(queue), came: Notify::new(), cut }
    }

    /// He wants other keys from now on. What waits for him of those that are in snapshots is older
    /// than what he gets now.
    pub fn set_keys(
        &self,
        keys: Option<HashSet<Box<str>>>,
        snapshot: VecDeque<Frame>,
        is_kept: impl Fn(&str) -> bool,
    ) {
        let mut queue = self.lock();
        let is_wanted = |key: &str| keys.as_ref().is_none_or(|keys| keys.contains(key));
        queue.waiting.retain(|(key, _)| is_wanted(key) && !is_kept(key));
        let Queue { places, waiting, taken, .. } = &mut *queue;
        places.clear();
        places.extend(waiting.iter().zip(*taken..).map(|((key, _), place)| (key.clone(), place)));
        queue.keys = keys;
        queue.snapshot = snapshot;
        drop(queue);
        self.came.notify_one();
    }

    /// Gives him a record if he wants it.
    pub fn offer(&self, key: &Arc<str>, frame: &Frame, most: usize, slow: Slow, counts: &Counts) {
        let mut queue = self.lock();
        let is_wanted = queue.keys.as_ref().is_none_or(|keys| keys.contains(&**key));
        if queue.end.is_some() || !is_wanted {
            return;
        }
        if slow == Slow::Conflate
            && let Some(waiting) = queue.of_key(key)
        {
            *waiting = frame.clone();
            counts.add(Count::Conflated, 1);
            return;
        }
        if queue.waiting.len() >= most {
            if slow == Slow::Disconnect {
                counts.add(Count::Dropped, 1);
                return self.cut(&mut queue, counts);
            }
            // What is left of a snapshot stays: it is older, and others of its key may not come.
            let left = std::mem::take(&mut queue.snapshot);
            queue.pop();
            queue.snapshot = left;
            counts.add(Count::Dropped, 1);
        }
        queue.push(key, frame.clone(), slow);
    }

    /// He gets nothing more, and his connection is cut.
    fn cut(&self, queue: &mut Queue, counts: &Counts) {
        counts.add(Count::TooSlow, 1);
        counts.add(Count::Dropped, queue.waiting.len() as u64);
        (queue.snapshot, queue.waiting) = Default::default();
        queue.places.clear();
        queue.end = Some(End::TooSlow);
        queue.is_new = true;
        self.cut.notify_one();
    }

    /// Looks whether he takes what waits for him: if not at so many looks in a row, he is gone.
    pub fn look(&self, most: u32, counts: &Counts) {
        let mut queue = self.lock();
        let waits = !queue.waiting.is_empty() || !queue.snapshot.is_empty();
        if !waits || queue.seen.0 != queue.taken {
            queue.seen = (queue.taken, 0);
        } else {
            queue.seen.1 += 1;
            if queue.seen.1 >= most {
                self.cut(&mut queue, counts);
            }
        }
    }

    /// Tells him of the end, behind what waits for him.
    pub fn end(&self, end: End) {
        let mut queue = self.lock();
        queue.end.get_or_insert(end);
        drop(queue);
        self.came.notify_one();
    }

    /// Wakes him if there is something new.
    pub fn wake(&self) {
        if std::mem::take(&mut self.lock().is_new) {
            self.came.notify_one();
        }
    }

    /// Comes back when his connection is to be cut.
    pub async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// What he gets next, as soon as there is something.
    pub async fn next(&self) -> Next {
        loop {
            {
                let mut queue = self.lock();
                if let Some(frame) = queue.pop() {
                    return Next::Frame(frame);
                }
                if let Some(end) = queue.end {
                    return Next::End(end);
                }
            }
            self.came.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
