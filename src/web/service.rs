//! Questions to a pipeline, and its answers in time.

mod calls;
mod desk;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Pipeline, Record, Saved};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Malformed, Polled, Source};
use crate::time::Timestamp;
use crate::web::incoming::{Incoming, Shape};
use crate::web::outgoing::{WhenFull, outgoing};
use crate::web::server::WebServer;
use crate::web::sink::WebSink;

use desk::Desk;

/// The limits of an [`HttpService`].
#[derive(Clone, Copy, Debug)]
pub struct Answering {
    /// Questions between the server and each shard, and answers the other way, made up to two
    /// batches.
    pub ring_capacity: usize,
    /// Questions that may wait for their answers; one more is answered 503.
    pub waiting_max: usize,
    /// How long one waits that does not say how long.
    pub within: Duration,
    /// The longest that one may say.
    pub within_max: Duration,
    /// So much earlier than it says its time is over: for the way back.
    pub margin: Duration,
    /// The status of what gets no answer in time: 204 for nothing at all, or 504.
    pub late_status: u16,
    /// What answers are.
    pub content_type: &'static str,
}

impl Default for Answering {
    fn default() -> Self {
        Self {
            ring_capacity: 4096,
            waiting_max: 16 << 10,
            within: Duration::from_secs(1),
            within_max: Duration::from_secs(10),
            margin: Duration::ZERO,
            late_status: 504,
            content_type: "application/json",
        }
    }
}

impl Answering {
    fn check(&self) -> Result<(), ConfigError> {
        if self.waiting_max == 0 {
            return Err(ConfigError::setting("waiting_max", 0, "must be at least 1"));
        }
        if !(200..600).contains(&self.late_status) {
            let reason = "must be a status from 200 to 599";
            return Err(ConfigError::setting("late_status", self.late_status, reason));
        }
        Ok(())
    }
}

/// The correlation number of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(u64);

/// A question on its way through a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<Q> {
    /// What its answer must carry.
    pub id: RequestId,
    /// The question.
    pub value: Q,
}

impl<Q> Request<Q> {
    /// Its answer; `None` for a 204 without content.
    pub fn answer<A>(&self, value: Option<A>) -> Response<A> {
        Response { id: self.id, value }
    }
}

/// An answer on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response<A> {
    /// Of the question that it answers.
    pub id: RequestId,
    /// The answer; `None` for a 204 without content.
    pub value: Option<A>,
}

/// A question as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<Q> {
    value: Q,
    within: Option<Duration>,
}

impl<Q> Asked<Q> {
    /// One that waits as long as [`Answering::within`] has it.
    pub fn new(value: Q) -> Self {
        Self { value, within: None }
    }

    /// It waits so long, from when its head had come; `None` as above.
    pub fn within(self, within: Option<Duration>) -> Self {
        Self { within, ..self }
    }
}

/// Questions by HTTP that a pipeline answers: `POST /NAME` at a [`WebServer`].
///
/// A question goes into the pipeline by [`requests`](Self::requests), with a number; the request
/// waits on the server's thread until an answer with that number comes out by
/// [`responses`](Self::responses), or its time is over. What comes later, or twice, is counted and
/// dropped. Questions are spread over the shards in turn.
///
/// | answer | why |
/// |---|---|
/// | 200 | the pipeline's answer |
/// | 204 | its answer is none |
/// | 400 | the body is no question |
/// | [`late_status`](Answering::late_status) | no answer in time |
/// | 413, 408 | the body is too long, or took too long |
/// | 503 | too many are waiting, or no pipeline is there: come again, as `Retry-After` says |
///
/// A question is no record that could come again: those that are under way in a crash get no
/// answer, and a checkpoint does not wait for them.
///
/// ```
/// use std::io::{Read, Write};
///
/// use millstream::io::Malformed;
/// use millstream::web::{Answering, Asked, HttpService, Web, WebServer};
/// use millstream::{Config, Shard, Timestamp};
///
/// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
/// let read = |body: &[u8]| match std::str::from_utf8(body).map(str::parse::<u64>) {
///     Ok(Ok(number)) => Ok(Asked::new(number)),
///     _ => Err(Malformed::at(0, "not a number")),
/// };
/// let write = |root: &u64, text: &mut Vec<u8>| text.extend(root.to_string().bytes());
/// let roots = HttpService::new(&server, "root", read, write, Answering::default())?;
/// let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
///     let responses = roots.responses(p)?;
///     p.source(roots.requests(p)?)
///         .map(|asked| {
///             let root = asked.value.isqrt();
///             asked.answer((root * root == asked.value).then_some(root))
///         })
///         .sink(responses);
///     Ok(())
/// })?;
///
/// // From the first step on there is somebody to ask.
/// shard.step(Timestamp(0));
/// let address = server.address();
/// let asking = std::thread::spawn(move || {
///     ["49", "50", "fifty"].map(|body| {
///         let mut peer = std::net::TcpStream::connect(address).unwrap();
///         let head = "POST /root HTTP/1.1\r\nHost: localhost\r\nConnection: close";
///         write!(peer, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
///         let mut answer = String::new();
///         peer.read_to_string(&mut answer).unwrap();
///         answer
///     })
/// });
/// for now in 1.. {
///     shard.step(Timestamp(now));
///     if asking.is_finished() {
///         break;
///     }
/// }
/// let [seven, none, refused] = asking.join().unwrap();
/// assert!(seven.starts_with("HTTP/1.1 200 OK") && seven.ends_with("\r\n\r\n7"), "{seven}");
/// assert!(none.starts_with("HTTP/1.1 204 No Content"), "{none}");
/// assert!(refused.starts_with("HTTP/1.1 400 Bad Request"), "{refused}");
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct HttpService<Q, A> {
    server: WebServer,
    name: Box<str>,
    desk: Arc<Desk<Q, A>>,
}

impl<Q, A> Clone for HttpService<Q, A> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), name: self.name.clone(), desk: self.desk.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> HttpService<Q, A> {
    /// Takes what is posted to a name, of letters, digits, `-`, `_` and `.`. Bodies are read by
    /// `read` and answers written by `write`, both on the server's thread.
    ///
    /// # Errors
    /// A name that cannot be, or is taken; or a setting that cannot be.
    pub fn new(
        server: &WebServer,
        name: &str,
        read: impl Fn(&[u8]) -> Result<Asked<Q>, Malformed> + Send + Sync + 'static,
        write: impl Fn(&A, &mut Vec<u8>) + Send + Sync + 'static,
        answering: Answering,
    ) -> Result<Self> {
        answering.check()?;
        let mut is_new = false;
        let desk = server.house().door(name, || {
            is_new = true;
            Desk::new(Box::new(read), Box::new(write), answering, server.counts())
        })?;
        if !is_new {
            let reason = format!("there is a service `{name}` already");
            return Err(ConfigError::Pipeline(reason).into());
        }
        Ok(Self { server: server.clone(), name: name.into(), desk })
    }

    /// The questions for the shard that is being built.
    ///
    /// # Errors
    /// The pipeline takes them already.
    pub fn requests(&self, p: Pipeline<'_>) -> Result<Requests<Q>> {
        let capacity = self.desk.answering.ring_capacity;
        let shape = Shape { name: &self.name, capacity, patience: Duration::ZERO };
        Ok(Requests(self.desk.lanes.attach(p, shape, ())?))
    }

    /// Where the answers of the shard that is being built go.
    ///
    /// # Errors
    /// A setting that cannot be.
    pub fn responses(&self, p: Pipeline<'_>) -> Result<Responses<A>> {
        let (capacity, counts) = (self.desk.answering.ring_capacity, self.server.counts());
        let (outgoing, post) = outgoing(p, capacity, WhenFull::Block, &counts)?;
        let pipeline = self.desk.calls.attach(&p.fabric());
        self.server.handle().spawn(self.desk.calls.clone().run(post, pipeline));
        Ok(WebSink::over(outgoing))
    }
}

/// A source of questions: see [`HttpService::requests`]. It ends when the server is
/// [stopped](WebServer::stop).
pub struct Requests<Q>(Incoming<Request<Q>>);

impl<Q: 'static> Source for Requests<Q> {
    type Out = Request<Q>;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Request<Q>>),
    ) -> Result<Polled, IoError> {
        self.0.poll(now, budget, emit)
    }

    /// There is nothing to go on from: who asked does not wait for a restart.
    fn save(&self, _out: &mut Saved) {}
}

/// A sink of answers: see [`HttpService::responses`].
pub type Responses<A> = WebSink<Response<A>>;
