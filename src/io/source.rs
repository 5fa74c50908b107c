//! Where records come from.

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::time::Timestamp;

/// A place that records come from, as one shard sees it.
///
/// A source never blocks: with nothing to give, `poll` emits nothing and says [`Polled::open`]. The
/// shard asks again at its next step, and does not ask at all while what the source feeds is full.
///
/// ```
/// use millstream::io::{Polled, Source};
/// use millstream::{error::IoError, Record, Timestamp};
///
/// /// Counts down, one record a poll, each a millisecond after the one before.
/// struct Countdown(i64);
///
/// impl Source for Countdown {
///     type Out = i64;
///     fn poll(
///         &mut self,
///         _partition: usize,
///         _now: Timestamp,
///         _budget: usize,
///         emit: &mut impl FnMut(Record<i64>),
///     ) -> Result<Polled, IoError> {
///         if self.0 == 0 {
///             return Ok(Polled::ended());
///         }
///         emit(Record::new(Timestamp::from_millis(100 - self.0), self.0));
///         self.0 -= 1;
///         Ok(Polled::open())
///     }
/// }
/// ```
pub trait Source: 'static {
    /// What a record carries.
    type Out: 'static;

    /// How many partitions this shard reads; each keeps its own order and its own watermark.
    /// Zero means that this shard reads nothing of the source.
    fn partitions(&self) -> usize {
        1
    }

    /// Emits at most `budget` records of one partition, oldest first.
    ///
    /// `now` is the step's only clock reading. A record that could not be decoded is counted in
    /// [`Polled::rejected`], not returned as an error: an error stops the engine.
    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Self::Out>),
    ) -> Result<Polled, IoError>;

    /// Looks after what it has under way, without giving anything. Called in every step, also in
    /// those in which it is not polled because what it feeds is full or a barrier waits for it.
    fn drive(&mut self, _now: Timestamp) -> Result<(), IoError> {
        Ok(())
    }

    /// Whether its positions may be saved now: all that it has given would come again from there.
    /// Until then a barrier waits, and it is driven and not polled.
    fn is_at_rest(&self) -> bool {
        true
    }

    /// A checkpoint is complete: nobody will ever go back behind the positions that it holds.
    fn on_complete(&mut self, _epoch: Epoch) {}

    /// Where the next record of a partition stands in its input, if the source numbers what it
    /// gives: in a journal, its sequence. For dead letters and for replays.
    fn position(&self, _partition: usize) -> Option<u64> {
        None
    }

    /// The number of a partition among those that all shards read, if it is the same partition
    /// whichever shard reads it: then it goes on where it was when the number of shards changes.
    /// See [`Partitioned`](crate::io::Partitioned).
    fn number(&self, _partition: usize) -> Option<u32> {
        None
    }

    /// Writes down a record that it has just given, for whoever sorts out dead letters: the bytes
    /// that it was made of, if it has them. Nothing, unless it can; [`Legible`] says how for any
    /// source.
    ///
    /// [`Legible`]: crate::io::Legible
    fn write_down(&mut self, _value: &Self::Out, _into: &mut Vec<u8>) {}

    /// Copies its positions into a snapshot, so that another source like this one can go on from
    /// there. A source that keeps the default has none, and no snapshot can be taken of a pipeline
    /// with it.
    fn save(&self, out: &mut Saved) {
        out.refuse::<Self>("it has no position to go on from");
    }

    /// Goes on from the positions that [`save`](Self::save) put in. It was just built, as the other
    /// was, and has not been polled.
    fn load(&mut self, _from: &mut Saved) {}
}

/// Passes on to another source, in the field `$source`, what whoever changes its records has
/// nothing to do with.
macro_rules! pass_to {
    ($source:ident) => {
        fn partitions(&self) -> usize {
            self.$source.partitions()
        }

        fn drive(
            &mut self,
            now: $crate::time::Timestamp,
        ) -> std::result::Result<(), $crate::error::IoError> {
            self.$source.drive(now)
        }

        fn is_at_rest(&self) -> bool {
            self.$source.is_at_rest()
        }

        fn on_complete(&mut self, epoch: $crate::dataflow::Epoch) {
            self.$source.on_complete(epoch);
        }

        fn position(&self, partition: usize) -> Option<u64> {
            self.$source.position(partition)
        }

        fn number(&self, partition: usize) -> Option<u32> {
            self.$source.number(partition)
        }
    };
}
pub(super) use pass_to;

/// What one poll of a source says besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// When the oldest record of this poll arrived or was due; `None` means now. Latency counts
    /// from here, so an open-loop source gives the intended time.
    pub ingress: Option<Timestamp>,
    /// A promise of the source itself: no later record of this partition will be before it.
    pub watermark: Option<Timestamp>,
    /// How many malformed records this poll left out.
    pub rejected: u32,
    /// This partition will emit nothing more.
    pub ended: bool,
}

impl Polled {
    /// More may come.
    #[inline]
    pub const fn open() -> Self {
        Self { ingress: None, watermark: None, rejected: 0, ended: false }
    }

    /// Nothing more will come.
    #[inline]
    pub const fn ended() -> Self {
        Self { ended: true, ..Self::open() }
    }
}
