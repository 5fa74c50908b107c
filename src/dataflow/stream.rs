//! What a pipeline is written in: streams and keyed streams. Operators add their methods from their
//! own files.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::dataflow::{Edge, NodeId, Operator, Pipeline, Record, Stage};

/// Records on their way through a stage.
///
/// Its methods live with their operators: `operators/map.rs` holds `Stream::map`, and so on.
#[must_use = "a stream does nothing until it ends in a sink or an output"]
pub struct Stream<'p, S> {
    pub(crate) pipeline: Pipeline<'p>,
    pub(crate) stage: S,
    /// The last step so far, in the plan.
    pub(crate) node: NodeId,
    /// The first step of this stage, in the plan: stages run in the order of their first steps.
    pub(crate) head: NodeId,
    /// How many source partitions feed this stage on this shard.
    pub(crate) partitions: usize,
}

impl<'p, S: Stage> Stream<'p, S> {
    /// A stream that begins at `node`.
    pub(crate) fn begin(pipeline: Pipeline<'p>, stage: S, node: NodeId) -> Self {
        Self { pipeline, stage, node, head: node, partitions: 1 }
    }

    /// Adds a step to the stage: `wrap` makes the longer stage, `label` names it in the plan.
    pub(crate) fn then<W: Stage>(
        self,
        label: impl Into<String>,
        wrap: impl FnOnce(S) -> W,
    ) -> Stream<'p, W> {
        let Self { pipeline, stage, node, head, partitions } = self;
        let node = pipeline.node(label, &[node]);
        Stream { pipeline, stage: wrap(stage), node, head, partitions }
    }

    /// Ends the stage in `last` and hands it to the pipeline.
    pub(crate) fn end(self, last: impl Operator<S::Out>) {
        self.pipeline.add_stage(self.head, self.stage.close(last));
    }
}

/// Records with a key, at the edge between the stage that keyed them and the keyed operator that
/// follows.
///
/// The type is reset here: whatever came before, only the key and the record remain visible.
#[must_use = "a keyed stream does nothing until an operator and a sink follow"]
pub struct Keyed<'p, K, T> {
    pub(crate) upstream: Box<dyn Upstream<'p, T> + 'p>,
    pub(crate) keys: Rc<dyn KeyColumn<K, T>>,
    pub(crate) types: PhantomData<fn() -> (K, T)>,
}

/// The stage before a [`Keyed`], which closes in one of two ways once it is known what follows.
pub trait Upstream<'p, T> {
    /// Closes it so that each record goes to the shard that owns its key.
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<T>>;

    /// Closes it so that each record stays on its shard.
    fn local(self: Box<Self>) -> Stream<'p, Edge<T>>;

    /// Whether [`by_key`](Self::by_key) sends a record to the shard that owns the hash of its key,
    /// so that whoever has the key can tell which shard that is.
    fn goes_by_hash(&self) -> bool {
        true
    }
}

/// The keys of records: those of a whole batch for one indirect call.
pub trait KeyColumn<K, T> {
    /// The key of a value.
    fn key(&self, value: &T) -> K;

    /// Replaces `keys` by the keys of `records`, in order.
    fn extract(&self, records: &[Record<T>], keys: &mut Vec<K>);
}
