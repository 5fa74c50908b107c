//! Records in memory into the inputs of a dataflow.

use rivals_workload::CHUNK;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::probe;
use timely::worker::Worker;

/// An input of records, by coarse time.
pub type In<T> = InputHandle<u64, CapacityContainerBuilder<Vec<T>>>;
/// How far results have come.
pub type Probe = probe::Handle<u64>;

/// How many timestamps an input may be ahead of the results: else it would fill the memory.
const AHEAD: u64 = 2;

/// What a worker is given, in containers of a chunk.
pub struct Feed<T: Clone + 'static> {
    input: In<T>,
    batch: Vec<T>,
}

impl<T: Clone + 'static> Feed<T> {
    /// Into an input.
    pub fn new(input: In<T>) -> Self {
        Self { input, batch: Vec::with_capacity(CHUNK) }
    }

    /// Takes a record of this time.
    #[inline(always)]
    pub fn give(&mut self, time: u64, value: T) {
        self.advance(time);
        self.batch.push(value);
    }

    /// Nothing before this time will be given.
    #[inline(always)]
    pub fn advance(&mut self, time: u64) {
        if time != *self.input.time() {
            self.flush();
            self.input.advance_to(time);
        }
    }

    /// Sends what it holds.
    pub fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.input.send_batch(&mut self.batch);
            self.batch.reserve(CHUNK);
        }
    }

    /// Lets the dataflow work: once, and until results are near.
    pub fn step(&mut self, worker: &mut Worker, probe: &Probe) {
        self.flush();
        worker.step();
        let time = self.input.time().saturating_sub(AHEAD);
        while probe.less_than(&time) {
            worker.step();
        }
    }
}
