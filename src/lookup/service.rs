//! What an operator asks: one trait, none of whose calls waits.

use std::sync::Arc;

use crate::error::{Full, LookupError};
use crate::memory::Bell;
use crate::time::Timestamp;

/// What comes of a question: what was found, that there is nothing, or what went wrong.
pub type Answer<A> = Result<Option<A>, LookupError>;

/// One attempt to get an answer. An answer names it, so that one which comes after the attempt was
/// given up is known for what it is, and is never taken for the answer to another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId {
    pub(super) place: u32,
    pub(super) generation: u32,
}

/// Whatever answers questions, as one shard sees it. None of its calls may wait.
///
/// Most are made of a table or of a [`Bridge`](super::Bridge) to a thread; write one yourself for
/// what has an interface of its own that does not block, such as a ring to another process.
///
/// ```
/// use millstream::error::{Full, LookupError};
/// use millstream::lookup::{Answer, CallId, Lookup};
/// use millstream::Timestamp;
///
/// /// Squares small numbers; knows no answer to others.
/// #[derive(Default)]
/// struct Squares(std::collections::VecDeque<(CallId, u32)>);
///
/// impl Lookup for Squares {
///     type Request = u32;
///     type Reply = u32;
///     fn ask(&mut self, id: CallId, n: &u32, _now: Timestamp) -> Result<(), Full<()>> {
///         self.0.push_back((id, *n));
///         Ok(())
///     }
///     fn poll(&mut self, _now: Timestamp) -> Option<(CallId, Answer<u32>)> {
///         let (id, n) = self.0.pop_front()?;
///         Some((id, Ok(n.checked_mul(n))))
///     }
/// }
/// ```
pub trait Lookup: 'static {
    /// What is asked.
    type Request: Clone + 'static;
    /// What is found.
    type Reply: Clone + 'static;

    /// Called once, while the pipeline is built: `bell` wakes the shard when an answer is there,
    /// and `calls` is how many may be under way. Returns the bytes that its own queues take.
    fn attach(&mut self, _bell: Arc<Bell>, _calls: usize) -> usize {
        0
    }

    /// The answer, where it is at hand and costs no call. Whoever answers every question here need
    /// do nothing in [`ask`](Self::ask).
    #[inline]
    fn known(&mut self, _request: &Self::Request) -> Option<Answer<Self::Reply>> {
        None
    }

    /// Takes a question. The answer comes out of [`poll`](Self::poll), with the same id, in any
    /// order with others, late or never.
    ///
    /// # Errors
    /// `Full` if there is no room for it now: it is asked again at a later step, until its time is
    /// over.
    fn ask(&mut self, id: CallId, request: &Self::Request, now: Timestamp) -> Result<(), Full<()>>;

    /// Nobody wants this answer any more: its time is over. Whoever can still spare himself the
    /// work does.
    fn forget(&mut self, _id: CallId) {}

    /// These were all the questions for now: what hands them on once a batch does it here.
    fn publish(&mut self) {}

    /// The next answer that has come.
    fn poll(&mut self, now: Timestamp) -> Option<(CallId, Answer<Self::Reply>)>;
}
