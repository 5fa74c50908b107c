//! A pipeline that is fed by a journalled source, killed and restored: its state goes on from the
//! snapshot, and the journal gives it what came after.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use fastrand::Rng;
use millstream::dataflow::Epoch;
use millstream::error::IoError;
use millstream::io::journal::{Journal, Journalled, Settings};
use millstream::io::{Polled, Source};
use millstream::sim::SimDisk;
use millstream::{Config, Output, Record, Shard, Snapshot, Timestamp, us};

use super::sources::numbers;
use super::world::small;

/// Whatever the test puts in, once.
#[derive(Clone, Default)]
struct Tap(Rc<RefCell<VecDeque<u64>>>);

impl Source for Tap {
    type Out = u64;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<u64>),
    ) -> Result<Polled, IoError> {
        let mut values = self.0.borrow_mut();
        let some = budget.min(values.len());
        values.drain(..some).for_each(|value| emit(Record::new(now, value)));
        Ok(Polled::open())
    }
}

/// The sum of every third number so far, after each.
type Sums = Output<(u64, u64)>;

struct Run {
    disk: SimDisk,
    tap: Tap,
    now: Timestamp,
    shard: Shard,
    sums: Sums,
}

fn build(disk: &SimDisk, tap: &Tap, now: Timestamp) -> (Shard, Sums) {
    let settings = Settings { bytes_max: Some(128 << 10), ..small() };
    let built = Shard::embed(Config::embedded(), |p| {
        let mut files = disk.clone();
        let (journal, _) = Journal::open(&mut files, disk.storage(&settings), settings, 7, now)?;
        let source = Journalled::new(tap.clone(), numbers(), journal, files)?;
        Ok(p.source(source).key_by(|n| n % 3).reduce(|sum, n| *sum += n).output())
    });
    built.unwrap()
}

impl Run {
    fn new(seed: u64) -> Self {
        let (disk, tap, now) = (SimDisk::new(seed), Tap::default(), Timestamp(0));
        let (shard, sums) = build(&disk, &tap, now);
        Self { disk, tap, now, shard, sums }
    }

    fn step(&mut self) -> Vec<(u64, u64)> {
        self.now = self.now + us(20);
        self.shard.step(self.now);
        std::iter::from_fn(|| self.sums.pop()).map(|sum| sum.value).collect()
    }

    /// A checkpoint that the last step has finished, if it has finished one.
    fn checkpoint(&mut self) -> Option<Snapshot> {
        let (epoch, snapshot) = self.shard.take_checkpoint()?;
        self.shard.complete_checkpoint(epoch);
        Some(snapshot.unwrap())
    }

    /// Steps until a snapshot can be taken, which is once everything is durable.
    fn snapshot(&mut self, came: &mut Vec<(u64, u64)>) -> Snapshot {
        for _ in 0..10_000 {
            came.extend(self.step());
            if self.tap.0.borrow().is_empty()
                && let Ok(snapshot) = self.shard.snapshot()
            {
                return snapshot;
            }
        }
        panic!("never at rest: {:?}", self.shard.snapshot().err());
    }
}

#[test]
fn a_restored_pipeline_sees_what_came_after_its_snapshot_and_then_what_is_new() {
    for seed in 0..20 {
        let (mut rng, mut run, mut came) = (Rng::with_seed(seed), Run::new(seed), Vec::new());
        run.tap.0.borrow_mut().extend(0..rng.u64(..300));
        let snapshot = run.snapshot(&mut came);
        let before = came.len();
        let more = before as u64 + rng.u64(..300);
        run.tap.0.borrow_mut().extend(before as u64..more);
        // Durable as well: what is not may be lost with the power.
        run.snapshot(&mut came);
        run.disk.crash();
        (run.shard, run.sums) = build(&run.disk, &run.tap, run.now);
        run.shard.restore(&snapshot).unwrap();
        came.truncate(before);
        run.tap.0.borrow_mut().extend(more..more + 50);
        run.snapshot(&mut came);
        let mut sums = [0; 3];
        let want = (0..more + 50).map(|n| {
            sums[(n % 3) as usize] += n;
            (n % 3, sums[(n % 3) as usize])
        });
        assert_eq!(came, want.collect::<Vec<_>>(), "seed {seed}");
    }
}

/// Checkpoints in passing while records come, and a crash at any step. Retention takes what no
/// checkpoint needs.
#[test]
fn checkpoints_taken_in_passing_lose_nothing_and_repeat_nothing() {
    for seed in 0..20 {
        let (mut rng, mut run, mut came) = (Rng::with_seed(seed), Run::new(seed), Vec::new());
        let (mut last, mut taken, mut next) = (None, 0, 0);
        for life in 0..4u64 {
            for step in 0..rng.u64(50..400) {
                if step % 30 == 0 {
                    run.shard.begin_checkpoint(Epoch(1_000 * life + step + 1));
                }
                let more = next + rng.u64(..30);
                run.tap.0.borrow_mut().extend(next..more);
                next = more;
                came.extend(run.step());
                if let Some(snapshot) = run.checkpoint() {
                    (last, taken) = (Some(snapshot), taken + 1);
                }
            }
            // All is through and durable, so that a crash loses nothing, and a checkpoint that was
            // still under way is taken.
            for _ in 0..200 {
                came.extend(run.step());
                last = run.checkpoint().or(last);
            }
            run.snapshot(&mut came);
            run.disk.crash();
            (run.shard, run.sums) = build(&run.disk, &run.tap, run.now);
            if let Some(snapshot) = &last {
                run.shard.restore(snapshot).unwrap();
            }
            let again: Vec<_> = (0..200).flat_map(|_| run.step()).collect();
            assert!(came.ends_with(&again), "seed {seed}, life {life}: {} came", again.len());
        }
        assert!(taken > 5, "seed {seed}: {taken} checkpoints");
        let mut sums = [0; 3];
        let want = (0..next).map(|n| {
            sums[(n % 3) as usize] += n;
            (n % 3, sums[(n % 3) as usize])
        });
        assert_eq!(came, want.collect::<Vec<_>>(), "seed {seed}");
    }
}
