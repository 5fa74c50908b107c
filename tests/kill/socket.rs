//! Numbers that come once, from a socket into a journal, through a process that is killed, into
//! files and into PostgreSQL.
//!
//! Whoever sends them asks the journal, after each kill, how many of its own are there, and goes on
//! from the next: what was sent and had not come so far is nobody's but the sender's.

use std::io::{BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream::io::journal::{Journalled, Settings};
use millstream::io::{Codec, Directory, Fixed, codec};
use millstream::net::{LocalListener, Receiving, TcpSource};
use millstream::{Pipeline, Result, Stage, Stream, Timestamp, Watermarks, disk};

use super::{FOLDER, RECORDS, compare, engine, folder, found, instants, into_files, joined};
use super::{kill, kills, parts, want};

const SHARDS: usize = 2;

/// What each shard listens at.
fn socket(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("in-{shard}"))
}

/// Where each shard has its journal.
fn journal(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("journal-{shard}"))
}

/// Small segments, so that there are many, and old ones go.
fn settings() -> Settings {
    let bytes_max = Some(1 << 20);
    let (slots, slot_bytes) = (4, 16 << 10);
    Settings { segment_bytes: 256 << 10, slots, slot_bytes, bytes_max, ..Settings::default() }
}

fn numbers() -> impl Codec<Value = i64> {
    codec(
        8,
        |number: &i64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
        |bytes: &[u8]| match bytes.first_chunk() {
            Some(eight) => Ok(i64::from_le_bytes(*eight)),
            None => Err("shorter than a number".to_owned()),
        },
    )
}

/// The sockets that a run listens at, one a shard: what one sends stays in order.
fn listen(folder: &Path) -> Result<Vec<LocalListener>> {
    (0..SHARDS).map(|shard| LocalListener::at(socket(folder, shard))).collect()
}

/// What the sender of this shard says, and what it has said before.
fn received<'p>(
    p: Pipeline<'p>,
    folder: &Path,
    listeners: &[LocalListener],
) -> Result<Stream<'p, impl Stage<Out = i64> + use<'p>>> {
    let ends = Receiving { ends_after: Some(1), ..Receiving::default() };
    let live = TcpSource::new(p, &listeners[p.shard()], Fixed::new(8), numbers(), ends)?;
    let place = journal(folder, p.shard());
    let (journal, _) = disk::open(&place, settings(), Timestamp(0))?;
    let files = Directory::open(&place).expect("it has just been opened");
    let source = Journalled::new(live, numbers(), journal, files)?;
    Ok(p.source(source).event_time(|n| Timestamp(*n), Watermarks::monotonic()))
}

fn run(folder: &Path) -> Result<()> {
    let (parts, listeners, place) = (parts(folder)?, listen(folder)?, folder.to_owned());
    engine(folder)?.run(move |p| {
        let (numbers, again) = received(p, &place, &listeners)?.tee();
        into_files(joined(numbers, again), &parts, p);
        Ok(())
    })?;
    Ok(())
}

/// By itself nobody kills it. It is also what the tests below kill.
#[test]
fn a_run_that_listens() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return run(Path::new(&folder)).unwrap();
    }
    let folder = folder("listening");
    let senders = Senders::of(&folder);
    run(&folder).unwrap();
    drop(senders);
    assert_eq!(found(&folder), want());
    std::fs::remove_dir_all(folder).unwrap();
}

/// One for each shard, until they have said all, or are dropped.
struct Senders {
    threads: Vec<std::thread::JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

impl Senders {
    /// They go on from what is in the journals, which nobody has open.
    fn of(folder: &Path) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let threads = (0..SHARDS).map(|shard| {
            let (_, recovered) =
                disk::open(journal(folder, shard), settings(), Timestamp(0)).unwrap();
            let (path, next) = (socket(folder, shard), recovered.next.0 as i64);
            let stopped = stopped.clone();
            std::thread::spawn(move || {
                // Whoever is killed while it is sent to hangs up, which is no error here.
                let _ = connected(&path, &stopped).map(|to| send(to, shard, next));
            })
        });
        Self { threads: threads.collect(), stopped: stopped.clone() }
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// A connection, as soon as somebody listens.
fn connected(path: &Path, stopped: &AtomicBool) -> Option<UnixStream> {
    while !stopped.load(Ordering::Relaxed) {
        if let Ok(stream) = UnixStream::connect(path) {
            return Some(stream);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    None
}

/// Says the numbers of a shard, without the first `done`.
fn send(to: UnixStream, shard: usize, done: i64) -> std::io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 10, to);
    for n in (shard as i64..RECORDS).step_by(SHARDS).skip(done as usize) {
        to.write_all(&n.to_le_bytes())?;
    }
    to.flush()
}

#[test]
fn killed_while_it_listens() {
    let (mut left, mut rng) = (kills(15), instants(29));
    while left > 0 {
        let folder = folder(&format!("sent-{left}"));
        left -= kill("socket::a_run_that_listens", &folder, &mut rng, || Senders::of(&folder));
        compare(&folder, left);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[cfg(feature = "postgres")]
mod rows {
    use super::*;
    use crate::postgres::{SERVER, check, into_rows, rows, with_table};

    fn run(folder: &Path) -> Result<()> {
        let (rows, listeners, place) = (rows(folder)?, listen(folder)?, folder.to_owned());
        engine(folder)?.run(move |p| {
            let (numbers, again) = received(p, &place, &listeners)?.tee();
            into_rows(joined(numbers, again), &rows, p);
            Ok(())
        })?;
        Ok(())
    }

    /// By itself it does nothing.
    #[test]
    fn a_run_that_listens() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            run(Path::new(&folder)).unwrap();
        }
    }

    #[test]
    fn killed_while_it_listens() {
        let (mut left, mut rng) = (kills(10), instants(31));
        while left > 0 {
            let Some(server) = with_table() else { return };
            let folder = folder(&format!("sent-rows-{left}"));
            std::fs::write(folder.join(SERVER), server.folder.display().to_string()).unwrap();
            left -= kill("socket::rows::a_run_that_listens", &folder, &mut rng, || {
                Senders::of(&folder)
            });
            check(&server);
            eprintln!("all rows are there, once each; {} kills left", left.max(0));
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}
