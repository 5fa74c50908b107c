//! A server with moods, and a model of what somebody who asks it finds out: one loop.

use fastrand::Rng;
use millstream::error::LookupError;
use millstream::lookup::Answer;
use millstream::ns;
use millstream::testing::Attempt;

/// What an attempt is given.
pub const TIMEOUT_NS: u64 = 20_000;

/// So much later an answer is too late, however the steps fall.
const LATE_NS: u64 = 50_000_000;

/// How the server takes an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Answers,
    Missing,
    Silent,
    Late,
    Busy,
    Refuses,
}

/// A server's moods, drawn for each request and attempt.
#[derive(Clone, Copy, Debug)]
pub struct Moods {
    pub seed: u64,
}

/// What somebody finds out, and what it took.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub answer: Answer<i64>,
    pub attempts: u64,
    pub timeouts: u64,
}

impl Moods {
    fn rng(self, request: i64, attempt: u32) -> Rng {
        Rng::with_seed(self.seed ^ (request as u64) << 20 ^ u64::from(attempt))
    }

    pub fn mood(self, request: i64, attempt: u32) -> Mood {
        match self.rng(request, attempt).u32(..16) {
            0 => Mood::Silent,
            1 => Mood::Late,
            2 | 3 => Mood::Busy,
            4 => Mood::Refuses,
            5 | 6 => Mood::Missing,
            _ => Mood::Answers,
        }
    }

    /// What the server does. An answer that comes too late is a lie, so that it would be seen.
    pub fn attempt(self, request: i64, attempt: u32) -> Attempt<i64> {
        let mut rng = self.rng(request, attempt + 1_000);
        let after = rng.u64(..TIMEOUT_NS);
        match self.mood(request, attempt) {
            Mood::Answers => Attempt::Answers(after, Some(request * 3)),
            Mood::Missing => Attempt::Answers(after, None),
            Mood::Silent => Attempt::Silent,
            Mood::Late => Attempt::Answers(LATE_NS, Some(-1)),
            Mood::Busy => Attempt::Fails(after, busy()),
            Mood::Refuses => Attempt::Fails(after, refused()),
        }
    }

    pub fn outcome(self, request: i64, retries: u32) -> Outcome {
        let (mut timeouts, mut answer) = (0, Ok(None));
        for attempt in 0..=retries {
            let attempts = u64::from(attempt) + 1;
            answer = match self.mood(request, attempt) {
                Mood::Answers => Ok(Some(request * 3)),
                Mood::Missing => Ok(None),
                Mood::Refuses => Err(refused()),
                Mood::Busy => Err(busy()),
                Mood::Silent | Mood::Late => {
                    timeouts += 1;
                    Err(LookupError::TimedOut(ns(TIMEOUT_NS)))
                }
            };
            if answer.as_ref().map_or_else(|error| !error.may_pass(), |_| true) {
                return Outcome { answer, attempts, timeouts };
            }
        }
        Outcome { answer, attempts: u64::from(retries) + 1, timeouts }
    }

    /// What is found for a key by a server without moods.
    pub fn found(self, key: u64) -> Option<i64> {
        (self.rng(key as i64, 0).u32(..4) > 0).then_some(key as i64 * 5)
    }

    pub fn steady(self, key: u64) -> Attempt<i64> {
        Attempt::Answers(self.rng(key as i64, 9).u64(..TIMEOUT_NS), self.found(key))
    }
}

fn busy() -> LookupError {
    LookupError::Unavailable("busy".to_owned())
}

fn refused() -> LookupError {
    LookupError::Refused("no such question".to_owned())
}
