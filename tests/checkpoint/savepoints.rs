//! Names that are taken, files that cannot be read, and disks that fail when all is nearly done.

use std::cell::Cell;
use std::rc::Rc;

use fastrand::Rng;
use millstream::checkpoint::{Notice, Store, Taken};
use millstream::dataflow::Epoch;
use millstream::error::CheckpointError;
use millstream::io::Files;
use millstream::sim::SimDisk;

use super::seeds::each_seed;
use super::{any, newest, taken, whole};

/// What a savepoint holds: its epoch.
fn held_by(store: &mut Store<SimDisk>, name: &str) -> u64 {
    let all = store.list().unwrap();
    let (_, manifest) = all.into_iter().find(|(there, _)| there == name).expect(name);
    let manifest = manifest.unwrap_or_else(|error| panic!("{name}: {error}"));
    whole(&store.read(&manifest).unwrap())
}

#[test]
fn a_name_that_is_taken_is_refused_and_what_has_it_stays() {
    let mut store = Store::new(SimDisk::new(1), 2);
    store.keep(&taken(1, Some("mine"))).unwrap();
    assert!(matches!(store.check_name("mine"), Err(CheckpointError::Exists { .. })));
    assert!(matches!(store.check_name("up/there"), Err(CheckpointError::Name(_))));
    store.check_name("other").unwrap();
    let refused = store.keep(&taken(2, Some("mine"))).unwrap_err().to_string();
    let golden = "savepoint-mine.json: there is one of that name already; remove it, or choose \
                  another name";
    assert_eq!(refused, golden);
    let mut other = Store::new(SimDisk::new(2), 2);
    let manifest = other.keep(&taken(3, Some("mine"))).unwrap();
    let refused = store.copy(&mut other, "savepoint-mine.json", &manifest).unwrap_err();
    assert!(matches!(refused, CheckpointError::Exists { .. }), "{refused}");
    assert_eq!(held_by(&mut store, "savepoint-mine.json"), 1);
    store.keep(&taken(4, None)).unwrap();
    assert!(matches!(store.keep(&taken(4, None)), Err(CheckpointError::Exists { .. })));
}

/// Whatever the user does with a name, one savepoint that has it is whole after any crash.
#[test]
fn power_may_go_while_a_name_is_used_again() {
    each_seed(500, |seed| {
        let (mut rng, mut disk) = (Rng::with_seed(seed), SimDisk::new(seed));
        Store::new(disk.clone(), 2).keep(&taken(1, Some("mine"))).unwrap();
        disk.fail_after(rng.u64(..25));
        let is_removed = rng.bool() && disk.remove("savepoint-mine.json").is_ok();
        let again = Store::new(disk.clone(), 2).keep(&taken(2, Some("mine"))).is_ok();
        assert!(is_removed || !again, "written over");
        disk.crash();
        let mut store = Store::new(disk, 2);
        let names: Vec<_> = store.list().unwrap().into_iter().map(|(name, _)| name).collect();
        if !is_removed || again {
            assert_eq!(names, ["savepoint-mine.json"]);
        }
        for name in names {
            let held = held_by(&mut store, &name);
            assert!(held == if again { 2 } else { 1 } || is_removed && held <= 2);
        }
    });
}

#[test]
fn manifests_that_cannot_be_read_are_told_of_and_take_no_place() {
    let mut disk = SimDisk::new(1);
    let mut store = Store::new(disk.clone(), 2);
    store.keep(&taken(1, None)).unwrap();
    store.keep(&taken(2, Some("mine"))).unwrap();
    store.keep(&taken(3, None)).unwrap();
    assert_eq!(store.notices(), []);
    let damaged = ["checkpoint-000000000003.json", "savepoint-mine.json"];
    damaged.iter().for_each(|name| disk.flip(name, 3, 1).unwrap());
    for epoch in 4..=6 {
        store.keep(&taken(epoch, None)).unwrap();
    }
    let reason = || "its check sum is wrong".to_owned();
    let unreadable = |file: &str| Notice::Unreadable { file: file.to_owned(), reason: reason() };
    assert_eq!(store.notices(), damaged.map(unreadable));
    // The newest two that can be read, and everything that the others may name.
    let mut files: Vec<_> = disk.list().unwrap().into_iter().map(|(name, _)| name).collect();
    files.sort();
    let mut golden = Vec::new();
    for stem in ["checkpoint-000000000003", "checkpoint-000000000005", "checkpoint-000000000006"] {
        golden.extend(["-000.state", "-001.state", ".json"].map(|end| format!("{stem}{end}")));
    }
    let end = ["-000000000002-000.state", "-000000000002-001.state", ".json"];
    golden.extend(end.map(|end| format!("savepoint-mine{end}")));
    assert_eq!(files, golden);
    damaged.iter().for_each(|name| disk.flip(name, 3, 1).unwrap());
    store.keep(&taken(7, None)).unwrap();
    assert_eq!(store.notices(), []);
    assert_eq!(disk.list().unwrap().len(), 3 * 3);
}

#[test]
fn what_cannot_be_removed_is_told_of_and_the_checkpoint_counts() {
    let mut disk = SimDisk::new(1);
    let mut store = Store::new(disk.clone(), 1);
    store.keep(&taken(1, None)).unwrap();
    for operations in 0.. {
        let epoch = operations + 2;
        disk.fail_after(operations);
        let kept = store.keep(&taken(epoch, None));
        disk.fail_after(u64::MAX);
        if kept.is_ok() && disk.list().unwrap().len() > 3 {
            let [Notice::NotRemoved { reason }] = store.notices() else {
                panic!("{:?}", store.notices())
            };
            assert!(reason.contains("down"), "{reason}");
            store.keep(&taken(epoch + 1_000, None)).unwrap();
            assert_eq!((store.notices(), disk.list().unwrap().len()), (&[][..], 3));
            return;
        }
    }
}

#[test]
fn a_savepoint_that_cannot_be_read_is_as_new_as_the_names_of_its_files() {
    let mut disk = SimDisk::new(1);
    let mut store = Store::new(disk.clone(), 3);
    store.keep(&taken(1, None)).unwrap();
    store.keep(&taken(2, Some("mine"))).unwrap();
    disk.flip("savepoint-mine.json", 3, 1).unwrap();
    let refused = newest(&mut store).unwrap_err().to_string();
    let golden = "the newest checkpoint is of no use: savepoint-mine.json: its check sum is wrong; \
                  the newest one that would do is checkpoint-000000000001.json";
    assert_eq!(refused, golden);
    store.keep(&taken(3, None)).unwrap();
    assert_eq!(newest(&mut store).unwrap(), Some(3), "it is older");
    assert_eq!(store.notices(), []);
    for shard in 0..2 {
        disk.remove(&format!("savepoint-mine-000000000002-{shard:03}.state")).unwrap();
    }
    assert_eq!(newest(&mut store).unwrap(), Some(3));
    let file = "savepoint-mine.json".to_owned();
    assert_eq!(store.notices(), [Notice::OfUnknownAge { file }]);
}

/// A disk that fails to make names durable when it is told to.
#[derive(Clone)]
struct Forgetful(SimDisk, Rc<Cell<u32>>);

impl Files for Forgetful {
    fn list(&mut self) -> std::io::Result<Vec<(String, u64)>> {
        self.0.list()
    }
    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(name, offset, into)
    }
    fn create(&mut self, name: &str, bytes: u64) -> std::io::Result<()> {
        self.0.create(name, bytes)
    }
    fn write(&mut self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        self.0.write(name, parts)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_at(name, offset, bytes)
    }
    fn sync(&mut self, name: &str) -> std::io::Result<()> {
        self.0.sync(name)
    }
    fn truncate(&mut self, name: &str, bytes: u64) -> std::io::Result<()> {
        self.0.truncate(name, bytes)
    }
    fn rename(&mut self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }
    fn sync_directory(&mut self) -> std::io::Result<()> {
        let left = self.1.get();
        self.1.set(left.saturating_sub(1));
        if left == 1 {
            return Err(std::io::Error::other("the simulated disk is worn out"));
        }
        self.0.sync_directory()
    }
}

/// Whether it counts is open until somebody has looked, and then it is not.
#[test]
fn a_name_that_was_not_made_durable_counts_once_it_was_found() {
    for seed in 0..200 {
        let (mut disk, fails) = (SimDisk::new(seed), Rc::new(Cell::new(0)));
        let mut store = Store::new(Forgetful(disk.clone(), fails.clone()), 3);
        store.keep(&taken(1, None)).unwrap();
        fails.set(2);
        let error = store.keep(&taken(2, None)).unwrap_err().to_string();
        assert!(error.contains("worn out"), "{error}");
        if seed % 2 == 0 {
            // The process goes on and finds it; so it is there from now on.
            assert_eq!(newest(&mut store).unwrap(), Some(2));
            disk.crash();
            assert_eq!(newest(&mut Store::new(disk, 3)).unwrap(), Some(2), "seed {seed}");
        } else {
            disk.crash();
            let found = newest(&mut Store::new(disk.clone(), 3)).unwrap();
            assert!(matches!(found, Some(1 | 2)));
            disk.crash();
            assert_eq!(newest(&mut Store::new(disk, 3)).unwrap(), found);
        }
    }
}

/// A disk that cannot say what is durable gives nothing to go on from.
#[test]
fn nothing_is_found_where_names_cannot_be_made_durable() {
    let fails = Rc::new(Cell::new(0));
    let mut store = Store::new(Forgetful(SimDisk::new(1), fails.clone()), 3);
    store.keep(&Taken { epoch: Epoch(1), ..taken(1, None) }).unwrap();
    fails.set(1);
    assert!(store.newest(any).is_err());
    assert_eq!(newest(&mut store).unwrap(), Some(1));
}
