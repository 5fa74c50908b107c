//! A table as a snapshot holds it: chain by chain, each key in its place.
//!
//! So a table that is read back walks in the same order, and splits at the same keys, as the one
//! that was written; and nothing has to be probed for.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

use super::super::key::{Key, hash};
use super::super::value::State;
use super::arena::Arena;
use super::frozen::Apart;
use super::notes::Notes;
use super::sub::{Slot, Sub};
use super::{Cursor, SPREAD, SPREAD_FROM, Table};
use crate::memory::encoding::{
    Versions, decode, encode, reading, refuse_version, take_refused_version, versions,
};
use crate::memory::helpers::together;
use crate::memory::row::{self, Row};

/// What a table knows beside its keys.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Header {
    depth: u32,
    grown: u64,
    splits: usize,
    links: usize,
    len: usize,
    seed: u64,
    /// Slots of a sub-table: another build may have made them larger or smaller.
    slots: usize,
    /// Where the chains are, if they do not follow: see [`Bulk`](crate::memory::Bulk).
    pub(super) apart: Option<u32>,
}

impl<K: Key, V: State> Table<K, V> {
    pub(super) fn header(&self, apart: Option<u32>) -> Header {
        let Self { grown, splits, links, len, seed, .. } = *self;
        let (depth, slots) = (64 - self.shift, Sub::<K, V>::SLOTS);
        Header { depth, grown, splits, links, len, seed, slots, apart }
    }

    /// Writes all chains, in the order of their prefixes.
    fn write_chains(&self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut cursor = Cursor::default();
        while !cursor.is_done() {
            let head = self.head(cursor.at);
            write_chain(cursor.at, head, &mut out)?;
            cursor.pass(head.depth());
        }
        Ok(out)
    }
}

/// Writes a chain: the first hash that leads to it, how many leading bits of it do, how many links
/// there are; and for each link its full slots: how many, and place, key and value of each.
pub fn write_chain<K: Key, V: State>(
    first: u64,
    head: Sub<K, V>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    const { assert!(Sub::<K, V>::SLOTS <= 256) };
    let links = std::iter::successors(Some(head), |sub| sub.next());
    encode(&(first, head.depth(), links.clone().count() as u32), out)?;
    for sub in links {
        let slots = sub.count();
        encode(&(slots as u32), out)?;
        let mut row = Row::behind(out);
        sub.try_each(|at, Slot { key, value }| row.put(&(at as u8, key, value)))?;
    }
    Ok(())
}

impl<K: Key, V: State> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (header, chains) = match self.apart.as_deref() {
            Some(Apart::Frozen(frozen)) => (frozen.header, Vec::new()),
            Some(Apart::Awaited(header, _) | Apart::Referred(header)) => (*header, Vec::new()),
            None => (self.header(None), self.write_chains().map_err(S::Error::custom)?),
        };
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&header)?;
        tuple.serialize_element(&Blob(&chains))?;
        tuple.end()
    }
}

/// Bytes that are written and read as one piece.
struct Blob<'a>(&'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
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
        let Some(chains) = parts.next_element::<&[u8]>()? else {
            return Err(A::Error::custom("a table without its keys"));
        };
        match header.apart {
            Some(_) => Ok(Table::awaiting(header)),
            None => Table::read(&header, &[chains], versions()).map_err(A::Error::custom),
        }
    }
}

impl<K: Key, V: State> Table<K, V> {
    /// An empty table that waits for its chains.
    fn awaiting(header: Header) -> Self {
        let apart = Some(Box::new(Apart::Awaited(header, versions())));
        Self { apart, ..Self::with_mixed_seed(header.seed) }
    }

    /// The table of the chains in these pieces, which come in any order; by several threads if
    /// there are many.
    pub(super) fn read(
        header: &Header,
        pieces: &[&[u8]],
        versions: Versions,
    ) -> Result<Self, String> {
        if header.slots != Sub::<K, V>::SLOTS {
            return reading(versions, || Self::read_anew(header, pieces));
        }
        let next = AtomicUsize::new(0);
        let read = || {
            let read = reading(versions, || Reading::of(header, pieces, &next));
            (read, take_refused_version())
        };
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut all = Reading::new(header)?;
        for (read, refused) in together(bytes / ALONE, read) {
            if let Some((held, known)) = refused {
                refuse_version(held, known);
            }
            all = read?.and(all)?;
        }
        all.table()
    }

    /// The keys of a build with sub-tables of another size, one by one.
    fn read_anew(header: &Header, chains: &[&[u8]]) -> Result<Self, String> {
        let mut table = Self::with_mixed_seed(header.seed);
        for piece in chains {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (_, _, links) = decode::<(u64, u32, u32)>(&mut rest)?;
                for _ in 0..links {
                    let slots = decode::<u32>(&mut rest)? as usize;
                    row::read(&mut rest, slots, |(_, key, value): (u8, K, V)| {
                        *table.entry(key) = value;
                        Ok(())
                    })?;
                }
            }
        }
        Ok(table)
    }
}

/// Bytes that one thread reads before it is worth while to start another.
const ALONE: usize = 1 << 20;

/// A table that is being read, chain by chain, or the part of it that one of several threads reads.
struct Reading<K, V> {
    header: Header,
    directory: Vec<Option<Sub<K, V>>>,
    arena: Arena<K, V>,
    /// What has been read so far.
    links: usize,
    len: usize,
}

// SAFETY: as of a table, whose parts it has: the raw pointers lead only into memory of its arena.
unsafe impl<K: Send, V: Send> Send for Reading<K, V> {}

impl<K: Key, V: State> Reading<K, V> {
    /// Reads pieces, each time the next that nobody has taken.
    fn of(header: &Header, pieces: &[&[u8]], next: &AtomicUsize) -> Result<Self, String> {
        let mut reading = Self::new(header)?;
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut rest = *piece;
            while !rest.is_empty() {
                reading.chain(&mut rest)?;
            }
        }
        Ok(reading)
    }

    /// What both have read.
    fn and(mut self, other: Self) -> Result<Self, String> {
        for (here, there) in self.directory.iter_mut().zip(other.directory) {
            if here.is_some() && there.is_some() {
                return Err("a chain in the place of another".to_owned());
            }
            *here = here.or(there);
        }
        self.arena.join(other.arena);
        self.links += other.links;
        self.len += other.len;
        Ok(self)
    }

    fn new(header: &Header) -> Result<Self, String> {
        // A directory is never longer than this, so that a damaged header does not ask for all the
        // memory there is.
        let most = header.splits.saturating_add(1).saturating_mul(SPREAD).max(SPREAD_FROM);
        let depth = header.depth;
        if !(1..=64 - Sub::<K, V>::LOW_BITS).contains(&depth) || 1 << depth > most {
            return Err("a table of a depth that none has".to_owned());
        }
        let directory = vec![None; 1 << depth];
        Ok(Self { header: *header, directory, arena: Arena::new(), links: 0, len: 0 })
    }

    /// Takes a chain from the front of `bytes`.
    fn chain(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        let (first, depth, links) = decode::<(u64, u32, u32)>(bytes)?;
        let Some(less) = self.header.depth.checked_sub(depth) else {
            return Err("a sub-table that is deeper than its directory".to_owned());
        };
        let first_entry = (first >> (64 - self.header.depth)) as usize;
        let entries = first_entry..first_entry + (1 << less);
        let Some(places) = self.directory.get_mut(entries.clone()) else {
            return Err("a chain beyond the end of its directory".to_owned());
        };
        if links == 0 || places.iter().any(Option::is_some) {
            return Err("a chain without a sub-table, or one in the place of another".to_owned());
        }
        let head = self.arena.take(depth);
        places.fill(Some(head));
        self.link(head, &entries, bytes)?;
        let mut last = head;
        for _ in 1..links {
            let link = self.arena.take(depth);
            last.set_next(Some(link));
            self.links += 1;
            self.link(link, &entries, bytes)?;
            last = link;
        }
        Ok(())
    }

    /// Takes the slots of one link from the front of `bytes`.
    fn link(
        &mut self,
        sub: Sub<K, V>,
        entries: &std::ops::Range<usize>,
        bytes: &mut &[u8],
    ) -> Result<(), String> {
        let Header { depth, seed, .. } = self.header;
        let slots = decode::<u32>(bytes)?;
        row::read(bytes, slots as usize, |(at, key, value): (u8, K, V)| {
            let hash = hash(key, seed);
            if !entries.contains(&((hash >> (64 - depth)) as usize)) {
                return Err("a key whose hash leads elsewhere".to_owned());
            }
            let at = usize::from(at);
            if at >= Sub::<K, V>::SLOTS || sub.is_full(at) {
                return Err("a place beyond the end of its sub-table, or one twice".to_owned());
            }
            sub.put(at, hash, Slot { key, value });
            Ok(())
        })?;
        self.len += slots as usize;
        Ok(())
    }

    fn table(self) -> Result<Table<K, V>, String> {
        let Self { header, directory, arena, links, len } = self;
        let Header { depth, grown, splits, seed, .. } = header;
        if (links, len) != (header.links, header.len) {
            return Err(format!("{len} keys and {links} links, and the header has others"));
        }
        let Some(directory) = directory.into_iter().collect() else {
            return Err("a directory with gaps".to_owned());
        };
        Ok(Table {
            directory,
            shift: 64 - depth,
            grown,
            splits,
            links,
            len,
            seed,
            arena,
            notes: Notes::default(),
            apart: None,
            copied: None,
        })
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
        let mut bytes = Vec::new();
        encode(table, &mut bytes).unwrap();
        decode(&mut &bytes[..]).unwrap()
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
        let mut bytes = Vec::new();
        encode(&table, &mut bytes).unwrap();
        let read = |mut bytes: &[u8]| decode::<Table<u32, u64>>(&mut bytes);
        assert!(read(&bytes).is_ok());
        assert!((0..bytes.len()).step_by(97).all(|end| read(&bytes[..end]).is_err()));
        for at in 0..bytes.len().min(600) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x11;
            // Most are errors; none may panic or lead out of the table.
            if let Ok(other) = read(&flipped) {
                order(&other);
            }
        }
    }

    #[test]
    fn sub_tables_of_another_size_are_filled_anew() {
        let mut table = Table::<u32, u64>::new(3);
        (0..2_000).for_each(|key| *table.entry(key) = key.into());
        let header = Header { slots: 7, ..table.header(None) };
        let mut other: Table<u32, u64> =
            Table::read(&header, &[&table.write_chains().unwrap()], Versions::Noted).unwrap();
        assert!((0..2_000).all(|key| other.remove(key) == Some(key.into())));
        assert!(other.is_empty());
    }
}
