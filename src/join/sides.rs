//! Two keyed streams that are to meet, and what all joins say of them.

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Meeting, Meets, Pipeline, Stream};
use crate::exchange::{self, Side};
use crate::time::nanos;

/// A century: who waits as long waits for ever.
pub const FOR_EVER_NS: i64 = 100 * 365 * 86_400 * 1_000_000_000;

/// How the records of two inputs are keyed, and where the late ones go.
pub struct Inputs<K, L, R> {
    pub keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
    pub late: (Option<Side<L>>, Option<Side<R>>),
    /// How far behind its watermark a record may come and still count.
    pub lateness_ns: i64,
}

/// Two keyed streams, each at the edge behind which its records are where they belong.
pub struct Sides<'p, K, L, R> {
    left: Stream<'p, Edge<L>>,
    right: Stream<'p, Edge<R>>,
    inputs: Inputs<K, L, R>,
}

impl<'p, K, L: 'static, R: 'static> Sides<'p, K, L, R> {
    /// Nothing is said of them yet: late records are dropped, and no lateness is allowed.
    pub fn of(left: Keyed<'p, K, L>, right: Keyed<'p, K, R>) -> Self {
        let inputs = Inputs { keys: (left.keys, right.keys), late: (None, None), lateness_ns: 0 };
        Self { left: left.upstream.by_key(), right: right.upstream.by_key(), inputs }
    }

    /// The pipeline that they are part of.
    pub fn pipeline(&self) -> Pipeline<'p> {
        self.left.pipeline
    }

    /// How late a record may be and still count.
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.inputs.lateness_ns = nanos(lateness);
        self
    }

    /// Late records go to streams of their own.
    pub fn with_late(mut self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (left, late_left) = late_output(&self.left);
        let (right, late_right) = late_output(&self.right);
        self.inputs.late = (Some(left), Some(right));
        (self, late_left, late_right)
    }

    /// The stage in which they meet. What keeps all records, since each may have a late partner, is
    /// warned of.
    pub fn meet<F: Meets<L, R>>(
        self,
        label: String,
        make: impl FnOnce(Inputs<K, L, R>) -> F,
    ) -> Stream<'p, Meeting<L, R, F>> {
        if self.inputs.lateness_ns > FOR_EVER_NS {
            let what = "with lateness that has no end all records are kept for ever; they grow up \
                        to records_max";
            self.pipeline().warn(format!("{label}: {what}"));
        }
        self.left.meet(self.right, label, make(self.inputs))
    }
}

/// A stream of late records beside an edge.
fn late_output<'p, T: 'static>(stream: &Stream<'p, Edge<T>>) -> (Side<T>, Stream<'p, Edge<T>>) {
    let (port, lane) = exchange::handover(stream.pipeline);
    let node = stream.pipeline.node("late", &[stream.node]);
    (Side::new(port), exchange::behind(stream.pipeline, vec![lane], node))
}
