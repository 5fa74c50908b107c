//! A network under a seed: byte streams and datagrams that go wrong in every way that the real ones
//! do, in virtual time.
//!
//! Sources and sinks take it for the kernel's, as a [`Network`](crate::net::network::Network) that
//! is plugged in. Whoever is at the other end is a test's, and has a [`SimStream`] or a
//! [`SimListener`]. Start with `pipe.rs`, then `ether.rs`; `sockets.rs` is what `net/` sees.

mod datagrams;
mod ether;
mod faults;
mod pipe;
mod sockets;
mod streams;

pub use ether::Struck;
pub use faults::NetFaults;
pub use streams::{SimListener, SimNetwork, SimStream};
