//! A count and a sum by key in tumbling windows, through panes, and through a map that is emptied
//! at the end of each window.

use std::sync::Arc;

use hashbrown::HashMap;
use millstream::aggregates::{count, sum};
use millstream::io::MemorySource;
use millstream::{Record, Timestamp, Tumbling, Watermarks, ns};

use super::{Found, Ready};

const APART_NS: i64 = 100;
/// As long as ten thousand records take.
const WINDOW_NS: i64 = 10_000 * APART_NS;

/// A record: when it was, of which key, and a value.
#[derive(Clone, Copy)]
pub struct Reading {
    at: Timestamp,
    key: u64,
    value: u64,
}

/// Readings of random meters at a steady pace, in order.
pub fn readings(records: usize, keys: u64) -> Arc<[Record<Reading>]> {
    let mut random = fastrand::Rng::with_seed(7);
    let one = |n: usize| {
        let at = Timestamp(n as i64 * APART_NS);
        Record::new(at, Reading { at, key: random.u64(..keys), value: random.u64(..1_000) })
    };
    (0..records).map(one).collect()
}

/// The engine's way.
pub fn by_panes(readings: &Arc<[Record<Reading>]>) -> Ready {
    let source = MemorySource::new(readings.clone());
    Ready::new(|p, total| {
        p.source(source)
            .event_time(|reading| reading.at, Watermarks::monotonic())
            .key_by(|reading| reading.key)
            .window(Tumbling::of(ns(WINDOW_NS as u64)))
            .aggregate((count(), sum(|reading: &Reading| reading.value)))
            .for_each(move |window| {
                let (count, sum) = window.value.value;
                total.add(window.value.key, window.at.as_nanos() + 1, count, sum);
            });
    })
}

/// By hand.
pub fn by_map(readings: &[Record<Reading>]) -> Found {
    let (mut found, mut open) = (Found::default(), HashMap::<u64, (u64, u64)>::new());
    let mut end = WINDOW_NS;
    for Record { value: Reading { at, key, value }, .. } in readings {
        if at.as_nanos() >= end {
            open.drain().for_each(|(key, (count, sum))| found.add(key, end, count, sum));
            end += WINDOW_NS;
        }
        let (count, sum) = open.entry(*key).or_default();
        *count += 1;
        *sum += value;
    }
    open.drain().for_each(|(key, (count, sum))| found.add(key, end, count, sum));
    found
}
