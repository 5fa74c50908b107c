//! Records meet what others know: a table in memory, a file, a server.
//!
//! The operator asks through [`Lookup`], a trait whose calls never wait: a question goes out, the
//! record waits in a queue of fixed size, and an answer is looked for once a step. Time-outs,
//! retries and the cache are the operator's own, by the `now` of the step, so they replay under a
//! seed with a `ScriptedLookup` of the testing kit in the server's place. Whatever needs a thread
//! or a socket is behind the trait. May not know drivers, windows or other operators. Start with
//! `service.rs`, then `operator.rs`.

mod bridge;
mod cache;
mod calls;
mod enrich;
mod file;
mod line;
mod operator;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod retry;
mod service;
mod settle;
mod table;

pub use bridge::{Bridge, Worker};
pub use cache::{Cache, Cached, Memo, NoCache};
pub use enrich::Enrich;
pub use file::{FileLookup, TableFile};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresError, PostgresKey, PostgresRow};
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use retry::Retry;
pub use service::{Answer, CallId, Lookup};
pub use settle::OnFailure;
pub use table::TableLookup;
