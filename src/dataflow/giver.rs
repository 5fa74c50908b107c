//! A source asked for one record at a time, by those who must know which record does what.

use crate::dataflow::Context;
use crate::time::Timestamp;

/// A record that a source has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The partition that it came from, of those that this shard reads.
    pub partition: usize,
    /// How many records that partition had given before it, since the pipeline first began.
    pub number: u64,
    /// Where the source says that it stands in its input; its number, if the source does not.
    pub position: u64,
    /// Its timestamp, as the source gave it.
    pub at: Timestamp,
    /// The record as the source writes it down; nothing if it cannot.
    pub bytes: Vec<u8>,
}

/// How a source is asked for one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// It gives none that stands behind this position.
    pub until: Option<u64>,
    /// The record's timestamp is the time of the step, unless that is later already: for running
    /// again what has been.
    pub at_its_time: bool,
    /// It takes the record and hands nothing on, but for how far event time has come with it.
    pub leaves_out: bool,
}

/// What came of asking a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gave {
    /// A record, the end of a partition, or something that it could not read.
    Something,
    /// There is nothing now, or no room for it.
    Nothing,
    /// Nothing more will come that was asked for.
    #[default]
    NoMore,
}

/// The source of a stage, given by [`Runnable::giver`](crate::dataflow::Runnable::giver).
///
/// Records are known by their number in their partition. A source that can go on from a snapshot
/// gives the same records again, so that a number means the same record in every run.
pub trait Giver {
    /// How many records each partition has given.
    fn counts(&self) -> &[u64];

    /// Whether all its partitions have ended.
    fn has_ended(&self) -> bool;

    /// From now on, leaves out the record of this number: it is taken from the source, and goes
    /// nowhere. One that was given before is left alone.
    fn pass_over(&mut self, partition: usize, number: u64);

    /// Says what is known without asking for a record, so that nobody downstream waits to hear of
    /// this source.
    fn begin(&mut self, cx: &mut Context);

    /// Asks the partition whose turn it is for one record and hands it on, if there is room. How
    /// far event time has come is not told yet.
    fn give(&mut self, ask: Ask, cx: &mut Context) -> Gave;

    /// Tells how far event time has come with what was given last.
    fn tell(&mut self, cx: &mut Context);

    /// Drives the source after a failure. Returns whether all that it has given would come again,
    /// or nothing more can be done for that.
    fn put_to_rest(&mut self, now: Timestamp) -> bool;

    /// The record that the last [`give`](Self::give) handed on; none if it had not come so far.
    fn given(&self) -> Option<&Given>;
}
