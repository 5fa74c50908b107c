//! Values in a Redis server.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, Connection, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind};

use crate::error::{ConfigError, LookupError};
use crate::lookup::bridge::{Bridge, Worker};
use crate::lookup::service::Answer;
use crate::state::Stored;
use crate::time::secs;

/// A Redis server, as lookups see it.
///
/// Each connection has a thread of its own, which sends a `GET` for each of the keys that wait and
/// then reads the replies: so a round trip serves many records. A connection that is lost, or that
/// has not answered in its time, is given up, and another one is made for the next question. What
/// comes of trouble:
///
/// | trouble | error of the lookup |
/// |---|---|
/// | it cannot be reached, closes the connection, is loading, has no master | `Unavailable` |
/// | a reply takes longer than [`patience`](Self::patience) | `Unavailable` |
/// | the value is of another type, or does not decode | `Refused`: it is not tried again |
///
/// ```no_run
/// use millstream::lookup::{Cache, Redis, Retry};
/// use millstream::{io::IterSource, ms, secs, Config, Engine, Record, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let server = Redis::new("redis://localhost/")?.connections(2);
/// Engine::new(Config::default())?.run(move |p| {
///     let scores = server.lookup(
///         |customer: &u32| format!("score:{customer}"),
///         |bytes| str::from_utf8(bytes).ok()?.parse::<f64>().ok(),
///     );
///     let orders = [7, 8].map(|customer| Record::new(Timestamp(0), customer));
///     p.source(IterSource::new(orders.into_iter()))
///         .lookup(scores, |customer| *customer)
///         .timeout(ms(5))
///         .retry(Retry::exponential(3, ms(1)).jitter(0.2))
///         .cache(Cache::of(100_000, secs(60)))
///         .left()
///         .for_each(|record| println!("{:?}", record.value));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connections: usize,
    most: usize,
    patience: Duration,
}

impl Redis {
    /// The server at this URL: `redis://host:port/db`, or `redis+unix:///path`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for a URL that is none. What is there and does not answer is no
    /// error here.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        // It may hold a password.
        let refused = |error: RedisError| ConfigError::setting("redis", "(url)", error.to_string());
        let client = Client::open(url).map_err(refused)?;
        Ok(Self { client, connections: 1, most: 256, patience: secs(1) })
    }

    /// How many connections, and threads, each shard has; one unless set.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// For how many keys are asked at most before their replies are read; 256 unless set.
    pub fn batch(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// How long a reply or a connection attempt is given before the connection is given up; one
    /// second unless set.
    ///
    /// It is for connections that hang. How long a record waits is the lookup's own time-out.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A lookup on one shard: `key` says under which key the server has it, and `value` what its
    /// bytes mean, or that they mean nothing.
    pub fn lookup<Q, B, V>(
        &self,
        key: impl Fn(&Q) -> B + Send + Sync + 'static,
        value: impl Fn(&[u8]) -> Option<V> + Send + Sync + 'static,
    ) -> Bridge<Q, V>
    where
        Q: Clone + Send + Stored,
        B: AsRef<[u8]> + 'static,
        V: Clone + Send + Stored,
    {
        let codec = Arc::new((key, value));
        let (client, patience) = (self.client.clone(), self.patience);
        let connect = move || Session::new(client.clone(), patience, codec.clone());
        Bridge::batched(self.connections, self.most, connect)
    }
}

/// A connection that is made when it is needed.
struct Session<C> {
    client: Client,
    patience: Duration,
    connection: Option<Connection>,
    codec: Arc<C>,
}

impl<C> Session<C> {
    /// Tries to connect, so that the first question finds a connection.
    fn new(client: Client, patience: Duration, codec: Arc<C>) -> Self {
        let mut new = Self { client, patience, connection: None, codec };
        // What is wrong will be told to whoever asks.
        let _ = new.connect();
        new
    }

    fn connect(&mut self) -> RedisResult<()> {
        let connection = self.client.get_connection_with_timeout(self.patience)?;
        connection.set_read_timeout(Some(self.patience))?;
        connection.set_write_timeout(Some(self.patience))?;
        self.connection = Some(connection);
        Ok(())
    }

    /// What the server says to each of these commands.
    fn query(&mut self, commands: &Pipeline) -> RedisResult<Replies> {
        if self.connection.is_none() {
            self.connect()?;
        }
        match &mut self.connection {
            Some(connection) => commands.query(connection),
            None => Ok(Vec::new()),
        }
    }
}

type Replies = Vec<RedisResult<Option<Vec<u8>>>>;

impl<Q, B, V, F, G> Worker<Q, V> for Session<(F, G)>
where
    Q: 'static,
    B: AsRef<[u8]> + 'static,
    V: 'static,
    F: Fn(&Q) -> B + 'static,
    G: Fn(&[u8]) -> Option<V> + 'static,
{
    fn answer(&mut self, requests: &[Q], answers: &mut Vec<Answer<V>>) {
        let mut commands = Pipeline::with_capacity(requests.len());
        for request in requests {
            commands.cmd("GET").arg((self.codec.0)(request).as_ref());
        }
        commands.ignore_errors();
        match self.query(&commands) {
            Ok(replies) => answers.extend(replies.into_iter().map(|reply| match reply {
                Ok(None) => Ok(None),
                Ok(Some(bytes)) => match (self.codec.1)(&bytes) {
                    Some(value) => Ok(Some(value)),
                    None => Err(unreadable(&bytes)),
                },
                Err(error) => Err(failed(&error)),
            })),
            Err(error) => {
                // Replies of it may still come: they must not be taken for others.
                self.connection = None;
                answers.extend(requests.iter().map(|_| Err(failed(&error))));
            }
        }
    }
}

fn unreadable(bytes: &[u8]) -> LookupError {
    let shown = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes));
    LookupError::Refused(format!("{shown:?} does not decode"))
}

/// What is worth trying again: no connection, and what the server says passes.
fn failed(error: &RedisError) -> LookupError {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    let passes = match error.kind() {
        ErrorKind::Io => true,
        ErrorKind::Server(kind) => {
            matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain)
        }
        _ => error.is_connection_dropped(),
    };
    let reason = error.to_string();
    if passes { LookupError::Unavailable(reason) } else { LookupError::Refused(reason) }
}
