//! Two threads that exchange by key over two rings: keyed tumbling count and sum.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use rivals_workload::by_hand::Tumbling;
use rivals_workload::digest::mix;
use rivals_workload::readings::SECOND;
use rivals_workload::{CHUNK, Digest, Input, Outcome, Reading, part, pin};
use rtrb::{Consumer, Producer, RingBuffer};

/// Slots of a ring.
const CAPACITY: usize = 4096;
/// Says how far the other thread has come.
const MARK: u32 = u32::MAX;

/// One of the two threads.
struct Side {
    me: usize,
    all: Arc<[Reading]>,
    to: Producer<Reading>,
    from: Consumer<Reading>,
    outgoing: Vec<Reading>,
    windows: Tumbling,
    mine: i64,
    theirs: i64,
}

/// Runs both.
pub fn tumbling(cpus: &[usize], input: &Input) -> Outcome {
    let Input::Readings(all) = input else { unreachable!("windows are of readings") };
    let (to_second, from_first) = RingBuffer::new(CAPACITY);
    let (to_first, from_second) = RingBuffer::new(CAPACITY);
    let side = |me, to, from| Side {
        me,
        all: all.clone(),
        to,
        from,
        outgoing: Vec::with_capacity(2 * CHUNK),
        windows: Tumbling::new(SECOND),
        mine: i64::MIN,
        theirs: i64::MIN,
    };
    let sides = [side(0, to_second, from_second), side(1, to_first, from_first)];
    let together = Arc::new(Barrier::new(3));
    let threads = sides.map(|side| {
        let (cpu, together) = (cpus[side.me], together.clone());
        thread::spawn(move || {
            pin(cpu);
            together.wait();
            side.run()
        })
    });
    together.wait();
    let begun = Instant::now();
    let mut digest = Digest::default();
    for thread in threads {
        digest.merge(thread.join().unwrap_or_else(|_| panic!("a thread of two panicked")));
    }
    Outcome::new(begun.elapsed(), digest)
}

impl Side {
    fn run(mut self) -> Digest {
        let (mut digest, all) = (Digest::default(), self.all.clone());
        let mut parts = part(&all, self.me, 2);
        loop {
            self.receive();
            // Neither runs away from the other, or more windows would be open than need be.
            let is_near = self.mine <= self.theirs.saturating_add(SECOND);
            if self.outgoing.is_empty() && self.mine < i64::MAX && is_near {
                self.mine = self.take(parts.next());
            }
            self.send();
            let reached = self.mine.min(self.theirs);
            self.windows.advance(reached, |row| digest.add(row));
            if reached == i64::MAX && self.outgoing.is_empty() {
                return digest;
            }
        }
    }

    /// Counts what is ours, and keeps the rest for the other; returns how far this came.
    fn take(&mut self, some: Option<&[Reading]>) -> i64 {
        let mine = some.and_then(|some| some.last()).map_or(i64::MAX, |last| last.at);
        for reading in some.into_iter().flatten() {
            match (mix(reading.key.into()) >> 63) as usize == self.me {
                true => self.windows.add(*reading),
                false => self.outgoing.push(*reading),
            }
        }
        self.outgoing.push(Reading { at: mine, key: MARK, value: 0 });
        mine
    }

    fn send(&mut self) {
        let room = self.to.slots().min(self.outgoing.len());
        if let Ok(chunk) = self.to.write_chunk_uninit(room) {
            chunk.fill_from_iter(self.outgoing.drain(..room));
        }
    }

    fn receive(&mut self) {
        let waiting = self.from.slots();
        let Ok(chunk) = self.from.read_chunk(waiting) else { return };
        for reading in chunk {
            match reading.key {
                MARK => self.theirs = reading.at,
                _ => self.windows.add(reading),
            }
        }
    }
}
