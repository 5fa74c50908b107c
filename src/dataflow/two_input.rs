//! Two streams of different types meet in one operator.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::dataflow::{
    Batch, Checkpoint, Context, Edge, Epoch, Operator, Pressure, Record, Runnable, Saved, Shown,
    Stage, Stream, Work,
};
use crate::state::EachBulk;
use crate::time::{Merged, Timestamp, Watermark};

/// How far event time has come on each of two inputs, and on both together.
///
/// An input that is idle has come as far as the other: nothing waits for it. One that has ended has
/// come to the end of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// No record of the left input will follow that is before this.
    pub left: Timestamp,
    /// No record of the right input will follow that is before this.
    pub right: Timestamp,
    /// The lesser of the two, as the watermark of a stream that both were merged into.
    pub both: Watermark,
}

impl Reached {
    /// Nothing is known yet.
    pub const START: Self =
        Self { left: Timestamp::MIN, right: Timestamp::MIN, both: Watermark::START };

    /// Whether both inputs have ended.
    pub fn is_end(&self) -> bool {
        self.both.is_end()
    }
}

/// One step of a stage that takes records of two types, each of them in order.
///
/// What holds for [`Operator`] holds for it too; only that no order is promised between the two
/// inputs, and that `resume` may be called twice a step.
pub trait TwoInput<L, R>: 'static {
    /// Several records of the left input arrive.
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context);

    /// Several records of the right input arrive.
    fn on_right(&mut self, batch: Batch<'_, R>, cx: &mut Context);

    /// Event time has come this far.
    fn on_reached(&mut self, reached: Reached, cx: &mut Context);

    /// These were all the records of one input for now: publish what they led to.
    fn on_batch_end(&mut self, cx: &mut Context);

    /// Goes on with work that was cut short, by a bounded slice.
    fn resume(&mut self, cx: &mut Context) -> Work;

    /// How much room there is.
    fn pressure(&self) -> Pressure;

    /// See [`Operator::on_checkpoint`]: once, when both inputs have come so far.
    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context);

    /// See [`Operator::inspect`].
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>));

    /// See [`Operator::save`].
    fn save(&self, out: &mut Saved);

    /// See [`Operator::load`].
    fn load(&mut self, from: &mut Saved);

    /// See [`Operator::bulk`].
    fn bulk(&mut self, _each: &mut EachBulk<'_>) {}
}

/// Two edges that lead into one operator.
pub struct Meeting<L, R, F> {
    left: Edge<L>,
    right: Edge<R>,
    make: F,
}

/// Builds the operator of a [`Meeting`] around what follows it.
pub trait Meets<L, R>: 'static {
    /// What the operator emits.
    type Out: 'static;

    /// The operator, in front of `next`.
    fn operator<N: Operator<Self::Out>>(self, next: N) -> impl TwoInput<L, R>;
}

impl<'p, L: 'static> Stream<'p, Edge<L>> {
    /// The stage of an operator that takes the records of this edge and of another.
    pub(crate) fn meet<R: 'static, F: Meets<L, R>>(
        self,
        other: Stream<'p, Edge<R>>,
        label: impl Into<String>,
        make: F,
    ) -> Stream<'p, Meeting<L, R, F>> {
        let node = self.pipeline.node(label, &[self.node, other.node]);
        let stage = Meeting { left: self.stage, right: other.stage, make };
        Stream::begin(self.pipeline, stage, node)
    }
}

impl<L: 'static, R: 'static, F: Meets<L, R>> Stage for Meeting<L, R, F> {
    type Out = F::Out;

    fn close<N: Operator<F::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { left, right, make } = self;
        close_both(left, right, make.operator(next))
    }
}

fn close_both<L, R, J>(left: Edge<L>, right: Edge<R>, operator: J) -> Box<dyn Runnable>
where
    L: 'static,
    R: 'static,
    J: TwoInput<L, R>,
{
    let (merged, reached) = (Merged::new(2), Reached::START);
    let joint = Rc::new(RefCell::new(Joint { operator, merged, reached }));
    let left = left.close(Half::new(joint.clone(), LEFT, J::on_left));
    let right = right.close(Half::new(joint, RIGHT, J::on_right));
    Box::new(Both { left, right })
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// The operator, and the watermarks of its two inputs.
struct Joint<J> {
    operator: J,
    merged: Merged,
    reached: Reached,
}

/// What stands at the end of one of the two edges: the operator, of which it is one input.
struct Half<J, T, L, R> {
    joint: Rc<RefCell<Joint<J>>>,
    input: usize,
    on_batch: fn(&mut J, Batch<'_, T>, &mut Context),
    /// A batch of one record.
    one: Vec<Record<T>>,
    types: PhantomData<fn(L, R)>,
}

impl<J, T, L, R> Half<J, T, L, R> {
    fn new(
        joint: Rc<RefCell<Joint<J>>>,
        input: usize,
        on_batch: fn(&mut J, Batch<'_, T>, &mut Context),
    ) -> Self {
        Self { joint, input, on_batch, one: Vec::with_capacity(1), types: PhantomData }
    }
}

impl<J, T, L, R> Operator<T> for Half<J, T, L, R>
where
    J: TwoInput<L, R>,
    T: 'static,
    L: 'static,
    R: 'static,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.one.push(record);
        (self.on_batch)(&mut self.joint.borrow_mut().operator, self.one.drain(..), cx);
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        (self.on_batch)(&mut self.joint.borrow_mut().operator, batch, cx);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        let Joint { operator, merged, reached } = &mut *self.joint.borrow_mut();
        merged.update(self.input, watermark);
        let next = Reached {
            left: merged.reached(LEFT).max(reached.left),
            right: merged.reached(RIGHT).max(reached.right),
            both: merged.now(),
        };
        if *reached != next {
            *reached = next;
            operator.on_reached(next, cx);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.joint.borrow_mut().operator.on_batch_end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        self.joint.borrow_mut().operator.resume(cx)
    }

    fn pressure(&self) -> Pressure {
        self.joint.borrow().operator.pressure()
    }

    /// The left half hears of it for both.
    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if self.input == LEFT {
            self.joint.borrow_mut().operator.on_checkpoint(checkpoint, cx);
        }
    }

    /// The left half shows and keeps all that both share.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        if self.input == LEFT {
            self.joint.borrow().operator.inspect(each);
        }
    }

    fn save(&self, out: &mut Saved) {
        if self.input == LEFT {
            let joint = self.joint.borrow();
            out.put("two inputs", &joint.merged);
            out.put("two inputs", &joint.reached);
            joint.operator.save(out);
        }
    }

    fn load(&mut self, from: &mut Saved) {
        if self.input == LEFT {
            let joint = &mut *self.joint.borrow_mut();
            // Behind edges all shards have come equally far.
            from.rescale_alike("two inputs", &mut joint.merged);
            from.rescale_alike("two inputs", &mut joint.reached);
            joint.operator.load(from);
        }
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        if self.input == LEFT {
            self.joint.borrow_mut().operator.bulk(each);
        }
    }
}

/// Two edges that are one stage.
struct Both {
    left: Box<dyn Runnable>,
    right: Box<dyn Runnable>,
}

impl Runnable for Both {
    fn drain(&mut self, cx: &mut Context) -> Work {
        let mut work = self.left.drain(cx);
        work += self.right.drain(cx);
        work
    }

    fn poll(&mut self, cx: &mut Context) -> Work {
        let mut work = self.left.poll(cx);
        work += self.right.poll(cx);
        work
    }

    fn is_done(&self) -> bool {
        self.left.is_done() && self.right.is_done()
    }

    fn is_at(&self, barrier: Epoch) -> bool {
        self.left.is_at(barrier) && self.right.is_at(barrier)
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.left.on_checkpoint(checkpoint, cx);
        self.right.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.left.inspect(each);
        self.right.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        self.left.save(out);
        self.right.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.left.load(from);
        self.right.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.left.bulk(each);
        self.right.bulk(each);
    }
}
