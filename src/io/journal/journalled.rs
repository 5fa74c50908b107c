//! A source that cannot replay, made one that can.

use std::cell::Cell;
use std::io::ErrorKind;

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::{IoError, JournalError, Result};
use crate::io::codec::Codec;
use crate::io::journal::notice::Durable;
use crate::io::journal::reader::Reader;
use crate::io::journal::sequence::Sequence;
use crate::io::journal::settings::OnFull;
use crate::io::journal::source::as_io;
use crate::io::journal::writer::Journal;
use crate::io::source::{Polled, Source};
use crate::io::storage::{Files, Storage};
use crate::time::Timestamp;

/// A source whose records go into a journal before they go on, so that they can come again: for
/// sockets and whatever else says everything once.
///
/// First it replays: from the position of the snapshot that it was restored from, or else
/// everything that is kept, up to where the journal ended when it was opened. Then it polls the
/// live source. A record goes on as soon as it is in the journal's buffer, and is durable some time
/// later: [`watch`](Self::watch) says when, for outputs that must wait. It never blocks: while the
/// journal has no room, the source is not polled.
///
/// A snapshot is taken once every record that went on is durable, so that none is ahead of its
/// journal; a checkpoint waits for that. Retention keeps what the last complete checkpoint goes on
/// from, and as long as none is complete what the last two snapshots do. All partitions of the
/// source become one, in the order of the journal.
///
/// ```
/// use millstream::io::journal::{Journal, Journalled, Settings};
/// use millstream::io::{MemorySource, Source, codec};
/// use millstream::{Record, Timestamp, sim::SimDisk};
///
/// let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
/// let (mut disk, now) = (SimDisk::new(7), Timestamp(0));
/// let digits = || {
///     codec(
///         1,
///         |digit: &u8, into: &mut Vec<u8>| into.push(*digit),
///         |bytes: &[u8]| bytes.first().copied().ok_or("no byte".into()),
///     )
/// };
/// let mut run = |live: Vec<u8>| {
///     let storage = disk.storage(&settings);
///     let (journal, _) = Journal::open(&mut disk.clone(), storage, settings, 1, now)?;
///     let live: Vec<_> = live.into_iter().map(|n| Record::new(now, n)).collect();
///     let live = MemorySource::new(live);
///     let mut source = Journalled::new(live, digits(), journal, disk.clone())?;
///     let mut seen = Vec::new();
///     while !source.poll(0, now, 64, &mut |record| seen.push(record.value))?.ended {}
///     Ok::<_, millstream::Error>(seen)
/// };
/// assert_eq!(run(vec![1, 2])?, [1, 2]);
/// assert_eq!(run(vec![3])?, [1, 2, 3], "what the first run saw comes again");
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct Journalled<S, C, D, F> {
    source: S,
    codec: C,
    journal: Journal<D>,
    replay: Replay<F>,
    /// A value's bytes on their way into the journal.
    bytes: Vec<u8>,
    /// Which of the source's partitions have ended, and the one that is polled next.
    ended: Vec<bool>,
    turn: usize,
    /// The positions of the last two snapshots, the older one first.
    snapshots: Cell<[Option<u64>; 2]>,
    /// The position of the last that is complete.
    complete: Option<u64>,
}

/// What is in the journal and has not come again yet.
struct Replay<F> {
    /// None once all has come.
    reader: Option<Reader<F>>,
    /// Where to go before anything is read.
    from: Option<u64>,
    /// The sequence that the journal went on with when it was opened.
    end: Sequence,
}

impl<S: Source, C: Codec<Value = S::Out>, D: Storage, F: Files> Journalled<S, C, D, F> {
    /// Wraps a source. The journal has just been opened, and `files` are where it is.
    ///
    /// # Errors
    /// A codec whose values may be longer than a record of the journal; what the disk said.
    pub fn new(source: S, codec: C, journal: Journal<D>, files: F) -> Result<Self> {
        let (bytes, most) = (codec.bytes_max(), journal.settings().record_max());
        if bytes > most {
            return Err(JournalError::TooLong { bytes, most }.into());
        }
        let end = journal.next();
        let replay = Replay { reader: Some(Reader::open(files)?), from: None, end };
        let ended = vec![false; source.partitions()];
        let bytes = Vec::with_capacity(bytes);
        let snapshots = Cell::new([None; 2]);
        Ok(Self {
            source,
            codec,
            journal,
            replay,
            bytes,
            ended,
            turn: 0,
            snapshots,
            complete: None,
        })
    }

    /// Leaves out what is in the journal already, unless a snapshot is restored.
    pub fn from_the_end(mut self) -> Self {
        self.replay.from = Some(self.replay.end.0);
        self
    }

    /// How far records are durable, to be looked at from anywhere.
    pub fn watch(&self) -> Durable {
        self.journal.watch()
    }

    /// The journal.
    pub fn journal(&self) -> &Journal<D> {
        &self.journal
    }

    /// The sequence of the next record that goes on.
    pub fn position(&self) -> Sequence {
        match (&self.replay.reader, self.replay.from) {
            (Some(_), Some(from)) => Sequence(from),
            (Some(reader), None) => reader.position(),
            (None, _) => self.journal.next(),
        }
    }

    /// Polls the live source for as much as the journal has room for.
    fn live(
        &mut self,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> std::result::Result<Polled, IoError> {
        let room = self.journal.room(self.codec.bytes_max()).min(budget);
        let Some(partition) = self.next_turn() else {
            // Nothing more comes: the end is when all that came is durable.
            let ended = self.journal.durable() >= self.journal.next();
            return Ok(Polled { ended, ..Polled::open() });
        };
        if room == 0 {
            let stops = self.journal.settings().on_full == OnFull::Stop;
            if stops && self.journal.is_disk_full() {
                return Err(IoError::new("write", "the journal", ErrorKind::StorageFull.into()));
            }
            return Ok(Polled::open());
        }
        let Self { source, codec, journal, bytes, .. } = self;
        let mut refused = 0;
        let mut polled = source.poll(partition, now, room, &mut |record| {
            bytes.clear();
            codec.encode(&record.value, bytes);
            match journal.append(record.at, bytes) {
                Ok(_) => emit(record),
                // Longer than its codec said, or the journal has failed, which its poll will say.
                Err(_) => refused += 1,
            }
        })?;
        polled.rejected += refused;
        if polled.ended {
            self.ended[partition] = true;
        }
        // What one of several partitions promises is no promise of all.
        let watermark = polled.watermark.filter(|_| self.ended.len() == 1);
        Ok(Polled { watermark, ended: false, ..polled })
    }

    /// The next partition in turn that has not ended.
    fn next_turn(&mut self) -> Option<usize> {
        for _ in 0..self.ended.len() {
            let partition = self.turn;
            self.turn = (self.turn + 1) % self.ended.len();
            if !self.ended[partition] {
                return Some(partition);
            }
        }
        None
    }
}

impl<F: Files> Replay<F> {
    /// Gives what comes again; none once all has come.
    fn poll<C: Codec>(
        &mut self,
        codec: &mut C,
        budget: usize,
        emit: &mut impl FnMut(Record<C::Value>),
    ) -> std::result::Result<Option<Polled>, IoError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if let Some(wanted) = self.from.take() {
            if wanted > self.end.0 {
                // A snapshot of another journal, or of one that has lost what was durable.
                let (first, end) = (reader.position().0, self.end.0);
                return Err(as_io(JournalError::Gone { wanted, first, end }));
            }
            if wanted == self.end.0 {
                self.reader = None;
                return Ok(None);
            }
            reader.seek(Sequence(wanted)).map_err(as_io)?;
        }
        let mut polled = Polled::open();
        for _ in 0..budget {
            if reader.position() >= self.end {
                self.reader = None;
                return Ok(Some(polled));
            }
            let Some(entry) = reader.read().map_err(as_io)? else {
                reader.end().map_err(as_io)?;
                self.reader = None;
                return Ok(Some(polled));
            };
            match codec.decode(entry.bytes) {
                Ok(Some(value)) => emit(Record::new(entry.at, value)),
                Ok(None) => {}
                Err(_) => polled.rejected += 1,
            }
        }
        Ok(Some(polled))
    }
}

impl<S, C, D, F> Source for Journalled<S, C, D, F>
where
    S: Source,
    C: Codec<Value = S::Out>,
    D: Storage + 'static,
    F: Files + 'static,
{
    type Out = S::Out;

    fn partitions(&self) -> usize {
        self.ended.len().min(1)
    }

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> std::result::Result<Polled, IoError> {
        let replayed = self.replay.poll(&mut self.codec, budget, emit)?;
        let polled = match replayed {
            Some(polled) => polled,
            None => self.live(now, budget, emit)?,
        };
        // Now, so that what just came is on its way to the disk before this step is over.
        self.journal.poll(now).map_err(as_io)?;
        Ok(polled)
    }

    fn drive(&mut self, now: Timestamp) -> std::result::Result<(), IoError> {
        let [older, last] = self.snapshots.get();
        self.journal.hold(self.complete.or(older).or(last).map(Sequence));
        self.journal.poll(now).map_err(as_io)?;
        self.source.drive(now)
    }

    fn is_at_rest(&self) -> bool {
        self.journal.durable() >= self.position() && self.source.is_at_rest()
    }

    fn position(&self, _partition: usize) -> Option<u64> {
        Some(self.position().0)
    }

    fn write_down(&mut self, value: &S::Out, into: &mut Vec<u8>) {
        self.codec.encode(value, into);
    }

    fn on_complete(&mut self, epoch: Epoch) {
        let [_, last] = self.snapshots.get();
        // After a restore it is told before there is a snapshot of this one.
        self.complete = last.or(self.complete);
        self.source.on_complete(epoch);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("journalled", self.is_at_rest(), "is making records durable");
        // As a source that only reads the journal has it, so that it can go on from there.
        out.put("journal", &self.position().0);
        let [_, last] = self.snapshots.get();
        self.snapshots.set([last, Some(self.position().0)]);
    }

    fn load(&mut self, from: &mut Saved) {
        let mut position = 0u64;
        from.take("journal", &mut position);
        self.replay.from = Some(position);
        self.complete = Some(position);
    }
}
