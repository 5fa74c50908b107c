//! The way through a document.

use std::fmt::Write as _;

use crate::io::codec::Malformed;
use crate::io::codec::json::{Broken, Cursor};

/// How many there may be of what comes in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Impressions of a request; bids of a seat.
    pub imps: usize,
    /// Deals of an impression.
    pub deals: usize,
    /// Formats of a banner; seats of a response.
    pub formats: usize,
    /// Texts and numbers of any other list: categories, domains, attributes.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { imps: 64, deals: 64, formats: 64, values: 4096 }
    }
}

/// One step of the way.
#[derive(Clone, Copy)]
pub enum Step {
    Field(&'static str),
    Entry(usize),
}

/// No object is deeper in others than this.
const STEPS: usize = 12;

/// A cursor that knows the way that it has come.
pub struct Walk<'a> {
    pub cursor: Cursor<'a>,
    pub limits: Limits,
    pub skipped: u64,
    steps: [Step; STEPS],
    depth: usize,
}

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8], limits: Limits) -> Self {
        let steps = [Step::Entry(0); STEPS];
        Self { cursor: Cursor::new(bytes), limits, skipped: 0, steps, depth: 0 }
    }

    /// Goes a step, and back again unless it ends there.
    #[inline]
    pub fn step<T>(
        &mut self,
        step: Step,
        there: impl FnOnce(&mut Self) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        if let Some(place) = self.steps.get_mut(self.depth) {
            *place = step;
        }
        self.depth += 1;
        let read = there(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// What was wrong, and the way there.
    #[cold]
    pub fn malformed(&self) -> Malformed {
        let mut path = String::new();
        for step in self.steps.iter().take(self.depth) {
            // Writing to memory does not fail.
            let _ = match step {
                Step::Field(name) if path.is_empty() => write!(path, "{name}"),
                Step::Field(name) => write!(path, ".{name}"),
                Step::Entry(number) => write!(path, "[{number}]"),
            };
        }
        let Malformed { offset, reason } = self.cursor.malformed();
        match path.is_empty() {
            true => Malformed { offset, reason },
            false => Malformed { offset, reason: format!("{path}: {reason}").into() },
        }
    }
}
