//! Millstream: stream processing for people who count microseconds.
//!
//! Event time, windows and keyed state, on pinned cores ([`Engine`]) or inside the caller's own
//! thread ([`Shard::embed`]), with latency measured for every record. This page is the map of the
//! sources. The README shows what a pipeline looks like.
//!
//! # The law: the core has no thread, no clock, no socket
//!
//! A [`Shard`] is one core's whole share of a pipeline: its sources, its operators, its state, its
//! ends of the rings. Its one verb is [`step`](Shard::step): bounded, never blocking, told the time
//! as an argument, and free of allocation once warm. Whoever calls it is a driver, and all three
//! drivers run the same operators, the same rings and the same windows:
//!
//! | driver | who calls `step` | what for |
//! |---|---|---|
//! | `runtime/` | a pinned thread for each shard | deployment |
//! | `shard/embed.rs` | the caller's thread | programs that have a loop of their own |
//! | `sim/` | one thread for all shards, by a seed, in virtual time | tests that replay |
//!
//! That is why an interleaving that fails once can be replayed for ever, and why a trading system
//! can have windows without having a second thread.
//!
//! # Floors: who may import whom
//!
//! A room (a module) imports rooms on lower floors only, never one beside it. Where rooms of one
//! floor build on each other they have an order of their own, by which they are listed here, the
//! lowest last: floor 0, and [`table`] and [`window_join`] above the rest of floor 4.
//! `tests/tidy.rs` holds all that. The `mod.rs` of each room says what it may not know and which
//! file to read first.
//!
//! | floor | room | what is in it |
//! |---|---|---|
//! | 8 | `cli/` | the `millstream` command: benchmark scenarios, reports, the noise floor |
//! | 7 | `nexmark/` | the queries of an auction house, each as a user would write it |
//! | 7 | [`testing`] | for tests: a driver with a virtual clock, marbles, the contract |
//! | 6 | [`runtime`] | pinned shards: placement, the hot loop, waiting, stopping together |
//! | 6 | [`sim`] | N shards in one thread under a seed, with its disk and its network |
//! | 5 | [`shard`] | `step`, snapshots, and the embedded inputs and outputs |
//! | 4 | [`table`] | changelogs folded into tables: groups, top-N, suppression, queries |
//! | 4 | [`window_join`] | two streams meet in windows |
//! | 4 | [`operators`] | one operator, one file, with its method and its example |
//! | 4 | [`join`] | two streams meet: by key and by time |
//! | 4 | [`lookup`] | records meet tables, files and servers, none of which they wait for |
//! | 4 | [`checkpoint`] | where checkpoints are kept, and found again |
//! | 4 | [`commit`] | files and servers that take results epoch by epoch, each once |
//! | 4 | [`disk`] | journals on the real disk, written by threads of their own |
//! | 4 | [`net`] | records in and out by TCP, UDP and shared memory, within the step |
//! | 4 | `web` | records in and answers out by HTTP, subscribers in browsers, on a thread beside |
//! | 4 | [`window`] | how time is cut, the window operator, firing in slices, aggregates |
//! | 3 | [`exchange`] | edges: buffers between stages, rings between shards |
//! | 3 | [`io`] | `Source` and `Sink`, those that need no network, and the formats of the wire |
//! | 2 | [`dataflow`] | the grammar: record, operator, stage, stream, pipeline, plan |
//! | 1 | `trust` | for ports that others reach: certificates, tokens, and who may what |
//! | 1 | [`state`] | keys, the state table, panes, leases on state |
//! | 0 | [`config`] | what can be set, with its limits |
//! | 0 | [`metrics`] | counters and latency histograms, written by one core and read by others |
//! | 0 | [`time`] | timestamps, clocks, watermarks, timers |
//! | 0 | [`memory`] | prefetching, and the bell that wakes a sleeping shard |
//! | 0 | [`error`] | what can go wrong |
//!
//! # A record's route
//!
//! Files in the order in which a record meets them. `shard/step.rs` calls the head of each stage;
//! everything from there to the next edge is one monomorphised loop.
//!
//! 1. `io/*.rs`: a [`Source`](io::Source) is polled, for at most a batch.
//! 2. `operators/source.rs`: the batch gets its ingress stamp: when its source says that the record
//!    was due, or came, and else now. Latency counts from there.
//! 3. `operators/event_time.rs`: the record gets its timestamp, its partition a watermark.
//! 4. `operators/filter.rs`, `map.rs`, ...: direct calls, fused by the compiler.
//! 5. `operators/key_by.rs`, `exchange/partition.rs`: key, hash, key group, owner.
//! 6. `exchange/port.rs`: into the outbox of that owner. The end of the batch is marked in band,
//!    with its ingress and the watermark.
//! 7. `exchange/ring.rs`: across to the other core, published once a batch. To a stage of the same
//!    shard the outbox is handed over by a swap and there is no ring.
//! 8. `exchange/inlet.rs`: out of all lanes, watermarks merged by minimum, a few indirect calls
//!    a batch.
//! 9. `window/operator.rs`, `state/panes.rs`, `state/table/batch.rs`: into the pane of its slice,
//!    the cache misses of up to 64 keys overlapped.
//! 10. `window/firing.rs`, `window/running.rs`: when the watermark passes the end of a window its
//!     keys are emitted, some a step, while records go on being taken.
//! 11. `operators/sink.rs`, `io/sink.rs`: out, published and measured once a batch.
//!
//! A step drains before it polls, and drains the most downstream stage first: room is made before
//! it is filled. A full ring refuses, the refused records wait in the outbox, and whatever produces
//! into that edge is not asked again until they are gone; no push ever waits, so the mesh of rings
//! cannot deadlock.
//!
//! # What is deliberately absent
//!
//! - On floors 0 to 5 only `time/clock.rs` reads a clock, and the thread of the web server.
//!   Operators see the `now` of the step.
//! - No thread, no future and no lock that a record passes through, but in front of a shard where a
//!   protocol has no other way: HTTP, and TLS where the kernel does not do it. Where a lookup needs
//!   a thread, a question crosses to it by a ring, and the record stays. The lock in
//!   `dataflow/fabric.rs` is taken only while pipelines are built, that of
//!   [`MemorySink`](io::MemorySink) once a batch and by choice.
//! - Shards share rings, counters and door bells, and no other memory. No operator need be `Send`
//!   or `Clone`: the build closure runs once on every shard.
//! - No rare big job in one step: a table splits piece by piece and never rehashes (now and then
//!   its directory doubles, which copies pointers), windows, sessions and timers fire in slices, a
//!   slide costs the same however long the window is, state expires in passing.
//! - No queue, table or buffer without a bound. Refusal is a value, [`Full`], and so is a limit
//!   that was reached, [`Error::Limit`], which names the setting.
//! - No heap behind state: [`state::State`] is `Copy`, so that tables move it as bytes. Whoever
//!   wants it all the same asks for it by name: `process_heap`.
//! - No panic on bad input: a line that does not decode is counted and handed to whoever wants it,
//!   and [`Error`] says by its [`kind`](Error::kind) whose turn it is.
//! - No dependency named wherever it is handy: `WRAPPERS` in `tests/tidy.rs` lists the files that
//!   may, for each: glommio is wrapped by `runtime/`, hdrhistogram by `metrics/histogram.rs`.
//! - No `unsafe` in the library outside of `memory/`, `state/`, `exchange/`, `disk/`, `net/` and
//!   `runtime/`.
//!
//! # Where to start
//!
//! - **A new operator**: one file in `operators/`. Copy `map.rs` if it keeps nothing, `reduce.rs`
//!   if it keeps state by key, `flat_map.rs` if it can emit more than there is room for. What is
//!   made of state and timers is a [`Process`] of a few lines: copy `deduplicate.rs`. Add its
//!   `mod` line to `operators/mod.rs`; the grammar need not learn its name.
//! - **A new aggregate**: `impl` [`Aggregate`], in the engine or in your own crate; copy
//!   `window/aggregates/count.rs`, and let `laws.rs` beside it check the laws.
//! - **A new source or sink**: `impl` [`io::Source`] or [`io::Sink`]; copy `io/iter.rs` or
//!   `io/memory.rs`. What needs a socket goes into `net/`, over a `Wire`; other devices get a
//!   room of their own on floor 4.
//! - **A new format**: a file or room in `io/codec/`, a pure function from bytes to a view of them
//!   and one back, and a [`Framing`](io::Framing) if records end in a way of their own; copy
//!   `io/codec/soupbintcp.rs`. Bytes that are none are a [`Malformed`](io::Malformed) with a place.
//! - **A new place to look things up**: `impl` [`lookup::Lookup`] if it never blocks, as
//!   `lookup/table.rs` does; or a [`lookup::Worker`] on a bridge if it does, as `lookup/redis.rs`.
//! - **A query**: `nexmark/` has 23 of them, a file each; its `mod.rs` says which to read first.
//! - **A test of a pipeline**: [`testing`]; `tests/testing_kit.rs` shows all of it. An operator
//!   that keeps state shows it there by `inspect` and puts it into a [`Snapshot`] by `save` and
//!   `load`, as `reduce.rs` does.
//! - **A new bench scenario**: one file in `cli/scenario/`.
//! - **A house rule**: `tests/tidy.rs`, where the rules are tests.

pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod commit;
pub mod config;
pub mod dataflow;
pub mod disk;
pub mod error;
pub mod exchange;
pub mod io;
pub mod join;
pub mod lookup;
pub mod memory;
pub mod metrics;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "nexmark")]
pub mod nexmark;
pub mod operators;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod shard;
pub mod sim;
pub mod state;
pub mod table;
pub mod testing;
pub mod time;
#[cfg(any(feature = "net", feature = "web"))]
pub mod trust;
#[cfg(feature = "web")]
pub mod web;
pub mod window;
pub mod window_join;

pub use config::{Config, Idle, Shards};
pub use dataflow::{Change, Keyed, Pipeline, Plan, Record, Stage, Stream, Work};
pub use error::{Error, ErrorKind, Full, Result};
pub use operators::{KeyContext, Process, SideOutput, Timer};
#[cfg(feature = "runtime")]
pub use runtime::Engine;
pub use shard::{Input, Output, Shard, Snapshot};
pub use sim::Simulation;
pub use state::{Text, Ttl};
pub use table::{Changes, Versions};
pub use time::{Timestamp, Watermarks, ms, ns, secs, us};
pub use window::{
    Aggregate, Cumulative, HotKeys, Rolling, Session, Sliding, Span, Timing, Tumbling, Window,
    Windowed, aggregates, evictors, triggers,
};
#[cfg(feature = "calendar")]
pub use window::{Calendar, TradingSessions};

/// The README's programs, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
