//! A thread beside a shard, and the rings to and from it.

use std::io;
use std::thread::{self, JoinHandle, Thread};

use crate::exchange::{PipeReceiver, PipeSender, pipe};
use crate::memory::affinity;

/// A thread that does what it is asked, in order, and says what came of it. Neither asking nor
/// hearing waits.
pub struct Worker<A, O> {
    asked: Option<PipeSender<A>>,
    over: PipeReceiver<O>,
    thread: Option<JoinHandle<()>>,
    wake: Thread,
    /// How much it has been asked that has not been heard of.
    open: usize,
}

impl<A: Send + 'static, O: Send + 'static> Worker<A, O> {
    /// Starts a thread that may be asked `room` things at a time.
    ///
    /// # Errors
    /// What the system said.
    pub fn start(
        name: &str,
        room: usize,
        mut run: impl FnMut(A) -> O + Send + 'static,
    ) -> io::Result<Self> {
        let (asked, mut from) = pipe(room);
        let (mut to, over) = pipe(room);
        let cpus = affinity::beside_this_thread();
        let work = move || {
            affinity::keep_to(cpus);
            while !from.is_closed() {
                match from.pop() {
                    // As much room as there is to ask, so that there always is some.
                    Some(ask) => _ = to.push(run(ask)),
                    None => thread::park(),
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        let wake = thread.thread().clone();
        Ok(Self { asked: Some(asked), over, thread: Some(thread), wake, open: 0 })
    }

    /// Asks for something.
    pub fn ask(&mut self, ask: A) {
        if let Some(asked) = &mut self.asked
            && asked.push(ask).is_ok()
        {
            self.open += 1;
            self.wake.unpark();
        }
    }

    /// The next thing that is over.
    pub fn hear(&mut self) -> Option<O> {
        let over = self.over.pop()?;
        self.open -= 1;
        Some(over)
    }

    /// How much is under way.
    pub fn open(&self) -> usize {
        self.open
    }
}

impl<A, O> Drop for Worker<A, O> {
    /// What was asked is still done: nobody may write behind the back of who opens it next.
    fn drop(&mut self) {
        self.asked = None;
        self.wake.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
