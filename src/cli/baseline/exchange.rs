//! Two threads that exchange by key over two rings: a keyed tumbling count and sum.

use hashbrown::HashMap;
use rtrb::{Consumer, Producer, RingBuffer};

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, Reading, WINDOW_NS, mix, reading};

/// Records that a thread makes, and takes in, between two looks at its rings.
const BATCH: u64 = 1024;

/// Slots of a ring.
const CAPACITY: usize = 4096;

/// What crosses: a reading and its time. The last one says that nothing more comes.
#[derive(Clone, Copy)]
struct Crossing {
    at: i64,
    reading: Reading,
}

const LAST: Crossing = Crossing { at: i64::MAX, reading: Reading { key: 0, value: 0 } };

/// One of the two threads.
pub struct Worker {
    me: u64,
    records: u64,
    keys: u64,
    next: u64,
    outgoing: Vec<Crossing>,
    to: Producer<Crossing>,
    from: Consumer<Crossing>,
    /// Open windows: both threads are within a few of each other, since the rings are short.
    open: [HashMap<u64, (u64, u64)>; 4],
    mine: i64,
    theirs: i64,
    closed: i64,
    checksum: Checksum,
}

/// The two workers of a run over `records` readings of `keys` meters, to be run on threads of their
/// own.
pub fn pair(records: u64, keys: u64) -> [Worker; 2] {
    let (to_second, from_first) = RingBuffer::new(CAPACITY);
    let (to_first, from_second) = RingBuffer::new(CAPACITY);
    [
        Worker::new(0, records, keys, to_second, from_second),
        Worker::new(1, records, keys, to_first, from_first),
    ]
}

impl Worker {
    fn new(
        me: u64,
        records: u64,
        keys: u64,
        to: Producer<Crossing>,
        from: Consumer<Crossing>,
    ) -> Self {
        Self {
            me,
            records,
            keys,
            next: me,
            outgoing: Vec::with_capacity(BATCH as usize + 1),
            to,
            from,
            open: Default::default(),
            mine: 0,
            theirs: 0,
            closed: 0,
            checksum: Checksum::default(),
        }
    }

    /// Makes, exchanges and counts until both are done.
    pub fn run(mut self) -> Checksum {
        loop {
            self.receive();
            // A thread on a busy core falls behind; the other must not run away from it, or more
            // windows would be open than there is room for.
            let is_near = self.mine < self.theirs.saturating_add(WINDOW_NS);
            if self.outgoing.is_empty() && self.mine < i64::MAX && is_near {
                self.produce();
            }
            self.send();
            self.close();
            let done = self.mine.min(self.theirs) == i64::MAX;
            if done && self.outgoing.is_empty() {
                return self.checksum;
            }
        }
    }

    fn produce(&mut self) {
        for _ in 0..BATCH {
            if self.next >= self.records {
                self.mine = i64::MAX;
                self.outgoing.push(LAST);
                return;
            }
            let at = self.next as i64 * PERIOD_NS;
            let reading = reading(self.next, self.keys);
            if mix(reading.key) >> 63 == self.me {
                count(&mut self.open, at, reading);
            } else {
                self.outgoing.push(Crossing { at, reading });
            }
            self.mine = at;
            self.next += 2;
        }
    }

    fn send(&mut self) {
        let room = self.to.slots().min(self.outgoing.len());
        if let Ok(chunk) = self.to.write_chunk_uninit(room) {
            chunk.fill_from_iter(self.outgoing.drain(..room));
        }
    }

    fn receive(&mut self) {
        let waiting = self.from.slots().min(4 * BATCH as usize);
        let Ok(chunk) = self.from.read_chunk(waiting) else { return };
        for Crossing { at, reading } in chunk {
            self.theirs = at;
            if at < i64::MAX {
                count(&mut self.open, at, reading);
            }
        }
    }

    fn close(&mut self) {
        let last = self.records as i64 * PERIOD_NS;
        while self.closed + WINDOW_NS <= self.mine.min(self.theirs) && self.closed < last {
            let end = self.closed + WINDOW_NS;
            let place = (self.closed / WINDOW_NS) as usize % self.open.len();
            for (key, (count, sum)) in self.open[place].drain() {
                self.checksum.add(key, end, count, sum);
            }
            self.closed = end;
        }
    }
}

#[inline(always)]
fn count(open: &mut [HashMap<u64, (u64, u64)>; 4], at: i64, reading: Reading) {
    let (count, sum) = open[(at / WINDOW_NS) as usize % 4].entry(reading.key).or_default();
    *count += 1;
    *sum += u64::from(reading.value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::baseline::window::count_and_sum;

    #[test]
    fn it_finds_what_one_thread_finds() {
        const RECORDS: u64 = 3_100_000;
        let [first, second] = pair(RECORDS, 1000);
        let other = std::thread::spawn(move || second.run());
        let mut found = first.run();
        found.merge(other.join().expect("it does not panic"));
        assert_eq!(found, count_and_sum(RECORDS, 1000));
    }
}
