//! Checkpoints on a simulated disk that loses power, fills up and rots, and in a real directory.

#[path = "checkpoint/increments.rs"]
mod increments;
#[cfg(feature = "object-store")]
#[path = "checkpoint/objects.rs"]
mod objects;
#[path = "checkpoint/savepoints.rs"]
mod savepoints;
#[path = "support/seeds.rs"]
mod seeds;

use std::fs;

use fastrand::Rng;
use millstream::checkpoint::{self, Manifest, ShardState, Store, Taken};
use millstream::dataflow::{Epoch, Plan, Saved};
use millstream::error::CheckpointError;
use millstream::io::{Directory, Files};
use millstream::sim::SimDisk;
use millstream::{Config, Shard, Timestamp};

use seeds::each_seed;

/// What an operator of a shard held at an epoch.
fn held(epoch: u64, shard: usize) -> Vec<u64> {
    (0..epoch % 50 + 3).map(|n| epoch * 1_000 + shard as u64 * 100 + n).collect()
}

fn taken(epoch: u64, name: Option<&str>) -> Taken {
    let state = |shard| {
        let mut saved = Saved::new();
        saved.put("numbers", &held(epoch, shard));
        saved.put("epoch", &epoch);
        ShardState { plan: Plan::default(), now: Timestamp(7), stages: vec![saved, Saved::new()] }
    };
    Taken {
        epoch: Epoch(epoch),
        name: name.map(str::to_owned),
        hash_seed: 42,
        complete_at: Timestamp(epoch as i64),
        shards: vec![state(0), state(1)],
    }
}

/// The epoch of a checkpoint that was read, if it holds what was held then.
fn whole(states: &[ShardState]) -> u64 {
    let epochs = states.iter().enumerate().map(|(shard, state)| {
        let (mut numbers, mut epoch) = (Vec::<u64>::new(), 0u64);
        let mut saved = state.stages[0].clone();
        saved.take("numbers", &mut numbers);
        saved.take("epoch", &mut epoch);
        saved.finish().unwrap();
        assert_eq!(numbers, held(epoch, shard));
        epoch
    });
    let epochs: Vec<u64> = epochs.collect();
    assert_eq!(epochs, [epochs[0]; 2]);
    epochs[0]
}

fn any(_: &Manifest) -> Result<(), String> {
    Ok(())
}

fn newest<F: Files>(store: &mut Store<F>) -> Result<Option<u64>, CheckpointError> {
    Ok(store.newest(any)?.map(|(manifest, states)| {
        assert_eq!(manifest.epoch.0, whole(&states));
        manifest.epoch.0
    }))
}

#[test]
fn the_newest_are_kept_and_savepoints_stay() {
    let disk = SimDisk::new(1);
    let mut store = Store::new(disk.clone(), 2);
    assert_eq!(newest(&mut store).unwrap(), None);
    for epoch in 1..=5 {
        store.keep(&taken(epoch, None)).unwrap();
        if epoch == 3 {
            store.keep(&taken(3, Some("before-the-move"))).unwrap();
        }
        assert_eq!(newest(&mut store).unwrap(), Some(epoch));
    }
    let names: Vec<_> = store.list().unwrap().into_iter().map(|(name, _)| name).collect();
    let golden = [
        "checkpoint-000000000004.json",
        "checkpoint-000000000005.json",
        "savepoint-before-the-move.json",
    ];
    assert_eq!(names, golden);
    assert_eq!(disk.clone().list().unwrap().len(), 3 * 3, "and no file that nobody names");
    let bad = store.keep(&taken(6, Some("../up"))).unwrap_err();
    assert!(matches!(bad, CheckpointError::Name(_)), "{bad}");
}

/// Some life of a store on a disk that goes down at any operation.
fn live(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed);
    let (mut known, mut tried) = (None, 0);
    for _ in 0..rng.usize(1..6) {
        if rng.bool() {
            disk.fail_after(rng.u64(1..80));
        }
        let mut store = Store::new(disk.clone(), rng.usize(1..4));
        for _ in 0..rng.usize(..6) {
            tried += 1;
            match store.keep(&taken(tried, None)) {
                Ok(_) => known = Some(tried),
                Err(_) => break,
            }
        }
        if rng.bool() {
            disk.crash()
        } else {
            disk.kill()
        }
        // What was complete is there, or what was just being written.
        let mut store = Store::new(disk.clone(), 3);
        let found = newest(&mut store).unwrap();
        assert!(found >= known && found.unwrap_or(0) <= tried, "{found:?} of {known:?}");
        for (name, manifest) in store.list().unwrap() {
            let manifest = manifest.unwrap_or_else(|error| panic!("{name}: {error}"));
            whole(&store.read(&manifest).unwrap());
        }
        known = found;
    }
}

#[test]
fn power_may_go_at_any_operation() {
    each_seed(1_000, live);
}

#[test]
fn a_disk_may_be_full_at_any_operation() {
    for room in (0..20_000).step_by(97) {
        let mut disk = SimDisk::new(room);
        let mut store = Store::new(disk.clone(), 2);
        store.keep(&taken(1, None)).unwrap();
        disk.set_room(room);
        let mut known = 1;
        for epoch in 2..6 {
            match store.keep(&taken(epoch, None)) {
                Ok(_) => known = epoch,
                Err(error) => assert!(error.to_string().contains("write"), "{error}"),
            }
            assert_eq!(newest(&mut store).unwrap(), Some(known));
        }
    }
}

#[test]
fn every_bit_that_rots_is_found_and_the_one_before_is_named() {
    let mut disk = SimDisk::new(5);
    let mut store = Store::new(disk.clone(), 3);
    store.keep(&taken(1, None)).unwrap();
    store.keep(&taken(2, None)).unwrap();
    let files = disk.list().unwrap().into_iter();
    for (name, length) in files.filter(|(name, _)| name.contains("000002")) {
        for at in 0..length as usize {
            disk.flip(&name, at, at as u32 % 8).unwrap();
            let error = newest(&mut store).unwrap_err();
            disk.flip(&name, at, at as u32 % 8).unwrap();
            let CheckpointError::Refused { would_do, reason } = &error else {
                panic!("{name} {at}: {error}")
            };
            assert_eq!(would_do.as_deref(), Some("checkpoint-000000000001.json"), "{reason}");
            assert!(error.to_string().contains(&name), "{error}");
        }
        let mut bytes = vec![0; length as usize];
        disk.read_at(&name, 0, &mut bytes).unwrap();
        for end in 0..length {
            disk.write(&name, &[&bytes[..end as usize]]).unwrap();
            assert!(newest(&mut store).is_err(), "{name} cut off at {end}");
        }
        disk.remove(&name).unwrap();
        let missing = newest(&mut store);
        match name.ends_with(".json") {
            true => assert_eq!(missing.unwrap(), Some(1), "it is no checkpoint any more"),
            false => assert!(missing.unwrap_err().to_string().contains(&name)),
        }
        disk.write(&name, &[&bytes]).unwrap();
    }
    assert_eq!(newest(&mut store).unwrap(), Some(2));
}

#[test]
fn one_that_does_not_fit_is_refused_with_the_reason() {
    let mut store = Store::new(SimDisk::new(1), 3);
    store.keep(&taken(1, None)).unwrap();
    store.keep(&Taken { hash_seed: 7, ..taken(2, None) }).unwrap();
    let fits = |manifest: &Manifest| match manifest.hash_seed {
        42 => Ok(()),
        seed => Err(format!("keys were hashed by seed {seed}, not 42")),
    };
    let error = store.newest(fits).err().unwrap().to_string();
    let golden = "the newest checkpoint is of no use: checkpoint-000000000002.json: keys were \
                  hashed by seed 7, not 42; the newest one that would do is \
                  checkpoint-000000000001.json";
    assert_eq!(error, golden);
    let error = store.newest(|_| Err("no".to_owned())).err().unwrap().to_string();
    assert!(error.ends_with("there is none that would do"), "{error}");
}

#[test]
fn a_newer_version_says_which_it_is() {
    let mut disk = SimDisk::new(1);
    let mut store = Store::new(disk.clone(), 3);
    store.keep(&taken(1, None)).unwrap();
    let text = "{\n  \"format\": 9,\n  \"soul\": true\n}\n";
    let sum = crc32c::crc32c(text.as_bytes());
    let text = format!("{text}crc32c {sum:08x}\n");
    disk.write("checkpoint-000000000002.json", &[text.as_bytes()]).unwrap();
    let error = newest(&mut store).unwrap_err().to_string();
    assert!(error.contains("it is of version 9, and this build reads 5; the newest"), "{error}");
}

fn folder(name: &str) -> std::path::PathBuf {
    let name = format!("millstream-{name}-{}", std::process::id());
    std::env::temp_dir().join(name)
}

#[test]
fn a_real_directory_has_one_writer() {
    let folder = folder("checkpoints");
    let mut store = checkpoint::open(&folder, 2).unwrap();
    store.keep(&taken(1, None)).unwrap();
    let second = checkpoint::open(&folder, 2).err().unwrap();
    assert!(matches!(second, CheckpointError::Locked { .. }), "{second}");
    // Who only looks needs no lock.
    let mut reader = Store::new(Directory::open(&folder).unwrap(), 1);
    assert_eq!(newest(&mut reader).unwrap(), Some(1));
    drop(store);
    let mut store = checkpoint::open(&folder, 2).unwrap();
    assert_eq!(newest(&mut store).unwrap(), Some(1));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_shard_goes_on_from_what_was_read() {
    let build = || {
        Shard::embed(Config::embedded(), |p| {
            let (input, numbers) = p.input::<u64>();
            Ok((input, numbers.key_by(|n| n % 2).reduce(|sum, n| *sum += n).output()))
        })
        .unwrap()
    };
    let (mut shard, (mut numbers, _sums)) = build();
    numbers.push(Timestamp(1), 40).unwrap();
    while !shard.step(Timestamp(1)).is_none() {}
    let mut store = Store::new(SimDisk::new(1), 1);
    let state = shard.snapshot().unwrap().into();
    store.keep(&Taken { shards: vec![state], ..taken(1, None) }).unwrap();
    let (_, states) = store.newest(any).unwrap().unwrap();
    let snapshot = states.into_iter().next().unwrap().into();
    let (mut shard, (mut numbers, mut sums)) = build();
    shard.restore(&snapshot).unwrap();
    numbers.push(Timestamp(2), 2).unwrap();
    while !shard.step(Timestamp(2)).is_none() {}
    assert_eq!(sums.pop().map(|sum| sum.value), Some((0, 42)));
}
