//! A journal as a source.

use std::time::Duration;

use crate::dataflow::{Record, Saved};
use crate::error::{IoError, JournalError};
use crate::io::codec::Codec;
use crate::io::journal::reader::Reader;
use crate::io::journal::sequence::Sequence;
use crate::io::source::{Polled, Source};
use crate::io::storage::Files;
use crate::time::{Timestamp, ms, secs};

/// A source of what is in a journal, in order, each record with its own timestamp: for running
/// again what has been, and for running beside whoever writes it.
///
/// It ends where the journal ends, or [follows](Self::follow) its writer. Its position is a
/// sequence, so that it goes on exactly there from a snapshot. A record that does not decode is
/// counted in [`Polled::rejected`], and the next one follows. Damage is an error once everything
/// before it has been given.
///
/// Reads block: one write of the journal at a time, usually out of the page cache. A follower at
/// the end looks for more by opening files, which allocates. It makes no promise about timestamps.
///
/// ```
/// use millstream::io::journal::{Journal, JournalSource, Sequence, Settings};
/// use millstream::io::{Source, codec};
/// use millstream::{Timestamp, sim::SimDisk};
///
/// let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
/// let (mut disk, now) = (SimDisk::new(7), Timestamp(0));
/// let storage = disk.storage(&settings);
/// let (mut journal, _) = Journal::open(&mut disk, storage, settings, 1, now)?;
/// for n in [5u8, 6, 7] {
///     journal.append(Timestamp(n.into()), &[n]).unwrap();
/// }
/// journal.close(&mut disk)?;
///
/// let digits = codec(
///     1,
///     |digit: &u8, into: &mut Vec<u8>| into.push(*digit),
///     |bytes: &[u8]| bytes.first().copied().ok_or("no byte".into()),
/// );
/// let mut source = JournalSource::open(disk, digits)?.from(Sequence(1))?;
/// let mut seen = Vec::new();
/// while !source.poll(0, now, 64, &mut |record| seen.push(record.value))?.ended {}
/// assert_eq!(seen, [6, 7]);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct JournalSource<F, C> {
    reader: Reader<F>,
    codec: C,
    /// Where to go before anything is read: a snapshot's position.
    wanted: Option<u64>,
    follows: bool,
    look_every: Duration,
    /// A follower that has come to the end looks again then.
    look_at: Timestamp,
    /// Where it had come to, and since when.
    stood: (Sequence, Timestamp),
}

/// How long a follower stands still where it should not before it looks for damage, which may mean
/// reading a whole segment.
const PATIENCE: Duration = secs(1);

impl<F: Files, C: Codec> JournalSource<F, C> {
    /// From the first record that is kept to the last.
    ///
    /// # Errors
    /// What the disk said; a first segment that cannot be used.
    pub fn open(files: F, codec: C) -> Result<Self, JournalError> {
        Ok(Self {
            reader: Reader::open(files)?,
            codec,
            wanted: None,
            follows: false,
            look_every: ms(1),
            look_at: Timestamp::MIN,
            stood: (Sequence(0), Timestamp::MIN),
        })
    }

    /// From the record of this sequence on.
    ///
    /// # Errors
    /// If it is not there, nor would be the next; damage on the way; what the disk said.
    pub fn from(mut self, sequence: Sequence) -> Result<Self, JournalError> {
        self.reader.seek(sequence)?;
        Ok(self)
    }

    /// From the first record on that has this timestamp or a later one.
    ///
    /// # Errors
    /// Damage on the way; what the disk said.
    pub fn since(mut self, at: Timestamp) -> Result<Self, JournalError> {
        self.reader.seek_time(at)?;
        Ok(self)
    }

    /// Goes on behind whoever writes the journal, and does not end. Each record is given once it is
    /// known to be durable, which a later write says. At the end it looks for more every
    /// millisecond.
    pub fn follow(mut self) -> Self {
        self.reader = self.reader.follow();
        self.follows = true;
        self
    }

    /// How often a follower that has come to the end looks for more.
    pub fn look_every(mut self, span: Duration) -> Self {
        self.look_every = span;
        self
    }

    /// The sequence of the next record.
    pub fn position(&self) -> Sequence {
        self.wanted.map_or_else(|| self.reader.position(), Sequence)
    }

    /// There is nothing more now: whether that is the end. A follower looks again later.
    fn at_the_end(&mut self, now: Timestamp) -> Result<bool, JournalError> {
        let (position, (stood, since)) = (self.reader.position(), self.stood);
        self.look_at = now + self.look_every;
        if !self.follows {
            self.reader.end()?;
        } else if position != stood {
            self.stood = (position, now);
        } else if self.reader.should_go_on() && now >= since + PATIENCE {
            self.reader.end()?;
            self.stood.1 = now;
        }
        Ok(!self.follows)
    }
}

impl<F: Files + 'static, C: Codec> Source for JournalSource<F, C> {
    type Out = C::Value;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<C::Value>),
    ) -> Result<Polled, IoError> {
        if let Some(wanted) = self.wanted.take() {
            self.reader.seek(Sequence(wanted)).map_err(as_io)?;
        }
        let mut polled = Polled::open();
        if self.follows && now < self.look_at {
            return Ok(polled);
        }
        for _ in 0..budget {
            let Some(entry) = self.reader.read().map_err(as_io)? else {
                polled.ended = self.at_the_end(now).map_err(as_io)?;
                break;
            };
            match self.codec.decode(entry.bytes) {
                Ok(Some(value)) => emit(Record::new(entry.at, value)),
                Ok(None) => {}
                Err(_) => polled.rejected += 1,
            }
        }
        Ok(polled)
    }

    fn position(&self, _partition: usize) -> Option<u64> {
        Some(self.position().0)
    }

    fn write_down(&mut self, value: &C::Value, into: &mut Vec<u8>) {
        self.codec.encode(value, into);
    }

    fn save(&self, out: &mut Saved) {
        out.put("journal", &self.position().0);
    }

    fn load(&mut self, from: &mut Saved) {
        let mut position = 0u64;
        from.take("journal", &mut position);
        self.wanted = Some(position);
    }
}

/// An error of a journal, as sources give them.
pub(super) fn as_io(error: JournalError) -> IoError {
    match error {
        JournalError::Io(error) => error,
        other => IoError::new("read", "the journal", std::io::Error::other(other)),
    }
}
