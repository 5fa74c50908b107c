//! Answers that are kept, and questions that are asked once for all who ask.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::Shown;
use crate::error::ConfigError;
use crate::state::{Key, Stored, Table};
use crate::time::{Timestamp, nanos};

/// How many answers are kept on a shard, and for how long, by processing time.
///
/// When there is no room an answer leaves that was not used lately (CLOCK: one that was used since
/// the hand last passed gets a second chance). That there is nothing to be found is an answer too,
/// with a time of its own; what went wrong is not kept. Records that ask for the same key while a
/// call for it is under way wait for that one call.
///
/// ```
/// use millstream::{lookup::Cache, secs};
/// let cache = Cache::of(10_000, secs(60)).missing(secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    keys: usize,
    found: Duration,
    missing: Duration,
}

impl Cache {
    /// Keeps the answers for so many keys, each for so long.
    pub const fn of(keys: usize, life: Duration) -> Self {
        Self { keys, found: life, missing: life }
    }

    /// Keeps for this long that there is nothing for a key; zero: not at all. As long as other
    /// answers, unless set.
    pub const fn missing(self, life: Duration) -> Self {
        Self { missing: life, ..self }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        if self.keys == 0 || self.keys > KEYS_MAX {
            let reason = format!("from 1 to {KEYS_MAX} keys");
            return Err(ConfigError::setting("lookup cache", self.keys, reason));
        }
        if self.found.is_zero() {
            return Err(ConfigError::setting("lookup cache", "0 ns", "nothing would be kept"));
        }
        Ok(())
    }

    /// What the entries take, in bytes.
    pub(super) const fn bytes<K, A>(self) -> usize {
        self.keys.saturating_mul(size_of::<Entry<K, A>>() + size_of::<(K, u32)>())
    }
}

/// A cache is memory that is taken before it is filled.
const KEYS_MAX: usize = 1 << 26;

/// What is known about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<A> {
    /// The answer, from an earlier call.
    Known(Option<A>),
    /// This call, which is under way, will bring the answer.
    Asked(u32),
    /// Nothing.
    Unknown,
}

/// What an operator remembers of its questions: [`Cached`] answers, or [`NoCache`].
pub trait Memo<Q, A>: Stored {
    /// What is known about a question now.
    fn find(&mut self, request: &Q, now: Timestamp) -> Found<A>;
    /// A call for it is under way.
    fn asked(&mut self, request: &Q, call: u32);
    /// That call has brought an answer, or has failed.
    fn settle(&mut self, request: &Q, answer: Option<&Option<A>>, now: Timestamp);
    /// No call is under way.
    fn forget_calls(&mut self);
    /// Shows the answers that are kept.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>));
}

/// Remembers nothing: every record is a call.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct NoCache;

impl<Q, A> Memo<Q, A> for NoCache {
    #[inline(always)]
    fn find(&mut self, _: &Q, _: Timestamp) -> Found<A> {
        Found::Unknown
    }
    fn asked(&mut self, _: &Q, _: u32) {}
    fn settle(&mut self, _: &Q, _: Option<&Option<A>>, _: Timestamp) {}
    fn forget_calls(&mut self) {}
    fn inspect(&self, _: &mut dyn FnMut(Shown<'_>)) {}
}

/// Answers by key.
#[derive(Serialize, Deserialize)]
#[serde(bound = "K: Key, A: Stored")]
pub struct Cached<K: Key, A> {
    /// Where in `entries` a key is.
    places: Table<K, u32>,
    entries: Vec<Entry<K, A>>,
    /// The entry that is looked at first when one must leave.
    hand: usize,
    /// The calls that are under way.
    calls: Table<K, u32>,
    settings: Cache,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry<K, A> {
    key: K,
    answer: Option<A>,
    /// The first moment at which it does not count any more.
    until: Timestamp,
    used: bool,
}

/// How many entries the hand passes at most: after so many second chances there is none.
const CHANCES: usize = 16;

impl<K: Key, A> Cached<K, A> {
    /// Nothing is known.
    pub(super) fn new(settings: Cache, seed: u64) -> Self {
        Self {
            places: Table::new(seed),
            entries: Vec::with_capacity(settings.keys.min(KEYS_MAX)),
            hand: 0,
            calls: Table::new(seed),
            settings,
        }
    }

    /// The entry that has to leave, if there is no room.
    fn victim(&mut self) -> usize {
        for _ in 0..CHANCES {
            match self.entries.get_mut(self.hand) {
                Some(entry) if entry.used => entry.used = false,
                _ => break,
            }
            self.hand = (self.hand + 1) % self.entries.len();
        }
        let victim = self.hand;
        self.hand = (self.hand + 1) % self.entries.len();
        victim
    }

    fn keep(&mut self, key: K, answer: Option<A>, until: Timestamp) {
        let entry = Entry { key, answer, until, used: false };
        if let Some(place) = self.places.get(key) {
            if let Some(known) = self.entries.get_mut(*place as usize) {
                *known = entry;
            }
            return;
        }
        let place = if self.entries.len() < self.settings.keys {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let victim = self.victim();
            let gone = std::mem::replace(&mut self.entries[victim], entry);
            self.places.remove(gone.key);
            victim
        };
        *self.places.entry(key) = place as u32;
    }
}

impl<K: Key, A: Clone + Stored> Memo<K, A> for Cached<K, A> {
    #[inline]
    fn find(&mut self, key: &K, now: Timestamp) -> Found<A> {
        if let Some(place) = self.places.get(*key)
            && let Some(entry) = self.entries.get_mut(*place as usize)
            && now < entry.until
        {
            entry.used = true;
            return Found::Known(entry.answer.clone());
        }
        self.calls.get(*key).map_or(Found::Unknown, |call| Found::Asked(*call))
    }

    fn asked(&mut self, key: &K, call: u32) {
        *self.calls.entry(*key) = call;
    }

    fn settle(&mut self, key: &K, answer: Option<&Option<A>>, now: Timestamp) {
        self.calls.remove(*key);
        let Some(answer) = answer else { return };
        let life = if answer.is_some() { self.settings.found } else { self.settings.missing };
        if !life.is_zero() {
            self.keep(*key, answer.clone(), now.offset(nanos(life)));
        }
    }

    fn forget_calls(&mut self) {
        self.calls = Table::new(0);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        for entry in &self.entries {
            each(Shown::value("lookup", &entry.key, &entry.answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ns;

    fn known(cache: &mut Cached<u32, u32>, key: u32, now: i64) -> Option<Option<u32>> {
        match cache.find(&key, Timestamp(now)) {
            Found::Known(answer) => Some(answer),
            _ => None,
        }
    }

    fn keep(cache: &mut Cached<u32, u32>, key: u32, answer: Option<u32>, now: i64) {
        cache.settle(&key, Some(&answer), Timestamp(now));
    }

    #[test]
    fn answers_live_their_time_and_missing_ones_theirs() {
        let mut cache = Cached::new(Cache::of(9, ns(100)).missing(ns(10)), 1);
        keep(&mut cache, 1, Some(7), 0);
        keep(&mut cache, 2, None, 0);
        assert_eq!((known(&mut cache, 1, 99), known(&mut cache, 1, 100)), (Some(Some(7)), None));
        assert_eq!((known(&mut cache, 2, 9), known(&mut cache, 2, 10)), (Some(None), None));
        keep(&mut cache, 2, Some(8), 50);
        assert_eq!(known(&mut cache, 2, 149), Some(Some(8)), "renewed in its place");
        let mut cache = Cached::new(Cache::of(9, ns(100)).missing(ns(0)), 1);
        keep(&mut cache, 2, None, 0);
        assert_eq!(known(&mut cache, 2, 0), None, "not kept at all");
    }

    #[test]
    fn what_was_not_used_lately_leaves_first() {
        let mut cache = Cached::new(Cache::of(3, ns(1000)), 1);
        (0..3).for_each(|key| keep(&mut cache, key, Some(key), 0));
        assert!(known(&mut cache, 0, 1).is_some() && known(&mut cache, 2, 1).is_some());
        keep(&mut cache, 3, Some(3), 1);
        let left: Vec<_> = (0..4).filter(|key| known(&mut cache, *key, 2).is_some()).collect();
        assert_eq!(left, [0, 2, 3]);
    }

    /// However many are used, the hand passes a bounded number of them, and the table and the
    /// entries agree.
    #[test]
    fn it_never_holds_more_than_it_may() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut cache = Cached::new(Cache::of(40, ns(1000)), 1);
        for now in 0..20_000 {
            let key = random.u32(..120);
            match known(&mut cache, key, now) {
                Some(answer) => assert_eq!(answer, Some(key * 2)),
                None => keep(&mut cache, key, Some(key * 2), now),
            }
            assert!(cache.entries.len() <= 40 && cache.places.len() == cache.entries.len());
        }
    }

    #[test]
    fn a_call_under_way_is_found_until_it_is_settled() {
        let mut cache = Cached::<u32, u32>::new(Cache::of(3, ns(1000)), 1);
        cache.asked(&5, 17);
        assert_eq!(cache.find(&5, Timestamp(0)), Found::Asked(17));
        cache.settle(&5, None, Timestamp(0));
        assert_eq!(cache.find(&5, Timestamp(0)), Found::Unknown, "failures are not kept");
    }

    #[test]
    fn impossible_caches_are_refused() {
        assert!(Cache::of(0, ns(1)).check().is_err());
        assert!(Cache::of(1, ns(0)).check().is_err());
        assert!(Cache::of(usize::MAX, ns(1)).check().is_err());
        assert!(Cache::of(1, ns(1)).missing(ns(0)).check().is_ok());
    }
}
