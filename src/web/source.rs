//! Records from whoever posts lines.

use crate::dataflow::{Pipeline, Record};
use crate::error::{IoError, Result};
use crate::io::{Codec, Polled, Source};
use crate::time::Timestamp;
use crate::web::incoming::{Incoming, Lanes, Shape};
use crate::web::ingest::{Ingest, Intake, Tools};
use crate::web::server::WebServer;

/// A source of what is posted, as lines, to its name at a [`WebServer`]: `POST /NAME`.
///
/// A request is taken whole or not at all, and the answer says which, as JSON with `taken`, the
/// number of its records. So it can be sent again as it is. Empty lines are none.
///
/// | answer | why |
/// |---|---|
/// | 200 | all lines are on their way |
/// | 400 | a line is no record: `error` says which and why, `line` and `offset` where |
/// | 408 | the body took too long |
/// | 413 | the body is too long, or has more records than the [ring](Intake::ring_capacity) |
/// | 503 | no room in time, or no pipeline runs: come again, as `Retry-After` says |
///
/// One who breaks off before the answer does not know whether his lines were taken. The records of
/// one connection go to one shard and keep their order. Their timestamp is when the shard took
/// them, and windows close by the clock; [`event_time`](crate::Stream::event_time) takes another.
/// What came cannot come again: wrap it in [`Journalled`](crate::io::journal::Journalled) where a
/// crash must lose none of it. It ends when the server is [stopped](WebServer::stop).
///
/// Lines are decoded on the server's thread, by a [`Codec`] of each shard's own.
///
/// ```
/// use std::io::{Read, Write};
///
/// use millstream::io::json::Json;
/// use millstream::web::{HttpSource, Intake, Web, WebServer};
/// use millstream::{Config, Shard, Timestamp};
///
/// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
/// let (mut shard, mut sums) = Shard::embed(Config::embedded(), |p| {
///     let pairs = Json::<(u64, u64)>::new(40);
///     let source = HttpSource::new(p, &server, "pairs", pairs, Intake::default())?;
///     Ok(p.source(source).map(|(a, b)| a + b).output())
/// })?;
///
/// let address = server.address();
/// let ask = move |body: &str| {
///     let mut peer = std::net::TcpStream::connect(address).unwrap();
///     write!(peer, "POST /pairs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").unwrap();
///     write!(peer, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
///     let mut answer = String::new();
///     peer.read_to_string(&mut answer).unwrap();
///     answer
/// };
/// shard.step(Timestamp(0)); // From now on the source takes what comes.
/// assert!(ask("[1, 2]\n[20, 22]\n").ends_with("{\"taken\":2}\n"));
/// assert!(ask("[3, 4]\n[5, oh]\n").contains("line 2: at byte 4: [1]: no value begins so"));
/// server.stop();
/// for now in 1.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// assert_eq!(sums.pop().map(|sum| sum.value), Some(3));
/// assert_eq!(sums.pop().map(|sum| sum.value), Some(42));
/// assert_eq!(sums.pop(), None);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct HttpSource<T>(Incoming<T>);

impl<T: Send + 'static> HttpSource<T> {
    /// Takes what is posted to a name, of letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// A name that cannot be, or is another source's; or a setting that cannot be.
    pub fn new<C: Codec<Value = T> + Send>(
        p: Pipeline<'_>,
        server: &WebServer,
        name: &str,
        codec: C,
        intake: Intake,
    ) -> Result<Self> {
        intake.check()?;
        let counts = server.counts();
        let ingest =
            server.house().door(name, || Ingest::<C> { lanes: Lanes::default(), counts })?;
        let tools = Tools { codec, intake };
        let Intake { ring_capacity: capacity, patience, .. } = intake;
        Ok(Self(ingest.lanes.attach(p, Shape { name, capacity, patience }, tools)?))
    }
}

impl<T: 'static> Source for HttpSource<T> {
    type Out = T;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        self.0.poll(now, budget, emit)
    }
}
