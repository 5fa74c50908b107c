//! Checkpoints as objects: in memory, and in a local directory that is treated as a store.

use std::fs;
use std::sync::Arc;

use millstream::checkpoint::object_store::local::LocalFileSystem;
use millstream::checkpoint::object_store::memory::InMemory;
use millstream::checkpoint::object_store::{ObjectStore, PutMode};
use millstream::checkpoint::{Notice, Objects, Store, in_objects};
use millstream::error::CheckpointError;
use millstream::io::Files;

use super::{folder, newest, taken};

fn open(store: &Arc<dyn ObjectStore>) -> Store<Objects> {
    in_objects(store.clone(), "some/where", 2).unwrap()
}

/// What any store must do, whatever is behind it.
fn check(objects: &Arc<dyn ObjectStore>) {
    let mut store = open(objects);
    assert_eq!(newest(&mut store).unwrap(), None);
    for epoch in 1..=5 {
        store.keep(&taken(epoch, None)).unwrap();
        assert_eq!(newest(&mut open(objects)).unwrap(), Some(epoch));
    }
    store.keep(&taken(6, Some("mine"))).unwrap();
    let taken_name = open(objects).keep(&taken(7, Some("mine"))).unwrap_err();
    assert!(matches!(taken_name, CheckpointError::Exists { .. }), "{taken_name}");
    assert_eq!(store.notices(), []);
    let names: Vec<_> = store.list().unwrap().into_iter().map(|(name, _)| name).collect();
    let golden =
        ["checkpoint-000000000004.json", "checkpoint-000000000005.json", "savepoint-mine.json"];
    assert_eq!(names, golden);
    assert_eq!(newest(&mut store).unwrap(), Some(6));
    // Beside it, and not in it.
    let mut other = in_objects(objects.clone(), "some", 2).unwrap();
    assert_eq!(newest(&mut other).unwrap(), None);
    other.keep(&taken(9, None)).unwrap();
    assert_eq!(newest(&mut store).unwrap(), Some(6));
}

#[test]
fn in_memory() {
    check(&(Arc::new(InMemory::new()) as Arc<dyn ObjectStore>));
}

#[test]
fn in_a_local_directory() {
    let folder = folder("objects");
    fs::create_dir_all(&folder).unwrap();
    let local = LocalFileSystem::new_with_prefix(&folder).unwrap().with_fsync(true);
    check(&(Arc::new(local) as Arc<dyn ObjectStore>));
    let damaged = folder.join("some/where/checkpoint-000000000005.json");
    fs::write(&damaged, b"{}").unwrap();
    let local = LocalFileSystem::new_with_prefix(&folder).unwrap();
    let mut store = open(&(Arc::new(local) as Arc<dyn ObjectStore>));
    store.keep(&taken(8, None)).unwrap();
    assert!(matches!(store.notices(), [Notice::Unreadable { .. }]), "{:?}", store.notices());
    fs::remove_dir_all(folder).unwrap();
}

/// Nothing takes the place of a manifest, even if two writers have looked at the same moment.
#[test]
fn a_second_writer_is_refused() {
    let objects = Arc::new(InMemory::new()) as Arc<dyn ObjectStore>;
    open(&objects).keep(&taken(1, None)).unwrap();
    let mut files = open(&objects).into_files();
    files.write("late.unfinished", &[b"of the second"]).unwrap();
    let refused = files.rename("late.unfinished", "checkpoint-000000000001.json").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists, "{refused}");
    assert_eq!(newest(&mut open(&objects)).unwrap(), Some(1));
    assert_eq!(PutMode::default(), PutMode::Overwrite, "which is not what a rename may do");
}

/// In parts, as what is longer than one of them is uploaded.
#[test]
fn what_is_long_is_whole() {
    let objects = Arc::new(InMemory::new()) as Arc<dyn ObjectStore>;
    let mut files = open(&objects).into_files();
    let long: Vec<u8> = (0..(40u32 << 20)).map(|n| (n >> 7) as u8).collect();
    files.write("long", &[&long[..7], &[], &long[7..]]).unwrap();
    let mut read = vec![0; long.len()];
    assert_eq!(files.read_at("long", 0, &mut read).unwrap(), long.len());
    assert!(read == long);
    assert!(files.read_at("missing", 0, &mut [0]).is_err());
    assert!(files.truncate("long", 1).is_err() && files.create("new", 1).is_err());
}

/// Real shards that panic and go on from what is in the store.
#[cfg(feature = "runtime")]
#[test]
fn an_engine_goes_on_from_objects() {
    use std::sync::atomic::{AtomicU32, Ordering};

    use millstream::io::{AtCheckpoint, MemoryCommits, MemorySource};
    use millstream::runtime::{Checkpoints, Restart};
    use millstream::{Config, Engine, Record, Shards, Timestamp, ms};

    let objects = Arc::new(InMemory::new()) as Arc<dyn ObjectStore>;
    let (shown, panics) = (MemoryCommits::new(), Arc::new(AtomicU32::new(3)));
    let commits = shown.clone();
    let config = Config { shards: Shards::Count(1), batch_max: 64, ..Config::default() };
    Engine::new(config)
        .unwrap()
        .checkpoints(Checkpoints::every(ms(1), open(&objects)))
        .restart(Restart::fixed_delay(9, ms(1)))
        .run(move |p| {
            let panics = panics.clone();
            let numbers = (0..100_000).map(|n| Record::new(Timestamp(n), n));
            p.source(MemorySource::new(numbers.collect::<Vec<_>>()))
                .inspect(move |record| {
                    let order = Ordering::SeqCst;
                    let planted = record.value % 30_000 == 29_999
                        && panics.fetch_update(order, order, |left| left.checked_sub(1)).is_ok();
                    assert!(!planted, "planted");
                })
                .key_by(|n| n % 7)
                .reduce(|sum, n| *sum += n)
                .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown.records().len(), 100_000, "none lost, none twice");
    assert!(open(&objects).newest(super::any).unwrap().is_some());
}
