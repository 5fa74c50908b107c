//! The first records of each key, with their places.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use crate::dataflow::{Change, Keyed, Stage, Stream};
use crate::operators::{Expiring, KeyContext, Process};
use crate::state::{Key, State, Stored};
use crate::table::Changes;

impl<'p, K: Key, T: State + PartialEq> Keyed<'p, K, T> {
    /// The first `N` records of each key in the order of `by`, with their places from 1 on; of
    /// equal ones that which came first.
    ///
    /// A table by key and place. A record that comes among the first is one change of each place
    /// from its own on, at most `N`; others change nothing. No more than `N` records of a key are
    /// kept, for none is ever taken back: where rows of a table change, and whoever is behind may
    /// come forward again, [`Grouped::top_n`] keeps all of them.
    ///
    /// Keeps room for `N` records by key, for ever: as many keys are remembered as there are, of
    /// which the plan warns. See [`Expiring::ranked`] for less. O(N) a record that comes among the
    /// first, O(log N) one that does not.
    ///
    /// [`Grouped::top_n`]: crate::table::Grouped::top_n
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let scores = [('x', 5), ('x', 3), ('x', 7)].map(|row| Record::new(Timestamp(0), row));
    ///     let mut want = [
    ///         (1, Change::Insert(5)),
    ///         (2, Change::Insert(3)),
    ///         (1, Change::Update { old: 5, new: 7 }),
    ///         (2, Change::Update { old: 3, new: 5 }),
    ///     ]
    ///     .into_iter();
    ///     p.source(IterSource::new(scores.into_iter()))
    ///         .key_by(|row| row.0)
    ///         .ranked::<2>(|one, other| other.1.cmp(&one.1))
    ///         .map_values(|_, row| row.1)
    ///         .to_changes()
    ///         .map(|((_, place), change)| (place, change))
    ///         .for_each(move |record| assert_eq!(Some(record.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ranked<const N: usize>(
        self,
        by: impl Fn(&T, &T) -> Ordering + 'static,
    ) -> Changes<'p, (K, u64), T, impl Stage<Out = ((K, u64), Change<T>)>> {
        let stream = self.process(Ranked::<K, T, _, N>::new(by));
        stream.pipeline.warn("ranked: each key is kept for ever; give it a `ttl`");
        Changes::new(stream, false)
    }
}

impl<'p, K: Key, T: State + PartialEq> Expiring<'p, K, T> {
    /// Like [`Keyed::ranked`], until the time to live since the last record of the key is over.
    /// Its first ones are forgotten then, and not taken back: the next record of the key is the
    /// insert of a row that may have been there. So what comes out is a stream and no table.
    ///
    /// ```
    /// use millstream::{io::IterSource, ns, state::Ttl, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [(0, 5), (9, 7), (20, 6)].map(|(at, n)| Record::new(Timestamp(at), n));
    ///     let mut want = [
    ///         Change::Insert(5),
    ///         Change::Update { old: 5, new: 7 },
    ///         Change::Insert(6),
    ///     ]
    ///     .into_iter();
    ///     p.source(IterSource::new(numbers.into_iter()))
    ///         .key_by(|_| ())
    ///         .ttl(Ttl::of(ns(10)))
    ///         .ranked::<1>(|one, other| other.cmp(one))
    ///         .for_each(move |record| assert_eq!(Some(record.value.1), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ranked<const N: usize>(
        self,
        by: impl Fn(&T, &T) -> Ordering + 'static,
    ) -> Stream<'p, impl Stage<Out = ((K, u64), Change<T>)>> {
        self.process(Ranked::<K, T, _, N>::new(by))
    }
}

struct Ranked<K, T, F, const N: usize> {
    by: F,
    types: PhantomData<fn(K, T)>,
}

impl<K, T, F, const N: usize> Ranked<K, T, F, N> {
    fn new(by: F) -> Self {
        const { assert!(N > 0, "there would be no row") }
        Self { by, types: PhantomData }
    }
}

impl<K, T, F, const N: usize> Process for Ranked<K, T, F, N>
where
    K: Key,
    T: State + PartialEq,
    F: Fn(&T, &T) -> Ordering + 'static,
{
    type Key = K;
    type In = T;
    type State = First<T, N>;
    type Out = ((K, u64), Change<T>);

    const NAME: &'static str = "ranked";

    fn on_record(&mut self, record: T, ctx: &mut KeyContext<'_, Self>) {
        // Also where the record is not among the first: to be asked for is to live on.
        let first = &mut ctx.state().0;
        let is_ahead = |row: &Option<T>| row.is_some_and(|row| (self.by)(&row, &record).is_le());
        let ahead = first.partition_point(is_ahead);
        if ahead == N {
            return;
        }
        let before = *first;
        first[ahead..].rotate_right(1);
        first[ahead] = Some(record);
        let (key, mut new) = (ctx.key(), Some(record));
        for (place, old) in (1..).zip(before).skip(ahead) {
            let change = Change::between(old, new).filter(Change::is_visible);
            if let Some(change) = change {
                ctx.emit(((key, place), change));
            }
            new = old;
        }
    }
}

/// The first records of a key, in order; behind them `None`.
#[derive(Clone, Copy)]
struct First<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Default for First<T, N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<T: Serialize, const N: usize> Serialize for First<T, N> {
    /// As a list of those that are there does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut there = self.0.iter().flatten();
        let mut list = serializer.serialize_seq(Some(there.clone().count()))?;
        there.try_for_each(|record| list.serialize_element(record))?;
        list.end()
    }
}

impl<'de, T: Copy + Stored, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Copy + Stored, const N: usize> Visitor<'de> for FirstVisitor<T, N> {
    type Value = First<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<T, N>, A::Error> {
        let (mut first, mut count) = (First::default(), 0);
        while let Some(record) = list.next_element()? {
            let place = first.0.get_mut(count);
            *place.ok_or_else(|| de::Error::invalid_length(count + 1, &self))? = Some(record);
            count += 1;
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::encoding::{decode, encode};

    #[test]
    fn the_first_are_copied_and_no_more_of_them_than_there_is_room_for() {
        let mut bytes = Vec::new();
        encode(&First([Some(7u64), Some(9), None]), &mut bytes).unwrap();
        assert_eq!(decode::<First<u64, 3>>(&mut &bytes[..]).unwrap().0, [Some(7), Some(9), None]);
        assert_eq!(decode::<First<u64, 2>>(&mut &bytes[..]).unwrap().0, [Some(7), Some(9)]);
        assert!(decode::<First<u64, 1>>(&mut &bytes[..]).is_err());
    }
}
