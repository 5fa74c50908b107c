//! The wire: real sockets, by every way to serve them.
#![cfg(feature = "net")]

#[path = "net/route.rs"]
mod route;
#[path = "net/world.rs"]
mod world;
