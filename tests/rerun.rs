//! The same journal gives the same output and the same state, and two builds are told apart.

use std::collections::BTreeMap;
use std::io::Cursor;

use fastrand::Rng;
use millstream::aggregates::{count, sum};
use millstream::dataflow::Epoch;
use millstream::io::journal::{Journal, JournalSource, Journalled, Settings};
use millstream::io::{
    AtCheckpoint, Codec, Generator, MemoryCommits, MemorySink, MemorySource, Sink, Source, codec,
};
use millstream::join::{after, before};
use millstream::sim::{
    At, Comparison, Difference, LogReader, OutputLog, Reran, Rerun, SimDisk, compare,
};
use millstream::testing::{Said, Script};
use millstream::{
    Config, Error, Pipeline, Record, Result, Session, Shard, Simulation, Snapshot, Stage, Stream,
    Timestamp, Tumbling, Watermarks, ns,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    at: i64,
    key: u64,
    value: i64,
}

fn rows_codec() -> impl Codec<Value = Row> {
    let number = |bytes: &[u8], at| bytes[at..at + 8].try_into().map(i64::from_le_bytes);
    codec(
        24,
        |row: &Row, into: &mut Vec<u8>| {
            for number in [row.at, row.key as i64, row.value] {
                into.extend(number.to_le_bytes());
            }
        },
        move |bytes: &[u8]| match (bytes.len(), bytes) {
            (24, bytes) => {
                let numbers = [0, 8, 16].map(|at| number(bytes, at).unwrap_or_default());
                Ok(Row { at: numbers[0], key: numbers[1] as u64, value: numbers[2] })
            }
            _ => Err("not 24 bytes".to_owned()),
        },
    )
}

const ROWS: u64 = 600;
const DISORDER: i64 = 30;

fn settings() -> Settings {
    Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() }
}

/// A journal of disordered rows of some keys; now and then a record is no row.
fn journal(seed: u64) -> SimDisk {
    let mut disk = SimDisk::new(seed);
    let (storage, mut rng) = (disk.storage(&settings()), Rng::with_seed(seed));
    let (mut journal, _) = Journal::open(&mut disk, storage, settings(), 1, Timestamp(0)).unwrap();
    let (mut codec, mut clock) = (rows_codec(), 0);
    for _ in 0..ROWS {
        clock += rng.i64(0..9);
        let at = clock - rng.i64(0..DISORDER);
        let row = Row { at, key: rng.u64(..12), value: rng.i64(-50..50) };
        let mut bytes = Vec::new();
        codec.encode(&row, &mut bytes);
        if rng.u32(..40) == 0 {
            bytes.pop();
        }
        while journal.append(Timestamp(clock), &bytes).is_err() {
            journal.poll(Timestamp(0)).unwrap();
        }
        journal.poll(Timestamp(0)).unwrap();
    }
    journal.close(&mut disk).unwrap();
    disk
}

/// The journal, which one shard reads for all.
fn source(p: Pipeline<'_>, disk: &SimDisk) -> Result<impl Source<Out = Row> + use<>> {
    let open = || JournalSource::open(disk.clone(), rows_codec());
    Ok((p.shard() == p.shards() - 1).then(open).transpose()?)
}

/// Windows, sessions and a join over several edges; each result as a line that begins with its key.
fn build<'p>(
    p: Pipeline<'p>,
    rows: impl Source<Out = Row>,
    wrong: Option<u64>,
) -> Stream<'p, impl Stage<Out = (u64, String)>> {
    let disorder = Watermarks::bounded_disorder(ns(DISORDER as u64));
    let rows = p.source(rows).event_time(|row| Timestamp(row.at), disorder).boxed();
    let value = move |row: &Row| if wrong == Some(row.key) { row.value + 1 } else { row.value };
    let (ups, downs) = rows.side_output(|row| if row.value < 40 { Ok(row) } else { Err(row) });
    let windows = ups
        .key_by(|row| row.key)
        .window(Tumbling::of(ns(50)))
        .aggregate((count(), sum(value)))
        .map(|window| (window.key, window.span.start.0, window.value.1))
        .boxed();
    let sessions = downs
        .key_by(|row| row.key)
        .session(Session::gap(ns(60)))
        .aggregate(count())
        .map(|window| (window.key, window.span.start.0, window.value as i64))
        .boxed();
    windows
        .key_by(|it| it.0)
        .interval_join(sessions.key_by(|it| it.0))
        .between(before(ns(200)), after(ns(200)))
        .select(|a, b| (a.0, format!("{} {a:?} {b:?}", a.0)))
}

fn into_log(log: &OutputLog) -> impl Sink<(u64, String)> + use<> {
    log.sink(|record: &Record<(u64, String)>, text| text.push_str(&record.value.1))
}

fn rerun(rerun: &Rerun, disk: &SimDisk, wrong: Option<u64>) -> Result<(String, Reran)> {
    let log = OutputLog::in_memory();
    let reran = rerun.run(&log, |p| {
        build(p, source(p, disk)?, wrong).sink(into_log(&log));
        Ok(())
    });
    reran.map(|reran| (log.text(), reran))
}

fn compared(first: &str, second: &str) -> Result<Comparison> {
    let reader = |name, text: &str| LogReader::new(name, Cursor::new(text.to_owned()));
    compare(reader("first", first)?, reader("second", second)?)
}

fn difference(first: &str, second: &str) -> Difference {
    match compared(first, second).unwrap() {
        Comparison::Differ(difference) => difference,
        same => panic!("{same:?}"),
    }
}

#[test]
fn the_same_bytes_and_state_on_any_number_of_runs() {
    let disk = journal(1);
    for shards in [1, 2, 5] {
        let it = Rerun::new(shards).state_every(50);
        let (text, reran) = rerun(&it, &disk, None).unwrap();
        assert!(reran.results > 100 && reran.state.is_some());
        for _ in 0..3 {
            let (again, other) = rerun(&it, &disk, None).unwrap();
            assert!(again == text, "{shards} shards");
            assert_eq!((other.output, other.state), (reran.output, reran.state));
        }
        assert!(text.lines().count() as u64 > reran.results + 10, "with states");
    }
}

/// The results of each key, in order.
fn by_key(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines().filter(|line| !line.starts_with("over") && !line.contains("rerun")) {
        let mut words = line.splitn(3, ' ');
        let (at, _, text) = (words.next().unwrap(), words.next(), words.next().unwrap());
        let key = text.split(' ').next().unwrap().to_owned();
        keys.entry(key).or_default().push(format!("{at} {text}"));
    }
    keys
}

#[test]
fn the_same_of_each_key_and_record_on_another_number_of_shards() {
    for seed in 0..5 {
        let disk = journal(seed);
        let (one, reran) = rerun(&Rerun::new(1), &disk, None).unwrap();
        for shards in [2, 5] {
            let (other, _) = rerun(&Rerun::new(shards), &disk, None).unwrap();
            assert_eq!(by_key(&one), by_key(&other), "{shards} shards");
            let same = Comparison::Same { results: reran.results };
            assert_eq!(compared(&one, &other).unwrap(), same);
        }
    }
}

/// A rerun is no world of its own: what it says is what shards under any interleaving say.
#[test]
fn it_says_what_any_run_says() {
    for seed in 0..8 {
        let disk = journal(seed);
        let (text, _) = rerun(&Rerun::new(2), &disk, None).unwrap();
        let mut again: Vec<_> = by_key(&text).into_values().flatten().collect();
        again.iter_mut().for_each(|line| *line = line.split_once(' ').unwrap().1.to_owned());
        let live = MemorySink::new();
        let simulation = Simulation::new(3, seed).run(|p| {
            build(p, source(p, &disk)?, None).map(|(_, text)| text).sink(live.clone());
            Ok(())
        });
        simulation.unwrap_or_else(|error| panic!("{error}"));
        let mut live: Vec<_> = live.take().into_iter().map(|record| record.value).collect();
        live.sort();
        again.sort();
        assert_eq!(live, again, "seed {seed}");
    }
}

#[test]
fn a_checkpoint_and_the_rest_of_the_journal_give_the_rest_of_the_output() {
    let disk = journal(3);
    for shards in [1, 2, 5] {
        let (whole, all) = rerun(&Rerun::new(shards), &disk, None).unwrap();
        let (head, half) = rerun(&Rerun::new(shards).until(299), &disk, None).unwrap();
        assert_eq!(half.last, Some(299), "a record that is read");
        let it = Rerun::new(shards).from(half.snapshots.unwrap());
        let (tail, rest) = rerun(&it, &disk, None).unwrap();
        assert_eq!(half.records + rest.records, all.records);
        assert_eq!(half.results + rest.results, all.results);
        let results = |text: &str| by_key(text).into_iter().collect::<Vec<_>>();
        let mut joined = by_key(&head);
        for (key, lines) in by_key(&tail) {
            joined.entry(key).or_default().extend(lines);
        }
        assert_eq!(joined.into_iter().collect::<Vec<_>>(), results(&whole), "{shards} shards");
        let (again, same) = rerun(&it, &disk, None).unwrap();
        assert_eq!((again, same.state), (tail, rest.state));
        assert_eq!(rest.state, all.state, "and ends in the same state");
    }
}

#[test]
fn a_planted_difference_is_found_and_named() {
    let disk = journal(4);
    for shards in [1, 2] {
        let (old, _) = rerun(&Rerun::new(1), &disk, None).unwrap();
        let (new, _) = rerun(&Rerun::new(shards), &disk, Some(5)).unwrap();
        let Difference { after, at, is_state, first, second } = difference(&old, &new);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.starts_with("5 ") && second.starts_with("5 "), "{first} {second}");
        assert!(first != second && !is_state);
        // By a slow look at both: the first record whose results are not the same.
        let of = |text: &str| by_key(text).remove("5").unwrap();
        let apart = of(&old).into_iter().zip(of(&new)).find(|(a, b)| a != b).unwrap().0;
        assert!(apart.starts_with(&format!("{at} ")), "{at} {apart}");
        assert!(after.is_some_and(|after| after < at));
    }
}

#[test]
fn states_part_before_results_do() {
    let disk = journal(4);
    let (old, _) = rerun(&Rerun::new(1).state_every(1), &disk, None).unwrap();
    let (new, _) = rerun(&Rerun::new(1).state_every(1), &disk, Some(5)).unwrap();
    let early = difference(&old, &new);
    assert!(early.is_state);
    let results = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains(" state "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert!(early.at < difference(&results(&old), &results(&new)).at);
    // The first row of key 5 that is in a window is the very record.
    let mut reader = JournalSource::open(disk, rows_codec()).unwrap();
    let (mut first, mut position) = (None, Some(0));
    while first.is_none() {
        let mut row = None;
        reader.poll(0, Timestamp(0), 1, &mut |record| row = Some(record.value)).unwrap();
        first = row.filter(|row| row.key == 5 && row.value < 40).and(position);
        position = Source::position(&reader, 0);
    }
    assert_eq!(early.at, At::Record(first.unwrap()));
}

#[test]
fn results_that_are_missing_are_a_difference_too() {
    let disk = journal(5);
    let (whole, _) = rerun(&Rerun::new(1), &disk, None).unwrap();
    let (head, _) = rerun(&Rerun::new(1).until(400), &disk, None).unwrap();
    let found = difference(&whole, &head);
    assert!(found.first.is_some() && found.second.is_none() && found.at > At::Record(400));
    let found = difference(&head, &whole);
    assert!(found.first.is_none() && found.second.is_some());
}

#[test]
fn damage_is_an_error_behind_all_that_is_whole() {
    let mut disk = journal(6);
    let (whole, _) = rerun(&Rerun::new(2), &disk, None).unwrap();
    disk.flip("000000000000.segment", 9 * 4096 + 100, 3).unwrap();
    let log = OutputLog::in_memory();
    let result = Rerun::new(2).run(&log, |p| {
        build(p, source(p, &disk)?, None).sink(into_log(&log));
        Ok(())
    });
    let error = result.err().expect("it is damaged").to_string();
    assert!(error.contains("000000000000.segment: damaged at byte"), "{error}");
    assert!(whole.starts_with(&log.text()), "what came before");
    let error = compared(&whole, &log.text()).unwrap_err().to_string();
    assert!(error.contains("cut off"), "{error}");
}

#[test]
fn logs_that_are_damaged_or_none_are_refused() {
    let disk = journal(7);
    let (text, _) = rerun(&Rerun::new(1), &disk, None).unwrap();
    let refused = |damaged: &str| compared(&text, damaged).unwrap_err();
    assert_eq!(
        refused("what is this\n").to_string(),
        "second:1: not the log of a replay, or of a later version"
    );
    assert!(matches!(refused(""), Error::Codec(_)));
    let at =
        text.lines().nth(20).unwrap().len() + text.lines().take(20).map(str::len).sum::<usize>();
    let mut bytes = text.clone().into_bytes();
    bytes[at] ^= 1;
    let damaged = String::from_utf8(bytes).unwrap();
    assert!(refused(&damaged).to_string().starts_with("second:"), "{}", refused(&damaged));
    assert!(refused(&format!("{text}1 2 3\n")).to_string().contains("behind the last"));
}

#[test]
fn a_checkpoint_of_another_number_of_shards_is_refused() {
    let disk = journal(8);
    let (_, half) = rerun(&Rerun::new(2).until(100), &disk, None).unwrap();
    let error = rerun(&Rerun::new(3).from(half.snapshots.unwrap()), &disk, None).err().unwrap();
    assert_eq!(error.to_string(), "shards = 3: the checkpoint was taken of 2");
}

#[test]
fn what_comes_at_the_end_of_the_input_says_so() {
    let disk = journal(9);
    let (text, _) = rerun(&Rerun::new(2), &disk, None).unwrap();
    assert!(text.lines().any(|line| line.starts_with("end ")), "{text}");
}

/// Sources of several partitions, and such that have nothing for a while.
#[test]
fn sources_that_pause_are_waited_for_in_virtual_time() {
    let said = |first: i64| {
        let numbers = (first..first + 20).map(|n| Said::Record(n, n));
        numbers.flat_map(|it| [Said::Silence(3), it]).collect::<Vec<_>>()
    };
    for shards in [1, 2] {
        let log = OutputLog::in_memory();
        let reran = Rerun::new(shards).run(&log, |p| {
            let script = match p.shard() {
                0 => Script::partitions([said(0), said(5), Vec::new()]),
                _ => Script::empty(),
            };
            let timer = Generator::at_rate(1_000.0, |n, _| n as i64)?.count(5);
            let timer = p.source((p.shard() == 0).then_some(timer));
            p.source(script).union(timer).key_by(|n| *n).reduce(|_, _| ()).sink(log.sink(
                |record: &Record<(i64, i64)>, text| text.push_str(&record.value.0.to_string()),
            ));
            Ok(())
        });
        let reran = reran.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((reran.records, reran.results), (45, 45), "{shards} shards");
    }
}

/// The live pipeline journals what it reads and shows it at checkpoints; a checkpoint of it, and
/// the journal, give what came after that checkpoint.
#[test]
fn a_checkpoint_of_the_live_pipeline_is_gone_on_from() {
    let (disk, mut rng) = (SimDisk::new(11), Rng::with_seed(11));
    let (storage, mut clock) = (disk.storage(&settings()), 0);
    let rows = (0..ROWS).map(|_| {
        clock += rng.i64(0..9);
        let row =
            Row { at: clock - rng.i64(0..DISORDER), key: rng.u64(..12), value: rng.i64(0..50) };
        Record::new(Timestamp(clock), row)
    });
    let live = MemorySource::new(rows.collect::<Vec<_>>());
    let config = Config { batch_max: 8, ..Config::embedded() };
    let (journal, _) =
        Journal::open(&mut disk.clone(), storage, settings(), 1, Timestamp(0)).unwrap();
    let built = Shard::embed(config.clone(), |p| {
        let live = Journalled::new(live, rows_codec(), journal, disk.clone())?;
        build(p, live, None).sink(AtCheckpoint::new(MemoryCommits::new(), 10_000));
        Ok(())
    });
    let (mut shard, ()) = built.unwrap_or_else(|error| panic!("{error}"));
    (1..40).for_each(|n| _ = shard.step(Timestamp(n)));
    shard.begin_checkpoint(Epoch(1));
    let snapshot = loop {
        shard.step(Timestamp(50));
        if let Some((_, snapshot)) = shard.take_checkpoint() {
            break snapshot.unwrap();
        }
    };
    while !shard.is_done() {
        shard.step(Timestamp(60));
    }
    drop(shard);
    let again = |from: &[Snapshot]| {
        let (log, it) = (OutputLog::in_memory(), Rerun::with_config(config.clone()));
        let it = if from.is_empty() { it } else { it.from(from.to_vec()) };
        let reran = it.run(&log, |p| {
            let write = |record: &Record<(u64, String)>, text: &mut String| {
                text.push_str(&record.value.1);
            };
            let shown = AtCheckpoint::new(MemoryCommits::new(), 0);
            build(p, source(p, &disk)?, None).sink(log.sink(write).instead_of(shown));
            Ok(())
        });
        (log.text(), reran.unwrap_or_else(|error| panic!("{error}")))
    };
    let ((whole, all), (tail, rest)) = (again(&[]), again(&[snapshot]));
    assert!(rest.records > 100 && rest.records < all.records - 100, "{}", rest.records);
    let results = |text: &str| {
        let lines = text.lines().filter(|line| line.contains('('));
        let plain = |line: &str| {
            let mut words = line.splitn(3, ' ');
            format!("{} {}", words.next().unwrap(), words.nth(1).unwrap())
        };
        lines.map(plain).collect::<Vec<_>>()
    };
    let (whole, tail) = (results(&whole), results(&tail));
    assert!(tail.len() > 20 && whole.ends_with(&tail));
    let first = all.records - rest.records;
    let after = whole.len() - tail.len();
    let at = |line: &str| line.split(' ').next().unwrap().parse::<u64>().unwrap();
    assert!(at(&whole[after - 1]) < first && at(&tail[0]) >= first);
}
