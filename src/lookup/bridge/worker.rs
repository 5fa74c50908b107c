//! Threads that block.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{LookupError, panic_message};
use crate::lookup::bridge::post::Post;
use crate::lookup::service::{Answer, CallId};

/// Somebody who answers questions and may block while he does: one for each thread of a
/// [`Bridge`](super::Bridge). Every closure of the right form is one.
pub trait Worker<Q, A>: 'static {
    /// Puts one answer for each request into `answers`, in the order of the requests. What is left
    /// out counts as unavailable.
    fn answer(&mut self, requests: &[Q], answers: &mut Vec<Answer<A>>);
}

impl<Q, A, F: FnMut(&[Q], &mut Vec<Answer<A>>) + 'static> Worker<Q, A> for F {
    fn answer(&mut self, requests: &[Q], answers: &mut Vec<Answer<A>>) {
        self(requests, answers);
    }
}

/// Answers questions until the shard is gone, by a worker that `make` makes here.
pub fn work<Q, A, W: Worker<Q, A>>(mut post: Post<Q, A>, make: impl Fn() -> W, most: usize) {
    let mut worker = None;
    let (mut ids, mut requests, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    while !post.is_closed() {
        post.take_in(|_| ());
        while ids.len() < most
            && let Some((id, request)) = post.next()
        {
            ids.push(id);
            requests.push(request);
        }
        // Made before the first question, so that a connection is there when it comes.
        let answering = || {
            let worker = worker.get_or_insert_with(&make);
            if !requests.is_empty() {
                worker.answer(&requests, &mut answers);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(answering)) {
            worker = None;
            let reason = format!("the lookup panicked: {}", panic_message(panic.as_ref()));
            answers.clear();
            answers.resize_with(ids.len(), || Err(LookupError::Refused(reason.clone())));
        }
        if ids.is_empty() {
            post.rest();
            continue;
        }
        requests.clear();
        if !send_all(&mut post, &mut ids, &mut answers) {
            return;
        }
    }
}

/// Sends the answers; says whether there is still a shard.
fn send_all<Q, A>(
    post: &mut Post<Q, A>,
    ids: &mut Vec<CallId>,
    answers: &mut Vec<Answer<A>>,
) -> bool {
    let missing = || Err(LookupError::Unavailable("the worker left it out".to_owned()));
    let mut answers = answers.drain(..);
    ids.drain(..).all(|id| post.send(id, answers.next().unwrap_or_else(missing)))
}
