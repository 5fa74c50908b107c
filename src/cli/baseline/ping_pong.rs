//! A raw ring between two threads: what one hop costs when nothing else is done.

use std::thread;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::cli::failure::{Failure, Result};
use crate::cli::pin;
use crate::metrics::Latency;
use crate::time::{Clock, SystemClock};

/// What crosses: as much as a slot of the engine's rings holds.
pub type Ball = [u64; 4];

/// One side of the game.
struct Side {
    to: Producer<Ball>,
    from: Consumer<Ball>,
}

/// Round trips between two threads, one on each of these CPUs.
///
/// # Errors
/// If one of them panicked.
pub fn between_threads(cpus: [usize; 2], rounds: u64) -> Result<Latency> {
    let (serving, returning) = sides();
    let other = thread::spawn(move || {
        pin::this_thread(cpus[1]);
        returning.give_back(rounds);
    });
    let thread = thread::spawn(move || {
        pin::this_thread(cpus[0]);
        serving.serve(rounds)
    });
    let panicked = |_| Failure { message: "the raw ring panicked".into(), code: Failure::RAN };
    let latency = thread.join().map_err(panicked)?;
    other.join().map_err(panicked)?;
    Ok(latency)
}

/// The side that serves, and the side that returns.
fn sides() -> (Side, Side) {
    let (to_second, from_first) = RingBuffer::new(4096);
    let (to_first, from_second) = RingBuffer::new(4096);
    (Side { to: to_second, from: from_second }, Side { to: to_first, from: from_first })
}

impl Side {
    /// Serves `rounds` times and measures each round trip. The first tenth is warm-up.
    fn serve(mut self, rounds: u64) -> Latency {
        let clock = SystemClock::new();
        let mut latency = Latency::new();
        for round in 0..rounds {
            let start = clock.now();
            self.send([round; 4]);
            self.receive();
            let now = clock.now();
            if round >= rounds / 10 {
                latency.record(now, now.since(start), 1);
            }
        }
        latency
    }

    /// Returns `rounds` times.
    fn give_back(mut self, rounds: u64) {
        for _ in 0..rounds {
            let ball = self.receive();
            self.send(ball);
        }
    }

    fn send(&mut self, mut ball: Ball) {
        while let Err(rtrb::PushError::Full(back)) = self.to.push(ball) {
            ball = back;
        }
    }

    fn receive(&mut self) -> Ball {
        loop {
            if let Ok(ball) = self.from.pop() {
                return ball;
            }
        }
    }
}
