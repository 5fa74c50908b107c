//! The open loop: one turn looks at the clock, sends what is due, and lets the dataflow step.

use std::cell::RefCell;
use std::rc::Rc;

use rivals_workload::by_hand::Tumbling;
use rivals_workload::pace::{Pace, WINDOW};
use rivals_workload::{CHUNK, Reading, Stamps};
use timely::dataflow::operators::Input;
use timely::worker::Worker;

use crate::operators::{Rows, keyed, stamped};
use crate::windows::{closed, route};
use rival_timely::Found;

pub fn tumbling(worker: &mut Worker, pace: &Pace, begin: impl FnOnce()) -> Found {
    let rows = Rows::default();
    let stamps = Rc::new(RefCell::new(Stamps::new(pace.clone())));
    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, readings) = scope.new_input::<Vec<Reading>>();
        let results = keyed(
            readings,
            route,
            Tumbling::new(WINDOW),
            |state, some, _| {
                state.add_all(some);
                some.clear();
            },
            |state, reached, emit| state.advance(closed(reached, WINDOW), emit),
        );
        stamped(results, &rows, &stamps);
        input
    });
    begin();
    let mut share = pace.share(worker.index(), worker.peers());
    while !share.is_over() {
        let mut is_new = false;
        share.due(pace.now(), CHUNK, |reading| {
            let time = (reading.at / WINDOW) as u64;
            if time != *input.time() {
                input.advance_to(time);
            }
            input.send(reading);
            is_new = true;
        });
        if is_new {
            input.flush();
            // The time of the next record is known: as soon as it is in another window, this one
            // is complete.
            let next = (share.next_at() / WINDOW) as u64;
            if next != *input.time() {
                input.advance_to(next);
            }
        }
        worker.step();
    }
    drop(input);
    while worker.has_dataflows() {
        worker.step();
    }
    let stamps = Some(stamps.borrow().clone());
    Found { digest: *rows.borrow(), stamps }
}
