//! TLS, and who may what, on real sockets with peers that nobody here wrote: `openssl` and Python.

#[path = "net_tls/called.rs"]
mod called;
#[path = "net_tls/certificates.rs"]
mod certificates;
#[path = "net_tls/crowd.rs"]
mod crowd;
#[path = "net_tls/foreign.rs"]
mod foreign;
#[path = "net_tls/refused.rs"]
mod refused;
#[path = "net_tls/rungs.rs"]
mod rungs;
#[path = "net_tls/started.rs"]
mod started;
#[path = "net_tls/world.rs"]
mod world;
