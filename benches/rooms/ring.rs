//! Numbers through rings, a batch in and a batch out on one thread: what the operations cost
//! without the way between two cores, which `millstream bench hop` measures.

use std::sync::mpsc::sync_channel;

use millstream::exchange::pipe;
use rtrb::RingBuffer;

/// What a ring holds.
const CAPACITY: usize = 1_024;
/// How many go in before they come out.
const BATCH: u64 = 256;

/// The engine's ring between a shard and a thread.
pub fn by_pipe(numbers: u64) -> u64 {
    let (mut sender, mut receiver) = pipe(CAPACITY);
    in_batches(numbers, |n| sender.push(n).is_ok(), || receiver.pop())
}

/// The ring below it.
pub fn by_rtrb(numbers: u64) -> u64 {
    let (mut producer, mut consumer) = RingBuffer::new(CAPACITY);
    in_batches(numbers, |n| producer.push(n).is_ok(), || consumer.pop().ok())
}

/// The standard library's channel.
pub fn by_std(numbers: u64) -> u64 {
    let (sender, receiver) = sync_channel(CAPACITY);
    in_batches(numbers, |n| sender.try_send(n).is_ok(), || receiver.try_recv().ok())
}

/// Sends and receives all; the sum of what came.
fn in_batches(
    numbers: u64,
    mut push: impl FnMut(u64) -> bool,
    mut pop: impl FnMut() -> Option<u64>,
) -> u64 {
    let mut total = 0;
    for first in (0..numbers).step_by(BATCH as usize) {
        let all = (first..(first + BATCH).min(numbers)).all(&mut push);
        assert!(all, "there is room for a batch");
        while let Some(number) = pop() {
            total += number;
        }
    }
    total
}
