//! A thread that runs futures side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::error::{LookupError, panic_message};
use crate::lookup::bridge::post::Post;
use crate::lookup::service::{Answer, CallId};

/// Who wakes one future: it says so, and wakes the thread.
struct Alarm {
    rang: AtomicBool,
    thread: Thread,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A question that is being answered.
struct Running<F> {
    id: CallId,
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// The questions that are being answered, at most so many at once.
pub struct Futures<F> {
    running: Vec<Running<F>>,
    at_once: usize,
}

impl<F> Futures<F> {
    /// None yet.
    pub fn new(at_once: usize) -> Self {
        Self { running: Vec::new(), at_once }
    }

    /// Answers questions until the shard is gone.
    pub fn run<Q, A>(mut self, mut post: Post<Q, A>, answer: impl Fn(Q) -> F)
    where
        F: Future<Output = Answer<A>>,
    {
        while !post.is_closed() {
            let running = &mut self.running;
            post.take_in(|id| running.retain(|running| running.id != id));
            let mut moved = false;
            while self.running.len() < self.at_once
                && let Some((id, request)) = post.next()
            {
                moved = true;
                match catch_unwind(AssertUnwindSafe(|| Box::pin(answer(request)))) {
                    Ok(future) => self.running.push(Running::new(id, future)),
                    Err(panic) => _ = post.send(id, panicked(panic.as_ref())),
                }
            }
            moved |= self.poll_all(&mut post);
            if !moved {
                post.rest();
            }
        }
    }

    /// Polls those that were woken; says whether one was.
    fn poll_all<Q, A>(&mut self, post: &mut Post<Q, A>) -> bool
    where
        F: Future<Output = Answer<A>>,
    {
        let mut moved = false;
        self.running.retain_mut(|running| {
            if !running.alarm.rang.swap(false, Ordering::Acquire) {
                return true;
            }
            moved = true;
            match running.poll() {
                Poll::Pending => true,
                Poll::Ready(answer) => {
                    post.send(running.id, answer);
                    false
                }
            }
        });
        moved
    }
}

impl<F> Running<F> {
    fn new(id: CallId, future: Pin<Box<F>>) -> Self {
        // It rings at once: nothing has polled it.
        let alarm = Arc::new(Alarm { rang: AtomicBool::new(true), thread: thread::current() });
        Self { id, future, waker: alarm.clone().into(), alarm }
    }

    fn poll<A>(&mut self) -> Poll<Answer<A>>
    where
        F: Future<Output = Answer<A>>,
    {
        let Self { future, waker, .. } = self;
        let mut context = Context::from_waker(waker);
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)))
            .unwrap_or_else(|panic| Poll::Ready(panicked(panic.as_ref())))
    }
}

fn panicked<A>(panic: &(dyn std::any::Any + Send)) -> Answer<A> {
    Err(LookupError::Refused(format!("the lookup panicked: {}", panic_message(panic))))
}
