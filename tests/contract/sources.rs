//! Every source gives the same records in every world, and says when it ends.

use std::cell::RefCell;
use std::io::Cursor;
use std::rc::Rc;

use millstream::error::Error;
use millstream::io::csv::{Columns, CsvSource, TimeUnit};
use millstream::io::{Generator, IterSource, MemorySource, Pace, Replay, Source};
use millstream::metrics::Counter;
use millstream::time::ManualClock;
use millstream::{Config, Pipeline, Record, Result, Shard, Simulation, Timestamp, secs};

use super::support::{Open, Said, Script, Seen, World, watch};

fn worlds() -> impl Iterator<Item = World> {
    let sizes = [(1, 1, 1), (1, 256, 2), (2, 1, 1), (2, 7, 2), (5, 1, 1), (5, 256, 64)];
    sizes.into_iter().flat_map(|(shards, batch, ring)| {
        [Open::Always, Open::Sometimes].map(|open| {
            let (seed, home) = (shards as u64 * 31 + batch as u64, shards - 1);
            World { shards, ring, batch, fire: 1, seed, hash_seed: seed, home, open }
        })
    })
}

/// All records of a source, in the order in which they come on each shard, and what was counted.
fn gathered<S: Source<Out = i64>>(
    world: &World,
    source: impl Fn(Pipeline<'_>) -> Result<S>,
) -> (Vec<Vec<(i64, i64)>>, u64) {
    let seen: Vec<_> = (0..world.shards).map(|_| Seen::new()).collect();
    let outcome = world.run(|p| {
        watch(p.source(source(p)?), &seen[p.shard()], world);
        Ok(())
    });
    seen.iter().for_each(|seen| seen.borrow().check_over());
    let all: Vec<_> = seen.iter().map(|seen| seen.borrow().records.clone()).collect();
    let count = all.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!(outcome.counters.get(Counter::RecordsIn), count);
    assert_eq!(outcome.counters.get(Counter::RecordsOut), count);
    (all, outcome.counters.get(Counter::DeadLettered))
}

fn recorded() -> Vec<Record<i64>> {
    [5, 9, 9, 3, 700, 20_000].iter().map(|at| Record::new(Timestamp(*at), at * 2)).collect()
}

fn pairs() -> Vec<(i64, i64)> {
    recorded().iter().map(|record| (record.at.0, record.value)).collect()
}

/// The home shard's are `want`, and the others have none.
fn assert_at_home(world: &World, got: &[Vec<(i64, i64)>], want: &[(i64, i64)]) {
    for (shard, got) in got.iter().enumerate() {
        let want = if shard == world.home { want } else { &[] };
        assert_eq!(got, want, "shard {shard} of {world:?}");
    }
}

#[test]
fn memory() {
    for world in worlds() {
        let (got, _) = gathered(&world, |p| {
            let here = p.shard() == world.home;
            Ok(if here { MemorySource::new(recorded()) } else { MemorySource::empty() })
        });
        assert_at_home(&world, &got, &pairs());
    }
}

#[test]
fn iterator() {
    for world in worlds() {
        let (got, _) = gathered(&world, |p| {
            let most = if p.shard() == world.home { usize::MAX } else { 0 };
            Ok(IterSource::new(recorded().into_iter().take(most)))
        });
        assert_at_home(&world, &got, &pairs());
    }
}

/// The shares of one sequence, put together again in order of number.
fn sequence(parts: &[Vec<(i64, i64)>]) -> Vec<(i64, i64)> {
    for (shard, part) in parts.iter().enumerate() {
        assert!(part.is_sorted());
        assert!(part.iter().all(|(_, n)| *n as usize % parts.len() == shard));
    }
    let mut all = parts.concat();
    all.sort_by_key(|(_, n)| *n);
    all
}

#[test]
fn generator_flat_out_in_shares() {
    let want: Vec<_> = (0..501).map(|n| (77 + n * 125_000, n)).collect();
    for world in worlds() {
        let (got, _) = gathered(&world, |p| {
            let generator = Generator::flat_out(8_000.0, |n, _| n as i64)?;
            let generator = generator.start_at(Timestamp(77)).count(501);
            Ok(generator.share(p.shard(), p.shards()))
        });
        assert_eq!(sequence(&got), want);
    }
}

/// None is skipped, however late the shards come to it.
#[test]
fn generator_at_rate_in_shares() {
    let start = Timestamp::from_millis(1_000_000);
    let want: Vec<_> = (0..300).map(|n| (start.0 + n * 1_000, n)).collect();
    for world in worlds() {
        let (got, _) = gathered(&world, |p| {
            let generator = Generator::at_rate(1e6, |n, _| n as i64)?.start_at(start);
            Ok(generator.duration(secs(1) * 3 / 10_000).share(p.shard(), p.shards()))
        });
        assert_eq!(sequence(&got), want);
    }
}

#[test]
fn replay_at_any_pace() {
    for pace in [Pace::FlatOut, Pace::Rate(1e6), Pace::Speed(3.0)] {
        for world in worlds() {
            let (got, _) = gathered(&world, |p| {
                let here = p.shard() == world.home;
                let inner =
                    if here { MemorySource::new(recorded()) } else { MemorySource::empty() };
                Ok(Replay::new(inner, pace)?)
            });
            assert_at_home(&world, &got, &pairs());
        }
    }
}

/// A paced source gives nothing before its time, and latency counts from the intended time.
#[test]
fn replay_waits_and_owns_up() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = seen.clone();
    let clock = ManualClock::default();
    let build = Shard::embed_with_clock(Config::embedded(), Rc::new(clock.clone()), |p| {
        let source = Replay::new(MemorySource::new(recorded()), Pace::Speed(1.0))?;
        p.source(source).for_each(move |record| kept.borrow_mut().push(record.at.0));
        Ok(())
    });
    let (mut shard, ()) = build.unwrap();
    for (now, want) in [(1_000, 1), (1_003, 1), (1_004, 4), (1_005, 4), (30_000, 6)] {
        clock.set(Timestamp(now));
        shard.step(Timestamp(now));
        assert_eq!(seen.borrow().len(), want, "at {now}");
    }
    assert!(shard.is_done());
    let latency = shard.latencies().to_sink.percentiles();
    assert_eq!((latency.samples, latency.max), (6, 30_000 - (1_000 + 700 - 5)));
}

#[test]
fn csv_with_malformed_lines() {
    let text = "ts,value\n5,10\n9,18\nten,20\n9,18\n3,6\n700\n700,1400\n\n20000,40000";
    for world in worlds() {
        let letters = Rc::new(RefCell::new(Vec::new()));
        let (got, dead) = gathered(&world, |p| {
            let text = if p.shard() == world.home { text } else { "" };
            let input = Cursor::new(text.as_bytes());
            let columns = Columns::of(["ts", "value"]);
            let source = CsvSource::from_reader("t.csv", input, columns, |row| {
                Ok(Record::new(row.time(0, TimeUnit::Ns)?, row.i64(1)?))
            })?;
            let kept = letters.clone();
            Ok(source.on_dead_letter(move |letter| kept.borrow_mut().push(letter.error.line)))
        });
        assert_at_home(&world, &got, &pairs());
        assert_eq!((dead, letters.take()), (2, vec![4, 7]));
    }
}

/// A source that fails stops the pipeline and is named.
#[test]
fn a_failing_source_is_an_error() {
    let result = Simulation::new(3, 9).run(|p| {
        let script = Script::new([Said::Record(1, 1), Said::Silence(5), Said::Record(2, 2)]);
        let source = if p.shard() == 1 { script.failing() } else { Script::empty() };
        p.source(source).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
        Ok(())
    });
    let error = result.map(drop).unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    assert_eq!(error.to_string(), "read the script: torn");
}
