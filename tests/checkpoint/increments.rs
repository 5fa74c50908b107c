//! Checkpoints that refer to those before them for what has not changed since.

use millstream::checkpoint::{Manifest, Store, Taken};
use millstream::dataflow::Epoch;
use millstream::error::CheckpointError;
use millstream::io::Files;
use millstream::sim::SimDisk;
use millstream::{
    Config, Input, Output, Shard, Sliding, Snapshot, Timestamp, Windowed, aggregates, ms,
};

use super::any;

/// A shard with windows of ten slices each, of which only the last one gets records.
struct Running {
    shard: Shard,
    input: Input<u64>,
    sums: Output<Windowed<u64, u64>>,
    store: Store<SimDisk>,
    disk: SimDisk,
}

const KEYS: u64 = 500;

fn built() -> (Shard, (Input<u64>, Output<Windowed<u64, u64>>)) {
    let config = Config { embedded_capacity: 1 << 14, ..Config::embedded() };
    Shard::embed(config, |p| {
        let (input, numbers) = p.input::<u64>();
        let windows = numbers.key_by(|n| n % KEYS).window(Sliding::of(ms(100)).every(ms(10)));
        Ok((input, windows.aggregate(aggregates::sum(|n: &u64| *n)).output()))
    })
    .unwrap()
}

/// Records of each slice from one to another.
fn feed(shard: &mut Shard, input: &mut Input<u64>, slices: std::ops::Range<i64>) {
    for slice in slices {
        for n in 0..KEYS {
            input.push(Timestamp::from_millis(slice * 10), n * 3).unwrap();
        }
        while !shard.step(Timestamp(0)).is_none() {}
    }
}

impl Running {
    fn new() -> Self {
        let (disk, (shard, (input, sums))) = (SimDisk::new(3), built());
        let store = Store::new(disk.clone(), 2);
        Self { shard, input, sums, store, disk }
    }

    fn feed(&mut self, slices: std::ops::Range<i64>) {
        feed(&mut self.shard, &mut self.input, slices);
    }

    fn taken(&mut self, epoch: u64, is_whole: bool) -> Snapshot {
        match is_whole {
            true => self.shard.begin_checkpoint(Epoch(epoch)),
            false => self.shard.begin_increment(Epoch(epoch)),
        }
        loop {
            self.shard.step(Timestamp(0));
            if let Some((_, snapshot)) = self.shard.take_checkpoint() {
                return snapshot.unwrap();
            }
        }
    }

    fn kept(
        &mut self,
        epoch: u64,
        name: Option<&str>,
        snapshot: Snapshot,
    ) -> Result<Manifest, CheckpointError> {
        let manifest = self.store.keep(&Taken {
            epoch: Epoch(epoch),
            name: name.map(str::to_owned),
            hash_seed: 0,
            complete_at: Timestamp(0),
            shards: vec![snapshot.into()],
        })?;
        self.shard.complete_checkpoint(Epoch(epoch));
        Ok(manifest)
    }

    fn keep(&mut self, epoch: u64, is_whole: bool) -> Manifest {
        let snapshot = self.taken(epoch, is_whole);
        self.kept(epoch, None, snapshot).unwrap()
    }

    fn files(&mut self) -> Vec<String> {
        let mut names: Vec<_> = self.disk.list().unwrap().into_iter().map(|it| it.0).collect();
        names.retain(|name| name.ends_with(".state"));
        names.sort();
        names
    }
}

/// What comes of a shard that goes on.
fn rest(
    mut shard: Shard,
    mut input: Input<u64>,
    mut sums: Output<Windowed<u64, u64>>,
) -> Vec<Windowed<u64, u64>> {
    while sums.pop().is_some() {}
    let mut all = Vec::new();
    for slice in 40..60 {
        feed(&mut shard, &mut input, slice..slice + 1);
        all.extend(std::iter::from_fn(|| sums.pop()).map(|sum| sum.value));
    }
    all
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let mut run = Running::new();
    run.feed(0..9);
    let whole = run.keep(1, true);
    assert!(whole.is_whole());
    run.feed(9..10);
    let next = run.keep(2, false);
    let own = next.state_bytes() - next.bytes_elsewhere();
    assert!(own * 3 < whole.state_bytes(), "{own} of {}", next.state_bytes());
    assert!(next.state_bytes() > whole.state_bytes());
    // From the files of both, a shard goes on as the one that was never stopped.
    run.disk.crash();
    let mut store = Store::new(run.disk.clone(), 2);
    let (found, mut states) = store.newest(any).unwrap().unwrap();
    assert_eq!(found, next);
    let (mut other, (input, sums)) = built();
    other.restore(&states.remove(0).into()).unwrap();
    let want = rest(run.shard, run.input, run.sums);
    assert!(!want.is_empty());
    assert_eq!(rest(other, input, sums), want);
}

#[test]
fn files_stay_for_as_long_as_somebody_refers_to_them() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    for epoch in 2..7 {
        let slice = 7 + epoch as i64;
        run.feed(slice..slice + 1);
        run.keep(epoch, false);
        // Two are kept, and slices that were in the first are still in windows.
        assert!(run.files().contains(&"checkpoint-000000000001-000.state".to_owned()));
        run.store.newest(any).unwrap();
    }
    assert_eq!(run.store.list().unwrap().len(), 2);
    run.keep(7, true);
    run.keep(8, false);
    let golden = ["checkpoint-000000000007-000.state", "checkpoint-000000000008-000.state"];
    assert_eq!(run.files(), golden);
}

#[test]
fn a_file_that_is_referred_to_and_gone_is_named() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    let next = run.keep(2, false);
    run.disk.remove("checkpoint-000000000001-000.state").unwrap();
    let error = run.store.read(&next).err().unwrap().to_string();
    assert!(error.contains("checkpoint-000000000001-000.state"), "{error}");
}

#[test]
fn a_byte_that_is_referred_to_and_has_rotted_is_found() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    let next = run.keep(2, false);
    let file = "checkpoint-000000000001-000.state";
    let there = next.shards[0].stages.iter().flat_map(|stage| &stage.elsewhere);
    let place = there.map(|there| there.offset).next().unwrap();
    let mut byte = [0];
    run.disk.read_at(file, place, &mut byte).unwrap();
    run.disk.write_at(file, place, &[byte[0] ^ 1]).unwrap();
    let error = run.store.read(&next).err().unwrap();
    assert!(matches!(&error, CheckpointError::Damaged { file: it, .. } if it == file), "{error}");
}

#[test]
fn a_savepoint_refers_to_nothing_and_nothing_refers_to_it() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    let increment = run.taken(2, false);
    let refused = run.kept(2, Some("mine"), increment).unwrap_err().to_string();
    assert!(refused.contains("it refers to checkpoint 1, which it may not"), "{refused}");
    let whole = run.taken(3, true);
    assert!(run.kept(3, Some("mine"), whole).unwrap().is_whole());
    let increment = run.taken(4, false);
    let refused = run.kept(4, None, increment).unwrap_err().to_string();
    assert!(refused.contains("it refers to checkpoint 3, which it may not"), "{refused}");
}

#[test]
fn a_snapshot_that_refers_to_others_is_not_restored_by_itself() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    let increment = run.taken(2, false);
    let (mut other, _) = built();
    let error = other.restore(&increment).unwrap_err().to_string();
    assert!(error.contains("its copy is in a checkpoint before this one"), "{error}");
}

#[test]
fn an_increment_that_is_copied_elsewhere_brings_what_it_refers_to() {
    let mut run = Running::new();
    run.feed(0..9);
    run.keep(1, true);
    run.feed(9..10);
    let next = run.keep(2, false);
    let mut there = Store::new(SimDisk::new(9), 2);
    there.copy(&mut run.store, "checkpoint-000000000002.json", &next).unwrap();
    let (found, _) = there.newest(any).unwrap().unwrap();
    assert_eq!(found.epoch, Epoch(2));
}
