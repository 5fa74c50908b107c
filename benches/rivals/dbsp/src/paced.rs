//! The open loop: readings are handed over as they are due, and a transaction closes a window.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dbsp::Error;
use dbsp::typed_batch::IndexedZSetReader;
use dbsp::utils::Tup2;
use rivals_workload::pace::{Pace, WINDOW};
use rivals_workload::{CHUNK, Outcome, Stamps};

use crate::circuit::{Found, Table, build, digest, finish};
use crate::windows::{row, totals};

pub fn tumbling(workers: usize, pace: &Pace) -> Result<Outcome, Error> {
    let (found, stamps) = (Found::default(), Arc::new(Mutex::new(Stamps::new(pace.clone()))));
    let (into, stamped) = (found.clone(), stamps.clone());
    let (mut circuit, handle) = build(workers, move |circuit| {
        let (readings, handle) = circuit.add_input_indexed_zset();
        let totals = totals(&readings);
        totals.inspect(move |results| {
            let mut stamps = stamped.lock().unwrap_or_else(PoisonError::into_inner);
            let now = stamps.now();
            results.iter().for_each(|(Tup2(end, _), _, _)| stamps.results(end, now, 1));
        });
        digest(&totals, &into, row);
        handle
    })?;
    let (begun, mut table, mut share) = (Instant::now(), Table::new(handle), pace.share(0, 1));
    let mut end = WINDOW;
    while !share.is_over() {
        share.due(pace.now(), CHUNK, |r| table.give(Tup2(end_of(r.at), r.key), r.value));
        // The time of the next record is known: as soon as it is in another window, this one is
        // complete.
        if share.next_at() >= end {
            table.send();
            circuit.transaction()?;
            end = end_of(share.next_at());
        } else {
            // The workers have threads of their own, on the same cores.
            thread::yield_now();
        }
    }
    table.send();
    circuit.transaction()?;
    let outcome = finish(circuit, begun, &found)?;
    let stamps = stamps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Outcome { stamps: Some(stamps), ..outcome })
}

/// The end of the window that a time is in.
fn end_of(at: i64) -> i64 {
    (at / WINDOW + 1) * WINDOW
}
