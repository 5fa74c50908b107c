//! Journals on the real disk: closed and killed, locked, full.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use millstream::disk::{self, ThreadedStorage};
use millstream::error::JournalError;
use millstream::io::Directory;
use millstream::io::journal::{End, Journal, Reader, Refused, Settings, Sync};
use millstream::{Error, Timestamp};

use super::world::small;

const NOW: Timestamp = Timestamp(0);

/// A directory of its own, which is empty.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn append(journal: &mut Journal<ThreadedStorage>, number: u64) {
    let bytes = [number.to_le_bytes(); 9];
    let length = 8 + (number % 64) as usize;
    loop {
        match journal.append(Timestamp(number as i64), &bytes.as_flattened()[..length]) {
            Ok(sequence) => return assert_eq!(sequence.0, number),
            Err(Refused::Full) => _ = journal.poll(NOW).unwrap(),
            Err(refused) => panic!("{refused:?}"),
        }
    }
}

/// All records, each of which must be the one with its number; how many there are.
fn read(path: &PathBuf) -> u64 {
    let mut reader = Reader::open(Directory::open(path).unwrap()).unwrap();
    let mut count = 0;
    while let Some(record) = reader.read().unwrap() {
        assert_eq!(record.sequence.0, count);
        assert_eq!(record.at, Timestamp(count as i64));
        assert_eq!(record.bytes[..8], count.to_le_bytes());
        assert_eq!(record.bytes.len(), 8 + (count % 64) as usize);
        count += 1;
    }
    count
}

#[test]
fn records_come_back_after_every_policy() {
    let policies = [Sync::None, Sync::Every(Duration::from_micros(50)), Sync::EveryRecord];
    for (number, sync) in policies.into_iter().enumerate() {
        let path = folder(&format!("policy-{number}"));
        let settings = Settings { sync, ..small() };
        let mut next = 0;
        for _ in 0..3 {
            let (mut journal, recovered) = disk::open(&path, settings, NOW).unwrap();
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
fn there_is_one_writer() {
    let path = folder("lock");
    let (journal, _) = disk::open(&path, small(), NOW).unwrap();
    let second = disk::open(&path, small(), NOW).err();
    assert!(matches!(second, Some(Error::Journal(JournalError::Locked { .. }))), "{second:?}");
    drop(journal);
    assert!(disk::open(&path, small(), NOW).is_ok());
}

/// The process that is killed: run by the test below, in a process of its own.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let path = PathBuf::from(std::env::var_os("MILLSTREAM_JOURNAL").expect("run by a test"));
    let settings = Settings { sync: Sync::EveryRecord, ..small() };
    let (mut journal, recovered) = disk::open(&path, settings, NOW).unwrap();
    for number in recovered.next.0.. {
        append(&mut journal, number);
        if number % 7 == 0 {
            journal.poll(NOW).unwrap();
            println!("durable {}", journal.durable().0);
        }
    }
}

/// kill -9 at random instants: what was said to be durable is there, and nothing else but what was
/// appended, in order.
#[test]
fn nothing_durable_is_lost_to_a_kill() {
    let path = folder("killed");
    let (mut rng, mut torn, mut last) = (Rng::with_seed(11), 0, 0);
    for _ in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "real::child", "--ignored", "--nocapture"])
            .env("MILLSTREAM_JOURNAL", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wait = rng.u64(2_000..60_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(wait));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let mut durable = last;
        while let Some(Ok(line)) = lines.next() {
            if let Some(number) = line.strip_prefix("durable ").and_then(|n| n.parse().ok()) {
                durable = number;
            }
        }
        killer.join().unwrap();
        let settings = small();
        let (journal, recovered) = disk::open(&path, settings, NOW).unwrap();
        torn += u32::from(matches!(recovered.end, End::Torn { .. }));
        last = recovered.next.0;
        assert!(last >= durable, "{durable} were durable, and {last} are there");
        drop(journal);
        assert_eq!(read(&path), last);
    }
    println!("{last} records over 25 kills, {torn} of which tore a write");
    assert!(last > 1_000, "only {last} records were written");
}
