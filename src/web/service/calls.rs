//! Questions that wait for their answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;

use crate::dataflow::Fabric;
use crate::web::counts::{Count, Counts};
use crate::web::outgoing::Post;
use crate::web::service::{RequestId, Response};

/// All that wait.
pub struct Calls<A> {
    state: Mutex<State<A>>,
    counts: Counts,
}

struct State<A> {
    waiting: HashMap<u64, oneshot::Sender<Option<A>>>,
    next: u64,
    /// Where the shards meet that answer.
    fabric: Weak<Fabric>,
    /// How many pipelines there have been.
    pipeline: u64,
    /// Shards that may still answer.
    shards: usize,
}

impl<A> Calls<A> {
    /// None. Numbers begin anywhere, so that what a pipeline answers that was restored from a
    /// checkpoint of another process is no answer to a question of this one.
    pub fn new(counts: Counts) -> Self {
        let next = fastrand::u64(..) >> 1;
        let (waiting, fabric) = (HashMap::new(), Weak::new());
        let state = State { waiting, next, fabric, pipeline: 0, shards: 0 };
        Self { state: Mutex::new(state), counts }
    }

    /// Another question waits, if there are less than so many; it is forgotten when what this
    /// returns is dropped.
    pub fn begin(self: &Arc<Self>, most: usize) -> Option<Call<A>> {
        let mut state = self.lock();
        if state.waiting.len() >= most {
            return None;
        }
        state.next += 1;
        let (id, (send, answer)) = (state.next, oneshot::channel());
        state.waiting.insert(id, send);
        Some(Call { id: RequestId(id), answer, calls: self.clone() })
    }

    /// A shard that is being built will answer; returns the number of its pipeline.
    pub fn attach(&self, fabric: &Arc<Fabric>) -> u64 {
        let mut state = self.lock();
        let fabric = Arc::downgrade(fabric);
        if !state.fabric.ptr_eq(&fabric) {
            (state.fabric, state.shards) = (fabric, 0);
            state.pipeline += 1;
        }
        state.shards += 1;
        state.pipeline
    }

    /// Takes the answers of a shard to whoever waits for them, until nothing more will come.
    pub async fn run(self: Arc<Self>, mut post: Post<Response<A>>, pipeline: u64) {
        let take = |Response { id, value }: Response<A>| {
            let waiting = self.lock().waiting.remove(&id.0);
            if waiting.is_none_or(|waiting| waiting.send(value).is_err()) {
                self.counts.add(Count::Unasked, 1);
            }
        };
        post.each(take, || ()).await;
        post.receipt().give();
        let mut state = self.lock();
        if state.pipeline == pipeline {
            state.shards -= 1;
            if state.shards == 0 {
                state.waiting.clear();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits.
pub struct Call<A> {
    pub id: RequestId,
    /// Comes with the answer, or when there will be none.
    pub answer: oneshot::Receiver<Option<A>>,
    calls: Arc<Calls<A>>,
}

impl<A> Drop for Call<A> {
    fn drop(&mut self) {
        self.calls.lock().waiting.remove(&self.id.0);
    }
}
