//! The one trait that every step of a pipeline is made of.

use crate::dataflow::{Checkpoint, Context, Record, Saved, Shown, Work};
use crate::state::EachBulk;
use crate::time::Watermark;

/// Records handed over together, oldest first; what is not taken out is dropped.
pub type Batch<'a, T> = std::vec::Drain<'a, Record<T>>;

/// How much room there is downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Nothing waits.
    Clear,
    /// Something waits to be done or to be sent; there is room for one more batch.
    Pending,
    /// No more until `resume` has made room.
    Full,
}

/// One step of a stage: takes, in order, everything that its upstream emits, and emits into what it
/// was built around.
///
/// The calls of one batch: `on_record` for each record (or `on_batch` once), `on_watermark` where
/// it moved, then `on_batch_end`. None of them blocks, none allocates after warm-up, and none is
/// called while [`pressure`](Operator::pressure) is [`Full`](Pressure::Full), but for the one
/// watermark and batch end that follow the batch which filled it.
pub trait Operator<In>: 'static {
    /// A record arrives.
    fn on_record(&mut self, record: Record<In>, cx: &mut Context);

    /// Several records arrive at once. Stateful operators override this to work on all of them side
    /// by side.
    #[inline]
    fn on_batch(&mut self, batch: Batch<'_, In>, cx: &mut Context) {
        for record in batch {
            self.on_record(record, cx);
        }
    }

    /// Event time has come this far; an end watermark is the last thing that arrives.
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context);

    /// These were all the records for now: publish what they led to.
    fn on_batch_end(&mut self, cx: &mut Context);

    /// Goes on with work that was cut short, by a bounded slice. Called once a step.
    fn resume(&mut self, cx: &mut Context) -> Work;

    /// How much room there is, here and in everything downstream that is reached by direct calls.
    fn pressure(&self) -> Pressure;

    /// Whether a barrier may pass: nothing is in the middle of anything, here and in everything
    /// downstream that is reached by direct calls. What only waits for a moment to come, such as a
    /// timer by processing time, has something pending and is at rest all the same: a barrier that
    /// waited for it would hold up the records behind.
    fn is_at_rest(&self) -> bool {
        self.pressure() == Pressure::Clear
    }

    /// A checkpoint has come this far, or is complete: passes it on to everything downstream. At
    /// rest, when nothing waits here: where a barrier has come, `save` was called just before.
    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context);

    /// Shows what it holds for its keys, and then lets what it was built around show its own.
    ///
    /// For tests and consoles, between two steps and never in one. What holds nothing passes it on,
    /// which `pass_on!` does; an operator that keeps the default hides itself and what follows it
    /// in the stage.
    fn inspect(&self, _each: &mut dyn FnMut(Shown<'_>)) {}

    /// Copies all that it keeps between two steps into a snapshot, and then lets what it was built
    /// around do the same. Called at rest: what is in the middle of something says so instead.
    ///
    /// What keeps nothing passes it on, which `pass_on!` does. Of an operator that keeps this
    /// default no snapshot can be taken, so that none is ever left out unseen.
    fn save(&self, out: &mut Saved) {
        out.refuse::<Self>("it does not say what it keeps");
    }

    /// Takes what [`save`](Self::save) put in, part by part in the same order, in the place of what
    /// it has: it was just built, as the other was. Then lets what it was built around do the same.
    fn load(&mut self, _from: &mut Saved) {}

    /// Names all that it keeps which may be large, always in the same order where nothing has
    /// changed, and then lets what it was built around do the same.
    ///
    /// What is named here is not copied by [`save`](Self::save) but behind the barrier. Of an
    /// operator that keeps this default everything is copied at once, which makes the checkpoint
    /// stop the shard for longer, and is right all the same.
    fn bulk(&mut self, _each: &mut EachBulk<'_>) {}
}

impl<In: 'static> Operator<In> for Box<dyn Operator<In>> {
    fn on_record(&mut self, record: Record<In>, cx: &mut Context) {
        (**self).on_record(record, cx);
    }
    fn on_batch(&mut self, batch: Batch<'_, In>, cx: &mut Context) {
        (**self).on_batch(batch, cx);
    }
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        (**self).on_watermark(watermark, cx);
    }
    fn on_batch_end(&mut self, cx: &mut Context) {
        (**self).on_batch_end(cx);
    }
    fn resume(&mut self, cx: &mut Context) -> Work {
        (**self).resume(cx)
    }
    fn pressure(&self) -> Pressure {
        (**self).pressure()
    }
    fn is_at_rest(&self) -> bool {
        (**self).is_at_rest()
    }
    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        (**self).on_checkpoint(checkpoint, cx);
    }
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        (**self).inspect(each);
    }
    fn save(&self, out: &mut Saved) {
        (**self).save(out);
    }
    fn load(&mut self, from: &mut Saved) {
        (**self).load(from);
    }
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        (**self).bulk(each);
    }
}

/// Passes on everything but records, for a step that holds nothing back. `$next` is the field that
/// holds what follows.
macro_rules! pass_on {
    ($next:ident) => {
        $crate::dataflow::pass_on!(
            $next: watermark, batch_end, room, checkpoint, inspect, save, load, bulk
        );
    };
    ($next:ident: $($what:ident),+) => {
        $($crate::dataflow::pass_on!(@$what $next);)+
    };
    (@watermark $next:ident) => {
        #[inline(always)]
        fn on_watermark(
            &mut self,
            watermark: $crate::time::Watermark,
            cx: &mut $crate::dataflow::Context,
        ) {
            self.$next.on_watermark(watermark, cx);
        }
    };
    (@batch_end $next:ident) => {
        #[inline(always)]
        fn on_batch_end(&mut self, cx: &mut $crate::dataflow::Context) {
            self.$next.on_batch_end(cx);
        }
    };
    (@room $next:ident) => {
        #[inline]
        fn resume(&mut self, cx: &mut $crate::dataflow::Context) -> $crate::dataflow::Work {
            self.$next.resume(cx)
        }
        #[inline]
        fn pressure(&self) -> $crate::dataflow::Pressure {
            self.$next.pressure()
        }
        fn is_at_rest(&self) -> bool {
            self.$next.is_at_rest()
        }
    };
    (@checkpoint $next:ident) => {
        fn on_checkpoint(
            &mut self,
            checkpoint: $crate::dataflow::Checkpoint,
            cx: &mut $crate::dataflow::Context,
        ) {
            self.$next.on_checkpoint(checkpoint, cx);
        }
    };
    (@inspect $next:ident) => {
        fn inspect(&self, each: &mut dyn FnMut($crate::dataflow::Shown<'_>)) {
            self.$next.inspect(each);
        }
    };
    (@save $next:ident) => {
        fn save(&self, out: &mut $crate::dataflow::Saved) {
            self.$next.save(out);
        }
    };
    (@load $next:ident) => {
        fn load(&mut self, from: &mut $crate::dataflow::Saved) {
            self.$next.load(from);
        }
    };
    (@bulk $next:ident) => {
        fn bulk(&mut self, each: &mut $crate::state::EachBulk<'_>) {
            self.$next.bulk(each);
        }
    };
}
pub(crate) use pass_on;
