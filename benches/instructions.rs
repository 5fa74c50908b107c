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

#[path = "rooms/codecs.rs"]
mod codecs;
mod rooms;

use std::hint::black_box;
use std::sync::Arc;

use codecs::{
    baseline, orders, orders_by_codec, quotes, quotes_by_codec, requests, requests_by_codec,
};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use millstream::state::Table;
use millstream::{Record, io};
use rooms::joins::{Streams, asof, in_windows, interval};
use rooms::panes::{Reading, by_panes, readings};
use rooms::ring::by_pipe;
use rooms::slices::{OneKey, Sliding, fifo_max, fifo_sum, tree_disordered, tree_in_order};
use rooms::table::{BATCH, distinct, table_of, update_batch, update_each, updates_of, walk_table};
use rooms::wheel::{Full, Wheel};
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

/// Timers set, for so many rounds of one going and another coming.
const ROUNDS: usize = 5_000;

#[library_benchmark]
#[bench::few(args = [1_000], setup = Full::new, config = at_most(10_200_000))]
#[bench::many(args = [10_000], setup = Full::new, config = at_most(12_300_000))]
fn cancel_timers(mut timers: Full<Wheel>) -> Full<Wheel> {
    (0..ROUNDS).for_each(|_| _ = black_box(timers.cancel()));
    timers
}

#[library_benchmark]
#[bench::few(args = [1_000], setup = Full::new, config = at_most(10_900_000))]
#[bench::many(args = [10_000], setup = Full::new, config = at_most(21_000_000))]
fn fire_timers(mut timers: Full<Wheel>) -> Full<Wheel> {
    (0..ROUNDS).for_each(|_| _ = black_box(timers.fire()));
    timers
}

/// A table with all its keys, and which of them are updated.
type Filled = (Table<u64, u64>, Vec<u64>);

fn filled(keys: usize) -> Filled {
    let keys = distinct(keys);
    (table_of(&keys), updates_of(&keys))
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = filled, config = at_most(4_630_000))]
#[bench::many_keys(args = [10_000], setup = filled, config = at_most(4_560_000))]
fn update_batches((mut table, updates): Filled) -> Filled {
    updates.chunks_exact(BATCH).for_each(|batch| update_batch(&mut table, batch));
    (table, updates)
}

#[library_benchmark]
#[bench::few_keys(args = [100], setup = filled, config = at_most(3_760_000))]
#[bench::many_keys(args = [10_000], setup = filled, config = at_most(3_750_000))]
fn update_one_by_one((mut table, updates): Filled) -> Filled {
    updates.chunks_exact(BATCH).for_each(|batch| update_each(&mut table, batch));
    (table, updates)
}

#[library_benchmark]
#[bench::many_keys(args = [10_000], setup = filled, config = at_most(164_000))]
fn walk((table, updates): Filled) -> (Filled, u64) {
    let sum = black_box(walk_table(&table));
    ((table, updates), sum)
}

#[library_benchmark]
#[bench::many_keys(args = [10_000], setup = distinct, config = at_most(1_800_000))]
fn grow(keys: Vec<u64>) -> (Table<u64, u64>, Vec<u64>) {
    (black_box(table_of(&keys)), keys)
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

/// Slides a window so many times.
type Slide = Box<dyn FnMut(usize)>;

fn slide(mut window: Sliding<impl OneKey + 'static>) -> Slide {
    Box::new(move |times| (0..times).for_each(|_| _ = black_box(window.slide())))
}

#[library_benchmark]
#[bench::by_fifo_sum(args = [fifo_sum(1_000)], setup = slide, config = at_most(948_000))]
#[bench::by_fifo_max(args = [fifo_max(1_000)], setup = slide, config = at_most(1_970_000))]
#[bench::by_tree(args = [tree_in_order(1_000)], setup = slide, config = at_most(6_010_000))]
#[bench::by_late_tree(args = [tree_disordered(1_000)], setup = slide, config = at_most(8_590_000))]
fn slides(mut slide: Slide) -> Slide {
    slide(ROUNDS);
    slide
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

#[library_benchmark]
#[bench::of_1_000(args = [1_000], setup = baseline::messages, config = at_most(55_600))]
fn itch(bytes: Vec<u8>) -> (baseline::Found, Vec<u8>) {
    (black_box(baseline::messages_by_codec(black_box(&bytes))), bytes)
}

#[library_benchmark]
#[bench::of_100(args = [100], setup = baseline::lines, config = at_most(1_050_000))]
fn json(bytes: Vec<u8>) -> (baseline::Found, Vec<u8>) {
    (black_box(baseline::lines_by_codec(black_box(&bytes))), bytes)
}

#[library_benchmark]
#[bench::of_1_000(args = [1_000], setup = orders, config = at_most(4_660_000))]
fn fix(bytes: Vec<u8>) -> (Option<i64>, Vec<u8>) {
    (black_box(orders_by_codec(black_box(&bytes))), bytes)
}

#[library_benchmark]
#[bench::of_100(args = [100], setup = requests, config = at_most(5_730_000))]
fn openrtb(bytes: Vec<u8>) -> (f64, Vec<u8>) {
    (black_box(requests_by_codec(black_box(&bytes))), bytes)
}

#[library_benchmark]
#[bench::of_1_000(args = [1_000], setup = quotes, config = at_most(23_200))]
fn plain(bytes: Vec<u8>) -> ((u64, f64), Vec<u8>) {
    (black_box(quotes_by_codec(black_box(&bytes))), bytes)
}

library_benchmark_group!(name = rings, benchmarks = [pipe]);
library_benchmark_group!(name = timers, benchmarks = [cancel_timers, fire_timers]);
library_benchmark_group!(
    name = tables,
    benchmarks = [update_batches, update_one_by_one, walk, grow]
);
library_benchmark_group!(name = windows, benchmarks = [panes]);
library_benchmark_group!(name = sliding, benchmarks = [slides]);
library_benchmark_group!(name = joins, benchmarks = [interval_join, asof_join, window_join]);
library_benchmark_group!(name = formats, benchmarks = [itch, json, fix, openrtb, plain]);

main!(library_benchmark_groups = rings, timers, tables, windows, sliding, joins, formats);
