//! Records out of memory that another process writes.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Polled, Source};
use crate::net::counts::{Count, Counts, Problem};
use crate::net::local::Remote;
use crate::net::shared::listener::SharedListener;
use crate::net::shared::memory::{Header, Memory};
use crate::net::shared::plain::{Plain, read, words};
use crate::net::shared::ring::{Reader, Wild};
use crate::net::shared::{LOOK_EVERY_NS, handover};
use crate::time::Timestamp;

/// How long one who has connected may take to hand over his ring.
const GREETING_MAX: Duration = Duration::from_secs(1);

/// What a [`SharedSource`] does when its writer is gone without having said that no more will come.
/// What he has published is given in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It waits for the next one.
    Wait,
    /// The stream ends.
    End,
    /// It fails, so that whatever restarts the pipeline hears of it.
    Fail,
}

/// The limits of a [`SharedSource`].
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// What writers must call the layout of their records. Give a layout that changes another
    /// number: the length alone does not tell two of them apart.
    pub format: u64,
    /// The most records that a writer's ring may have room for.
    pub capacity_max: usize,
    /// What becomes of the stream when a writer is gone.
    pub gone: Gone,
}

impl Default for Taking {
    fn default() -> Self {
        Self { format: 0, capacity_max: 1 << 20, gone: Gone::Wait }
    }
}

/// A source of records that another process of this host writes into shared memory, by a
/// [`SharedSink`](crate::net::SharedSink). The first shard reads them.
///
/// There is no call to the system for a record, and none for a batch. Records keep their order and
/// their timestamps. One writer is read at a time; the next one waits until the one before is gone,
/// which is noticed within a millisecond. The stream ends with a writer who says that no more
/// will come, or when the [`SharedListener`] is stopped.
///
/// A writer is trusted to say what is true and not with anything more: whatever bytes he writes are
/// a value, as [`Plain`] demands, he cannot take the memory away, and a place in it that cannot be
/// is an error. What a reader had taken when it ended badly is gone with it; what it had not, the
/// next one reads.
///
/// ```
/// use millstream::io::MemorySource;
/// use millstream::net::{SharedListener, SharedSink, SharedSource, Sharing, Taking};
/// use millstream::{Config, Record, Shard, Timestamp};
///
/// let name = format!("doc-source-{}", std::process::id());
/// let listener = SharedListener::at(&name)?;
/// let (mut reads, mut seen) = Shard::embed(Config::embedded(), |p| {
///     Ok(p.source(SharedSource::<[u32; 2]>::new(p, &listener, Taking::default())?).output())
/// })?;
/// // As a rule this is another process.
/// let (mut writes, ()) = Shard::embed(Config::embedded(), |p| {
///     let sink = SharedSink::new(p, &name, Sharing::default())?;
///     let records = [[1, 2], [3, 4]].map(|value| Record::new(Timestamp(5), value));
///     p.source(MemorySource::new(records.to_vec())).sink(sink);
///     Ok(())
/// })?;
/// for now in 0.. {
///     writes.step(Timestamp(now * 1_000_000));
///     reads.step(Timestamp(now * 1_000_000));
///     if reads.is_done() {
///         break;
///     }
/// }
/// assert_eq!(seen.pop(), Some(Record::new(Timestamp(5), [1, 2])));
/// assert_eq!(seen.pop().map(|record| record.value), Some([3, 4]));
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct SharedSource<T> {
    /// None on other shards than the first.
    listener: Option<SharedListener>,
    limits: Taking,
    /// One who has connected, and until when he may say something.
    greeting: Option<(UnixStream, Timestamp)>,
    ring: Option<Ring>,
    /// When the sockets are looked at next.
    look_at: Timestamp,
    over: bool,
    counts: Counts,
    on_problem: Option<Box<dyn FnMut(&Problem)>>,
    values: PhantomData<fn() -> T>,
}

/// A writer's ring.
struct Ring {
    reader: Reader<Memory>,
    socket: UnixStream,
    process: i32,
    /// The socket says that he is gone.
    is_gone: bool,
}

impl<T: Plain> SharedSource<T> {
    /// Reads what is handed over at a name.
    ///
    /// # Errors
    /// A limit that cannot be.
    pub fn new(p: Pipeline<'_>, listener: &SharedListener, limits: Taking) -> Result<Self> {
        if Memory::bytes_for::<T>(limits.capacity_max as u64).is_none() {
            let reason = "there cannot be so much memory";
            return Err(ConfigError::setting("capacity_max", limits.capacity_max, reason).into());
        }
        Ok(Self {
            listener: (p.shard() == 0).then(|| listener.clone()),
            limits,
            greeting: None,
            ring: None,
            look_at: Timestamp::MIN,
            over: false,
            counts: Counts::default(),
            on_problem: None,
            values: PhantomData,
        })
    }

    /// Adds to these counts: [`Accepted`](Count::Accepted) rings, [`Closed`](Count::Closed) ones,
    /// those of them that ended without a word as [`Broken`](Count::Broken), and those that were
    /// [`Refused`](Count::Refused).
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Tells of writers that are refused, or gone without a word. It is called on the shard's
    /// thread, and what it does is part of the step.
    pub fn on_problem(self, f: impl FnMut(&Problem) + 'static) -> Self {
        Self { on_problem: Some(Box::new(f)), ..self }
    }

    fn tell(&mut self, process: i32, taken: u64, count: Count, reason: String) {
        self.counts.add(count, 1);
        if let Some(tell) = &mut self.on_problem {
            let offset = taken * words::<T>() as u64 * 8;
            tell(&Problem { peer: Remote::Process(process), offset, count, reason });
        }
    }

    /// Takes the next writer in, if there is one.
    fn look_for_a_writer(&mut self, now: Timestamp) {
        if self.greeting.is_none() {
            let Some(listener) = &self.listener else { return };
            let Ok((stream, _)) = listener.socket().accept() else { return };
            if stream.set_nonblocking(true).is_err() {
                return;
            }
            let by = now.offset(GREETING_MAX.as_nanos() as i64);
            self.greeting = Some((stream, by));
        }
        let Some((stream, by)) = self.greeting.take() else { return };
        let process = handover::process(&stream);
        let id = *process.as_ref().unwrap_or(&0);
        let taken = match process.and_then(|_| handover::hear(&stream)) {
            Ok(None) if now < by => return self.greeting = Some((stream, by)),
            Ok(None) => Err("nothing comes".to_owned()),
            Ok(Some((header, memory))) => self.open(&stream, &header, memory),
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(memory) => {
                self.counts.add(Count::Accepted, 1);
                let reader = Reader::new(memory);
                self.ring = Some(Ring { reader, socket: stream, process: id, is_gone: false });
            }
            Err(reason) => self.tell(id, 0, Count::Refused, reason),
        }
    }

    /// Says what is wanted here, and takes what was handed over if that is the same.
    fn open(
        &self,
        stream: &UnixStream,
        theirs: &Header,
        memory: Option<OwnedFd>,
    ) -> std::result::Result<Memory, String> {
        let most = self.limits.capacity_max as u64;
        let ours = Header::of::<T>(self.limits.format, most);
        // One who is gone meanwhile may have left records.
        let _ = handover::say(stream, &ours, None);
        ours.agree(theirs)?;
        theirs.fits(most)?;
        Memory::open::<T>(&memory.ok_or("it hands over no memory")?, theirs)
    }

    fn failed(&self, cause: std::io::Error) -> IoError {
        let name = self.listener.as_ref().map_or("", |listener| listener.name());
        IoError::new("read shared ring", name, cause)
    }

    /// There is nothing to be read: finds out whether anything will come.
    fn on_dry(&mut self) -> std::result::Result<(), IoError> {
        let is_stopped = self.listener.as_ref().is_some_and(SharedListener::is_stopped);
        let Some(ring) = &mut self.ring else {
            self.over |= is_stopped;
            return Ok(());
        };
        let is_over = ring.reader.is_over();
        if !is_over && !ring.is_gone && !is_stopped {
            return Ok(());
        }
        // In this order: what was published before any of that must be seen.
        if ring.reader.waiting(1).map_err(|wild| self.failed(lies(wild)))? > 0 {
            return Ok(());
        }
        let Some(ring) = self.ring.take() else { return Ok(()) };
        self.counts.add(Count::Closed, 1);
        self.over |= is_over || is_stopped;
        if self.over {
            return Ok(());
        }
        let (process, taken) = (ring.process, ring.reader.taken());
        let reason = format!("it is gone after {taken} records, without a word");
        match self.limits.gone {
            Gone::Wait => {}
            Gone::End => self.over = true,
            Gone::Fail => {
                self.counts.add(Count::Broken, 1);
                let cause = std::io::Error::other(format!("process {process}: {reason}"));
                return Err(self.failed(cause));
            }
        }
        self.tell(process, taken, Count::Broken, reason);
        Ok(())
    }
}

/// The writer says that he is where he cannot be.
fn lies(wild: Wild) -> std::io::Error {
    let Wild { ours, theirs } = wild;
    std::io::Error::other(format!("the writer says it is at {theirs}, and the reader is at {ours}"))
}

impl<T: Plain> Source for SharedSource<T> {
    type Out = T;

    fn partitions(&self) -> usize {
        usize::from(self.listener.is_some())
    }

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> std::result::Result<Polled, IoError> {
        let mut taken = 0;
        if let Some(ring) = &mut self.ring {
            let waiting = ring.reader.waiting(budget as u64);
            taken = match waiting {
                Ok(waiting) => waiting.min(budget as u64),
                Err(wild) => return Err(self.failed(lies(wild))),
            };
            for _ in 0..taken {
                let (at, value) = ring.reader.take(read);
                emit(Record::new(at, value));
            }
            ring.reader.release();
        }
        if taken == 0 {
            self.on_dry()?;
        } else {
            self.counts.add(Count::BytesIn, taken * words::<T>() as u64 * 8);
        }
        Ok(Polled { ended: self.over, ..Polled::open() })
    }

    fn drive(&mut self, now: Timestamp) -> std::result::Result<(), IoError> {
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now.offset(LOOK_EVERY_NS);
        match &mut self.ring {
            Some(ring) if ring.is_gone => {}
            Some(ring) => ring.is_gone = handover::is_gone(&ring.socket),
            None if self.over => {}
            None => self.look_for_a_writer(now),
        }
        Ok(())
    }
}
