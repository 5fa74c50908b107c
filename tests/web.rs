//! Records in and out by HTTP: `curl`, Python, a browser, and peers that do not behave.
#![cfg(feature = "web")]

#[path = "web/again.rs"]
mod again;
#[path = "web/bad_input.rs"]
mod bad_input;
#[cfg(feature = "runtime")]
#[path = "web/bidder.rs"]
mod bidder;
#[path = "web/browser.rs"]
mod browser;
#[cfg(feature = "tls")]
#[allow(dead_code)] // What clients show to gates.
#[path = "net_tls/certificates.rs"]
mod certificates;
#[cfg(feature = "runtime")]
#[path = "web/engine.rs"]
mod engine;
#[path = "web/foreign.rs"]
mod foreign;
#[path = "web/full.rs"]
mod full;
#[path = "web/journalled.rs"]
mod journalled;
#[path = "web/keys.rs"]
mod keys;
#[path = "web/many.rs"]
mod many;
#[cfg(feature = "tls")]
#[path = "web/renewed.rs"]
mod renewed;
#[path = "web/service.rs"]
mod service;
#[path = "web/shutdown.rs"]
mod shutdown;
#[path = "web/slow.rs"]
mod slow;
#[path = "web/socket.rs"]
mod socket;
#[cfg(feature = "tls")]
#[path = "web/tls.rs"]
mod tls;
#[path = "web/world.rs"]
mod world;
