//! A ring of plain values between a shard and a thread beside it.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::error::Full;
use crate::memory::Bell;

/// Both ends of a ring with room for `capacity` values. Neither end ever waits.
pub fn pipe<T>(capacity: usize) -> (PipeSender<T>, PipeReceiver<T>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (PipeSender(producer), PipeReceiver(consumer))
}

/// Bytes that a ring of this capacity takes.
pub const fn pipe_bytes<T>(capacity: usize) -> usize {
    capacity.saturating_mul(size_of::<T>())
}

/// The sending end.
pub struct PipeSender<T>(Producer<T>);

impl<T> PipeSender<T> {
    /// Puts a value in.
    ///
    /// # Errors
    /// `Full` hands it back.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        self.0.push(value).map_err(|rtrb::PushError::Full(value)| Full(value))
    }

    /// Puts a value in and wakes the shard that receives it.
    ///
    /// # Errors
    /// `Full` hands it back.
    pub fn push_and_ring(&mut self, value: T, bell: &Arc<Bell>) -> Result<(), Full<T>> {
        self.push(value)?;
        bell.ring();
        Ok(())
    }

    /// How many values fit in now; nobody but this end makes that less.
    pub fn room(&self) -> usize {
        self.0.slots()
    }

    /// Whether nobody will receive anything more.
    pub fn is_closed(&self) -> bool {
        self.0.is_abandoned()
    }
}

/// The receiving end.
pub struct PipeReceiver<T>(Consumer<T>);

impl<T> PipeReceiver<T> {
    /// The oldest value that has not been taken.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop().ok()
    }

    /// Whether nothing has come that has not been taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing more will be sent, and all that was has been taken.
    pub fn is_closed(&self) -> bool {
        // In this order: what was sent before the other end closed must be seen.
        self.0.is_abandoned() && self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_and_none_is_lost_when_an_end_closes() {
        let (mut sender, mut receiver) = pipe(2);
        assert!(receiver.is_empty() && sender.room() == 2);
        assert!(sender.push(1).is_ok() && sender.push(2).is_ok());
        assert_eq!(sender.push(3), Err(Full(3)));
        assert_eq!(receiver.pop(), Some(1));
        drop(sender);
        assert!(!receiver.is_closed());
        assert_eq!((receiver.pop(), receiver.pop()), (Some(2), None));
        assert!(receiver.is_closed());
        let (sender, receiver) = pipe::<u8>(1);
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
    }
}
