//! Records to whoever subscribes, by server-sent events and WebSocket.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Driven, Sink};
use crate::web::outgoing::{Driver, Outgoing, WhenFull, outgoing};
use crate::web::server::WebServer;
use crate::web::subscriber::Slow;
use crate::web::writing::Writing;

/// The limits of a [`WebSink`]: the first two on each shard, the others for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Publishing {
    /// Records between a shard and the server; made up to two batches.
    pub ring_capacity: usize,
    /// What becomes of records while that many are there.
    pub when_full: WhenFull,
    /// Subscribers at a time; one more is answered 503.
    pub subscribers_max: usize,
    /// Records that may wait for a subscriber, beside the snapshot that he gets first.
    pub queue_max: usize,
    /// What becomes of one for whom more would wait.
    pub slow: Slow,
    /// Cuts off one who takes nothing for so long although there is something for him, whatever the
    /// policy: to the second, at least one.
    pub stalled_max: Duration,
    /// Keys whose latest record is kept for snapshots.
    pub keys_max: usize,
    /// The longest text of a record; one that is longer is left out.
    pub text_bytes_max: usize,
    /// How long the end of the stream waits for those who have not been sent everything.
    pub linger: Duration,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            ring_capacity: 4096,
            when_full: WhenFull::Block,
            subscribers_max: 1024,
            queue_max: 1024,
            slow: Slow::Conflate,
            stalled_max: Duration::from_secs(60),
            keys_max: 4096,
            text_bytes_max: 16 << 10,
            linger: Duration::from_secs(5),
        }
    }
}

impl Publishing {
    fn check(&self) -> Result<(), ConfigError> {
        for (setting, value) in [
            ("subscribers_max", self.subscribers_max),
            ("queue_max", self.queue_max),
            ("text_bytes_max", self.text_bytes_max),
        ] {
            if value == 0 {
                return Err(ConfigError::setting(setting, value, "must be at least 1"));
            }
        }
        Ok(())
    }
}

/// A sink that sends records, as texts, to whoever subscribes to its name at a [`WebServer`].
///
/// | request | answer |
/// |---|---|
/// | `GET /NAME/events` | server-sent events, for `curl -N` and a page's `EventSource` |
/// | `GET /NAME/ws` | a WebSocket, a text frame for each record |
/// | `...?keys=A,B` | only records of these keys; `key=A&key=B` for keys with commas in them |
///
/// He gets the latest record of each key that he asks for, in the order of keys, and then what
/// comes. On a WebSocket he may ask for others later, by `SUBSCRIBE A,B`, or for all by
/// `SUBSCRIBE`. When the pipeline ends he is told so (an event `end`, a close frame 1000), and the
/// shards wait for that as long as it [lingers](Publishing::linger); when it fails and is restarted
/// he stays.
///
/// Records of several shards go to the same subscribers, those of each key in their order as long
/// as one shard has them.
///
/// ```
/// use std::io::{Read, Write};
///
/// use millstream::io::MemorySource;
/// use millstream::web::{Publishing, Web, WebServer, WebSink, Writing};
/// use millstream::{Config, Record, Shard, Timestamp};
///
/// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
/// let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
///     let squares = Writing::json().keyed(|square: &(u64, u64)| square.0);
///     let sink = WebSink::new(p, &server, "squares", squares, Publishing::default())?;
///     let numbers = [3, 5].map(|n| Record::new(Timestamp(n), n as u64));
///     p.source(MemorySource::new(numbers.to_vec())).map(|n| (n, n * n)).sink(sink);
///     Ok(())
/// })?;
///
/// let mut peer = std::net::TcpStream::connect(server.address()).unwrap();
/// peer.write_all(b"GET /squares/events?keys=5 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// let mut heard = String::new();
/// peer.read_to_string(&mut heard).unwrap();
/// assert!(heard.contains("data: [5,25]\n\n") && !heard.contains("[3,9]"), "{heard}");
/// assert!(heard.contains("event: end\ndata: end of stream\n\n"));
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct WebSink<T> {
    outgoing: Rc<RefCell<Outgoing<T>>>,
}

impl<T: Send + 'static> WebSink<T> {
    /// Sends to those who subscribe to a name, of letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// A name that cannot be, or is another sink's; or a setting that cannot be.
    pub fn new(
        p: Pipeline<'_>,
        server: &WebServer,
        name: &str,
        writing: Writing<T>,
        publishing: Publishing,
    ) -> Result<Self> {
        publishing.check()?;
        let Publishing { ring_capacity, when_full, .. } = publishing;
        let hall = server.house().hall(name, publishing, server.handle())?;
        let (outgoing, post) = outgoing(p, ring_capacity, when_full, &server.counts())?;
        let pipeline = hall.attach(p, name, writing.has_keys())?;
        server.handle().spawn(hall.run(post, writing, (pipeline, p.shard())));
        Ok(Self::over(outgoing))
    }

    /// What it is for the shard: the near end of a ring to the server.
    pub(super) fn over(outgoing: Outgoing<T>) -> Self {
        Self { outgoing: Rc::new(RefCell::new(outgoing)) }
    }
}

impl<T: 'static> Sink<T> for WebSink<T> {
    #[inline]
    fn is_open(&self) -> bool {
        self.outgoing.borrow().is_open()
    }

    #[inline]
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        self.outgoing.borrow_mut().accept(record.value);
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.outgoing.borrow_mut().publish();
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.outgoing.borrow_mut().end();
        Ok(())
    }

    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        Some(Box::new(Driver(self.outgoing.clone())))
    }
}
