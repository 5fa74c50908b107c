//! The wire: real sockets, by every way to serve them.
#![cfg(feature = "net")]

#[path = "net/acknowledged.rs"]
mod acknowledged;
#[path = "net/bad_input.rs"]
mod bad_input;
#[path = "net/crowd.rs"]
mod crowd;
#[path = "net/foreign.rs"]
mod foreign;
#[path = "net/formats.rs"]
mod formats;
#[path = "net/gone.rs"]
mod gone;
#[path = "net/keyed.rs"]
mod keyed;
#[path = "net/lines.rs"]
mod lines;
#[cfg(feature = "runtime")]
#[path = "net/local.rs"]
mod local;
#[path = "net/route.rs"]
mod route;
#[path = "net/rungs.rs"]
mod rungs;
#[path = "net/shared.rs"]
mod shared;
#[path = "net/slow.rs"]
mod slow;
#[path = "net/udp.rs"]
mod udp;
#[path = "net/uncopied.rs"]
mod uncopied;
#[path = "net/world.rs"]
mod world;
