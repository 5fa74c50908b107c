//! What the operators of a pipeline hold, as bytes between two steps, and given back to others like
//! them.

use std::any::type_name;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::dataflow::Epoch;
use crate::dataflow::before::Before;
use crate::error::SnapshotError;
use crate::memory::Copied;
use crate::memory::encoding::{Versions, decode, encode, reading, take_refused_version};
use crate::state::{Bulk, Spare, Stored};

/// What the steps of a shard hold, part by part, in the order in which they are asked.
///
/// An operator puts in by [`Operator::save`] and takes out by [`Operator::load`], the same parts in
/// the same order: a part is known by its place, the name of the operator and its type. What is
/// wrong is noted and ends the matter; neither side has to look.
///
/// What may be large is frozen first and copied behind the barrier: see [`Bulk`].
///
/// Nothing is saved of what only passes: a snapshot is taken at rest, and an operator that is in
/// the middle of something says so by [`in_flight`](Self::in_flight).
///
/// ```
/// use millstream::dataflow::Saved;
///
/// let mut saved = Saved::new();
/// saved.put("counter", &7u64);
/// let mut saved = saved.checked()?;
/// let mut count = 0u64;
/// saved.take("counter", &mut count);
/// saved.finish()?;
/// assert_eq!(count, 7);
/// # Ok::<(), millstream::error::SnapshotError>(())
/// ```
///
/// [`Operator::save`]: crate::dataflow::Operator::save
/// [`Operator::load`]: crate::dataflow::Operator::load
#[derive(Clone, Default)]
pub struct Saved {
    /// The contents of all parts, one behind the other.
    bytes: Arc<Vec<u8>>,
    parts: Vec<Part>,
    /// What was copied behind the barrier.
    pieces: Vec<Piece>,
    /// What has not changed since it was copied before.
    references: Vec<Reference>,
    /// How many tables and the like are still being copied.
    unfinished: u32,
    /// The part that is taken out next.
    next: usize,
    /// What steps keep of their own, beyond what an operator can see.
    unseen: Vec<String>,
    /// What was wrong first.
    wrong: Option<SnapshotError>,
    /// What all shards held, where there is another number of them now; nothing else then.
    pub(super) before: Option<Box<Before>>,
}

/// One thing that an operator holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The operator that has put it in.
    pub operator: String,
    /// The type of what it is, as the compiler names it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Where its bytes end; they begin where those of the part before it end.
    pub end: usize,
}

/// A piece of something that was copied behind the barrier.
#[derive(Clone)]
pub(crate) struct Piece {
    /// Its number among those of its stage.
    pub of: u32,
    pub bytes: Bytes,
}

/// Something that is as it was copied for a checkpoint before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Its number among those of its stage.
    pub of: u32,
    /// The copy.
    pub to: Copied,
}

/// What freezing needs to know: the complete checkpoints whose copies may be referred to, and where
/// memory for new ones comes from.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub epochs: &'a [Epoch],
    pub spare: &'a Spare,
}

impl Saved {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was put in before, perhaps by another process. `None` if the parts do not end where the
    /// bytes end.
    pub(crate) fn of(bytes: Vec<u8>, parts: Vec<Part>, pieces: Vec<Piece>) -> Option<Self> {
        let ends = || parts.iter().map(|part| part.end);
        let fits = ends().is_sorted() && ends().next_back().unwrap_or(0) == bytes.len();
        fits.then(|| Self { bytes: Arc::new(bytes), parts, pieces, ..Self::default() })
    }

    /// The contents of all parts, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the bytes are.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// How many bytes there are in all.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>()
    }

    /// What was copied behind the barrier, what belongs together in a row.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Puts in what an operator holds.
    pub fn put<V: Stored>(&mut self, operator: &'static str, value: &V) {
        match encode(value, Arc::make_mut(&mut self.bytes)) {
            Ok(()) => self.parts.push(Part {
                operator: operator.to_owned(),
                type_name: type_name::<V>().to_owned(),
                end: self.bytes.len(),
            }),
            Err(error) => self.note(SnapshotError::Unsaved {
                step: operator.to_owned(),
                reason: format!("{} does not let itself be written: {error}", type_name::<V>()),
            }),
        }
    }

    /// Takes the next part out, in the place of `into`. If it is not of this operator and type,
    /// `into` stays as it is and the restore has failed.
    ///
    /// That restores onto as many shards as there were. What knows how it moves to another number
    /// of them is taken out by [`rescale`](Self::rescale) and the others.
    pub fn take<V: Stored>(&mut self, operator: &'static str, into: &mut V) {
        if self.before.is_some() {
            return self.take_whole(operator, into);
        }
        if let Some(value) = self.take_next(operator) {
            *into = value;
        }
    }

    /// The next part.
    pub(super) fn take_next<V: Stored>(&mut self, operator: &'static str) -> Option<V> {
        if self.wrong.is_some() {
            return None;
        }
        match self.read(operator) {
            Ok(value) => {
                self.next += 1;
                Some(value)
            }
            Err(wrong) => {
                self.note(wrong);
                None
            }
        }
    }

    /// Passes over the next part, if it is of this operator.
    pub(super) fn skip(&mut self, operator: &'static str) -> bool {
        let is_next = self.parts.get(self.next).is_some_and(|part| part.operator == operator);
        self.next += usize::from(is_next);
        is_next
    }

    /// Puts all parts of another behind its own.
    pub(super) fn append(&mut self, other: Self) {
        let start = self.bytes.len();
        Arc::make_mut(&mut self.bytes).extend_from_slice(&other.bytes);
        self.parts
            .extend(other.parts.into_iter().map(|part| Part { end: part.end + start, ..part }));
        self.unseen.extend(other.unseen);
        if let Some(wrong) = other.wrong {
            self.note(wrong);
        }
    }

    /// Cuts the next so many parts out.
    pub(super) fn cut(&mut self, parts: usize) -> Self {
        let (from, to) = (self.next, (self.next + parts).min(self.parts.len()));
        let start = from.checked_sub(1).map_or(0, |before| self.parts[before].end);
        let end = to.checked_sub(1).map_or(0, |last| self.parts[last].end).max(start);
        let bytes = Arc::new(self.bytes[start..end].to_vec());
        let cut = self.parts[from..to].iter();
        let parts = cut.map(|part| Part { end: part.end - start, ..part.clone() }).collect();
        self.next = to;
        Self { bytes, parts, ..Self::default() }
    }

    fn read<V: Stored>(&self, operator: &'static str) -> Result<V, SnapshotError> {
        let wanted = type_name::<V>();
        let Some(part) = self.parts.get(self.next) else {
            let held = "nothing more".to_owned();
            return Err(SnapshotError::OtherType { operator, held, wanted });
        };
        let Some(versions) =
            written_as(&part.type_name, wanted).filter(|_| part.operator == operator)
        else {
            let held = format!("{} of `{}`", part.type_name, part.operator);
            return Err(SnapshotError::OtherType { operator, held, wanted });
        };
        let start = self.next.checked_sub(1).map_or(0, |before| self.parts[before].end);
        let bytes = &self.bytes[start..part.end];
        let damaged = |reason: &str| SnapshotError::Damaged { operator, reason: reason.to_owned() };
        let mut rest = bytes;
        match reading(versions, || decode(&mut rest)) {
            Ok(value) if rest.is_empty() => Ok(value),
            Ok(_) => Err(damaged(&format!("{} bytes are left over", rest.len()))),
            Err(reason) => Err(refused_version(operator).unwrap_or_else(|| damaged(&reason))),
        }
    }

    /// Freezes what may be large, before it is put in. What has not changed since it was copied for
    /// one of the checkpoints of `known`, which are complete, is not copied again.
    pub(crate) fn freeze(&mut self, bulk: &mut dyn Bulk, Epoch(epoch): Epoch, known: Known<'_>) {
        let id = self.unfinished;
        let is_known = |copy: &Copied| known.epochs.contains(&Epoch(copy.epoch));
        match bulk.unchanged().filter(is_known) {
            Some(copy) => {
                bulk.refer(id);
                self.references.push(Reference { of: id, to: copy });
            }
            None => bulk.freeze(Copied { epoch, id }, known.spare),
        }
        self.unfinished += 1;
    }

    /// What is in copies of checkpoints before it.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Copies a slice of it, if there is something to copy.
    pub(crate) fn copy(&mut self, bulk: &mut dyn Bulk, budget: &mut usize, spare: &Spare) {
        if *budget == 0 || bulk.frozen().is_none() {
            return;
        }
        let pieces = &mut self.pieces;
        let copied = bulk.slice(budget, &mut |of, bytes| {
            pieces.push(Piece { of, bytes: spare.lend(bytes) });
        });
        match copied {
            Ok(done) => self.unfinished -= u32::from(done),
            Err(reason) => {
                self.unfinished -= 1;
                self.note(SnapshotError::Unsaved { step: "state by key".to_owned(), reason });
            }
        }
    }

    /// Whether nothing is being copied any longer.
    pub(crate) fn is_copied(&self) -> bool {
        self.unfinished == 0
    }

    /// A stage has shown all that is being copied, and there was budget left: if it is not done
    /// with, it is there no longer.
    pub(crate) fn has_met_all(&mut self) {
        if self.unfinished > 0 {
            let reason = "something was dropped while it was being copied".to_owned();
            self.note(SnapshotError::Unsaved { step: "state by key".to_owned(), reason });
            self.unfinished = 0;
        }
    }

    /// Fills what waits for the pieces that were copied of it.
    pub(crate) fn fill(&mut self, bulk: &mut dyn Bulk) {
        if self.before.is_some() {
            return self.fill_whole(bulk);
        }
        let Some(id) = bulk.awaits().filter(|_| self.wrong.is_none()) else { return };
        if self.references.iter().any(|reference| reference.of == id) {
            let reason = "its copy is in a checkpoint before this one, and was not read".to_owned();
            return self.note(SnapshotError::Damaged { operator: "state by key", reason });
        }
        let of_it = self.pieces.iter().filter(|piece| piece.of == id);
        let of_it: Vec<&[u8]> = of_it.map(|piece| &piece.bytes[..]).collect();
        match bulk.fill(&of_it) {
            Ok(()) => self.pieces.retain(|piece| piece.of != id),
            Err(reason) => {
                let operator = "state by key";
                let damaged = || SnapshotError::Damaged { operator, reason };
                self.note(refused_version(operator).unwrap_or_else(damaged));
            }
        }
    }

    /// Unless `is_at_rest`, no snapshot can be taken now: the operator is in the middle of `what`.
    pub fn at_rest(&mut self, operator: &'static str, is_at_rest: bool, what: &'static str) {
        if !is_at_rest {
            self.in_flight(operator, what);
        }
    }

    /// No snapshot can be taken now: the operator is in the middle of `what`.
    pub fn in_flight(&mut self, operator: &'static str, what: &'static str) {
        self.note(SnapshotError::InFlight { operator, what });
    }

    /// No snapshot can ever be taken of a step of type `V`.
    pub fn refuse<V: ?Sized>(&mut self, reason: &'static str) {
        self.note(SnapshotError::Unsaved {
            step: plain_name::<V>().to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Notes that a step has something of its own that is not saved: what a closure has captured,
    /// the fields of a process function. Settings, as like as not; but where a run goes another way
    /// after a restore, it is the first thing to look at.
    pub fn unseen<V>(&mut self, step: &'static str) {
        if size_of::<V>() > 0 {
            self.unseen.push(format!("{step} ({})", plain_name::<V>()));
        }
    }

    /// What [`unseen`](Self::unseen) noted.
    pub fn unseen_steps(&self) -> impl Iterator<Item = &str> {
        self.unseen.iter().map(String::as_str)
    }

    /// Once all is put in: whether that is a snapshot.
    ///
    /// # Errors
    /// What was wrong first.
    pub fn checked(mut self) -> Result<Self, SnapshotError> {
        // One table may have been copied in several turns, between which others came.
        self.pieces.sort_by_key(|piece| piece.of);
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self),
        }
    }

    /// Once all is taken out: whether every part found its place.
    ///
    /// # Errors
    /// What was wrong first; a part that is left over is wrong too.
    pub fn finish(self) -> Result<(), SnapshotError> {
        let mut left = self.checked()?;
        if let Some(before) = left.before.take() {
            return before.finish();
        }
        match left.parts.get(left.next) {
            Some(Part { operator, type_name, .. }) => {
                let what = format!("nothing takes the {type_name} of `{operator}`");
                Err(SnapshotError::OtherPipeline(what))
            }
            None if !left.pieces.is_empty() => {
                let what = "nothing takes some of the state by key".to_owned();
                Err(SnapshotError::OtherPipeline(what))
            }
            None => Ok(()),
        }
    }

    /// The parts that nothing has taken out yet.
    pub(super) fn rest(&self) -> &[Part] {
        &self.parts[self.next..]
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.wrong.is_some()
    }

    pub(super) fn take_wrong(&mut self) -> Option<SnapshotError> {
        self.wrong.take()
    }

    #[cold]
    pub(super) fn note(&mut self, wrong: SnapshotError) {
        self.wrong.get_or_insert(wrong);
    }
}

/// How a part of type `held` is written, if it can be read as `wanted`.
fn written_as(held: &str, wanted: &str) -> Option<Versions> {
    if held == wanted {
        return Some(Versions::Noted);
    }
    (held == without_versions(wanted)).then_some(Versions::Plain)
}

/// The name of a type as it was when nothing in it had versions.
fn without_versions(name: &str) -> String {
    const VERSIONED: &str = "millstream::state::versioned::Versioned<";
    let Some((before, inside)) = name.split_once(VERSIONED) else { return name.to_owned() };
    let mut depth = 1;
    let end = inside.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0
    });
    let (inside, behind) = inside.split_at(end.unwrap_or(inside.len()));
    let behind = behind.strip_prefix('>').unwrap_or(behind);
    without_versions(&format!("{before}{inside}{behind}"))
}

/// The version for which something could not be read just now, if that was it.
fn refused_version(operator: &'static str) -> Option<SnapshotError> {
    let (held, known) = take_refused_version()?;
    Some(SnapshotError::Version { operator, held, known })
}

/// The name of a type without those that it is made of, which in a fused stage are all that follow.
fn plain_name<V: ?Sized>() -> &'static str {
    let name = type_name::<V>();
    name.split('<').find(|part| !part.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod versions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_in_order_and_are_not_used_up() {
        let mut saved = Saved::new();
        saved.put("reduce", &7u64);
        saved.put("window", &vec!['a']);
        let saved = saved.checked().unwrap();
        for _ in 0..2 {
            let (mut n, mut letters, mut saved) = (0u64, Vec::<char>::new(), saved.clone());
            saved.take("reduce", &mut n);
            saved.take("window", &mut letters);
            assert_eq!((n, letters), (7, vec!['a']));
            assert_eq!(saved.finish(), Ok(()));
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_types() {
        let mut saved = Saved::new();
        saved.put("reduce", &7u64);
        let take = |operator, wanted: &mut dyn FnMut(&mut Saved, &'static str)| {
            let mut saved = saved.clone();
            wanted(&mut saved, operator);
            saved.finish().unwrap_err().to_string()
        };
        let mut small = 1u8;
        let error = take("reduce", &mut |saved, name| saved.take(name, &mut small));
        assert_eq!(error, "`reduce` wants u8, and the snapshot holds u64 of `reduce` there");
        assert_eq!(small, 1, "it stays as it was");
        let mut right = 1u64;
        let error = take("window", &mut |saved, name| saved.take(name, &mut right));
        assert_eq!(error, "`window` wants u64, and the snapshot holds u64 of `reduce` there");
        let error = take("reduce", &mut |saved, name| {
            (0..2).for_each(|_| saved.take(name, &mut right));
        });
        assert_eq!(error, "`reduce` wants u64, and the snapshot holds nothing more there");
        let error = take("", &mut |_, _| ());
        assert_eq!(error, "a snapshot of another pipeline: nothing takes the u64 of `reduce`");
    }

    #[test]
    fn what_was_wrong_first_is_what_is_told() {
        let mut saved = Saved::new();
        saved.at_rest("window", true, "fires");
        saved.at_rest("window", false, "fires");
        saved.refuse::<Option<u8>>("nobody knows why");
        let error = saved.checked().err().map(|error| error.to_string());
        let golden = "a snapshot is taken at rest, and `window` fires: step until it is done";
        assert_eq!(error.as_deref(), Some(golden));
    }

    #[test]
    fn what_is_of_no_size_keeps_nothing() {
        let mut saved = Saved::new();
        saved.unseen::<()>("map");
        saved.unseen::<Option<u8>>("filter");
        assert!(saved.unseen_steps().eq(["filter (core::option::Option)"]));
    }
}
