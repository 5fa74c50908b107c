//! Records from whoever posts lines.

use std::sync::Arc;

use crate::dataflow::{Pipeline, Record};
use crate::error::{IoError, Result};
use crate::io::journal::Durable;
use crate::io::{Codec, Polled, Source};
use crate::time::Timestamp;
use crate::web::incoming::{Incoming, Lanes, Shape};
use crate::web::ingest::{Ingest, Intake, Tools};
use crate::web::progress::Progress;
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
/// | 504 | taken, but [not known to be durable](Self::acknowledging) in time |
///
/// One who breaks off before the answer does not know whether his lines were taken. The records of
/// one connection go to one shard and keep their order. Their timestamp is when the shard took
/// them, and windows close by the clock; [`event_time`](crate::Stream::event_time) takes another.
/// It ends when the server is [stopped](WebServer::stop).
///
/// # What 200 says
///
/// That all lines are in the memory of this process, on their way to the shard: a crash loses what
/// was not through. What came cannot come again. Where a crash must lose nothing of it, wrap the
/// source in [`Journalled`](crate::io::journal::Journalled), and have it
/// [acknowledge](Self::acknowledging) when the journal says so: then 200 says that all lines are in
/// the journal and durable, and come again after a kill or a loss of power.
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
pub struct HttpSource<T> {
    incoming: Incoming<T>,
    progress: Arc<Progress>,
}

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
        let progress = Arc::<Progress>::default();
        let tools = Tools { codec, intake, sent: 0, progress: progress.clone() };
        let Intake { ring_capacity: capacity, patience, .. } = intake;
        let incoming = ingest.lanes.attach(p, Shape { name, capacity, patience }, tools)?;
        Ok(Self { incoming, progress })
    }

    /// Answers a request when its records are durable in the journal that this is the
    /// [watch](crate::io::journal::Journal::watch) of: the one of the `Journalled` that the source
    /// is wrapped in next. It costs the request the time that a group commit takes.
    ///
    /// One that waits longer than its [patience](Intake::patience), whose shard fails meanwhile, or
    /// of which the journal has not taken every record (since the disk is full, say) is answered
    /// 504: some, all or none of its records may come again after a crash, and if it is sent again
    /// they may come twice. Where the journal is to go on without a disk that is full
    /// ([`OnFull::GoOn`](crate::io::journal::OnFull::GoOn)), so do the answers.
    ///
    /// ```
    /// use millstream::io::json::Json;
    /// use millstream::io::journal::{Journal, Journalled, Settings};
    /// use millstream::sim::SimDisk;
    /// use millstream::web::{HttpSource, Intake, Web, WebServer};
    /// use millstream::{Config, Shard, Timestamp};
    ///
    /// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
    /// let mut disk = SimDisk::new(7);
    /// let (shard, ()) = Shard::embed(Config::embedded(), |p| {
    ///     let settings = Settings::default();
    ///     let storage = disk.storage(&settings);
    ///     let (journal, _) = Journal::open(&mut disk, storage, settings, 1, Timestamp(0))?;
    ///     let numbers = || Json::<u64>::new(20);
    ///     let source = HttpSource::new(p, &server, "numbers", numbers(), Intake::default())?;
    ///     let source = source.acknowledging(journal.watch());
    ///     p.source(Journalled::new(source, numbers(), journal, disk.clone())?).for_each(|_| ());
    ///     Ok(())
    /// })?;
    /// # drop(shard);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn acknowledging(self, durable: Durable) -> Self {
        self.progress.wait_for(durable);
        self
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
        let progress = &self.progress;
        self.incoming.poll(now, budget, &mut |record| progress.hand_on(record, emit))
    }
}
