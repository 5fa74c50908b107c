//! TLS, and who may what, on real sockets with peers that nobody here wrote: `openssl` and Python.

#[path = "net_tls/certificates.rs"]
mod certificates;
#[path = "net_tls/foreign.rs"]
mod foreign;
#[path = "net_tls/world.rs"]
mod world;
