//! A table in a PostgreSQL server.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::error::{ConfigError, LookupError};
use crate::lookup::bridge::{Bridge, Worker};
use crate::lookup::service::Answer;
use crate::state::{Key, Stored};
use crate::time::secs;

pub use tokio_postgres::Error as PostgresError;
pub use tokio_postgres::Row as PostgresRow;

/// What a key is in the server's language: an `i64` for a `bigint`, a `String` for a `text`.
pub trait PostgresKey: ToSql + Sync + Send {}

impl<P: ToSql + Sync + Send> PostgresKey for P {}

/// A PostgreSQL server, as lookups see it.
///
/// Each connection has a thread of its own, which asks for all the keys that wait in one query: so
/// a round trip serves many records. A connection that is lost, or that has not answered in its
/// time, is given up, and another one is made for the next question. What comes of trouble:
///
/// | trouble | error of the lookup |
/// |---|---|
/// | it cannot be reached, closes the connection, shuts down, has no resources | `Unavailable` |
/// | the query takes longer than [`patience`](Self::patience) | `Unavailable` |
/// | the query is wrong, the columns are of other types | `Refused`: it is not tried again |
///
/// The connection is not encrypted: it is for a server on this host or in the same rack.
///
/// ```no_run
/// use millstream::lookup::{Cache, Postgres, Retry};
/// use millstream::{io::IterSource, ms, secs, Config, Engine, Record, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let server = Postgres::new("host=localhost dbname=shop user=app")?.connections(2);
/// Engine::new(Config::default())?.run(move |p| {
///     let limits = server.lookup(
///         "SELECT account, credit FROM limits WHERE account = ANY($1)",
///         |account: &u32| i64::from(*account),
///         |row| Ok((row.try_get::<_, i64>(0)? as u32, row.try_get::<_, f64>(1)?)),
///     );
///     let orders = [7, 8].map(|account| Record::new(Timestamp(0), account));
///     p.source(IterSource::new(orders.into_iter()))
///         .lookup(limits, |account| *account)
///         .timeout(ms(20))
///         .retry(Retry::exponential(3, ms(5)).jitter(0.2))
///         .cache(Cache::of(100_000, secs(60)))
///         .left()
///         .for_each(|record| println!("{:?}", record.value));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Postgres {
    config: Config,
    connections: usize,
    most: usize,
    patience: Duration,
}

impl Postgres {
    /// The server of these connection settings: pairs such as `host=localhost user=app`, or a URL.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for settings that are none. What is there and does not answer is no
    /// error here.
    pub fn new(settings: &str) -> Result<Self, ConfigError> {
        let config = settings.parse::<Config>();
        // They may hold a password.
        let config = config
            .map_err(|error| ConfigError::setting("postgres", "(settings)", error.to_string()))?;
        Ok(Self { config, connections: 1, most: 256, patience: secs(1) })
    }

    /// How many connections, and threads, each shard has; one unless set.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// For how many keys a query asks at most; 256 unless set.
    pub fn batch(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// How long a query or a connection attempt is given before the connection is given up; one
    /// second unless set. The server is told to end the query then.
    ///
    /// It is for connections that hang. How long a record waits is the lookup's own time-out.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A lookup by this query on one shard. Its one parameter `$1` is an array of keys, each of
    /// which `key` has put into the server's language; `row` makes a key and a value of each row
    /// that comes back. A key without a row has none; of several rows for a key the first counts.
    pub fn lookup<K, P, V>(
        &self,
        query: &str,
        key: impl Fn(&K) -> P + Send + Sync + 'static,
        row: impl Fn(&PostgresRow) -> Result<(K, V), PostgresError> + Send + Sync + 'static,
    ) -> Bridge<K, V>
    where
        K: Key,
        P: PostgresKey + 'static,
        V: Clone + Send + Stored,
    {
        let mut config = self.config.clone();
        if config.get_options().is_none() {
            config.options(format!("-c statement_timeout={}", self.patience.as_millis().max(1)));
        }
        let question = Arc::new(Question { query: query.to_owned(), config, key, row });
        let patience = self.patience;
        let connect = move || Connection::new(question.clone(), patience);
        Bridge::batched(self.connections, self.most, connect)
    }
}

/// What is asked, and of whom.
struct Question<F, R> {
    config: Config,
    query: String,
    key: F,
    row: R,
}

/// A connection that is made when it is needed.
struct Connection<F, R> {
    question: Arc<Question<F, R>>,
    patience: Duration,
    /// `None` if the system gave none.
    runtime: Option<Runtime>,
    session: Option<Session>,
}

/// A connection that is there, and the query on it.
struct Session {
    client: Client,
    statement: Statement,
}

impl<F, R> Connection<F, R> {
    /// Tries to connect, so that the first question finds a connection.
    fn new(question: Arc<Question<F, R>>, patience: Duration) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().ok();
        let mut new = Self { question, patience, runtime, session: None };
        // What is wrong will be told to whoever asks.
        let _ = new.connect();
        new
    }

    fn connect(&mut self) -> Result<(), LookupError> {
        let runtime = self.runtime.as_ref().ok_or_else(no_runtime)?;
        let Question { config, query, .. } = &*self.question;
        let session = async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            let statement = client.prepare(query).await?;
            Ok(Session { client, statement })
        };
        let session = runtime.block_on(async { timeout(self.patience, session).await });
        self.session = Some(session.map_err(|_| hangs(self.patience))?.map_err(|e| failed(&e))?);
        Ok(())
    }

    /// The rows for some keys.
    fn rows<K, P, V>(&mut self, requests: &[K]) -> Result<Vec<(K, V)>, LookupError>
    where
        K: Key,
        P: PostgresKey,
        F: Fn(&K) -> P,
        R: Fn(&PostgresRow) -> Result<(K, V), PostgresError>,
    {
        if self.session.is_none() {
            self.connect()?;
        }
        let runtime = self.runtime.as_ref().ok_or_else(no_runtime)?;
        let Some(Session { client, statement }) = &self.session else { return Ok(Vec::new()) };
        let Question { key, row, .. } = &*self.question;
        let keys: Vec<P> = requests.iter().map(key).collect();
        let rows = async { timeout(self.patience, client.query(statement, &[&keys])).await };
        let rows = runtime.block_on(rows).map_err(|_| hangs(self.patience))?;
        let rows = rows.map_err(|error| failed(&error))?;
        let mut rows =
            rows.iter().map(row).collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
        rows.sort_by_key(|(key, _)| *key);
        Ok(rows)
    }
}

impl<K, P, V, F, R> Worker<K, V> for Connection<F, R>
where
    K: Key,
    P: PostgresKey + 'static,
    V: Clone + Stored,
    F: Fn(&K) -> P + 'static,
    R: Fn(&PostgresRow) -> Result<(K, V), PostgresError> + 'static,
{
    fn answer(&mut self, requests: &[K], answers: &mut Vec<Answer<V>>) {
        match self.rows(requests) {
            Ok(rows) => answers.extend(requests.iter().map(|request| {
                let first = rows.partition_point(|(key, _)| key < request);
                let row = rows.get(first).filter(|(key, _)| key == request);
                Ok(row.map(|(_, value)| value.clone()))
            })),
            Err(error) => {
                // Whatever it was, the next question finds a connection in a known state.
                self.session = None;
                answers.extend(requests.iter().map(|_| Err(error.clone())));
            }
        }
    }
}

fn no_runtime() -> LookupError {
    LookupError::Unavailable("the system gave no event queue".to_owned())
}

fn hangs(patience: Duration) -> LookupError {
    LookupError::Unavailable(format!("the server has not answered within {patience:?}"))
}

/// What is worth trying again: no connection, and what the server says passes.
fn failed(error: &PostgresError) -> LookupError {
    let reason = described(error);
    let passes = match error.code() {
        // Connection trouble, conflict, no resources, intervention or time-out, trouble of the
        // system, and a plan that a change of the table has spoilt.
        Some(code) => {
            let class = code.code().get(..2);
            matches!(class, Some("08" | "40" | "53" | "57" | "58")) || code.code() == "0A000"
        }
        None => error.is_closed() || caused_by_io(error),
    };
    if passes { LookupError::Unavailable(reason) } else { LookupError::Refused(reason) }
}

fn caused_by_io(error: &PostgresError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The error with its causes, each once.
fn described(error: &PostgresError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
