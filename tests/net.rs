//! The wire: real sockets, by every way to serve them.
#![cfg(feature = "net")]

#[path = "net/bad_input.rs"]
mod bad_input;
#[path = "net/route.rs"]
mod route;
#[path = "net/rungs.rs"]
mod rungs;
#[path = "net/world.rs"]
mod world;
