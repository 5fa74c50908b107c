//! Output that is shown when the input that it came of is durable.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::io::journal::Durable;
use crate::io::{Driven, Sink};
use crate::state::{Rescale, Stored};
use crate::time::Timestamp;

/// So many records are shown at most in each of the two looks that a step takes.
const SHOWN_MAX: usize = 1_024;

/// The journals of a pipeline, on all its shards: what gates wait for.
///
/// ```
/// use millstream::io::journal::{Journal, Journalled, Settings};
/// use millstream::io::{Journals, MemorySink, MemorySource, codec};
/// use millstream::{Record, Simulation, Timestamp, sim::SimDisk};
/// # fn main() -> millstream::Result<()> {
/// let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
/// let (journals, shown) = (Journals::new(), MemorySink::new());
/// let sink = shown.clone();
/// Simulation::new(1, 7).run(move |p| {
///     let (mut disk, now) = (SimDisk::new(7), Timestamp(0));
///     let storage = disk.storage(&settings);
///     let (journal, _) = Journal::open(&mut disk, storage, settings, 1, now)?;
///     let digits = codec(
///         1,
///         |digit: &u8, into: &mut Vec<u8>| into.push(*digit),
///         |bytes: &[u8]| bytes.first().copied().ok_or("no byte".into()),
///     );
///     let live = MemorySource::new((0..9).map(|n| Record::new(now, n)).collect::<Vec<_>>());
///     let source = Journalled::new(live, digits, journal, disk)?;
///     journals.watch(p.shard(), "digits", source.watch());
///     p.source(source).sink(journals.gate(sink.clone(), 1_000));
///     Ok(())
/// })?;
/// assert_eq!(shown.len(), 9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Journals(Arc<Mutex<BTreeMap<(usize, String), Durable>>>);

impl Journals {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a journal of a shard, which the shard calls so; for this one instead of another of
    /// that name, which was there before the shard was built anew.
    pub fn watch(&self, shard: usize, name: &str, durable: Durable) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((shard, name.to_owned()), durable);
    }

    /// A gate in front of a sink, which holds so many records and some of one batch at most.
    pub fn gate<T: Stored, K: Sink<T>>(&self, sink: K, records_max: usize) -> WhenDurable<T, K> {
        let gate = Gate {
            sink,
            journals: self.clone(),
            watched: None,
            held: VecDeque::with_capacity(records_max + SHOWN_MAX),
            restored: 0,
            unmarked: 0,
            marks: VecDeque::with_capacity(records_max + 2),
            batches: VecDeque::with_capacity(records_max + 2),
            beside: None,
            ended: false,
            told: false,
        };
        WhenDurable { gate: Rc::new(RefCell::new(gate)), records_max }
    }

    fn all(&self) -> Vec<Durable> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }
}

/// A sink that holds each result back until every record that any journal had taken when it came is
/// durable, on whatever shard: so nothing is shown that came of a record which may be lost. Made by
/// [`Journals::gate`].
///
/// It waits as long as the disk takes, and not for a checkpoint. After a crash everything since the
/// last checkpoint is shown again; [`AtOnce`](crate::io::AtOnce) behind it lets a receiver know it.
/// While a journal's disk is full and records go on without (`OnFull::GoOn`) it does not wait.
pub struct WhenDurable<T, K> {
    gate: Rc<RefCell<Gate<T, K>>>,
    records_max: usize,
}

struct Gate<T, K> {
    sink: K,
    journals: Journals,
    /// All journals; found out when the first record comes, as every shard has been built by then.
    watched: Option<Vec<Durable>>,
    held: VecDeque<Held<T>>,
    /// How many of the first that are held are from a snapshot. Those are durable.
    restored: usize,
    /// How many of the last that are held came since the end of a batch.
    unmarked: usize,
    /// How many are held of each batch, oldest first.
    batches: VecDeque<usize>,
    /// Where each of the journals must be for each of these batches.
    marks: VecDeque<u64>,
    /// What the sink itself does beside the records.
    beside: Option<Box<dyn Driven>>,
    ended: bool,
    /// The sink knows that it has ended.
    told: bool,
}

#[derive(Clone, Serialize, Deserialize)]
enum Held<T> {
    Record(Timestamp, T),
    Watermark(Timestamp),
}

/// What this shard shows once there is another number of them: all that one held follows each other
/// here. Watermarks are told anew, behind all of it.
fn those_that_follow<T>(all: Vec<Vec<Held<T>>>, to: &Rescale) -> Vec<Held<T>> {
    let held = all.into_iter().enumerate().filter(|(shard, _)| to.follows(*shard));
    let held = held.flat_map(|(_, held)| held);
    held.filter(|held| matches!(held, Held::Record(..))).collect()
}

impl<T: 'static, K: Sink<T>> Gate<T, K> {
    /// What has come so far is shown when what the journals have taken so far is durable.
    fn mark(&mut self) {
        if self.unmarked == 0 {
            return;
        }
        let watched = self.watched.get_or_insert_with(|| {
            let all = self.journals.all();
            self.marks.reserve(all.len() * self.batches.capacity());
            all
        });
        self.marks.extend(watched.iter().map(|journal| journal.taken().0));
        self.batches.push_back(std::mem::take(&mut self.unmarked));
    }

    /// How many of those that are held may be shown now: of the oldest batch, if it may.
    fn may_be_shown(&self) -> usize {
        if self.restored > 0 {
            return self.restored;
        }
        let watched = self.watched.as_deref().unwrap_or_default();
        let mut all = watched.iter().zip(&self.marks);
        match all.all(|(journal, mark)| journal.get().0 >= *mark) {
            true => self.batches.front().copied().unwrap_or(0),
            false => 0,
        }
    }

    /// One of those was shown.
    fn shown(&mut self) {
        if self.restored > 0 {
            self.restored -= 1;
            return;
        }
        let Some(left) = self.batches.front_mut() else { return };
        *left -= 1;
        if *left == 0 {
            self.batches.pop_front();
            self.marks.drain(..self.watched.as_ref().map_or(0, Vec::len));
        }
    }

    /// Shows what may be shown, a bounded part of it; returns how much that was.
    fn show(&mut self) -> Result<usize, IoError> {
        let (mut shown, mut records) = (0, 0);
        while shown < SHOWN_MAX && self.may_be_shown() > 0 {
            for _ in 0..self.may_be_shown().min(SHOWN_MAX - shown) {
                if !self.sink.is_open() {
                    return self.publish(shown, records);
                }
                match self.held.pop_front() {
                    Some(Held::Record(at, value)) => {
                        self.sink.accept(Record::new(at, value))?;
                        records += 1;
                    }
                    Some(Held::Watermark(at)) => self.sink.on_watermark(at)?,
                    None => {}
                }
                shown += 1;
                self.shown();
            }
        }
        self.publish(shown, records)
    }

    fn publish(&mut self, shown: usize, records: usize) -> Result<usize, IoError> {
        if records > 0 {
            self.sink.end_of_batch()?;
        }
        if self.ended && !self.told && self.held.is_empty() {
            self.told = true;
            self.sink.end_of_stream()?;
        }
        Ok(shown)
    }
}

impl<T: Clone + Stored, K: Sink<T>> Sink<T> for WhenDurable<T, K> {
    fn is_open(&self) -> bool {
        self.gate.borrow().held.len() < self.records_max
    }

    #[inline]
    fn accept(&mut self, Record { at, value }: Record<T>) -> Result<(), IoError> {
        let gate = &mut *self.gate.borrow_mut();
        gate.held.push_back(Held::Record(at, value));
        gate.unmarked += 1;
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        let gate = &mut *self.gate.borrow_mut();
        gate.mark();
        gate.show().map(drop)
    }

    /// Stays behind the records that it came behind.
    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        let gate = &mut *self.gate.borrow_mut();
        match gate.held.back_mut() {
            None => return gate.sink.on_watermark(watermark),
            Some(Held::Watermark(last)) => *last = watermark,
            Some(Held::Record(..)) => {
                gate.held.push_back(Held::Watermark(watermark));
                gate.unmarked += 1;
            }
        }
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        let gate = &mut *self.gate.borrow_mut();
        gate.ended = true;
        gate.mark();
        gate.show().map(drop)
    }

    /// What is held came before the barrier, and the sink has not seen it: it is in the snapshot of
    /// the gate.
    fn on_barrier(&mut self, epoch: Epoch) -> Result<(), IoError> {
        self.gate.borrow_mut().sink.on_barrier(epoch)
    }

    fn on_complete(&mut self, epoch: Epoch) -> Result<(), IoError> {
        self.gate.borrow_mut().sink.on_complete(epoch)
    }

    fn poll(&mut self) -> Result<bool, IoError> {
        self.gate.borrow_mut().sink.poll()
    }

    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        let beside = self.gate.borrow_mut().sink.driven();
        self.gate.borrow_mut().beside = beside;
        Some(Box::new(Opens(self.gate.clone())))
    }

    fn save(&self, out: &mut Saved) {
        let gate = self.gate.borrow();
        out.put("when durable", &gate.held.iter().cloned().collect::<Vec<Held<T>>>());
        out.put("when durable", &gate.ended);
        gate.sink.save(out);
    }

    /// A checkpoint is of what is durable, so nothing has to be waited for.
    fn load(&mut self, from: &mut Saved) {
        let gate = &mut *self.gate.borrow_mut();
        let mut held = Vec::<Held<T>>::new();
        from.rescale_by("when durable", &mut held, those_that_follow);
        // It does not end a second time, and the sink behind, which is another now, must know. On
        // another number of shards it is told the end again.
        from.take_unless_shared("when durable", &mut gate.ended);
        gate.restored = held.len();
        gate.held.extend(held);
        gate.sink.load(from);
    }
}

/// What a gate does in every step, also in those without records.
struct Opens<T, K>(Rc<RefCell<Gate<T, K>>>);

impl<T: 'static, K: Sink<T>> Driven for Opens<T, K> {
    fn drive(&mut self, now: Timestamp) -> Result<u64, IoError> {
        let gate = &mut *self.0.borrow_mut();
        gate.mark();
        let shown = gate.show()? as u64;
        let beside = gate.beside.as_mut().map_or(Ok(0), |beside| beside.drive(now))?;
        Ok(shown + beside)
    }

    fn is_done(&self) -> bool {
        let gate = self.0.borrow();
        gate.told && gate.beside.as_ref().is_none_or(|beside| beside.is_done())
    }

    fn bytes(&self) -> usize {
        self.0.borrow().beside.as_ref().map_or(0, |beside| beside.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemorySink;
    use crate::io::journal::Sequence;

    type Numbers = WhenDurable<u64, MemorySink<u64>>;

    fn gate(journals: &[Durable]) -> (Numbers, Box<dyn Driven>, MemorySink<u64>) {
        let (all, shown) = (Journals::new(), MemorySink::new());
        for (shard, durable) in journals.iter().enumerate() {
            all.watch(shard, "numbers", Durable::default());
            all.watch(shard, "numbers", durable.clone());
        }
        let mut gate = all.gate(shown.clone(), 3);
        let driven = gate.driven().unwrap();
        (gate, driven, shown)
    }

    fn accept(gate: &mut Numbers, values: &[u64]) {
        values.iter().for_each(|n| gate.accept(Record::new(Timestamp(0), *n)).unwrap());
        gate.end_of_batch().unwrap();
    }

    fn take(shown: &MemorySink<u64>) -> Vec<u64> {
        shown.take().into_iter().map(|record| record.value).collect()
    }

    #[test]
    fn each_batch_waits_for_what_every_journal_had_taken_then() {
        let journals = [Durable::default(), Durable::default()];
        let (mut gate, mut driven, shown) = gate(&journals);
        journals[0].take(Sequence(1));
        accept(&mut gate, &[1]);
        journals[1].take(Sequence(5));
        accept(&mut gate, &[2, 3]);
        assert!(!gate.is_open());
        gate.end_of_stream().unwrap();
        let mut drive = |set: usize, to: u64| {
            journals[set].set(Sequence(to));
            let done = driven.drive(Timestamp(0)).unwrap();
            let values = take(&shown);
            assert_eq!(values.len() as u64, done);
            (values, driven.is_done())
        };
        assert_eq!(drive(1, 4), (vec![], false));
        assert_eq!(drive(0, 1), (vec![1], false));
        assert_eq!(drive(1, 5), (vec![2, 3], true));
        assert!(gate.is_open());
    }

    #[test]
    fn what_shards_held_is_shown_by_one_of_those_that_follow() {
        let durable = Durable::default();
        durable.take(Sequence(1));
        let held = |values: [u64; 2]| {
            let ((mut gate, ..), mut saved) = (gate(std::slice::from_ref(&durable)), Saved::new());
            accept(&mut gate, &values);
            gate.on_watermark(Timestamp(9)).unwrap();
            gate.save(&mut saved);
            saved.checked().unwrap()
        };
        let all = [held([1, 2]), held([3, 4]), held([5, 6])];
        let restored = |shard, shards| {
            let to = Rescale { shard, shards, before: 3, hash_seed: 0 };
            let mut saved = Saved::rescaling(all.to_vec(), to);
            let (mut after, mut driven, shown) = gate(std::slice::from_ref(&durable));
            after.load(&mut saved);
            saved.finish().unwrap();
            driven.drive(Timestamp(0)).unwrap();
            take(&shown)
        };
        assert_eq!([restored(0, 2), restored(1, 2)], [vec![1, 2, 5, 6], vec![3, 4]]);
        assert_eq!(restored(0, 1), [1, 2, 3, 4, 5, 6]);
        assert_eq!([restored(2, 5), restored(4, 5)], [vec![5, 6], vec![]]);
    }

    #[test]
    fn what_a_snapshot_holds_is_shown_by_the_next() {
        let durable = Durable::default();
        durable.take(Sequence(1));
        let (mut before, _, shown) = gate(std::slice::from_ref(&durable));
        accept(&mut before, &[1, 2]);
        before.end_of_stream().unwrap();
        let mut saved = Saved::new();
        before.save(&mut saved);
        assert!(take(&shown).is_empty());
        let (mut after, mut driven, shown) = gate(&[durable]);
        after.load(&mut saved);
        saved.finish().unwrap();
        driven.drive(Timestamp(0)).unwrap();
        assert_eq!(take(&shown), [1, 2]);
        assert!(driven.is_done());
    }
}
