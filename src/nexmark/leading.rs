//! The largest of each window, ties included: what queries 5 and 7 have in common.
//!
//! The largest value is an aggregate; those that have it are found by a join of the stream with
//! its own maximum. So that few records get there, each shard leaves out those that are less than
//! one that it has seen before.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Stage, Stream};
use crate::operators::{KeyContext, Process};
use crate::state::Stored;
use crate::time::nanos;
use crate::window::Tumbling;
use crate::window::aggregates::max;

/// Of the records of each tumbling window those of which `measure` is largest, when it closes.
///
/// Keeps, on each shard, the largest so far of the latest window, and in one place the records that
/// were the largest of their shard when they came.
pub fn leading<'p, T: Copy + Send + Stored>(
    records: Stream<'p, impl Stage<Out = T>>,
    window: Duration,
    measure: fn(&T) -> u64,
) -> Stream<'p, impl Stage<Out = T>> {
    let (ahead, all) = records.process(Ahead { window, measure, types: PhantomData }).tee();
    let most = all.window_all(Tumbling::of(window)).aggregate(max(measure)).map(|most| most.value);
    ahead
        .key_by(|_| ())
        .window_join(most.key_by(|_| ()))
        .window(Tumbling::of(window))
        .select(move |record, most| (measure(record) == *most).then_some(*record))
        .filter_map(|record| record)
}

/// Lets a record pass unless a larger one of its window has passed here.
struct Ahead<T> {
    window: Duration,
    measure: fn(&T) -> u64,
    types: PhantomData<fn(T)>,
}

/// What has passed of the latest window. Records of an earlier one all pass.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Latest {
    number: i64,
    most: u64,
}

impl<T: Copy + Stored> Process for Ahead<T> {
    /// None: one state on each shard.
    type Key = ();
    type In = T;
    type State = Latest;
    type Out = T;

    const NAME: &'static str = "ahead";

    fn on_record(&mut self, record: T, ctx: &mut KeyContext<'_, Self>) {
        let number = ctx.at().as_nanos().div_euclid(nanos(self.window));
        let measure = (self.measure)(&record);
        let latest = ctx.state();
        if latest.number < number {
            *latest = Latest { number, most: 0 };
        }
        if latest.number == number {
            if measure < latest.most {
                return;
            }
            latest.most = measure;
        }
        ctx.emit(record);
    }
}
