//! Where records go.

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::time::Timestamp;

/// A place that records go to, as one shard sees it.
///
/// A sink never blocks: one that cannot take more says so by [`is_open`](Sink::is_open), and the
/// shard then stops asking for whatever would flow into it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sink for records of type `{In}`",
    label = "the stream carries `{In}` here"
)]
pub trait Sink<In>: 'static {
    /// Whether it takes records now. After a `true` it must take at least one whole batch
    /// (`Config::batch_max`).
    fn is_open(&self) -> bool {
        true
    }

    /// Takes one record.
    fn accept(&mut self, record: Record<In>) -> Result<(), IoError>;

    /// The records so far are all there is for now: publish, write, flush.
    fn end_of_batch(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    /// No record before `watermark` will come.
    fn on_watermark(&mut self, _watermark: Timestamp) -> Result<(), IoError> {
        Ok(())
    }

    /// Nothing more will come: make it complete.
    fn end_of_stream(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    /// A checkpoint has come this far: what was accepted before belongs to it, what comes next does
    /// not. A sink whose output must not be seen before the checkpoint is complete makes it so that
    /// it can be shown later, even by another that was restored: the first phase of a commit.
    /// [`save`](Sink::save) was called just before.
    fn on_barrier(&mut self, _epoch: Epoch) -> Result<(), IoError> {
        Ok(())
    }

    /// That checkpoint is complete, and nothing before it will come again: the second phase. May
    /// never be called, or not for each checkpoint, or again after a restore.
    fn on_complete(&mut self, _epoch: Epoch) -> Result<(), IoError> {
        Ok(())
    }

    /// Goes on with a commit that is under way; returns whether it still is. Asked again and again
    /// while it is: no checkpoint begins, and the shard is not done, before it is over.
    fn poll(&mut self) -> Result<bool, IoError> {
        Ok(false)
    }

    /// What the shard drives in every step beside the records, also in those without any: sockets,
    /// say. Asked once, when the pipeline is built.
    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        None
    }

    /// Copies into a snapshot what it must know to go on. Nothing by default: what has been written
    /// is in the world, where a restore does not take it back.
    fn save(&self, _out: &mut Saved) {}

    /// Takes what [`save`](Self::save) put in.
    fn load(&mut self, _from: &mut Saved) {}
}

/// The part of a sink that goes on without records: see [`Sink::driven`]. It shares what it needs
/// with the sink.
pub trait Driven: 'static {
    /// Looks after what is under way, without waiting; returns how much it did.
    fn drive(&mut self, now: Timestamp) -> Result<u64, IoError>;

    /// Whether the sink has been told of the end of the stream, and all of it is where it belongs.
    /// The shard is not done before.
    fn is_done(&self) -> bool;

    /// The memory that it may take, which is counted with the queues of the pipeline. Asked once,
    /// when the pipeline is built.
    fn bytes(&self) -> usize {
        0
    }
}
