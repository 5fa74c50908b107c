//! Records that do no harm before event time has passed on.

use millstream::aggregates::{count, reduce};
use millstream::dataflow::{Epoch, Saved};
use millstream::error::IoError;
use millstream::io::{AtCheckpoint, Legible, MemoryCommits, MemorySink, MemorySource, Sink};
use millstream::operators::Order;
use millstream::runtime::{Checkpoints, InMemory, Restart, Summary};
use millstream::{
    Engine, Error, KeyContext, Process, Record, Result, Timestamp, Tumbling, Watermarks, ms, ns,
    secs,
};

use super::{RECORDS, alone, engine, kept, numbers, numbers_of, with_checkpoints};

/// Adds up by key in the order of time, and takes no poison.
struct InOrder(Vec<i64>);

impl Process for InOrder {
    type Key = i64;
    type In = i64;
    type State = i64;
    type Out = (i64, i64);

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, n: i64, ctx: &mut KeyContext<'_, Self>) {
        assert!(!self.0.contains(&n), "{n} is poison");
        *ctx.state() += n;
        let sum = *ctx.state();
        ctx.emit((n, sum));
    }
}

/// A sink that shows everything at checkpoints, and another one that shows it at once.
struct Both<A>(A, MemorySink<(i64, i64)>);

impl<A: Sink<(i64, i64)>> Sink<(i64, i64)> for Both<A> {
    fn accept(&mut self, record: Record<(i64, i64)>) -> std::result::Result<(), IoError> {
        self.1.accept(record)?;
        self.0.accept(record)
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        self.1.end_of_batch()
    }

    fn on_barrier(&mut self, epoch: Epoch) -> std::result::Result<(), IoError> {
        self.0.on_barrier(epoch)
    }

    fn on_complete(&mut self, epoch: Epoch) -> std::result::Result<(), IoError> {
        self.0.on_complete(epoch)
    }

    fn save(&self, out: &mut Saved) {
        self.0.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.0.load(from);
    }
}

/// How many of them there are.
const DISORDERED: i64 = 3_200;

/// Disordered numbers, summed up by key in order: what the sink shows at checkpoints, and what a
/// sink has seen that shows everything at once.
fn in_order(engine: Engine, poison: &[i64]) -> (Result<Summary>, Vec<(i64, i64)>, Vec<(i64, i64)>) {
    let (poison, commits, at_once) = (poison.to_vec(), MemoryCommits::new(), MemorySink::new());
    let (shown, seen) = (commits.clone(), at_once.clone());
    let result = engine.run(move |p| {
        let here = (0..DISORDERED).filter(|n| *n as usize % p.shards() == p.shard());
        let disordered = here.map(|n| n ^ 12).map(|n| Record::new(Timestamp(n), n));
        let source = Legible::debug(MemorySource::new(disordered.collect::<Vec<_>>()));
        p.source(source)
            .event_time(|n| Timestamp(*n), Watermarks::bounded_disorder(ns(16)))
            .key_by(|n| n % 7)
            .process(InOrder(poison.clone()))
            .sink(Both(AtCheckpoint::new(commits.of(p.shard()), 1_000_000), at_once.clone()));
        Ok(())
    });
    let values = |records: Vec<Record<(i64, i64)>>| {
        let mut all: Vec<_> = records.into_iter().map(|record| record.value).collect();
        all.sort_unstable();
        all
    };
    (result, values(shown.records()), values(seen.take()))
}

#[test]
fn a_record_that_a_step_holds_back_is_found_by_leaving_records_out() {
    let _alone = alone();
    for shards in [1, 2] {
        for poison in [&[1_000][..], &[1_000, 1_001, 1_007], &[0, 3_199]] {
            let (policy, letters) = kept();
            let never = Checkpoints::every(secs(600), InMemory::default());
            let engine = engine(shards).checkpoints(never).poison(policy);
            let (result, all, mut seen) = in_order(engine, poison);
            result.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(numbers_of(&letters), poison, "{shards} shards");
            let mut sums = [0; 7];
            let taken = (0..DISORDERED).filter(|n| !poison.contains(n));
            let want: Vec<_> = taken
                .map(|n| {
                    sums[n as usize % 7] += n;
                    (n, sums[n as usize % 7])
                })
                .collect();
            let apart = all.iter().zip(&want).position(|(a, b)| a != b);
            let around = apart.map_or(0..0, |at| at.saturating_sub(2)..at + 3);
            assert_eq!(all.get(around.clone()), want.get(around), "{shards} shards, {poison:?}");
            assert_eq!(all.len(), want.len());
            seen.dedup();
            assert!(seen == want, "what was shown at once may come again, and is never wrong");
        }
    }
}

/// Some record in a window makes a function of its result fail: that record goes, not the window.
#[test]
fn a_record_that_makes_a_window_s_result_fail_is_found_as_well() {
    let _alone = alone();
    for shards in [1, 2] {
        let (policy, letters) = kept();
        let commits = MemoryCommits::new();
        let shown = commits.clone();
        let never = Checkpoints::every(secs(600), InMemory::default());
        let result = engine(shards).checkpoints(never).poison(policy).run(move |p| {
            p.source(numbers(p))
                .key_by(|n| n % 7)
                .window(Tumbling::of(ns(1_000)))
                .aggregate(count())
                .map(|window| (window.key, window.value))
                .inspect(|result| {
                    // One of key 3 in this window is one too many.
                    let is_full = result.at == Timestamp(7_999) && result.value.0 == 3;
                    assert!(!is_full || result.value.1 < 143, "{:?}", result.value);
                })
                .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
        let found = numbers_of(&letters);
        let last = (7_000..8_000).rfind(|n| n % 7 == 3).unwrap();
        assert_eq!(found, [last], "{shards} shards");
        let results = shown.records();
        let cut =
            |record: &&Record<(i64, u64)>| record.at == Timestamp(7_999) && record.value.0 == 3;
        assert_eq!(results.iter().find(cut).unwrap().value.1, 142);
        assert_eq!(results.iter().map(|record| record.value.1).sum::<u64>(), RECORDS as u64 - 1);
    }
}

/// A window that cannot be closed fails whatever record comes next: none of them is to blame, and
/// the restart strategy has the last word.
#[test]
fn a_window_that_fails_when_it_closes_is_left_to_the_restart_strategy() {
    let _alone = alone();
    for shards in [1, 2] {
        let (policy, letters) = kept();
        let restart = Restart::fixed_delay(3, ms(1));
        let result = with_checkpoints(shards).restart(restart).poison(policy).run(|p| {
            p.source(numbers(p))
                .event_time(|n| Timestamp(*n), Watermarks::monotonic())
                .key_by(|n| n % 7)
                .window(Tumbling::of(ns(1_000)))
                .aggregate(reduce(|a: &mut i64, b: &i64| *a += b))
                .inspect(|sum| assert!(sum.at != Timestamp(1_999), "it cannot be closed"))
                .for_each(drop);
            Ok(())
        });
        assert!(matches!(result.err(), Some(Error::Panic { .. })));
        assert!(letters.lock().unwrap().is_empty(), "{shards} shards");
    }
}
