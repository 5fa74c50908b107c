//! Two streams joined: by key and interval of time, each record with the latest of the other
//! stream, and in windows; by the engine's joins, and by hand from two sorted arrays.

use std::sync::Arc;

use hashbrown::HashMap;
use millstream::io::MemorySource;
use millstream::join::{after, before};
use millstream::{Pipeline, Record, Stage, Stream, Timestamp, Tumbling, Watermarks, ns};
use serde::{Deserialize, Serialize};

use super::{Found, Ready};

const APART_NS: i64 = 100;

/// A record of either stream.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Tick {
    at: Timestamp,
    key: u64,
    value: u64,
}

/// Two streams in order of time, and how far apart two records may be that meet, in nanoseconds.
pub struct Streams {
    left: Arc<[Record<Tick>]>,
    right: Arc<[Record<Tick>]>,
    reach: i64,
}

impl Streams {
    /// So many records each, between which a record finds one partner on average.
    pub fn new(records: usize, keys: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut stream = |shift: i64| {
            let one = |n: usize| {
                let at = Timestamp((2 * n as i64 + shift) * APART_NS);
                Record::new(at, Tick { at, key: random.u64(..keys), value: random.u64(..1_000) })
            };
            (0..records).map(one).collect()
        };
        Self { left: stream(0), right: stream(1), reach: keys as i64 * APART_NS }
    }
}

fn stream<'p>(
    p: Pipeline<'p>,
    ticks: &Arc<[Record<Tick>]>,
) -> Stream<'p, impl Stage<Out = Tick> + use<'p>> {
    let source = p.source(MemorySource::new(ticks.clone()));
    source.event_time(|tick| tick.at, Watermarks::monotonic())
}

/// The engine's interval join.
pub fn interval(streams: &Streams) -> Ready {
    let reach = ns(streams.reach as u64);
    Ready::new(|p, total| {
        let (left, right) = (stream(p, &streams.left), stream(p, &streams.right));
        left.key_by(|tick| tick.key)
            .interval_join(right.key_by(|tick| tick.key))
            .between(before(reach), after(reach))
            .select(|left, right| (*left, *right))
            .for_each(move |pair| {
                let (left, right) = pair.value;
                total.add(left.key, left.at.max(right.at).as_nanos(), left.value, right.value);
            });
    })
}

/// What is kept of a record by hand.
type Kept = (i64, u64);

/// By hand: a map from key to what is near enough of each stream.
pub fn interval_by_map(streams: &Streams) -> Found {
    let (mut found, mut state) = (Found::default(), HashMap::<u64, [Vec<Kept>; 2]>::new());
    let mut take = |side: usize, Tick { at, key, value }: Tick| {
        let at = at.as_nanos();
        let kept = state.entry(key).or_default();
        let other = &mut kept[1 - side];
        let old = other.iter().take_while(|kept| kept.0 < at - streams.reach).count();
        other.drain(..old);
        for (_, partner) in other {
            let (left, right) = if side == 0 { (value, *partner) } else { (*partner, value) };
            found.add(key, at, left, right);
        }
        kept[side].push((at, value));
    };
    for (left, right) in streams.left.iter().zip(streams.right.iter()) {
        take(0, left.value);
        take(1, right.value);
    }
    found
}

/// The engine's as-of join: each left record with the latest right one.
pub fn asof(streams: &Streams) -> Ready {
    Ready::new(|p, total| {
        let (left, right) = (stream(p, &streams.left), stream(p, &streams.right));
        left.key_by(|tick| tick.key)
            .asof_join(right.key_by(|tick| tick.key))
            .backward()
            .select(|left, right| (*left, *right))
            .for_each(move |pair| {
                let (left, right) = pair.value;
                total.add(left.key, left.at.as_nanos(), left.value, right.value);
            });
    })
}

/// By hand: one pass over both arrays, with the latest value of each key in a map.
pub fn asof_by_pass(streams: &Streams) -> Found {
    let (mut found, mut latest) = (Found::default(), HashMap::<u64, u64>::new());
    let mut next = streams.right.iter().peekable();
    for Record { value: Tick { at, key, value }, .. } in streams.left.iter() {
        while let Some(right) = next.next_if(|right| right.value.at <= *at) {
            latest.insert(right.value.key, right.value.value);
        }
        if let Some(right) = latest.get(key) {
            found.add(*key, at.as_nanos(), *value, *right);
        }
    }
    found
}

/// Nanoseconds of a window in which each key has a record of either stream on average.
fn window_ns(streams: &Streams) -> i64 {
    2 * streams.reach
}

/// The engine's window join.
pub fn in_windows(streams: &Streams) -> Ready {
    let window = Tumbling::of(ns(window_ns(streams) as u64));
    Ready::new(|p, total| {
        let (left, right) = (stream(p, &streams.left), stream(p, &streams.right));
        left.key_by(|tick| tick.key)
            .window_join(right.key_by(|tick| tick.key))
            .window(window)
            .select(|left, right| (*left, *right))
            .for_each(move |pair| {
                let (left, right) = pair.value;
                total.add(left.key, pair.at.as_nanos() + 1, left.value, right.value);
            });
    })
}

/// By hand: a map from key to the values of the window in hand.
pub fn in_windows_by_map(streams: &Streams) -> Found {
    let size = window_ns(streams);
    let (mut found, mut state) = (Found::default(), HashMap::<u64, [Vec<u64>; 2]>::new());
    let mut end = size;
    let mut fire = |end, state: &mut HashMap<u64, [Vec<u64>; 2]>| {
        for (key, [lefts, rights]) in state.drain() {
            for left in lefts {
                rights.iter().for_each(|right| found.add(key, end, left, *right));
            }
        }
    };
    for (left, right) in streams.left.iter().zip(streams.right.iter()) {
        for (side, Tick { at, key, value }) in [left.value, right.value].into_iter().enumerate() {
            if at.as_nanos() >= end {
                fire(end, &mut state);
                end = at.as_nanos() - at.as_nanos() % size + size;
            }
            state.entry(key).or_default()[side].push(value);
        }
    }
    fire(end, &mut state);
    found
}
