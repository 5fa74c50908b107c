//! A stage: steps fused by generics, closed by one box at its edge.

use crate::dataflow::{Checkpoint, Context, Epoch, Giver, Operator, Saved, Shown, Work};
use crate::state::EachBulk;

/// A stage in the making: it knows how to wrap itself around whatever comes next.
///
/// The one generic that users write: `impl Stage<Out = T>` in the arguments and results of
/// functions that build part of a pipeline. Everything between two edges is one such type, and
/// compiles to one loop.
pub trait Stage: Sized + 'static {
    /// What its last step emits.
    type Out: 'static;

    /// Ends the stage in `next` and makes it runnable.
    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable>;
}

/// The receiving end of an edge: the head of the stage behind it.
///
/// The type is the same whatever is upstream, so types and error messages never grow longer than a
/// stage.
pub struct Edge<T>(Box<dyn FnOnce(Box<dyn Operator<T>>) -> Box<dyn Runnable>>);

impl<T: 'static> Edge<T> {
    /// An edge whose records are delivered by what `close` makes around the operator behind it.
    pub(crate) fn new(
        close: impl FnOnce(Box<dyn Operator<T>>) -> Box<dyn Runnable> + 'static,
    ) -> Self {
        Self(Box::new(close))
    }
}

impl<T: 'static> Stage for Edge<T> {
    type Out = T;

    fn close<N: Operator<T>>(self, next: N) -> Box<dyn Runnable> {
        (self.0)(Box::new(next))
    }
}

/// A closed stage, as the shard runs it.
pub trait Runnable {
    /// Downstream first: takes in what other shards sent and goes on with work that was cut short.
    fn drain(&mut self, cx: &mut Context) -> Work;

    /// Upstream first: asks sources, and takes in what stages of this shard sent.
    fn poll(&mut self, cx: &mut Context) -> Work;

    /// Whether it asks the world for records, and so may have some when nothing else on the shard
    /// has moved.
    fn is_source(&self) -> bool {
        false
    }

    /// Its source, to be asked for one record at a time, if it begins at one.
    fn giver(&mut self) -> Option<&mut dyn Giver> {
        None
    }

    /// Its input has ended and nothing is left to do or to send.
    fn is_done(&self) -> bool;

    /// Whether the barrier of this checkpoint has come in on all its inputs, and it is at rest.
    fn is_at(&self, barrier: Epoch) -> bool;

    /// A checkpoint has come this far, or is complete: see [`Operator::on_checkpoint`]. Takes in
    /// again what follows a barrier.
    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context);

    /// Shows what its operators hold: see [`Operator::inspect`].
    fn inspect(&self, _each: &mut dyn FnMut(Shown<'_>)) {}

    /// Copies what it and its operators keep into a snapshot: see [`Operator::save`].
    fn save(&self, out: &mut Saved) {
        out.refuse::<Self>("it does not say what it keeps");
    }

    /// Takes what [`save`](Self::save) put in: see [`Operator::load`].
    fn load(&mut self, _from: &mut Saved) {}

    /// Names what its operators keep that may be large: see [`Operator::bulk`].
    fn bulk(&mut self, _each: &mut EachBulk<'_>) {}
}
