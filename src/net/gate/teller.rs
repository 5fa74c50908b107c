//! Counting what happens at a gate, and telling of it at a bounded rate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::net::counts::{Count, Counts, Problem};
use crate::net::gate::session::Failure;
use crate::net::local::Remote;
use crate::net::rate::Rate;
use crate::time::Timestamp;

/// Problems that are told in one second; more are only counted.
const TELLS: u32 = 10;

/// What is told, and to whom.
type Tell = Box<dyn FnMut(&Problem) + Send>;

/// Counts, and whoever wants to be told. Clones are the same.
#[derive(Clone)]
pub struct Teller {
    pub counts: Counts,
    told: Arc<Mutex<Told>>,
}

struct Told {
    tell: Option<Tell>,
    rate: Rate,
}

impl Teller {
    pub fn new(counts: Counts, tell: Option<Tell>) -> Self {
        let told = Told { tell, rate: Rate::of(TELLS) };
        Self { counts, told: Arc::new(Mutex::new(told)) }
    }

    pub fn count(&self, count: Count) {
        self.counts.add(count, 1);
    }

    /// Counts why a connection is not let in, or did not end well, and tells of it.
    pub fn on_failure(&self, peer: SocketAddr, failure: Failure, now: Timestamp) {
        let Failure { count, reason } = failure;
        // Attempts that fail are counted by whoever makes them.
        if count != Count::NotConnected {
            self.count(count);
        }
        let Ok(mut told) = self.told.lock() else { return };
        if told.rate.is_due(now)
            && let Some(tell) = &mut told.tell
        {
            tell(&Problem { peer: Remote::Address(peer), offset: 0, count, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_ten_times_a_second() {
        let (told, counts) = (Arc::new(Mutex::new(0)), Counts::default());
        let teller = {
            let told = told.clone();
            Teller::new(counts.clone(), Some(Box::new(move |_| *told.lock().unwrap() += 1)))
        };
        for ms in 0..3_000 {
            let failure = Failure::new(Count::WrongToken, "wrong");
            let peer = ([127, 0, 0, 1], 1).into();
            teller.on_failure(peer, failure, Timestamp(ms * 1_000_000));
        }
        assert_eq!(*told.lock().unwrap(), 30);
        assert_eq!(counts.get(Count::WrongToken), 3_000);
    }
}
