//! A way off the shard: questions go to threads where code may wait, and answers come back.

mod futures;
mod post;
mod worker;

use std::sync::Arc;
use std::thread::Thread;

use crate::error::Full;
use crate::exchange::{PipeReceiver, PipeSender, pipe, pipe_bytes};
use crate::lookup::service::{Answer, CallId, Lookup};
use crate::memory::Bell;
use crate::state::Stored;
use crate::time::Timestamp;

use futures::Futures;
use post::{Asked, Post};
pub use worker::Worker;

/// A lookup whose questions are answered on threads of its own, outside the shard: by code that
/// blocks, for single questions or for all that are there, or by futures.
///
/// Questions and answers cross by rings of fixed size, as many as calls may be under way; the shard
/// never waits at either, and is woken by an answer if it sleeps. The threads start when the
/// pipeline is built and end when it is gone, once the code in their hands returns.
///
/// A question whose time is over is not begun any more, and its future is dropped; code that blocks
/// is not cut short, so give it a time-out of its own. A panic in it is the answer to the questions
/// it had in hand, and a new worker takes its place.
///
/// ```
/// use millstream::lookup::Bridge;
/// use millstream::{io::IterSource, Config, Record, Shard, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let (mut shard, mut lengths) = Shard::embed(Config::embedded(), |p| {
///     let names = ["Ada", "Grace"].map(|name| Record::new(Timestamp(0), name.to_owned()));
///     let slow = Bridge::blocking(2, |name: &String| {
///         std::thread::sleep(std::time::Duration::from_millis(1));
///         Ok(Some(name.len()))
///     });
///     let names = p.source(IterSource::new(names.into_iter()));
///     Ok(names.lookup(slow, String::clone).inner().output())
/// })?;
/// let mut now = 0;
/// while !shard.is_done() {
///     now += 1_000;
///     shard.step(Timestamp(now));
///     std::thread::sleep(std::time::Duration::from_micros(10));
/// }
/// assert_eq!(lengths.pop().map(|record| record.value), Some(("Ada".to_owned(), 3)));
/// assert_eq!(lengths.pop().map(|record| record.value), Some(("Grace".to_owned(), 5)));
/// # Ok(())
/// # }
/// ```
pub struct Bridge<Q, A> {
    /// What the threads will do, until they are started.
    bodies: Vec<Body<Q, A>>,
    lanes: Vec<Lane<Q, A>>,
    /// The lane whose turn it is.
    turn: usize,
    /// The lane of each call, by its place.
    lane_of: Vec<u32>,
}

/// What a thread does.
type Body<Q, A> = Box<dyn FnOnce(Post<Q, A>) + Send>;

/// The shard's ends of the rings to and from one thread.
struct Lane<Q, A> {
    questions: PipeSender<Asked<Q>>,
    answers: PipeReceiver<(CallId, Answer<A>)>,
    /// `None` if the system gave none; then nothing is asked here.
    thread: Option<Thread>,
    unpublished: bool,
}

impl<Q: Clone + Send + Stored, A: Clone + Send + Stored> Bridge<Q, A> {
    /// So many threads, at least one, each of which answers one question at a time by `answer`,
    /// which may block.
    pub fn blocking(
        threads: usize,
        answer: impl Fn(&Q) -> Answer<A> + Clone + Send + 'static,
    ) -> Self {
        let each = move |requests: &[Q], answers: &mut Vec<Answer<A>>| {
            answers.extend(requests.iter().map(&answer));
        };
        Self::batched(threads, 1, move || each.clone())
    }

    /// So many threads, each with a worker of its own that answers all the questions that are
    /// there, up to `most` at a time. `make` makes the worker, on its thread, and makes another
    /// when one has panicked.
    ///
    /// ```
    /// use millstream::lookup::{Answer, Bridge};
    /// let squares = Bridge::batched(1, 64, || {
    ///     let mut connection = (); // opened here, on the thread that will use it
    ///     move |requests: &[u64], answers: &mut Vec<Answer<u64>>| {
    ///         let _ = &mut connection;
    ///         answers.extend(requests.iter().map(|n| Ok(n.checked_mul(*n))));
    ///     }
    /// });
    /// ```
    pub fn batched<W: Worker<Q, A>>(
        threads: usize,
        most: usize,
        make: impl Fn() -> W + Clone + Send + 'static,
    ) -> Self {
        Self::of((0..threads.max(1)).map(|_| -> Body<Q, A> {
            let make = make.clone();
            Box::new(move |post| worker::work(post, make, most.max(1)))
        }))
    }

    /// One thread, on which up to `at_once` futures made by `answer` run side by side. It is no
    /// runtime: a future that needs one brings the handle along, and whatever wakes it wakes the
    /// thread.
    ///
    /// ```
    /// use millstream::lookup::Bridge;
    /// let doubles = Bridge::futures(100, |n: u64| async move { Ok(Some(n * 2)) });
    /// ```
    pub fn futures<F: Future<Output = Answer<A>> + 'static>(
        at_once: usize,
        answer: impl Fn(Q) -> F + Send + 'static,
    ) -> Self {
        let body: Body<Q, A> = Box::new(move |post| Futures::new(at_once.max(1)).run(post, answer));
        Self::of(std::iter::once(body))
    }

    fn of(bodies: impl Iterator<Item = Body<Q, A>>) -> Self {
        Self { bodies: bodies.collect(), lanes: Vec::new(), turn: 0, lane_of: Vec::new() }
    }

    /// Starts a thread with rings for so many calls.
    fn start(&mut self, body: Body<Q, A>, bell: Arc<Bell>, calls: usize) {
        let (questions, asked) = pipe(2 * calls);
        let (answered, answers) = pipe(calls);
        let post = Post::new(asked, answered, bell, calls);
        let named = std::thread::Builder::new().name("lookup".to_owned());
        let thread = named.spawn(move || body(post)).ok().map(|handle| handle.thread().clone());
        self.lanes.push(Lane { questions, answers, thread, unpublished: false });
    }
}

impl<Q: Clone + Send + Stored, A: Clone + Send + Stored> Lookup for Bridge<Q, A> {
    type Request = Q;
    type Reply = A;

    fn attach(&mut self, bell: Arc<Bell>, calls: usize) -> usize {
        for body in std::mem::take(&mut self.bodies) {
            self.start(body, bell.clone(), calls);
        }
        self.lane_of = vec![0; calls];
        let lane = pipe_bytes::<Asked<Q>>(2 * calls) + pipe_bytes::<(CallId, Answer<A>)>(calls);
        lane.saturating_mul(self.lanes.len())
    }

    fn ask(&mut self, id: CallId, request: &Q, _now: Timestamp) -> Result<(), Full<()>> {
        for _ in 0..self.lanes.len() {
            let at = self.turn;
            self.turn = (at + 1) % self.lanes.len();
            let Some(lane) = self.lanes.get_mut(at).filter(|lane| lane.thread.is_some()) else {
                continue;
            };
            if lane.questions.push(Asked::Question(id, request.clone())).is_ok() {
                lane.unpublished = true;
                if let Some(lane) = self.lane_of.get_mut(id.place as usize) {
                    *lane = at as u32;
                }
                return Ok(());
            }
        }
        Err(Full(()))
    }

    fn forget(&mut self, id: CallId) {
        let at = self.lane_of.get(id.place as usize);
        if let Some(lane) = at.and_then(|at| self.lanes.get_mut(*at as usize)) {
            // If there is no room, work is done that nobody wants.
            lane.unpublished |= lane.questions.push(Asked::Forget(id)).is_ok();
        }
    }

    fn publish(&mut self) {
        for lane in &mut self.lanes {
            if std::mem::take(&mut lane.unpublished)
                && let Some(thread) = &lane.thread
            {
                thread.unpark();
            }
        }
    }

    fn poll(&mut self, _now: Timestamp) -> Option<(CallId, Answer<A>)> {
        self.lanes.iter_mut().find_map(|lane| lane.answers.pop())
    }
}

impl<Q, A> Drop for Bridge<Q, A> {
    /// The rings close with it; whoever sleeps has to see that.
    fn drop(&mut self) {
        let threads: Vec<_> = self.lanes.drain(..).filter_map(|lane| lane.thread).collect();
        threads.iter().for_each(Thread::unpark);
    }
}
