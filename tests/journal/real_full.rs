//! File systems that are really full, or know no direct writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use millstream::disk::{self, Rung};
use millstream::io::journal::{OnFull, Refused, Settings};
use millstream::{Timestamp, ms};

use super::real::{FOLDER, RUNGS, folder, read, record};
use super::world::small;

/// A file system of its own, as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    /// None where this may not be done.
    fn new(name: &str, kind: &str, options: &str) -> Option<Self> {
        let path = folder(name);
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", kind, "-o", options, kind]).arg(&path);
        let is_done = mount.output().is_ok_and(|done| done.status.success());
        is_done.then_some(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_sheds_and_goes_on_when_there_is_room() {
    for rung in RUNGS {
        let Some(disk) = Mounted::new(&format!("full-{rung:?}"), "tmpfs", "size=1m") else {
            return println!("skipped: no file system can be mounted here");
        };
        shed_and_go_on(&disk.0, rung);
    }
}

fn shed_and_go_on(path: &Path, rung: Rung) {
    let ballast = path.join("ballast");
    fs::write(&ballast, vec![1; 400 << 10]).unwrap();
    let settings = Settings { on_full: OnFull::Shed, retry_after: ms(2), ..small() };
    let (mut journal, _) = disk::open_from(path, settings, now(), rung).unwrap();
    println!("full, by {}", journal.storage());
    let mut taken = 0;
    loop {
        match record(taken, |at, bytes| journal.append(at, bytes)) {
            Ok(_) => taken += 1,
            Err(Refused::Full) => _ = journal.poll(now()).unwrap(),
            Err(Refused::Shed) => break,
            Err(refused) => panic!("{refused:?}"),
        }
        assert!(taken < 100_000, "it is never full");
    }
    assert!(taken > 5_000, "only {taken}");
    fs::remove_file(ballast).unwrap();
    let more = taken + 2_000;
    while taken < more {
        match record(taken, |at, bytes| journal.append(at, bytes)) {
            Ok(_) => taken += 1,
            Err(Refused::Full | Refused::Shed) => _ = journal.poll(now()).unwrap(),
            Err(refused) => panic!("{refused:?}"),
        }
    }
    while journal.durable() < journal.next() {
        journal.poll(now()).unwrap();
    }
    assert_eq!((journal.stats().disk_full, journal.is_disk_full()), (1, false));
    drop(journal);
    assert_eq!(read(path), taken);
}

#[test]
fn where_there_are_no_direct_writes_it_goes_through_the_page_cache() {
    let Some(disk) = Mounted::new("ramfs", "ramfs", "rw") else {
        return println!("skipped: no file system can be mounted here");
    };
    let (mut journal, _) = disk::open(&disk.0, small(), now()).unwrap();
    println!("written by {}", journal.storage());
    assert!(journal.storage().rung() >= Rung::Buffered, "{}", journal.storage());
    assert!(journal.storage().refused().is_some());
    for number in 0..300 {
        while record(number, |at, bytes| journal.append(at, bytes)).is_err() {
            journal.poll(now()).unwrap();
        }
    }
    while journal.durable() < journal.next() {
        journal.poll(now()).unwrap();
    }
    drop(journal);
    assert_eq!(read(&disk.0), 300);
}

/// A clock for whatever waits.
fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
    Timestamp(since.as_nanos() as i64)
}

/// A limit to how long a file may be, which is no longer than a trial or a segment.
#[test]
fn a_file_that_may_not_be_so_long_is_a_full_disk() {
    let path = folder("limited");
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let done = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "real::child", "--nocapture"])
        .env(FOLDER, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("first segment"), "{said}");
}
