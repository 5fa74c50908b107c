//! A table as a snapshot holds it: sub-table by sub-table, each key in its place.
//!
//! So a table that is read back walks in the same order, and splits at the same keys, as the one
//! that was written; and nothing has to be probed for.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

use super::super::key::{Key, hash};
use super::super::value::State;
use super::Table;
use super::arena::Arena;
use super::sub::{Slot, Sub};

/// What a table knows beside its keys.
#[derive(Serialize, Deserialize)]
struct Header {
    depth: u32,
    grown: u64,
    splits: usize,
    links: usize,
    len: usize,
    seed: u64,
    /// Slots of a sub-table: another build may have made them larger or smaller.
    slots: usize,
}

/// The sub-tables that one prefix of the hash leads to.
#[derive(Serialize, Deserialize)]
#[serde(bound = "K: Key, V: State")]
struct Chain<K, V> {
    depth: u32,
    /// The full slots of each sub-table of the chain: place, key and value.
    links: Vec<Vec<(u16, K, V)>>,
}

impl<K: Key, V: State> Chain<K, V> {
    fn of(head: Sub<K, V>) -> Self {
        let mut links = Vec::new();
        let mut link = Some(head);
        while let Some(sub) = link {
            links.push(full_slots(sub));
            link = sub.next();
        }
        Self { depth: head.depth(), links }
    }
}

fn full_slots<K: Key, V: State>(sub: Sub<K, V>) -> Vec<(u16, K, V)> {
    let mut slots = Vec::with_capacity(sub.count());
    let mut from = 0;
    while let Some(at) = sub.full_from(from) {
        let Slot { key, value } = sub.read(at);
        slots.push((at as u16, key, value));
        from = at + 1;
    }
    slots
}

impl<K: Key, V: State> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { grown, splits, links, len, seed, .. } = *self;
        let (depth, slots) = (64 - self.shift, Sub::<K, V>::SLOTS);
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&Header { depth, grown, splits, links, len, seed, slots })?;
        tuple.serialize_element(&Chains(self))?;
        tuple.end()
    }
}

/// All chains, in the order of their prefixes.
struct Chains<'a, K, V>(&'a Table<K, V>);

impl<K: Key, V: State> Serialize for Chains<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A sub-table that is not as deep as the directory has several entries in a row.
        let directory = &self.0.directory;
        let is_first = |index: usize| index == 0 || directory[index] != directory[index - 1];
        let heads = (0..directory.len()).filter(|&index| is_first(index));
        let mut chains = serializer.serialize_seq(Some(heads.clone().count()))?;
        for head in heads {
            chains.serialize_element(&Chain::of(directory[head]))?;
        }
        chains.end()
    }
}

impl<'de, K: Key, V: State> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(2, TableVisitor(PhantomData))
    }
}

struct TableVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Key, V: State> Visitor<'de> for TableVisitor<K, V> {
    type Value = Table<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table: its header and its chains")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Table<K, V>, A::Error> {
        let Some(header) = parts.next_element::<Header>()? else {
            return Err(A::Error::custom("a table without a header"));
        };
        if !(1..=64 - Sub::<K, V>::LOW_BITS).contains(&header.depth) {
            return Err(A::Error::custom("a table of a depth that none has"));
        }
        let reading = Reading::<K, V>::new(header);
        match parts.next_element_seed(reading)? {
            Some(table) => Ok(table),
            None => Err(A::Error::custom("a table without its keys")),
        }
    }
}

/// A table that is being read, chain by chain.
struct Reading<K, V> {
    header: Header,
    directory: Vec<Sub<K, V>>,
    arena: Arena<K, V>,
}

impl<K: Key, V: State> Reading<K, V> {
    fn new(header: Header) -> Self {
        Self { header, directory: Vec::new(), arena: Arena::new() }
    }

    /// Puts a chain behind those before it. Says what is wrong with it, if something is.
    fn put(&mut self, chain: Chain<K, V>) -> Result<(), &'static str> {
        let Chain { depth, links } = chain;
        let entries = self.header.depth.checked_sub(depth).map(|less| 1usize << less);
        let Some(entries) = entries else {
            return Err("a sub-table that is deeper than its directory");
        };
        let prefix = self.directory.len();
        let mut last = None;
        for slots in links {
            let sub = self.arena.take(depth);
            match last.replace(sub) {
                None => self.directory.extend(std::iter::repeat_n(sub, entries)),
                Some(before) => Sub::set_next(before, Some(sub)),
            }
            self.fill(sub, slots, prefix..prefix + entries)?;
        }
        match last {
            Some(_) => Ok(()),
            None => Err("a chain without a sub-table"),
        }
    }

    fn fill(
        &self,
        sub: Sub<K, V>,
        slots: Vec<(u16, K, V)>,
        prefixes: std::ops::Range<usize>,
    ) -> Result<(), &'static str> {
        let Header { depth, seed, .. } = self.header;
        for (at, key, value) in slots {
            let hash = hash(key, seed);
            if !prefixes.contains(&((hash >> (64 - depth)) as usize)) {
                return Err("a key whose hash leads elsewhere");
            }
            if usize::from(at) >= Sub::<K, V>::SLOTS {
                return Err("a place beyond the end of its sub-table");
            }
            sub.put(at.into(), hash, Slot { key, value });
        }
        Ok(())
    }

    fn table(self) -> Result<Table<K, V>, &'static str> {
        let Self { header: Header { depth, grown, splits, links, len, seed, .. }, .. } = self;
        if self.directory.len() != 1 << depth {
            return Err("a directory with gaps");
        }
        let (directory, arena) = (self.directory, self.arena);
        Ok(Table { directory, shift: 64 - depth, grown, splits, links, len, seed, arena })
    }

    /// The keys of a build with sub-tables of another size, one by one.
    fn put_anew(chains: Vec<Chain<K, V>>, seed: u64) -> Table<K, V> {
        let mut table = Table::with_mixed_seed(seed);
        for (_, key, value) in chains.into_iter().flat_map(|chain| chain.links).flatten() {
            *table.entry(key) = value;
        }
        table
    }
}

impl<'de, K: Key, V: State> DeserializeSeed<'de> for Reading<K, V> {
    type Value = Table<K, V>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table<K, V>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, K: Key, V: State> Visitor<'de> for Reading<K, V> {
    type Value = Table<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chains of a table")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut chains: A) -> Result<Table<K, V>, A::Error> {
        if self.header.slots != Sub::<K, V>::SLOTS {
            let all = std::iter::from_fn(|| chains.next_element().transpose());
            let all = all.collect::<Result<Vec<Chain<K, V>>, A::Error>>()?;
            return Ok(Self::put_anew(all, self.header.seed));
        }
        while let Some(chain) = chains.next_element()? {
            self.put(chain).map_err(A::Error::custom)?;
        }
        self.table().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cursor;
    use super::*;

    /// A key whose hashes are all equal, or nearly.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Clash(u32);

    impl Key for Clash {
        fn mix(self, _: u64) -> u64 {
            (u64::from(self.0) % 3).reverse_bits() >> 7 | 5
        }
    }

    fn copied<K: Key, V: State>(table: &Table<K, V>) -> Table<K, V> {
        let bytes = postcard::to_allocvec(table).unwrap();
        postcard::from_bytes(&bytes).unwrap()
    }

    fn order<K: Key>(table: &Table<K, u64>) -> Vec<(K, u64)> {
        let mut order = Vec::new();
        table.visit(&mut Cursor::default(), usize::MAX, |key, value| order.push((key, *value)));
        order
    }

    /// Everything but where in memory it is.
    fn shape<K, V>(table: &Table<K, V>) -> [u64; 6] {
        let Table { directory, shift, grown, splits, links, len, .. } = table;
        [directory.len(), *shift as usize, *grown as usize, *splits, *links, *len].map(|n| n as u64)
    }

    /// Copies at random moments; the copy goes on in the place of the table, and both must look the
    /// same after the same operations.
    fn goes_on_alike<K: Key>(seed: u64, range: u32, key: impl Fn(u32) -> K) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::<K, u64>::new(seed);
        for _ in 0..20 {
            let mut copy = copied(&table);
            assert_eq!((order(&copy), shape(&copy)), (order(&table), shape(&table)));
            for step in 0..random.u64(..2_000) {
                let k = key(random.u32(..range));
                match random.u32(..10) {
                    0..3 => assert_eq!(copy.remove(k), table.remove(k)),
                    _ => {
                        *copy.entry(k) += step;
                        *table.entry(k) += step;
                    }
                }
            }
            if random.u32(..8) == 0 {
                copy.clear();
                table.clear();
            }
            assert_eq!((order(&copy), shape(&copy)), (order(&table), shape(&table)));
            table = copy;
        }
    }

    #[test]
    fn a_copy_walks_in_the_same_order_and_splits_at_the_same_keys() {
        for seed in 0..5 {
            goes_on_alike(seed, 100, |n| n);
            goes_on_alike(seed, 40_000, u64::from);
            goes_on_alike(seed, 3_000, Clash);
        }
    }

    #[test]
    fn a_copy_is_of_its_own() {
        let mut table = Table::<u32, u64>::new(3);
        (0..2_000).for_each(|key| *table.entry(key) = 1);
        let copy = copied(&table);
        (0..5_000).for_each(|key| *table.entry(key) += 1);
        drop(table);
        assert_eq!(copy.len(), 2_000);
        assert!(order(&copy).iter().all(|(_, value)| *value == 1));
    }

    #[test]
    fn a_walk_goes_on_in_the_copy() {
        let mut table = Table::<u32, u64>::new(3);
        (0..9_000).for_each(|key| *table.entry(key) = 1);
        let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
        while !cursor.is_done() {
            table.visit(&mut cursor, 97, |key, value| seen.push((key, *value)));
            table = copied(&table);
        }
        assert_eq!(seen, order(&table));
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        let mut table = Table::<u32, u64>::new(3);
        (0..2_000).for_each(|key| *table.entry(key) = 1);
        let bytes = postcard::to_allocvec(&table).unwrap();
        let read = |bytes: &[u8]| postcard::from_bytes::<Table<u32, u64>>(bytes).map(|_| ());
        assert_eq!(read(&bytes), Ok(()));
        assert!((0..bytes.len()).step_by(97).all(|end| read(&bytes[..end]).is_err()));
        for at in 0..bytes.len().min(600) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x11;
            // Most are errors; none may panic or lead out of the table.
            if let Ok(other) = postcard::from_bytes::<Table<u32, u64>>(&flipped) {
                order(&other);
            }
        }
    }

    #[test]
    fn sub_tables_of_another_size_are_filled_anew() {
        let mut table = Table::<u32, u64>::new(3);
        (0..2_000).for_each(|key| *table.entry(key) = key.into());
        let chains = table.directory.iter().map(|&head| Chain::of(head)).collect();
        let mut other = Reading::put_anew(chains, table.seed);
        assert!((0..2_000).all(|key| other.remove(key) == Some(key.into())));
        assert!(other.is_empty());
    }
}
