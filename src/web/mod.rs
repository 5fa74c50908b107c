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
//! Without a token the server is for its own host: other addresses are refused at start, requests
//! that a page of elsewhere makes a browser send are refused when they come. With a token everybody
//! has to show it, and nothing is encrypted: put a proxy that speaks TLS in front.
//!
//! May not know shards, nor `net/`, which is for the wire that is counted in microseconds. Start
//! with `server.rs` and `incoming.rs` and `outgoing.rs`; then `ingest.rs`, `hall.rs`, `service.rs`.

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
mod route;
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
