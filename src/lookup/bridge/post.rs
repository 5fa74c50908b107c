//! The thread's side of a bridge.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::{PipeReceiver, PipeSender};
use crate::lookup::service::{Answer, CallId};
use crate::memory::Bell;

/// The longest sleep; every wake-up has a cause of its own, so this is for the case that one failed
/// to tell.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How long to sleep while the shard has no room for an answer: it does not say when it has.
const FULL_MAX: Duration = Duration::from_micros(200);

/// What a shard says to the thread.
pub enum Asked<Q> {
    Question(CallId, Q),
    /// The answer is not wanted any more.
    Forget(CallId),
}

/// Questions for this thread, and the way back for answers.
pub struct Post<Q, A> {
    asked: PipeReceiver<Asked<Q>>,
    answers: PipeSender<(CallId, Answer<A>)>,
    bell: Arc<Bell>,
    /// Questions that have come and were not begun.
    waiting: VecDeque<(CallId, Q)>,
    room: usize,
}

impl<Q, A> Post<Q, A> {
    pub fn new(
        asked: PipeReceiver<Asked<Q>>,
        answers: PipeSender<(CallId, Answer<A>)>,
        bell: Arc<Bell>,
        room: usize,
    ) -> Self {
        Self { asked, answers, bell, waiting: VecDeque::new(), room }
    }

    /// Takes in what has come. `forget` is told of answers that are not wanted any more.
    pub fn take_in(&mut self, mut forget: impl FnMut(CallId)) {
        while self.waiting.len() < self.room {
            match self.asked.pop() {
                Some(Asked::Question(id, request)) => self.waiting.push_back((id, request)),
                Some(Asked::Forget(id)) => {
                    self.waiting.retain(|(waiting, _)| *waiting != id);
                    forget(id);
                }
                None => return,
            }
        }
    }

    /// The oldest question that was not begun.
    pub fn next(&mut self) -> Option<(CallId, Q)> {
        self.waiting.pop_front()
    }

    /// Sends an answer, as soon as the shard has room for it; says whether there is still a shard.
    pub fn send(&mut self, id: CallId, answer: Answer<A>) -> bool {
        let mut message = (id, answer);
        while let Err(full) = self.answers.push_and_ring(message, &self.bell) {
            if self.answers.is_closed() {
                return false;
            }
            message = full.0;
            std::thread::park_timeout(FULL_MAX);
        }
        true
    }

    /// Whether the shard is gone.
    pub fn is_closed(&self) -> bool {
        self.answers.is_closed()
    }

    /// Sleeps until somebody wakes the thread.
    pub fn rest(&self) {
        std::thread::park_timeout(SLEEP_MAX);
    }
}
