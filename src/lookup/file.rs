//! A table in a CSV file, read anew when the file changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use crate::dataflow::Record;
use crate::error::{CodecError, Error, Full, IoError};
use crate::exchange::{PipeReceiver, PipeSender, pipe};
use crate::io::Source;
use crate::io::csv::{Columns, CsvSource, DeadLetter, Row};
use crate::lookup::service::{Answer, CallId, Lookup};
use crate::state::{Key, State, Table};
use crate::time::{Timestamp, secs};

/// A table in a CSV file that is read anew when the file changes.
///
/// Open it once, outside the build closure, and give each shard a [`lookup`](Self::lookup) of it:
/// every shard has the whole table in its own memory. A thread looks at the file now and then, by
/// its time and length. A version that has stayed the same between two looks is read there, and
/// handed to the shards whole; each takes it between two records. A version with a line that does
/// not decode, or too many of them, is refused as a whole: the one before stays, and
/// [`refused`](Self::refused) and [`last_error`](Self::last_error) tell, with file and line. Of two
/// lines with the same key the later one counts.
///
/// Replace the file by renaming another one into its place: a writer that is interrupted while it
/// rewrites the file leaves a shorter one, which may be a table as well.
///
/// ```
/// use millstream::io::csv::Columns;
/// use millstream::lookup::TableFile;
/// use millstream::{io::IterSource, Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// # let path = std::env::temp_dir().join(format!("ticks-{}.csv", std::process::id()));
/// # std::fs::write(&path, "symbol,tick\n7,0.01\n8,0.05\n").map_err(|error| {
/// #     millstream::error::IoError::new("write", "ticks.csv", error)
/// # })?;
/// let columns = Columns::of(["symbol", "tick"]);
/// let ticks = TableFile::open(&path, columns, |row| Ok((row.u64(0)?, row.finite(1)?)))?;
/// # let _ = std::fs::remove_file(&path);
/// Simulation::new(1, 0).run(|p| {
///     p.source(IterSource::new([7, 9].map(|n| Record::new(Timestamp(0), n)).into_iter()))
///         .lookup(ticks.lookup(), |symbol| *symbol)
///         .inner()
///         .for_each(|record| assert_eq!(record.value, (7, 0.01)));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct TableFile<K: Key, V: State>(Arc<Shared<K, V>>);

impl<K: Key, V: State> Clone for TableFile<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What the handles, the shards and the thread share. No record passes through.
struct Shared<K: Key, V: State> {
    file: File<K, V>,
    /// The version that was read first.
    first: Stamp,
    state: Mutex<Versions<K, V>>,
    loaded: AtomicU64,
    refused: AtomicU64,
}

/// Which file, and how to read it.
struct File<K, V> {
    path: PathBuf,
    columns: Columns,
    decode: Decode<K, V>,
    rows_max: usize,
    every: Duration,
}

type Decode<K, V> = Arc<dyn Fn(&Row<'_>) -> Result<(K, V), String> + Send + Sync>;

struct Versions<K: Key, V: State> {
    /// The rows of the version that counts, and its number.
    rows: Vec<(K, V)>,
    version: u64,
    shards: Vec<Shard<K, V>>,
    error: Option<Error>,
    /// Whether the thread was started.
    watched: bool,
}

/// A shard that is to be given new versions.
struct Shard<K: Key, V: State> {
    version: u64,
    fresh: PipeSender<Table<K, V>>,
    stale: PipeReceiver<Table<K, V>>,
}

/// What tells one version of a file from another; `None` if there is no file.
type Stamp = Option<(u64, SystemTime)>;

impl<K: Key + Sync, V: State + Sync> TableFile<K, V> {
    /// Reads a file; `decode` makes a key and a value out of each line.
    ///
    /// # Errors
    /// As [`CsvSource::open`], and [`CodecError`] for the first line that does not decode.
    pub fn open(
        path: impl AsRef<Path>,
        columns: Columns,
        decode: impl Fn(&Row<'_>) -> Result<(K, V), String> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let file = File {
            path: path.as_ref().to_owned(),
            columns,
            decode: Arc::new(decode),
            rows_max: 1 << 24,
            every: secs(1),
        };
        let first = file.stamp();
        let rows = file.read()?;
        let (shards, error) = (Vec::new(), None);
        let versions = Versions { rows, version: 0, shards, error, watched: false };
        let (state, loaded, refused) = (Mutex::new(versions), AtomicU64::new(1), AtomicU64::new(0));
        Ok(Self(Arc::new(Shared { file, first, state, loaded, refused })))
    }

    /// Looks at the file so often; once a second unless set. To be set before the first
    /// [`lookup`](Self::lookup), after which it changes nothing.
    pub fn check_every(mut self, span: Duration) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.file.every = span;
        }
        self
    }

    /// Refuses versions of more lines than this; of 2^24 unless set. To be set before the first
    /// [`lookup`](Self::lookup), after which it changes nothing.
    pub fn rows_max(mut self, rows: usize) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.file.rows_max = rows;
        }
        self
    }

    /// The table of one shard, with a copy of the version that counts now.
    pub fn lookup(&self) -> FileLookup<K, V> {
        let (fresh, receives) = pipe(1);
        let (gives, stale) = pipe(2);
        let mut state = self.0.lock();
        let rows = table(&state.rows);
        let version = state.version;
        state.shards.push(Shard { version, fresh, stale });
        if !std::mem::replace(&mut state.watched, true) {
            let shared = Arc::downgrade(&self.0);
            let (first, every) = (self.0.first, self.0.file.every);
            let named = std::thread::Builder::new().name("lookup file".to_owned());
            let started = named.spawn(move || watch(&shared, first, every));
            if let Err(error) = started {
                state.error = Some(IoError::new("watch", self.0.file.place(), error).into());
            }
        }
        drop(state);
        FileLookup { rows, fresh: receives, stale: gives, _shared: self.0.clone() }
    }
}

impl<K: Key, V: State> TableFile<K, V> {
    /// How many versions have counted so far.
    pub fn loaded(&self) -> u64 {
        self.0.loaded.load(Ordering::Relaxed)
    }

    /// How many versions were refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Why the last version was refused, with file and line; nothing once a later one counts.
    pub fn last_error(&self) -> Option<String> {
        self.0.lock().error.as_ref().map(ToString::to_string)
    }
}

impl<K: Key, V: State> Shared<K, V> {
    fn lock(&self) -> MutexGuard<'_, Versions<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version of the file has settled: it counts, or is refused; or it has changed again while
    /// it was read, which the next look will find.
    fn judge(&self, stamp: Stamp) {
        let read = self.file.read();
        if self.file.stamp() != stamp {
            return;
        }
        match read {
            Ok(rows) => {
                let mut state = self.lock();
                (state.rows, state.error) = (rows, None);
                state.version += 1;
                self.loaded.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.lock().error = Some(error);
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Gives each shard the version that counts, if it has room; takes back what it has done with.
    fn hand_out(&self) {
        let Versions { rows, version, shards, .. } = &mut *self.lock();
        shards.retain(|shard| !shard.fresh.is_closed());
        for shard in shards {
            while shard.stale.pop().is_some() {}
            if shard.version != *version && shard.fresh.push(table(rows)).is_ok() {
                shard.version = *version;
            }
        }
    }
}

impl<K: Key, V: State> File<K, V> {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    }

    /// Reads the whole file, or nothing.
    fn read(&self) -> Result<Vec<(K, V)>, Error> {
        let decode = self.decode.clone();
        let row = move |row: &Row<'_>| Ok(Record::new(Timestamp::MIN, decode(row)?));
        let bad = Arc::new(Mutex::new(None::<CodecError>));
        let found = bad.clone();
        let source = CsvSource::open(&self.path, self.columns.clone(), row)?;
        let mut source = source.on_dead_letter(move |letter: DeadLetter| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.get_or_insert(letter.error);
        });
        let mut rows = Vec::new();
        loop {
            let polled = source.poll(0, Timestamp::MIN, 1024, &mut |row| rows.push(row.value))?;
            if let Some(bad) = bad.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(bad.into());
            }
            if rows.len() > self.rows_max {
                let reason = format!("{} rows are the limit; raise `rows_max`", self.rows_max);
                let line = self.rows_max as u64;
                return Err(CodecError { place: self.place(), line, reason }.into());
            }
            if polled.ended {
                return Ok(rows);
            }
        }
    }
}

fn table<K: Key, V: State>(rows: &[(K, V)]) -> Table<K, V> {
    let mut table = Table::new(0);
    rows.iter().for_each(|(key, value)| *table.entry(*key) = *value);
    table
}

/// Looks at the file until nobody has it any more.
fn watch<K: Key, V: State>(shared: &Weak<Shared<K, V>>, first: Stamp, every: Duration) {
    let (mut judged, mut before) = (first, first);
    loop {
        std::thread::sleep(every);
        let Some(shared) = shared.upgrade() else { return };
        let stamp = shared.file.stamp();
        // While it is written it changes.
        if stamp != judged && stamp == before {
            shared.judge(stamp);
            judged = stamp;
        }
        before = stamp;
        shared.hand_out();
    }
}

/// The table of a [`TableFile`] on one shard: it answers at once.
pub struct FileLookup<K: Key, V: State> {
    rows: Table<K, V>,
    fresh: PipeReceiver<Table<K, V>>,
    /// Tables go back to where they came from: to free one takes time.
    stale: PipeSender<Table<K, V>>,
    /// While there is a shard that asks, the file is watched.
    _shared: Arc<Shared<K, V>>,
}

impl<K: Key, V: State> FileLookup<K, V> {
    /// A new version has come.
    #[cold]
    fn change(&mut self, rows: Table<K, V>) {
        let stale = std::mem::replace(&mut self.rows, rows);
        // There is always room: of two versions the second comes when the first was taken back.
        drop(self.stale.push(stale));
    }
}

impl<K: Key, V: State> Lookup for FileLookup<K, V> {
    type Request = K;
    type Reply = V;

    #[inline]
    fn known(&mut self, key: &K) -> Option<Answer<V>> {
        if let Some(rows) = self.fresh.pop() {
            self.change(rows);
        }
        Some(Ok(self.rows.get(*key).copied()))
    }

    fn ask(&mut self, _: CallId, _: &K, _: Timestamp) -> Result<(), Full<()>> {
        Err(Full(()))
    }

    fn poll(&mut self, _: Timestamp) -> Option<(CallId, Answer<V>)> {
        None
    }
}
