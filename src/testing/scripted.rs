//! A lookup that answers as it is told to, in virtual time.

use std::collections::BTreeMap;

use crate::error::{Full, LookupError};
use crate::lookup::{Answer, CallId, Lookup};
use crate::time::{TimerWheel, Timestamp, ns};

/// How an attempt of a [`ScriptedLookup`] goes; times are in nanoseconds of processing time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt<A> {
    /// This is found, or nothing is, after so long.
    Answers(u64, Option<A>),
    /// It fails, after so long.
    Fails(u64, LookupError),
    /// Nothing ever comes.
    Silent,
    /// There is no room for the question, each time it is asked within the attempt.
    Full,
}

/// A lookup in a server's place: a function says how each attempt for a request goes, counted from
/// 0, and nothing else decides, so a run replays under its seed.
///
/// ```
/// use millstream::error::LookupError;
/// use millstream::lookup::Retry;
/// use millstream::testing::{Attempt, ScriptedLookup, TestDriver};
/// use millstream::{ms, ns, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let (mut driver, (numbers, doubled)) = TestDriver::new(|p| {
///     let (input, numbers) = p.test_input::<u64>();
///     let busy = || LookupError::Unavailable("busy".to_owned());
///     let doubles = ScriptedLookup::new(move |n: &u64, attempt| match attempt {
///         0 => Attempt::Fails(10, busy()),
///         _ => Attempt::Answers(100, Some(n * 2)),
///     });
///     let looked_up = numbers.lookup(doubles, |n| *n).retry(Retry::fixed(1, ns(50)));
///     Ok((input, looked_up.inner().test_output()))
/// })?;
/// numbers.push(Timestamp(0), 21);
/// driver.settle()?;
/// for (wait, want) in [(10, vec![]), (50, vec![]), (99, vec![]), (1, vec![(21, 42)])] {
///     driver.advance(ns(wait))?;
///     assert_eq!(doubled.take_values(), want);
/// }
/// # Ok(())
/// # }
/// ```
pub struct ScriptedLookup<Q, A> {
    script: Box<dyn FnMut(&Q, u32) -> Attempt<A>>,
    /// For each request, how many attempts have begun, and the last of them.
    attempts: BTreeMap<Q, (u32, CallId)>,
    answers: TimerWheel<(CallId, Answer<A>)>,
}

impl<Q: Ord, A> ScriptedLookup<Q, A> {
    /// `script` says how attempt number so and so for a request goes.
    pub fn new(script: impl FnMut(&Q, u32) -> Attempt<A> + 'static) -> Self {
        let answers = TimerWheel::new(1 << 20, ns(64));
        Self { script: Box::new(script), attempts: BTreeMap::new(), answers }
    }

    /// The number of the attempt that this id stands for.
    fn number(&mut self, id: CallId, request: &Q) -> u32
    where
        Q: Clone,
    {
        match self.attempts.get_mut(request) {
            Some((_, last)) if *last == id => (),
            Some((number, last)) => (*number, *last) = (*number + 1, id),
            None => _ = self.attempts.insert(request.clone(), (0, id)),
        }
        self.attempts.get(request).map_or(0, |(number, _)| *number)
    }
}

impl<Q: Ord + Clone + 'static, A: Clone + 'static> Lookup for ScriptedLookup<Q, A> {
    type Request = Q;
    type Reply = A;

    fn ask(&mut self, id: CallId, request: &Q, now: Timestamp) -> Result<(), Full<()>> {
        let number = self.number(id, request);
        let (after, answer) = match (self.script)(request, number) {
            Attempt::Answers(after, found) => (after, Ok(found)),
            Attempt::Fails(after, error) => (after, Err(error)),
            Attempt::Silent => return Ok(()),
            Attempt::Full => return Err(Full(())),
        };
        let sent = self.answers.set(now + ns(after), (id, answer));
        sent.map(drop).map_err(|_| Full(()))
    }

    fn poll(&mut self, now: Timestamp) -> Option<(CallId, Answer<A>)> {
        self.answers.pop(now).map(|(_, answer)| answer)
    }
}
