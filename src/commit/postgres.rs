//! Rows of a PostgreSQL table, an epoch to a transaction.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use crate::commit::Elsewhere;
use crate::dataflow::{Epoch, Record};
use crate::error::{ConfigError, IoError};
use crate::io::{AtCheckpoint, Commit};
use crate::state::Stored;
use crate::time::secs;

/// A value of a row, of a type that the server knows.
pub type PostgresValue = Box<dyn ToSql + Sync + Send>;

/// How many records a sink of rows holds between two checkpoints.
const RECORDS_MAX: usize = 1 << 24;

/// Rows in a PostgreSQL server. The records of an epoch are inserted in one transaction with the
/// number of the epoch, so the server has both or neither: an epoch that it has is not inserted
/// again.
///
/// An epoch older than the server's is an error: it is of another run, or of one that goes on from
/// an older checkpoint, and its rows may be there already.
///
/// The numbers are in a table `millstream_epochs`, which is made if it is not there: one row for
/// each sink, by its name, and shard. The connection is not encrypted: it is for a server on this
/// host or in the same rack.
///
/// ```no_run
/// use millstream::commit::PostgresRows;
/// use millstream::io::MemorySource;
/// use millstream::runtime::Checkpoints;
/// use millstream::{secs, Config, Engine, Record, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let insert = "INSERT INTO sums (key, sum) VALUES ($1, $2)";
/// let rows = PostgresRows::new("host=localhost dbname=shop user=app", "sums", insert)?;
/// Engine::new(Config::default())?
///     .checkpoints(Checkpoints::in_directory("checkpoints", secs(1))?)
///     .run(move |p| {
///         let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
///         p.source(MemorySource::new(numbers.collect::<Vec<_>>()))
///             .key_by(|n| n % 10)
///             .reduce(|sum, n| *sum += n)
///             .sink(rows.sink(p.shard(), |record: &Record<(i64, i64)>| {
///                 vec![Box::new(record.value.0), Box::new(record.value.1)]
///             }));
///         Ok(())
///     })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresRows {
    config: Config,
    name: Arc<str>,
    insert: Arc<str>,
    patience: Duration,
}

impl PostgresRows {
    /// Rows that a statement inserts, for the sink of a name.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for connection settings that are none. What is there and does not
    /// answer is an error of the first commit.
    pub fn new(settings: &str, name: &str, insert: &str) -> Result<Self, ConfigError> {
        // They may hold a password.
        let config = settings
            .parse::<Config>()
            .map_err(|error| ConfigError::setting("postgres", "(settings)", error.to_string()))?;
        Ok(Self { config, name: name.into(), insert: insert.into(), patience: secs(30) })
    }

    /// How long a transaction or a connection attempt is given; 30 seconds unless set. One that
    /// takes longer is an error, and the pipeline begins again from its checkpoint if it may.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A sink for one shard. `row` makes the values of the statement's parameters of a record.
    pub fn sink<T: Clone + Send + Stored>(
        &self,
        shard: usize,
        row: impl Fn(&Record<T>) -> Vec<PostgresValue> + Send + 'static,
    ) -> AtCheckpoint<T, Elsewhere<T>> {
        let rows = self.clone();
        let make = move || RowsOf::new(rows, shard, row);
        AtCheckpoint::new(Elsewhere::new(make), RECORDS_MAX)
    }
}

/// The rows of one shard.
struct RowsOf<F> {
    rows: PostgresRows,
    shard: i32,
    row: F,
    runtime: Runtime,
    client: Option<Client>,
}

impl<F> RowsOf<F> {
    fn new(rows: PostgresRows, shard: usize, row: F) -> Result<Self, IoError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&rows, error))?;
        Ok(Self { rows, shard: shard as i32, row, runtime, client: None })
    }

    /// Nothing would be shown until this run has come as far as the other.
    fn of_another_run(&self, known: i64, epoch: i64) -> IoError {
        let reason = format!(
            "the server has epoch {known} of this sink, and this is {epoch}: another run has used \
             its name, or this one goes on from an older checkpoint"
        );
        failed(&self.rows, io::Error::new(io::ErrorKind::AlreadyExists, reason))
    }

    /// Waits for the server, but not for ever.
    fn wait<O>(
        &self,
        work: impl Future<Output = Result<O, tokio_postgres::Error>>,
    ) -> Result<O, IoError> {
        let patience = self.rows.patience;
        let done = self.runtime.block_on(async { timeout(patience, work).await });
        match done {
            Ok(result) => result.map_err(|error| failed(&self.rows, io::Error::other(error))),
            Err(_) => {
                let reason = format!("the server has not answered within {patience:?}");
                Err(failed(&self.rows, io::Error::new(io::ErrorKind::TimedOut, reason)))
            }
        }
    }

    fn connected(&mut self) -> Result<Client, IoError> {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let connect = async {
            let (client, connection) = self.rows.config.connect(NoTls).await?;
            tokio::spawn(connection);
            // Two sinks that make it at the same moment would get in each other's way.
            client.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
            client.batch_execute(TABLE).await?;
            client.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})")).await?;
            Ok(client)
        };
        self.wait(connect)
    }
}

const LOCK: i64 = 0x6d69_6c6c;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS millstream_epochs \
                     (sink text, shard integer, epoch bigint NOT NULL, PRIMARY KEY (sink, shard))";

const KNOWN: &str = "SELECT epoch FROM millstream_epochs WHERE sink = $1 AND shard = $2 FOR UPDATE";

const REMEMBER: &str = "INSERT INTO millstream_epochs VALUES ($1, $2, $3) \
                        ON CONFLICT (sink, shard) DO UPDATE SET epoch = EXCLUDED.epoch";

impl<T: 'static, F: Fn(&Record<T>) -> Vec<PostgresValue> + 'static> Commit<T> for RowsOf<F> {
    fn commit(&mut self, epoch: Epoch, records: Vec<Record<T>>) -> Result<(), IoError> {
        self.commit_of(self.shard as usize, epoch, records)
    }

    fn commit_of(
        &mut self,
        shard: usize,
        Epoch(epoch): Epoch,
        records: Vec<Record<T>>,
    ) -> Result<(), IoError> {
        let shard = shard as i32;
        let (mut client, epoch) = (self.connected()?, epoch as i64);
        let commit = async {
            let transaction = client.transaction().await?;
            let name = &*self.rows.name;
            let known = transaction.query_opt(KNOWN, &[&name, &shard]).await?;
            let known = known.map(|row| row.try_get::<_, i64>(0)).transpose()?;
            if let Some(known) = known.filter(|known| *known >= epoch) {
                transaction.rollback().await?;
                return Ok(Some(known));
            }
            if !records.is_empty() {
                let insert = transaction.prepare(&self.rows.insert).await?;
                for record in &records {
                    let values = (self.row)(record);
                    let values = values.iter().map(|value| &**value as &(dyn ToSql + Sync));
                    transaction.execute(&insert, &values.collect::<Vec<_>>()).await?;
                }
            }
            transaction.execute(REMEMBER, &[&name, &shard, &epoch]).await?;
            transaction.commit().await?;
            Ok(None)
        };
        let known = self.wait(commit)?;
        self.client = Some(client);
        match known {
            // Only the last epoch is ever committed again.
            Some(known) if known > epoch => Err(self.of_another_run(known, epoch)),
            _ => Ok(()),
        }
    }
}

fn failed(rows: &PostgresRows, cause: io::Error) -> IoError {
    IoError::new("commit", format!("the rows of `{}`", rows.name), cause)
}
