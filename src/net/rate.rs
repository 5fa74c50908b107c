//! What is told of what goes wrong, at a bounded rate: whoever floods a port floods no log.

use crate::net::counts::Problem;
use crate::time::Timestamp;

const SECOND_NS: u64 = 1_000_000_000;

/// Problems of a source that are told in one second; more are only counted.
const TELLS: u32 = 100;

/// So many a second.
pub struct Rate {
    most: u32,
    second: Timestamp,
    done: u32,
}

impl Rate {
    pub const fn of(most: u32) -> Self {
        Self { most, second: Timestamp::MIN, done: 0 }
    }

    /// Whether one more may be.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        if self.done == 0 || now.since(self.second) >= SECOND_NS {
            (self.second, self.done) = (now, 0);
        }
        self.done = self.done.saturating_add(1);
        self.done <= self.most
    }
}

/// Whom a source tells of problems, if anybody.
pub struct Telling {
    tell: Option<Box<dyn FnMut(&Problem)>>,
    rate: Rate,
    now: Timestamp,
}

impl Telling {
    pub fn nobody() -> Self {
        Self { tell: None, rate: Rate::of(TELLS), now: Timestamp::MIN }
    }

    pub fn by(f: impl FnMut(&Problem) + 'static) -> Self {
        Self { tell: Some(Box::new(f)), ..Self::nobody() }
    }

    /// A step begins.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Tells of a problem, which is made only if it is told.
    pub fn tell(&mut self, problem: impl FnOnce() -> Problem) {
        if let Some(tell) = &mut self.tell
            && self.rate.is_due(self.now)
        {
            tell(&problem());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::net::counts::Count;
    use crate::net::local::Remote;

    #[test]
    fn a_flood_is_told_of_a_hundred_times_a_second() {
        let (told, made) = (Rc::new(Cell::new(0)), Cell::new(0));
        let tells = told.clone();
        let mut telling = Telling::by(move |_| tells.set(tells.get() + 1));
        let problem = || {
            made.set(made.get() + 1);
            let (count, reason) = (Count::Malformed, "wrong".to_owned());
            Problem { peer: Remote::Process(1), offset: 0, count, reason }
        };
        for ms in 0..3_000 {
            telling.at(Timestamp(ms * 1_000_000));
            telling.tell(problem);
        }
        assert_eq!((told.get(), made.get()), (300, 300));
        Telling::nobody().tell(problem);
        assert_eq!(made.get(), 300);
    }
}
