//! What an as-of join knows of each key.

use serde::{Deserialize, Serialize};

use crate::join::asof::{Direction, Rules};
use crate::state::{
    Chunks, Cursor, EachBulk, Key, NONE, Queue, Rescale, Rescaled, Slab, Stored, Table,
};
use crate::time::{Deadlines, Popped, Timestamp};

/// A left record that waits for a later right one.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Waiting<L> {
    at: i64,
    left: L,
    /// The right record before it, if that is near enough.
    before: u32,
    /// Then it is certain that no right record is nearer than that.
    until: i64,
}

/// What is known of a key: its latest right record, and the left ones that wait.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Known {
    latest: u32,
    waiting: Queue,
}

impl Default for Known {
    fn default() -> Self {
        Self { latest: NONE, waiting: Queue::default() }
    }
}

/// A right record, and by how many it is held: its key, and left records that wait.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Version<R> {
    at: i64,
    right: R,
    held: u32,
}

/// A left record and the right one that belongs to it.
pub struct Answer<'a, L, R> {
    pub at: Timestamp,
    pub left: L,
    pub right: Option<&'a R>,
}

/// Work on one key that is not done: left records to be answered, the oldest first.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Open<K> {
    /// By this right record.
    By(K, u32),
    /// Because it is this late.
    At(K, i64),
}

/// What is known of all keys. Records must be shown to it in the order of their times.
#[derive(Serialize, Deserialize)]
#[serde(bound = "L: Stored, R: Stored")]
pub struct Keys<K: Key, L: Copy, R: Copy> {
    rules: Rules,
    keys: Table<K, Known>,
    versions: Slab<Version<R>>,
    waiting: Chunks<Waiting<L>>,
    /// When to look at a key again: a left record has waited for long enough, or the latest right
    /// one is out of reach.
    due: Deadlines<K>,
    open: Option<Open<K>>,
    /// How far everything has been forgotten.
    forgotten: Cursor,
}

impl<K: Key, L: Copy + Stored, R: Copy + Stored> Rescaled for Keys<K, L, R> {
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.keys);
        self.versions.bulk(each);
        self.waiting.bulk(each);
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let first = from.first().ok_or("there was no shard")?;
        let mut all = Self::with_keys(first.rules, first.keys.empty());
        let Self { keys, versions, waiting, .. } = &mut all;
        // Where the right records of a key were, and where they are.
        let mut places: Vec<(u32, u32)> = Vec::new();
        for other in &from {
            let mut hold = |version: u32| {
                if version == NONE {
                    return NONE;
                }
                if let Some((_, here)) = places.iter().find(|(there, _)| *there == version) {
                    versions[*here].held += 1;
                    return *here;
                }
                let here = versions.take(Version { held: 1, ..other.versions[version] });
                places.push((version, here));
                here
            };
            keys.take_over(
                &other.keys,
                |key| to.owns(key),
                |_, known| {
                    known.latest = hold(known.latest);
                    let mut queue = Queue::default();
                    let mut place = known.waiting.front();
                    for _ in 0..known.waiting.len() {
                        let one = other.waiting[place];
                        waiting.push(&mut queue, Waiting { before: hold(one.before), ..one });
                        place = other.waiting.after(place);
                    }
                    known.waiting = queue;
                },
            );
            places.clear();
        }
        all.due = Deadlines::of(from.into_iter().map(|other| other.due), |key| to.owns(*key));
        Ok(all)
    }
}

impl<K: Key, L: Copy + Stored, R: Copy + Stored> Keys<K, L, R> {
    /// Nothing is known.
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self::with_keys(rules, Table::new(seed))
    }

    fn with_keys(rules: Rules, keys: Table<K, Known>) -> Self {
        Self {
            rules,
            keys,
            versions: Slab::new(),
            waiting: Chunks::new(),
            due: Deadlines::new(),
            open: None,
            forgotten: Cursor::default(),
        }
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many left records wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the last thing that was shown has been dealt with, so that another may be.
    #[inline(always)]
    pub fn is_settled(&self) -> bool {
        self.open.is_none()
    }

    /// Shows a left record: gives its answer if that is certain at once.
    #[inline]
    pub fn show_left(&mut self, key: K, at: i64, left: L) -> Option<Answer<'_, L, R>> {
        let Rules { direction, tolerance_ns, .. } = self.rules;
        let latest = match direction {
            // Keys that have no right record take no place.
            Direction::Backward => self.keys.get(key).map_or(NONE, |known| known.latest),
            _ => self.keys.entry(key).latest,
        };
        let distance = match latest {
            NONE => u64::MAX,
            _ => at.abs_diff(self.versions[latest].at),
        };
        let is_near = distance <= tolerance_ns as u64;
        let before = if is_near && direction != Direction::Forward { latest } else { NONE };
        let for_how_long = match before {
            NONE => tolerance_ns,
            // A later one must be nearer than the one before.
            _ => tolerance_ns.min(distance as i64 - 1),
        };
        if direction == Direction::Backward || for_how_long < 0 {
            let right = (before != NONE).then(|| &self.versions[before].right);
            return Some(Answer { at: Timestamp(at), left, right });
        }
        if before != NONE {
            self.versions[before].held += 1;
        }
        // Without a tolerance it waits until the input ends.
        let until =
            if for_how_long == i64::MAX { i64::MAX } else { at.saturating_add(for_how_long) };
        let waiting = Waiting { at, left, before, until };
        self.waiting.push(&mut self.keys.entry(key).waiting, waiting);
        self.due.set(until, key);
        None
    }

    /// Shows a right record: it is the latest, and answers the left ones that wait.
    #[inline]
    pub fn show_right(&mut self, key: K, at: i64, right: R) {
        let Rules { direction, tolerance_ns, .. } = self.rules;
        if direction == Direction::Forward && self.keys.get(key).is_none() {
            return;
        }
        let new = Version { at, right, held: 1 };
        if direction == Direction::Forward {
            // It answers those that wait and is forgotten.
            self.open = Some(Open::By(key, self.versions.take(new)));
            return;
        }
        let known = self.keys.entry(key);
        let has_waiting = !known.waiting.is_empty();
        let before = known.latest;
        // One that nobody else holds gives its place to the next.
        let version = if before != NONE && self.versions[before].held == 1 {
            self.versions[before] = new;
            before
        } else {
            known.latest = self.versions.take(new);
            let version = known.latest;
            self.release(before);
            version
        };
        if tolerance_ns < i64::MAX {
            self.due.set(at.saturating_add(tolerance_ns), key);
        }
        if has_waiting {
            self.versions[version].held += 1;
            self.open = Some(Open::By(key, version));
        }
    }

    /// One unit of work towards what is due at `now` or before; false when there is none.
    #[inline]
    pub fn seek_due(&mut self, now: i64) -> bool {
        if !self.rules.waits() {
            return false;
        }
        match self.due.pop(now) {
            Popped::Due(at, key) => self.open = Some(Open::At(key, at)),
            Popped::Moved => {}
            Popped::Nothing => return false,
        }
        true
    }

    /// One unit of work on the key in hand: the answer of the oldest left record that waits, if
    /// that is certain now.
    #[inline]
    pub fn settle(&mut self) -> Option<(i64, Answer<'_, L, R>)> {
        let open = self.open?;
        let (key, now) = match open {
            Open::By(key, version) => (key, self.versions[version].at),
            Open::At(key, at) => (key, at),
        };
        let strict = i64::from(self.rules.strict);
        let known = self.keys.get_mut(key).filter(|known| !known.waiting.is_empty());
        let oldest = known.and_then(|known| {
            let oldest = self.waiting[known.waiting.front()];
            let is_certain = match open {
                Open::By(..) => oldest.at + strict <= now,
                Open::At(..) => oldest.until <= now,
            };
            if is_certain { self.waiting.pop(&mut known.waiting) } else { None }
        });
        let Some(Waiting { at, left, before, until }) = oldest else {
            self.close(open, key, now);
            return None;
        };
        let by = match open {
            Open::By(_, version) if now <= until => version,
            _ => before,
        };
        if before != NONE {
            self.release(before);
        }
        let right = (by != NONE).then(|| &self.versions[by].right);
        Some((now, Answer { at: Timestamp(at), left, right }))
    }

    /// Nothing of this key is certain now but what has been said.
    fn close(&mut self, open: Open<K>, key: K, now: i64) {
        self.open = None;
        if let Open::By(_, version) = open {
            self.release(version);
        }
        let Some(known) = self.keys.get_mut(key) else { return };
        let out_of_reach = known.latest != NONE && {
            let at = self.versions[known.latest].at;
            at.saturating_add(self.rules.tolerance_ns) <= now
        };
        let (latest, is_alone) = (known.latest, known.waiting.is_empty());
        if out_of_reach && matches!(open, Open::At(..)) {
            known.latest = NONE;
            self.release(latest);
        }
        if is_alone && self.keys.get(key).is_some_and(|known| known.latest == NONE) {
            self.keys.remove(key);
        }
    }

    /// One fewer holds a right record.
    #[inline]
    fn release(&mut self, version: u32) {
        if version == NONE {
            return;
        }
        self.versions[version].held -= 1;
        if self.versions[version].held == 0 {
            self.versions.give(version);
        }
    }

    /// Forgets a key, when all left records have been answered; false when none is left.
    pub fn forget(&mut self) -> bool {
        let Self { keys, versions, forgotten, .. } = self;
        let is_over = forgotten.is_done();
        keys.drain(forgotten, 1, |_, known| {
            if known.latest != NONE {
                versions.give(known.latest);
            }
        });
        !is_over
    }

    /// Shows what is known, by key.
    pub fn visit(&self, mut each: impl FnMut(K, Result<&L, &R>)) {
        self.keys.visit(&mut Cursor::default(), usize::MAX, |key, known| {
            if known.latest != NONE {
                each(key, Err(&self.versions[known.latest].right));
            }
            let mut place = known.waiting.front();
            for _ in 0..known.waiting.len() {
                each(key, Ok(&self.waiting[place].left));
                place = self.waiting.after(place);
            }
        });
    }
}
