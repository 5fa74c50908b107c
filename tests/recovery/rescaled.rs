//! Runs of one pipeline on other numbers of shards, each from the files that the one before left.

use millstream::dataflow::Saved;
use millstream::io::{Generator, Partitioned};
use millstream::{KeyContext, Process};

use super::*;

const PARTITIONS: u32 = 3;

/// What comes of a run that ends at a planted panic, if there is one, from what is in a directory.
fn run(
    directory: &Path,
    shards: usize,
    trap: Option<i64>,
    commits: &MemoryCommits<Sums>,
) -> Result<Summary> {
    let checkpoints = Checkpoints::in_directory(directory, ms(1))?;
    let commits = commits.clone();
    Engine::new(config(shards))?.checkpoints(checkpoints).run(move |p| {
        let read = |partition: u32| {
            let here = (0..RECORDS).filter(|n| *n as u32 % PARTITIONS == partition);
            let records = here.map(|n| Record::new(Timestamp(n), n)).collect::<Vec<_>>();
            Ok::<_, Error>(MemorySource::new(records))
        };
        p.source(Partitioned::new(PARTITIONS, p.shard(), p.shards(), read)?)
            .inspect(move |record| assert!(trap != Some(record.value), "planted"))
            .key_by(|n| n % 7)
            .window(Tumbling::of(ns(1_000)))
            .aggregate((count(), sum(|n: &i64| *n)))
            .map(|window| (window.key, window.value))
            .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
        Ok(())
    })
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("millstream-{name}-{}", std::process::id()))
}

#[test]
fn a_run_goes_on_from_the_files_of_one_on_other_shards() {
    let _alone = alone();
    let (directory, commits) = (folder("rescaled"), MemoryCommits::new());
    let _ = std::fs::remove_dir_all(&directory);
    let mut panics = 0;
    for (shards, trap) in [(1, 70_000), (2, 120_000), (1, 150_000), (2, 190_000)] {
        match run(&directory, shards, Some(trap), &commits) {
            Err(Error::Panic { .. }) => panics += 1,
            Err(error) => panic!("{error}"),
            // A partition may be so far ahead of the others that its trap is behind it.
            Ok(_) => {}
        }
        assert!(std::fs::read_dir(&directory).unwrap().count() > 1, "it left a checkpoint");
    }
    assert!(panics >= 2, "{panics}");
    run(&directory, 1, None, &commits).unwrap();
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort_unstable();
    assert_eq!(all, want());
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Counts what a shard sees, whatever the key: nobody knows whose that is on other shards.
#[derive(Default)]
struct Seen(u64);

impl Process for Seen {
    type Key = u64;
    type In = u64;
    type State = u64;
    type Out = u64;

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        self.0 += 1;
        *ctx.state() += n;
        ctx.emit(self.0);
    }

    fn save(&self, out: &mut Saved) {
        out.put("seen", &self.0);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("seen", &mut self.0);
    }
}

#[test]
fn what_does_not_know_how_it_moves_is_refused_by_name() {
    let _alone = alone();
    let directory = folder("not-rescaled");
    let _ = std::fs::remove_dir_all(&directory);
    let run = |shards| {
        let checkpoints = Checkpoints::in_directory(&directory, ms(1))?;
        Engine::new(config(shards))?.checkpoints(checkpoints).run(|p| {
            let numbers = Generator::flat_out(1e6, |n, _| n)?.count(100_000);
            p.source(numbers.share(p.shard(), p.shards()))
                .key_by(|n| n % 7)
                .process(Seen::default())
                .for_each(drop);
            Ok(())
        })
    };
    run(1).unwrap();
    let refused = run(2).err().unwrap().to_string();
    let golden = "`seen` cannot be restored onto another number of shards: it does not say which \
                  part of its state is whose then";
    assert_eq!(refused, golden);
    std::fs::remove_dir_all(&directory).unwrap();
}
