//! The real sources and sinks of `net/` on a simulated network, with crashes, power cuts and clocks
//! that jump: what comes out in the end is what was sent, each once.
//!
//! `MILLSTREAM_SEEDS=10000 cargo test --release --test net_simulated` looks harder, and
//! `MILLSTREAM_SEED=17` replays the one seed that a failure names.
#![cfg(feature = "net")]

#[path = "net_simulated/client.rs"]
mod client;
#[path = "net_simulated/cut.rs"]
mod cut;
#[path = "net_simulated/datagrams.rs"]
mod datagrams;
#[path = "net_simulated/ended.rs"]
mod ended;
#[path = "net_simulated/receiver.rs"]
mod receiver;
#[path = "net_simulated/rescaled.rs"]
mod rescaled;
#[path = "net_simulated/route.rs"]
mod route;
#[path = "net_simulated/subscribers.rs"]
mod subscribers;
mod support;
