//! State with a time to live: what has expired is gone, whether or not it has been cleared away.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::{Cursor, Table};
use super::{Key, State};
use crate::error::ConfigError;
use crate::time::{Timestamp, nanos};

/// How long the state of a key lives, from when, and by which clock.
///
/// Unless told otherwise a key lives for so long after it was last written, in event time. Expiry
/// is exact to the nanosecond: a value that has expired is never seen again. Its place is taken
/// back later, in passing: each record looks at two places of the table, so no step ever has to
/// clear away much, and at worst as many places are held as twice the keys that live.
///
/// ```
/// use millstream::{secs, state::Ttl};
/// let session = Ttl::of(secs(1800)).on_read();
/// let cache = Ttl::of(secs(60)).processing_time();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    span: Duration,
    renewed_by_reading: bool,
    by_processing_time: bool,
}

impl Ttl {
    /// So long after the last write, in event time.
    pub const fn of(span: Duration) -> Self {
        Self { span, renewed_by_reading: false, by_processing_time: false }
    }

    /// Only writing renews the lease.
    pub const fn on_write(self) -> Self {
        Self { renewed_by_reading: false, ..self }
    }

    /// Reading renews the lease too.
    pub const fn on_read(self) -> Self {
        Self { renewed_by_reading: true, ..self }
    }

    /// By event time: the later of the record's timestamp and the watermark, so that a replay
    /// finds the same state. A lease does not get shorter by a write with an earlier timestamp.
    pub const fn event_time(self) -> Self {
        Self { by_processing_time: false, ..self }
    }

    /// By the `now` of the step.
    pub const fn processing_time(self) -> Self {
        Self { by_processing_time: true, ..self }
    }

    /// Whether leases run by processing time.
    pub const fn is_by_processing_time(self) -> bool {
        self.by_processing_time
    }

    /// Whether anything can live that long.
    pub fn check(self) -> Result<Self, ConfigError> {
        match self.span.is_zero() {
            true => Err(ConfigError::setting("ttl", "0 ns", "nothing would live to be seen")),
            false => Ok(self),
        }
    }
}

/// How long leases run: of a [`Ttl`], or for ever.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// From a write to the last instant at which it is seen, in nanoseconds; for ever if `None`.
    rest_ns: Option<i64>,
    renewed_by_reading: bool,
}

impl Term {
    /// The term of a time to live, or for ever.
    pub fn of(ttl: Option<Ttl>) -> Self {
        Self {
            rest_ns: ttl.map(|ttl| nanos(ttl.span).saturating_sub(1)),
            renewed_by_reading: ttl.is_some_and(|ttl| ttl.renewed_by_reading),
        }
    }

    /// The last instant of a lease that is given now.
    #[inline(always)]
    fn until(self, now: Timestamp) -> Timestamp {
        self.rest_ns.map_or(Timestamp::MAX, |rest| now.offset(rest))
    }
}

/// A value for a term; absent at first, and after.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Lease<V> {
    value: Option<V>,
    /// The last instant at which the value is there.
    #[serde(with = "unless_ever")]
    until: Timestamp,
}

/// Most leases never end, and say so in one byte instead of eight.
mod unless_ever {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::time::Timestamp;

    #[inline]
    pub fn serialize<S: Serializer>(until: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*until).filter(|until| *until != Timestamp::MAX).serialize(serializer)
    }

    #[inline]
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(Timestamp::MAX))
    }
}

impl<V> Default for Lease<V> {
    fn default() -> Self {
        Self { value: None, until: Timestamp::MIN }
    }
}

impl<V: State> Lease<V> {
    /// Whether there is no value, not even one that has expired.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        self.value.is_none()
    }

    /// Whether the value is there.
    #[inline(always)]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.value.is_some() && now <= self.until
    }

    /// The value, to be shown to somebody who does not take part: unless event time, if leases run
    /// by that, has come so far that it has expired. Renews nothing.
    pub fn shown(&self, watermark: Timestamp) -> Option<&V> {
        self.value.as_ref().filter(|_| watermark <= self.until)
    }

    /// The value, to be made good after a move: renews nothing, and does not look at the time.
    pub(crate) fn moved(&mut self) -> Option<&mut V> {
        self.value.as_mut()
    }

    /// Ends the lease if it has expired: what was found to be gone does not come back for a record
    /// from before.
    #[inline(always)]
    fn settle(&mut self, now: Timestamp) {
        if now > self.until {
            self.clear();
        }
    }

    /// Reads the value, if it is there.
    #[inline(always)]
    pub fn get(&mut self, now: Timestamp, term: Term) -> Option<&V> {
        self.settle(now);
        if term.renewed_by_reading && self.value.is_some() {
            self.until = self.until.max(term.until(now));
        }
        self.value.as_ref()
    }

    /// The value to write, if it is there.
    #[inline(always)]
    pub fn get_mut(&mut self, now: Timestamp, term: Term) -> Option<&mut V> {
        self.settle(now);
        let value = self.value.as_mut()?;
        self.until = self.until.max(term.until(now));
        Some(value)
    }

    /// The value to write; a new one starts with the default.
    #[inline(always)]
    pub fn entry(&mut self, now: Timestamp, term: Term) -> &mut V {
        self.settle(now);
        self.until = self.until.max(term.until(now));
        self.value.get_or_insert_default()
    }

    /// Sets the value, whatever it was.
    #[inline(always)]
    pub fn set(&mut self, now: Timestamp, term: Term, value: V) {
        *self.entry(now, term) = value;
    }

    /// Ends the lease.
    #[inline(always)]
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A walk over a table, round and round, that takes back the places of expired keys.
///
/// Places are looked at because records come, two for each, and not because time passes. So the
/// walk costs a bounded time a record. Say that `live` keys are held, and each record brings a new
/// one: while the walk goes around `held` places once, `held / 2` records come. No more than those
/// can have expired unseen, so `held` is at most `live + held / 2`: twice the live ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sweep(Cursor);

/// Places looked at for each record.
const PLACES_A_RECORD: usize = 2;

impl Sweep {
    /// Pays for `records` records: takes out the keys met for which `keep` says no.
    pub fn pay<K: Key, V: State>(
        &mut self,
        records: usize,
        table: &mut Table<K, V>,
        keep: impl FnMut(K, &V) -> bool,
    ) {
        // One more for each sub-table, or the walk would stand still in a table without keys.
        let budget = PLACES_A_RECORD * records + records.div_ceil(16);
        if !table.is_empty() && table.retain_slice(&mut self.0, budget, keep) {
            self.0 = Cursor::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::time::ns;

    const fn t(n: i64) -> Timestamp {
        Timestamp(n)
    }

    /// A table of leases, and the walk over it.
    struct Store {
        table: Table<u32, Lease<u64>>,
        sweep: Sweep,
        term: Term,
    }

    impl Store {
        fn new(ttl: Option<Ttl>) -> Self {
            Self { table: Table::new(7), sweep: Sweep::default(), term: Term::of(ttl) }
        }

        fn get(&mut self, key: u32, now: Timestamp) -> Option<u64> {
            let term = self.term;
            self.table.get_mut(key).and_then(|lease| lease.get(now, term).copied())
        }

        fn add(&mut self, key: u32, now: Timestamp, n: u64) -> u64 {
            let value = self.table.entry(key).entry(now, self.term);
            *value += n;
            *value
        }
    }

    fn against_model(ttl: Ttl, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut store, mut model) = (Store::new(Some(ttl)), HashMap::<u32, (u64, i64)>::new());
        let (mut now, span) = (0, ttl.span.as_nanos() as i64);
        for _ in 0..20_000 {
            now += random.i64(0..4);
            let key = random.u32(..300);
            let alive = model.get(&key).copied().filter(|(_, end)| now < *end);
            match random.u32(..10) {
                0..4 => {
                    assert_eq!(store.get(key, t(now)), alive.map(|(value, _)| value));
                    if ttl.renewed_by_reading
                        && let Some((value, _)) = alive
                    {
                        model.insert(key, (value, now + span));
                    }
                }
                4..8 => {
                    let value = alive.map_or(0, |(value, _)| value) + 5;
                    assert_eq!(store.add(key, t(now), 5), value);
                    model.insert(key, (value, now + span));
                }
                8 => {
                    store.table.entry(key).clear();
                    model.remove(&key);
                }
                _ => store.sweep.pay(3, &mut store.table, |_, lease| lease.is_live(t(now))),
            }
        }
    }

    #[test]
    fn leases_are_those_of_a_map_with_times() {
        for seed in 0..20 {
            against_model(Ttl::of(ns(1 + seed * 37)), seed);
            against_model(Ttl::of(ns(1 + seed * 37)).on_read(), seed);
        }
    }

    #[test]
    fn a_lease_ends_to_the_nanosecond_and_does_not_get_shorter() {
        let mut store = Store::new(Some(Ttl::of(ns(10))));
        store.add(1, t(100), 3);
        assert_eq!(store.get(1, t(109)), Some(3));
        assert_eq!(store.add(1, t(95), 1), 4, "a write from before is one to what is there");
        assert_eq!((store.get(1, t(109)), store.get(1, t(110))), (Some(4), None));
        assert_eq!(store.add(1, t(95), 1), 1, "what was found to be gone does not come back");
        let mut ever = Store::new(None);
        ever.add(1, Timestamp::MIN, 3);
        assert_eq!(ever.get(1, Timestamp::MAX), Some(3));
        assert!(Ttl::of(ns(0)).check().is_err());
    }

    /// Each record brings a new key, and none comes twice: the worst case for what is held.
    #[test]
    fn few_places_are_held_beyond_those_that_live_and_none_by_a_big_job() {
        const LIVE: usize = 20_000;
        let mut store = Store::new(Some(Ttl::of(ns(LIVE as u64))));
        let (mut most, mut looked_most) = (0, 0);
        for batch in 0..1_000u32 {
            for n in 0..256 {
                store.add(batch * 256 + n, t((batch * 256 + n).into()), 1);
            }
            let (now, mut looked) = (t(i64::from(batch) * 256 + 255), 0);
            store.sweep.pay(256, &mut store.table, |_, lease| {
                looked += 1;
                lease.is_live(now)
            });
            (most, looked_most) = (most.max(store.table.len()), looked_most.max(looked));
        }
        assert!(most <= LIVE * 21 / 10, "{most} held");
        assert!(looked_most <= 2 * 256 + 16, "{looked_most} looked at in one go");
    }
}
