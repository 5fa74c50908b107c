//! What one input keeps until no partner can come.

use crate::state::{Cursor, Key, NONE, Slab, Table};
use crate::time::{Deadlines, Popped, Timestamp};

/// The shortest stretch of time that is kept and dropped together, as a power of two: 1024 ns.
const SHIFT_MIN: u32 = 10;

/// A record that is kept.
#[derive(Clone, Copy)]
pub struct Entry<T> {
    pub at: Timestamp,
    pub value: T,
    /// Whether a partner has come.
    pub matched: bool,
    /// The next of the same key and stretch of time, in order of arrival.
    next: u32,
}

/// The records of one key in one stretch of time.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    last: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

/// The records of one input, by key and by stretch of time.
///
/// Time is cut into stretches about as long as a join looks back and forth. The table knows each
/// key once for each stretch in which it has records, so that a record finds its partners in two
/// look-ups or three, however many older records a hot key has; and a run of records is dropped
/// whole when the last of them is past.
#[derive(Clone)]
pub struct Kept<K: Key, T: Copy> {
    runs: Table<(K, i64), Run>,
    entries: Slab<Entry<T>>,
    len: usize,
    /// When each run is past, by the last instant of its stretch.
    ends: Deadlines<(K, i64)>,
    /// The first record of a run that is being dropped.
    dropping: u32,
    /// A stretch is two to the power of this, in nanoseconds.
    shift: u32,
}

/// A look through the records of one key between two times, which can be cut short anywhere.
#[derive(Clone, Copy)]
pub struct Look<K> {
    key: K,
    from: Timestamp,
    to: Timestamp,
    /// The next stretch, and the last one.
    stretch: i64,
    last: i64,
    /// The next record of the stretch before that.
    entry: u32,
}

/// What one unit of work found.
pub enum Seen {
    /// A record between the two times: its place.
    Record(u32),
    /// Nothing yet.
    Passed,
    /// There are no more.
    End,
}

impl<K: Key, T: Copy + 'static> Kept<K, T> {
    /// Nothing is kept; looks will reach over `length` nanoseconds.
    pub fn new(seed: u64, length: u64) -> Self {
        // A stretch is at least as long as a look, which so reaches over two of them at most.
        let shift = u64::BITS - length.leading_zeros();
        Self {
            runs: Table::new(seed),
            entries: Slab::new(),
            len: 0,
            ends: Deadlines::new(),
            dropping: NONE,
            shift: shift.clamp(SHIFT_MIN, i64::BITS - 2),
        }
    }

    /// How many records are kept.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The key of the run that holds a record of this key and time, for [`warm`](Self::warm).
    #[inline(always)]
    pub fn run_key(&self, key: K, at: Timestamp) -> (K, i64) {
        (key, at.0 >> self.shift)
    }

    /// Starts loading what it takes to look up these runs.
    #[inline]
    pub fn warm(&self, runs: &[(K, i64)]) {
        self.runs.warm(runs);
    }

    /// Keeps a record; returns its place.
    #[inline]
    pub fn add(&mut self, key: K, at: Timestamp, value: T) -> u32 {
        let run_key = self.run_key(key, at);
        let entry = self.entries.take(Entry { at, value, matched: false, next: NONE });
        let run = self.runs.entry(run_key);
        let last = std::mem::replace(&mut run.last, entry);
        if last == NONE {
            run.first = entry;
            let end = (run_key.1 << self.shift) | ((1 << self.shift) - 1);
            self.ends.set(end, run_key);
        } else {
            self.entries[last].next = entry;
        }
        self.len += 1;
        entry
    }

    /// A record that is kept.
    #[inline(always)]
    pub fn entry_mut(&mut self, place: u32) -> &mut Entry<T> {
        &mut self.entries[place]
    }

    /// A look through the records of a key, from one time to another, both included.
    #[inline]
    pub fn look(&self, key: K, from: Timestamp, to: Timestamp) -> Look<K> {
        let (stretch, last) = (from.0 >> self.shift, to.0 >> self.shift);
        Look { key, from, to, stretch, last, entry: NONE }
    }

    /// One unit of work of a look.
    #[inline(always)]
    pub fn see(&self, look: &mut Look<K>) -> Seen {
        if look.entry == NONE {
            if look.stretch > look.last {
                return Seen::End;
            }
            let run = self.runs.get((look.key, look.stretch));
            look.stretch += 1;
            look.entry = run.map_or(NONE, |run| run.first);
            return Seen::Passed;
        }
        let place = look.entry;
        let entry = &self.entries[place];
        look.entry = entry.next;
        if look.from <= entry.at && entry.at <= look.to {
            return Seen::Record(place);
        }
        Seen::Passed
    }

    /// One unit of work towards dropping what is not after `past`; says whether there was any.
    #[inline]
    pub fn drop_past(&mut self, past: Timestamp) -> bool {
        if self.dropping != NONE {
            let next = self.entries[self.dropping].next;
            self.entries.give(self.dropping);
            self.dropping = next;
            self.len -= 1;
            return true;
        }
        match self.ends.pop(past.0) {
            Popped::Due(_, run) => {
                self.dropping = self.runs.remove(run).map_or(NONE, |run| run.first);
                true
            }
            Popped::Moved => true,
            Popped::Nothing => false,
        }
    }

    /// Shows what is kept, by key.
    pub fn visit(&self, mut each: impl FnMut(K, &T)) {
        self.runs.visit(&mut Cursor::default(), usize::MAX, |(key, _), run| {
            let mut place = run.first;
            while place != NONE {
                let entry = &self.entries[place];
                each(key, &entry.value);
                place = entry.next;
            }
        });
    }
}
