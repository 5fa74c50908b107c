//! A sink that watches what it is given, and how.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug};
use std::rc::Rc;

use crate::dataflow::Record;
use crate::error::IoError;
use crate::io::Sink;
use crate::time::Timestamp;

/// When a probe takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// At any time.
    Always,
    /// About every other time it is asked. Not strictly: a pipeline that asks twice a step would
    /// always hear the same.
    Sometimes,
    /// Until so many have come, and then never again.
    Until(usize),
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Sometimes => f.write_str("every other time"),
            Self::Until(records) => write!(f, "{records} records"),
        }
    }
}

/// What the probes of all shards have been given.
#[derive(Debug)]
pub struct Seen<T> {
    /// Timestamps in nanoseconds, and values, as they came.
    pub records: Vec<(i64, T)>,
    /// The probe's number, and the watermark.
    pub watermarks: Vec<(usize, i64)>,
    /// How many of the probes have been told that nothing more will come.
    pub ended: usize,
    probes: usize,
    faults: Vec<String>,
}

impl<T> Seen<T> {
    /// Nothing yet; the probes of all shards share it.
    pub fn new() -> Rc<RefCell<Self>> {
        let (records, watermarks, faults) = (Vec::new(), Vec::new(), Vec::new());
        Rc::new(RefCell::new(Self { records, watermarks, ended: 0, probes: 0, faults }))
    }

    /// Every probe was ended once, and nothing was done to any that a sink may not be done.
    ///
    /// # Panics
    /// If not, and says what.
    #[track_caller]
    pub fn check_over(&self) {
        if let Err(fault) = self.faults() {
            panic!("{fault}");
        }
    }

    /// What [`check_over`](Self::check_over) would panic with.
    pub(super) fn faults(&self) -> Result<(), String> {
        if !self.faults.is_empty() {
            return Err(self.faults.join("\n"));
        }
        match (self.ended, self.probes) {
            (ended, probes) if ended != probes => {
                Err(format!("each sink is ended once: {ended} of {probes} were"))
            }
            _ => Ok(()),
        }
    }

    fn fault(&mut self, what: impl Into<String>) {
        if self.faults.len() < 4 {
            self.faults.push(what.into());
        }
    }
}

/// The sink of one shard: it keeps what comes, refuses as it is told to, and notes what a sink may
/// not be given: more than it has promised room for, anything after the end, a watermark that goes
/// back, records without the end of their batch.
pub struct Probe<T> {
    seen: Rc<RefCell<Seen<T>>>,
    number: usize,
    open: Open,
    batch_max: usize,
    /// Records that it has promised to take.
    credit: Cell<usize>,
    random: Cell<u64>,
    unpublished: usize,
    watermark: i64,
    ended: bool,
}

impl<T> Probe<T> {
    /// The sink of one shard, whose batches hold at most `batch_max` records.
    pub fn new(seen: &Rc<RefCell<Seen<T>>>, open: Open, batch_max: usize) -> Self {
        let number = seen.borrow().probes;
        seen.borrow_mut().probes += 1;
        Self {
            seen: seen.clone(),
            number,
            open,
            batch_max,
            credit: Cell::new(0),
            random: Cell::new(number as u64 + 1),
            unpublished: 0,
            watermark: i64::MIN,
            ended: false,
        }
    }

    fn draw(&self) -> bool {
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        self.random.set(next);
        next >> 63 == 0
    }
}

impl<T: Debug + 'static> Sink<T> for Probe<T> {
    /// A yes is a promise to take one whole batch; a no takes it back.
    fn is_open(&self) -> bool {
        let open = match self.open {
            Open::Always => true,
            // Or it would take luck to see all shards done at the same time.
            Open::Sometimes if self.ended => true,
            Open::Sometimes => self.draw(),
            Open::Until(records) => self.seen.borrow().records.len() < records,
        };
        self.credit.set(if open { self.batch_max } else { 0 });
        open
    }

    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        let mut seen = self.seen.borrow_mut();
        if self.ended {
            seen.fault(format!("{record:?} after the end of the stream"));
        }
        match self.credit.get().checked_sub(1) {
            Some(left) => self.credit.set(left),
            None => seen.fault(format!("{record:?} is more than was promised room for")),
        }
        self.unpublished += 1;
        seen.records.push((record.at.0, record.value));
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.unpublished = 0;
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        let mut seen = self.seen.borrow_mut();
        if watermark.0 < self.watermark {
            seen.fault(format!("the watermark went back to {watermark:?}"));
        }
        self.watermark = watermark.0;
        seen.watermarks.push((self.number, watermark.0));
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        let mut seen = self.seen.borrow_mut();
        if self.ended {
            seen.fault("ended twice");
        }
        self.ended = true;
        seen.ended += 1;
        Ok(())
    }
}

impl<T> Drop for Probe<T> {
    fn drop(&mut self) {
        if self.unpublished > 0 && self.ended {
            self.seen.borrow_mut().fault("records after the last end of a batch");
        }
    }
}
