//! How many instructions the rooms of the engine take, counted by callgrind: the gate that keeps
//! them from growing unseen, since on a shared machine time says nothing.
//!
//! Each has a limit, some 5 % above what it took when it was last set. Above it the bench fails:
//! then either mend what made it grow, or raise the limit in the same commit and say why. Where it
//! takes less for good, lower it.
//!
//! The limits hold for a build without link-time optimisation, as `scripts/instructions` makes it,
//! which also installs what this needs: valgrind and `gungraun-runner`. Another compiler moves them
//! by a few per cent.

#![allow(missing_docs, reason = "the macros make public functions")]

mod rooms;

use std::hint::black_box;
use std::sync::Arc;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use millstream::Record;
use rooms::joins::{Streams, asof, in_windows, interval};
use rooms::panes::{Reading, by_panes, readings};
use rooms::ring::by_pipe;
use rooms::{Found, Ready};

/// Instructions at most.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

#[library_benchmark]
#[bench::of_10_000(args = [10_000], config = at_most(391_000))]
fn pipe(numbers: u64) -> u64 {
    black_box(by_pipe(black_box(numbers)))
}

fn meters(keys: u64) -> Ready {
    let readings: Arc<[Record<Reading>]> = readings(30_000, keys);
    by_panes(&readings)
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = meters, config = at_most(4_270_000))]
#[bench::many_keys(args = [10_000], setup = meters, config = at_most(6_790_000))]
fn panes(ready: Ready) -> Found {
    black_box(ready.run())
}

fn pairs(keys: u64) -> Ready {
    interval(&Streams::new(10_000, keys))
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = pairs, config = at_most(13_850_000))]
#[bench::many_keys(args = [10_000], setup = pairs, config = at_most(11_700_000))]
fn interval_join(ready: Ready) -> Found {
    black_box(ready.run())
}

fn latest(keys: u64) -> Ready {
    asof(&Streams::new(10_000, keys))
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = latest, config = at_most(10_200_000))]
#[bench::many_keys(args = [10_000], setup = latest, config = at_most(11_800_000))]
fn asof_join(ready: Ready) -> Found {
    black_box(ready.run())
}

fn met(keys: u64) -> Ready {
    in_windows(&Streams::new(10_000, keys))
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = met, config = at_most(7_590_000))]
#[bench::many_keys(args = [10_000], setup = met, config = at_most(8_920_000))]
fn window_join(ready: Ready) -> Found {
    black_box(ready.run())
}

library_benchmark_group!(name = rings, benchmarks = [pipe]);
library_benchmark_group!(name = windows, benchmarks = [panes]);
library_benchmark_group!(name = joins, benchmarks = [interval_join, asof_join, window_join]);

main!(library_benchmark_groups = rings, windows, joins);
