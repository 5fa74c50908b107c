//! Journals on the real disk: closed and killed, locked, full.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use millstream::disk::{self, DiskStorage, Rung};
use millstream::error::JournalError;
use millstream::io::Directory;
use millstream::io::journal::{End, Journal, Reader, Refused, Settings, Sync};
use millstream::{Error, Timestamp};

use super::world::small;

const NOW: Timestamp = Timestamp(0);

/// A directory of its own, which is empty.
pub fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// Hands the record of this number over.
pub fn record<T>(number: u64, take: impl FnOnce(Timestamp, &[u8]) -> T) -> T {
    let bytes = [number.to_le_bytes(); 9];
    let length = 8 + (number % 64) as usize;
    take(Timestamp(number as i64), &bytes.as_flattened()[..length])
}

fn append(journal: &mut Journal<DiskStorage>, number: u64) {
    loop {
        match record(number, |at, bytes| journal.append(at, bytes)) {
            Ok(sequence) => return assert_eq!(sequence.0, number),
            Err(Refused::Full) => _ = journal.poll(NOW).unwrap(),
            Err(refused) => panic!("{refused:?}"),
        }
    }
}

/// All records that are kept, each of which must be the one with its number; how many there were.
pub fn read(path: &Path) -> u64 {
    let mut reader = Reader::open(Directory::open(path).unwrap()).unwrap();
    let mut count = reader.position().0;
    while let Some(record) = reader.read().unwrap() {
        assert_eq!(record.sequence.0, count);
        assert_eq!(record.at, Timestamp(count as i64));
        assert_eq!(record.bytes[..8], count.to_le_bytes());
        assert_eq!(record.bytes.len(), 8 + (count % 64) as usize);
        count += 1;
    }
    count
}

/// All ways to write; on a host without io_uring each of them is the last.
pub const RUNGS: [Rung; 3] = [Rung::Direct, Rung::Buffered, Rung::Threads];

#[test]
fn records_come_back_after_every_policy_however_they_are_written() {
    let policies = [Sync::None, Sync::Every(Duration::from_micros(50)), Sync::EveryRecord];
    for (rung, sync) in RUNGS.into_iter().flat_map(|rung| policies.map(|sync| (rung, sync))) {
        let path = folder(&format!("policy-{rung:?}-{sync:?}").replace([' ', '(', ')'], ""));
        let settings = Settings { sync, ..small() };
        let mut next = 0;
        for _ in 0..3 {
            let (mut journal, recovered) = disk::open_from(&path, settings, NOW, rung).unwrap();
            assert_eq!(recovered.next.0, next);
            (next..next + 400).for_each(|number| append(&mut journal, number));
            next += 400;
            journal.close(&mut Directory::open(&path).unwrap()).unwrap();
            assert_eq!(read(&path), next);
        }
        assert!(std::fs::read_dir(&path).unwrap().count() > 3, "there are several segments");
    }
}

#[test]
fn how_it_is_written_is_told() {
    for rung in RUNGS {
        let path = folder(&format!("rung-{rung:?}"));
        let (journal, _) = disk::open_from(&path, small(), NOW, rung).unwrap();
        let storage = journal.storage();
        println!("asked for {rung:?}: {storage}");
        let is_lower = storage.rung() > rung;
        assert!(storage.rung() >= rung && is_lower == storage.refused().is_some(), "{storage}");
        assert_eq!(disk::written_by(&path), Some(storage.to_string()));
        let names: Vec<_> = std::fs::read_dir(&path).unwrap().flatten().collect();
        let is_trial = |name: String| name.ends_with(".making");
        assert!(!names.iter().any(|entry| is_trial(entry.file_name().into_string().unwrap())));
    }
    assert_eq!(disk::written_by(folder("rung-none")), None);
}

/// Eight slots in flight at once, filled to the brim, over many segments that are used again.
#[test]
fn many_writes_in_flight_keep_their_places() {
    for rung in RUNGS {
        let path = folder(&format!("flight-{rung:?}"));
        let settings = Settings {
            segment_bytes: 256 << 10,
            slots: 8,
            slot_bytes: 16 << 10,
            in_flight: 8,
            bytes_max: Some(1 << 20),
            ..Settings::default()
        };
        let (mut journal, _) = disk::open_from(&path, settings, NOW, rung).unwrap();
        (0..100_000).for_each(|number| append(&mut journal, number));
        while journal.durable() < journal.next() {
            journal.poll(NOW).unwrap();
        }
        assert!(journal.stats().segments_removed > 10, "{:?}", journal.stats());
        // Retention may be at work until the very end.
        drop(journal);
        assert_eq!(read(&path), 100_000);
    }
}

#[test]
fn there_is_one_writer() {
    let path = folder("lock");
    let (journal, _) = disk::open(&path, small(), NOW).unwrap();
    let second = disk::open(&path, small(), NOW).err();
    assert!(matches!(second, Some(Error::Journal(JournalError::Locked { .. }))), "{second:?}");
    drop(journal);
    assert!(disk::open(&path, small(), NOW).is_ok());
}

/// How the process that is killed is told where to write, and how.
pub const FOLDER: &str = "MILLSTREAM_JOURNAL";
const RUNG: &str = "MILLSTREAM_RUNG";

/// The process that is killed, run by the test below. By itself it appends some and reads them.
#[test]
fn child() {
    let (path, last) = match std::env::var_os(FOLDER) {
        Some(path) => (PathBuf::from(path), u64::MAX),
        None => (folder("child"), 200),
    };
    let rung = std::env::var(RUNG).ok().and_then(|rung| rung.parse::<usize>().ok()).unwrap_or(0);
    let settings = Settings { sync: Sync::EveryRecord, ..small() };
    let (mut journal, recovered) = disk::open_from(&path, settings, NOW, RUNGS[rung]).unwrap();
    for number in recovered.next.0..last {
        append(&mut journal, number);
        if number % 7 == 0 {
            journal.poll(NOW).unwrap();
            println!("durable {}", journal.durable().0);
        }
    }
    while journal.durable() < journal.next() {
        journal.poll(NOW).unwrap();
    }
    drop(journal);
    assert_eq!(read(&path), last);
}

/// kill -9 at random instants: what was said to be durable is there, and nothing else but what was
/// appended, in order.
#[test]
fn nothing_durable_is_lost_to_a_kill() {
    let path = folder("killed");
    let (mut rng, mut torn, mut last) = (Rng::with_seed(11), 0, 0);
    for kill in 0..27 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "real::child", "--nocapture"])
            .env(FOLDER, &path)
            .env(RUNG, (kill % RUNGS.len()).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // After so many lines of it, not after some time: a busy host gets as far.
        let (said, wait) = (rng.usize(0..60), rng.u64(0..3_000));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
        let durable = numbers.by_ref().take(said).last().unwrap_or(last);
        std::thread::sleep(Duration::from_micros(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let durable = numbers.last().unwrap_or(durable);
        let settings = small();
        let (journal, recovered) = disk::open(&path, settings, NOW).unwrap();
        torn += u32::from(matches!(recovered.end, End::Torn { .. }));
        last = recovered.next.0;
        assert!(last >= durable, "{durable} were durable, and {last} are there");
        drop(journal);
        assert_eq!(read(&path), last);
    }
    println!("{last} records over 27 kills, {torn} of which tore a write");
    assert!(last > 1_000, "only {last} records were written");
}
