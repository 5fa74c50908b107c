//! Outputs beside the main one, as many and of as many types as a process function likes.

use std::cell::RefCell;
use std::rc::Rc;

use crate::dataflow::{
    Checkpoint, Context, Edge, NodeId, Pipeline, Pressure, Record, Saved, Stream, Work,
};
use crate::exchange::{self, Side};
use crate::time::Watermark;

/// Where a process function puts what does not go to its main output. Made by
/// [`Outputs::side`], used by [`emit_to`](super::KeyContext::emit_to).
pub struct SideOutput<V>(Rc<RefCell<Side<V>>>);

impl<V> SideOutput<V> {
    #[inline]
    pub(super) fn push(&self, record: Record<V>) {
        self.0.borrow_mut().push(record);
    }
}

/// What a process function's outputs are asked for while it is made; see
/// [`process_with`](crate::Keyed::process_with).
pub struct Outputs<'p> {
    pipeline: Pipeline<'p>,
    node: NodeId,
    outlets: Vec<Rc<dyn Outlet>>,
}

impl<'p> Outputs<'p> {
    pub(super) fn new(pipeline: Pipeline<'p>, node: NodeId) -> Self {
        Self { pipeline, node, outlets: Vec::new() }
    }

    pub(super) fn into_outlets(self) -> Vec<Rc<dyn Outlet>> {
        self.outlets
    }

    /// One more output, called `label` in the plan: what the function writes to, and the stream
    /// that follows. It gets the watermarks of the main output.
    pub fn side<V: 'static>(&mut self, label: &str) -> (SideOutput<V>, Stream<'p, Edge<V>>) {
        let (port, lane) = exchange::handover(self.pipeline);
        let side = Rc::new(RefCell::new(Side::new(port)));
        self.outlets.push(side.clone());
        let node = self.pipeline.node(label, &[self.node]);
        (SideOutput(side), exchange::behind(self.pipeline, vec![lane], node))
    }
}

/// A side output, whatever goes into it.
pub trait Outlet {
    /// See [`Side::on_watermark`].
    fn on_watermark(&self, watermark: Watermark);
    /// See [`Side::on_batch_end`].
    fn on_batch_end(&self, cx: &mut Context);
    /// See [`Side::resume`].
    fn resume(&self, cx: &mut Context) -> Work;
    /// See [`Side::pressure`].
    fn pressure(&self) -> Pressure;
    /// See [`Side::save`].
    fn save(&self, out: &mut Saved);
    /// See [`Side::load`].
    fn load(&self, from: &mut Saved);
    /// See [`Side::on_checkpoint`].
    fn on_checkpoint(&self, checkpoint: Checkpoint, cx: &mut Context);
}

impl<V> Outlet for RefCell<Side<V>> {
    fn on_watermark(&self, watermark: Watermark) {
        self.borrow_mut().on_watermark(watermark);
    }

    fn on_batch_end(&self, cx: &mut Context) {
        self.borrow_mut().on_batch_end(cx);
    }

    fn resume(&self, cx: &mut Context) -> Work {
        self.borrow_mut().resume(cx)
    }

    fn pressure(&self) -> Pressure {
        self.borrow().pressure()
    }

    fn save(&self, out: &mut Saved) {
        self.borrow().save(out);
    }

    fn load(&self, from: &mut Saved) {
        self.borrow_mut().load(from);
    }

    fn on_checkpoint(&self, checkpoint: Checkpoint, cx: &mut Context) {
        self.borrow_mut().on_checkpoint(checkpoint, cx);
    }
}
