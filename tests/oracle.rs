//! Random input through the engine and through a slow and obvious model: the results are the same,
//! whatever the number of shards, the sizes of the queues and the interleaving.
//!
//! `PROPTEST_CASES=10000 cargo test --test oracle` looks harder. A failure prints the smallest
//! input and world that fail.

#[path = "oracle/asof.rs"]
mod asof;
#[path = "oracle/batch.rs"]
mod batch;
#[path = "oracle/connect.rs"]
mod connect;
#[path = "oracle/hot_keys.rs"]
mod hot_keys;
#[path = "oracle/joins.rs"]
mod joins;
#[path = "oracle/jumps.rs"]
mod jumps;
#[path = "oracle/lookup.rs"]
mod lookup;
#[path = "oracle/many_keys.rs"]
mod many_keys;
#[path = "oracle/partitioning.rs"]
mod partitioning;
#[path = "oracle/process.rs"]
mod process;
#[path = "oracle/recorded_joins.rs"]
mod recorded_joins;
#[path = "oracle/recorded_sessions.rs"]
mod recorded_sessions;
#[path = "oracle/restored.rs"]
mod restored;
#[path = "oracle/sessions.rs"]
mod sessions;
#[cfg(feature = "calendar")]
#[path = "oracle/shapes.rs"]
mod shapes;
#[path = "oracle/sliding.rs"]
mod sliding;
mod support;
#[path = "oracle/table_joins.rs"]
mod table_joins;
#[path = "oracle/tables.rs"]
mod tables;
#[path = "oracle/time_or_count.rs"]
mod time_or_count;
#[path = "oracle/triggers.rs"]
mod triggers;
#[path = "oracle/views.rs"]
mod views;
#[path = "oracle/window_joins.rs"]
mod window_joins;
#[path = "oracle/windows.rs"]
mod windows;

use millstream::{Pipeline, Stage, Stream};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use support::world::{at, disordered};
use support::{Cut, Row, Said, World};
use windows::{Result, assert_same_by_key, by_time, script};

/// `PROPTEST_CASES`, or so many that the file takes some seconds.
fn cases(cases: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = if asked { ProptestConfig::default() } else { ProptestConfig::with_cases(cases) };
    let persistence = FileFailurePersistence::WithSource("regressions");
    ProptestConfig {
        failure_persistence: Some(Box::new(persistence)),
        max_shrink_iters: 20_000,
        // A failure of many rows is not whittled down for as long as a CI run may take.
        max_shrink_time: 60_000,
        ..config
    }
}

/// Disordered rows: duplicates of timestamps, steps back, gaps and jumps, few keys or many.
fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let keys = prop::sample::select(&[1u64, 2, 7, 50, 1000][..]);
    let step = prop_oneof![
        6 => 1..6i64,
        2 => Just(0i64),
        3 => -60..0i64,
        1 => 50..400i64,
        1 => prop_oneof![9 => Just(500i64), 1 => Just(100_000i64)],
    ];
    let steps = prop::collection::vec((step, any::<u64>(), -100..100i64), 0..most);
    (-2_000..2_000i64, keys, steps).prop_map(|(mut clock, keys, steps)| {
        let row = |(step, key, value): (i64, u64, i64)| {
            // A step back is a record that comes late; the clock itself does not go back.
            clock += step.max(0);
            Row { at: clock + step.min(0), key: key % keys, value }
        };
        steps.into_iter().map(row).collect()
    })
}

fn cut() -> impl Strategy<Value = Cut> {
    // Mostly few slices a window, at times a hundred.
    let lengths = prop_oneof![
        6 => (1..60i64, 1..60i64).prop_map(|(size, slide)| (size, slide.min(size))),
        2 => (1..20i64, 1..6i64).prop_map(|(slide, times)| (slide * times, slide)),
        1 => (40..=100i64, 1..3i64),
    ];
    let shape = (lengths, 0..200i64).prop_map(|((size, slide), offset)| Cut {
        size,
        slide,
        offset,
        lateness: 0,
    });
    let lateness = prop_oneof![2 => Just(0i64), 3 => 1..80i64, 1 => Just(i64::MAX)];
    (shape, lateness).prop_map(|(shape, lateness)| Cut { lateness, ..shape })
}

fn on_time(cut: Cut) -> Cut {
    Cut { lateness: 0, ..cut }
}

fn timed<'p>(
    p: Pipeline<'p>,
    world: &World,
    rows: &[Row],
    disorder: i64,
) -> Stream<'p, impl Stage<Out = Row> + use<'p>> {
    p.source(world.source(p, rows)).event_time(at, disordered(disorder))
}
