//! Whom to trust, and with what: shared by all ports that others than this host's own programs may
//! reach, whatever is spoken there.
//!
//! A `ServerTls` is a certificate and whom to ask for theirs; it reads its files again when told
//! to, or when they change. An `Access` says who is known by which token or certificate, and which
//! streams he may publish and subscribe to. `net/gate/` and `web/` go by the same two.
//!
//! May not know what is behind the port.

#[cfg(any(feature = "tls", feature = "web"))]
mod access;
#[cfg(feature = "tls")]
mod fault;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod watch;
mod way;

#[cfg(any(feature = "tls", feature = "web"))]
pub use access::Access;
#[cfg(any(feature = "tls", feature = "web"))]
pub(crate) use access::Refusal;
#[cfg(feature = "tls")]
pub(crate) use access::is_word;
#[cfg(feature = "tls")]
pub(crate) use fault::Fault;
#[cfg(feature = "tls")]
pub(crate) use names::names_of;
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ServerTls};
#[cfg(feature = "tls")]
pub use watch::Watch;
pub use way::Way;
