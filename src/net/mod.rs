//! The wire: records in and out by TCP, Unix sockets and UDP, without a thread beside the shard.
//!
//! A [`Listener`] is made before the engine starts, so that an address that cannot be had is an
//! error there. On each shard a [`TcpSource`] reads what connects, and a [`TcpSink`] serves
//! subscribers, or connects out. Where a record ends says a [`Framing`](crate::io::Framing), what
//! it is made of a [`Codec`](crate::io::Codec).
//!
//! There are several ways to serve sockets, and each source and sink takes the best that works:
//!
//! | [`Rung`] | how |
//! |---|---|
//! | `Ring` | an io_uring of its own: multishot accept and receive, sends of a batch in one call |
//! | `PlainRing` | the same, where the kernel registers no sockets beforehand |
//! | `Epoll` | epoll, and a call for each read and write |
//!
//! On a ring long sends need not be copied by the kernel: see [`ZeroCopy`]. The memory of a log
//! that it still reads makes way for other memory, of which there is so much and no more; what goes
//! beyond that is copied. It is not registered with the ring (`IORING_RECVSEND_FIXED_BUF`): that
//! would lock all of it for as long as there is a sink, and what a user may lock (8 MiB by default)
//! is shared by all rings of all shards, those of the runtime among them, which then do not start.
//!
//! Neither makes a shard wait. The ring is entered only when there is something to begin or the
//! ring says that something has happened. Bytes are received into a fixed number of buffers and
//! decoded there. A buffer is free again when all in it is decoded; when none is free nothing is
//! received, and the peer's window closes: backpressure takes no memory.
//!
//! Nobody is asked who he is by all this, so it is for the host itself: an address beyond it is
//! refused. With the feature `tls` a `Gate` is for others: TLS, a token or a certificate, and who
//! may publish and subscribe to what; see `gate/`. A [`LocalListener`] lets in programs of the same
//! user. Datagrams cannot say who sends them: they are taken from beyond the host only where that
//! network is said to be trusted.
//!
//! A [`Network`](network::Network) that is not the kernel's may be plugged in: the simulator's is.
//!
//! Datagrams come by [`UdpSource`], from an address or a multicast group, and go by [`UdpSink`].
//! Where two lines carry the same, [`UdpLines`] makes one stream of them: `arbiter.rs` says how.
//! Both sources can take the kernel's word for when a datagram came: see `stamp.rs`.
//!
//! Records of a fixed length go to another process of this host by shared memory, without a call to
//! the system: a [`SharedSink`] writes them, a [`SharedSource`] reads them; see `shared/`.
//!
//! May not know shards. Start with `wire.rs`, then `source.rs` and `sink.rs`.

mod arbiter;
#[cfg(feature = "cli")]
pub(crate) mod bare;
mod came;
mod counts;
mod datagrams;
mod epoll;
mod flight;
#[cfg(feature = "tls")]
mod gate;
mod lent;
mod line;
mod line_counts;
mod listener;
mod local;
mod log;
pub mod network;
mod outlet;
mod peer;
mod pool;
mod rate;
mod ring;
mod shared;
mod sink;
mod source;
mod stamp;
mod udp;
mod udp_lines;
mod udp_sink;
mod wire;

pub use arbiter::{Arbitration, Notice, Place, Sequence, Why};
pub use counts::{Count, Counts, Problem};
pub use datagrams::Datagrams;
#[cfg(feature = "tls")]
pub use gate::{Call, Door, Gate, Gating, Hello, TlsRung};
pub use line_counts::LineCounts;
pub use listener::{Listener, Listens};
pub use local::{LocalListener, Remote};
pub use shared::{
    Gone, Plain, SharedListener, SharedSink, SharedSource, Sharing, Taking, WhenFull,
};
pub use sink::{Away, Sending, Slow, TcpSink, ZeroCopy};
pub use source::{Receiving, TcpSource};
pub use stamp::Stamps;
pub use udp::{Datagram, UdpSource};
pub use udp_lines::UdpLines;
pub use udp_sink::UdpSink;
pub use wire::Rung;

#[cfg(feature = "tls")]
pub use crate::trust::{Access, ClientTls, ServerTls};
