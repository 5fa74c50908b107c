//! Records in and out by HTTP: for programs and people who have `curl` or a browser, no more.
//!
//! A [`WebServer`] is made before the engine starts, and is one thread beside the shards. What it
//! serves is attached to it when a pipeline is built, on each shard, by name:
//!
//! | what | where | who |
//! |---|---|---|
//! | [`HttpSource`] | `POST /NAME` | takes lines as records, all of a request or none |
//! | [`WebSink`] | `GET /NAME/events`, `/NAME/ws` | sends records to whoever subscribes |
//! | [`HttpService`] | `POST /NAME` | asks the pipeline, and answers what it says in time |
//! | [`Counts`] | `GET /counts` | what happened, by reason |
//!
//! # The way between the threads
//!
//! Everything crosses by rings of fixed size, of records and not of bytes: lines are decoded and
//! texts written on the server's thread, so that a shard moves values into and out of rings and
//! does no more. It never waits there and allocates nothing; what it does at the end of a batch is
//! to wake the server, and that only if it sleeps. A shard that sleeps is woken in turn.
//!
//! Subscribers have queues on the server's thread, which empties the rings whether they read or
//! not: one who is slow is dealt with by policy ([`Slow`]), and neither shard nor others notice.
//!
//! # Who may
//!
//! Without more the server is for its own host: other addresses are refused at start, requests
//! that a page of elsewhere makes a browser send are refused when they come. With an
//! [`access`](Web#structfield.access) everybody has to show who he is, by a token (`Authorization:
//! Bearer`) or by a certificate, and may what is said of him: `POST /NAME` is to publish,
//! `/NAME/events` and `/NAME/ws` to subscribe, and the pages and counts are for whoever is known.
//! An address beyond the host needs that and TLS, which is `Web::tls` with the feature `tls`.
//!
//! May not know shards, nor `net/`, which is for the wire that is counted in microseconds; what
//! both go by is in `trust/`. Start with `server.rs` and `incoming.rs` and `outgoing.rs`; then
//! `ingest.rs`, `hall.rs`, `service.rs`.

mod alarm;
mod answer;
mod connection;
mod counts;
mod guard;
mod hall;
mod house;
mod incoming;
mod ingest;
mod outgoing;
mod progress;
mod route;
#[cfg(feature = "tls")]
mod sealing;
mod server;
mod service;
mod sink;
mod socket;
mod source;
mod subscriber;
mod writing;

pub use counts::{Count, Counts};
pub use ingest::Intake;
pub use outgoing::WhenFull;
pub use server::{Web, WebServer};
pub use service::{
    Answering, Asked, HttpService, Request, RequestId, Requests, Response, Responses,
};
pub use sink::{Publishing, WebSink};
pub use source::HttpSource;
pub use subscriber::Slow;
pub use writing::Writing;

pub use crate::trust::Access;
#[cfg(feature = "tls")]
pub use crate::trust::ServerTls;
