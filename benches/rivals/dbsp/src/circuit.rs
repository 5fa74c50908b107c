//! A circuit, what goes into it, and a hash of what comes out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dbsp::circuit::CircuitConfig;
use dbsp::typed_batch::IndexedZSetReader;
use dbsp::utils::Tup2;
use dbsp::{
    DBData, DBSPHandle, Error, IndexedZSetHandle, OrdIndexedZSet, RootCircuit, Runtime, Stream,
    ZWeight,
};
use rivals_workload::{Digest, Outcome};

/// Rows by key, as they change.
pub type Rows<K, V> = Stream<RootCircuit, OrdIndexedZSet<K, V>>;

/// What all workers found.
pub type Found = Arc<Mutex<Digest>>;

/// Builds a circuit for so many workers, in memory only.
pub fn build<T: Send + 'static>(
    workers: usize,
    constructor: impl FnOnce(&mut RootCircuit) -> T + Clone + Send + 'static,
) -> Result<(DBSPHandle, T), Error> {
    let config = CircuitConfig::with_workers(workers).with_allow_input_during_commit(false);
    Runtime::init_circuit(config, move |circuit| Ok(constructor(circuit)))
}

/// Hashes changes: a row that is taken back is subtracted.
pub fn digest<K: DBData, V: DBData, const N: usize>(
    rows: &Rows<K, V>,
    into: &Found,
    words: impl Fn(K, V) -> [u64; N] + 'static,
) {
    let into = into.clone();
    rows.inspect(move |changes| {
        let mut found = into.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value, weight) in changes.iter() {
            let row = words(key, value);
            (0..weight).for_each(|_| found.add(row));
            (weight..0).for_each(|_| found.remove(row));
        }
    });
}

/// A relation that grows: rows are put together and go in at once.
pub struct Table<K, V> {
    handle: IndexedZSetHandle<K, V>,
    rows: Vec<Tup2<K, Tup2<V, ZWeight>>>,
}

impl<K: DBData, V: DBData> Table<K, V> {
    /// By its handle.
    pub fn new(handle: IndexedZSetHandle<K, V>) -> Self {
        Self { handle, rows: Vec::new() }
    }

    /// Puts a row in.
    #[inline(always)]
    pub fn give(&mut self, key: K, value: V) {
        self.rows.push(Tup2(key, Tup2(value, 1)));
    }

    /// Hands the rows over, for the next transaction.
    pub fn send(&mut self) {
        let room = self.rows.len();
        self.handle.append(&mut self.rows);
        self.rows.reserve(room);
    }
}

/// Records that are in one unit of event time, and its number: what a transaction is made of.
pub fn units<T>(all: &[T], unit: i64, at: impl Fn(&T) -> i64) -> impl Iterator<Item = (i64, &[T])> {
    let mut left = all;
    std::iter::from_fn(move || {
        let number = at(left.first()?).div_euclid(unit);
        let (some, rest) =
            left.split_at(left.partition_point(|r| at(r).div_euclid(unit) <= number));
        left = rest;
        Some((number, some))
    })
}

/// Stops a circuit whose last transaction is over.
pub fn finish(circuit: DBSPHandle, begun: Instant, found: &Found) -> Result<Outcome, Error> {
    let elapsed = begun.elapsed();
    _ = circuit.kill();
    let digest = *found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome::new(elapsed, digest))
}
