//! The records of two inputs in one order of time.

use serde::{Deserialize, Serialize};

use crate::state::{Chunks, Queue};
use crate::time::{Deadlines, Popped, Timestamp};

/// The records of one input that wait for their turn.
///
/// Most come in order and wait in a queue; those that come behind it wait in a wheel.
#[derive(Serialize, Deserialize)]
struct Lane<T: Copy> {
    queue: Queue,
    queued: Chunks<(i64, T)>,
    /// The time of the last in the queue.
    newest: i64,
    wheel: Deadlines<T>,
    in_wheel: usize,
    /// The next one, if it is known.
    next: Option<(i64, T)>,
}

impl<T: Copy> Lane<T> {
    fn new() -> Self {
        let (queue, queued, newest) = (Queue::default(), Chunks::new(), i64::MIN);
        Self { queue, queued, newest, wheel: Deadlines::with_room(), in_wheel: 0, next: None }
    }

    /// Takes over what is to be here, in its order.
    fn take_over(&mut self, mut other: Self, is_here: impl Fn(&T) -> bool) {
        loop {
            while other.seek(i64::MAX) {}
            match other.next.take() {
                Some((at, value)) if is_here(&value) => self.push(at, value),
                Some(_) => {}
                None => break,
            }
        }
    }

    fn len(&self) -> usize {
        self.queued.len() + self.in_wheel + usize::from(self.next.is_some())
    }

    #[inline(always)]
    fn push(&mut self, at: i64, value: T) {
        if at >= self.newest || (self.queue.is_empty() && self.in_wheel == 0) {
            self.newest = at;
            self.queued.push(&mut self.queue, (at, value));
        } else {
            self.wheel.set(at, value);
            self.in_wheel += 1;
        }
    }

    /// One unit of work towards knowing the next record up to `limit`; false when it is known, or
    /// known that there is none.
    #[inline]
    fn seek(&mut self, limit: i64) -> bool {
        if self.next.is_some() {
            return false;
        }
        let first = || self.queued[self.queue.front()].0;
        let queued = (!self.queue.is_empty()).then(first).filter(|at| *at <= limit);
        if self.in_wheel > 0 {
            // What is in the wheel came later than what is in the queue: of equal times the queue's
            // is the first.
            let before = queued.map_or(limit, |at| at.saturating_sub(1));
            match self.wheel.pop(before) {
                Popped::Due(at, value) => {
                    self.next = Some((at, value));
                    self.in_wheel -= 1;
                    return false;
                }
                Popped::Moved => return true,
                Popped::Nothing => {}
            }
        }
        if queued.is_some() {
            self.next = self.queued.pop(&mut self.queue);
        }
        false
    }
}

/// The records of two inputs, which come out in one order of time: those of one input and of equal
/// times in the order in which they came in; which input is first of equal times is fixed.
#[derive(Serialize, Deserialize)]
pub struct InOrder<L: Copy, R: Copy> {
    left: Lane<L>,
    right: Lane<R>,
    left_first: bool,
    /// How far each may go: what is later may still be overtaken.
    left_limit: i64,
    right_limit: i64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A left record of this time.
    Left(i64),
    /// A right record of this time.
    Right(i64),
    /// That is not known yet: ask again.
    Moved,
    /// Nothing before event time goes on.
    Nothing,
}

impl<L: Copy, R: Copy> InOrder<L, R> {
    /// Nothing waits. Of equal times the left record is first, or else the right one.
    pub fn new(left_first: bool) -> Self {
        let (left, right) = (Lane::new(), Lane::new());
        Self { left, right, left_first, left_limit: i64::MIN, right_limit: i64::MIN }
    }

    /// Takes over what waits and is to be here. Others that are taken over have come as far.
    pub fn take_over(
        &mut self,
        other: Self,
        is_left_here: impl Fn(&L) -> bool,
        is_right_here: impl Fn(&R) -> bool,
    ) {
        (self.left_limit, self.right_limit) = (other.left_limit, other.right_limit);
        self.left.take_over(other.left, is_left_here);
        self.right.take_over(other.right, is_right_here);
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.left.len() + self.right.len()
    }

    /// A left record waits for its turn.
    #[inline(always)]
    pub fn push_left(&mut self, at: Timestamp, value: L) {
        self.left.push(at.0, value);
    }

    /// A right record waits for its turn.
    #[inline(always)]
    pub fn push_right(&mut self, at: Timestamp, value: R) {
        self.right.push(at.0, value);
    }

    /// Nothing before these times will be pushed any more.
    pub fn advance(&mut self, Timestamp(left): Timestamp, Timestamp(right): Timestamp) {
        let before = |at: i64| if at == i64::MAX { at } else { at.saturating_sub(1) };
        // The later of equal times has to know that none of the earlier ones is to come.
        (self.left_limit, self.right_limit) = match self.left_first {
            true => (left.min(right), before(left).min(right)),
            false => (left.min(before(right)), left.min(right)),
        };
    }

    /// What comes next. Each call is one unit of work.
    #[inline]
    pub fn peek(&mut self) -> Next {
        if self.left.seek(self.left_limit) || self.right.seek(self.right_limit) {
            return Next::Moved;
        }
        let (left, right) = (at_of(&self.left.next), at_of(&self.right.next));
        match (left, right) {
            (None, None) => Next::Nothing,
            (Some(left), None) => Next::Left(left),
            (None, Some(right)) => Next::Right(right),
            (Some(left), Some(right)) => {
                let is_left = left < right || (left == right && self.left_first);
                if is_left { Next::Left(left) } else { Next::Right(right) }
            }
        }
    }

    /// Takes the left record that is next.
    #[inline(always)]
    pub fn take_left(&mut self) -> Option<L> {
        self.left.next.take().map(|(_, value)| value)
    }

    /// Takes the right record that is next.
    #[inline(always)]
    pub fn take_right(&mut self) -> Option<R> {
        self.right.next.take().map(|(_, value)| value)
    }
}

#[inline(always)]
fn at_of<T>(next: &Option<(i64, T)>) -> Option<i64> {
    next.as_ref().map(|next| next.0)
}
