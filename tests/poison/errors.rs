//! Failures that are no panics, journals, and sources that say everything once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use millstream::disk;
use millstream::error::IoError;
use millstream::io::journal::{JournalSource, Journalled, Settings};
use millstream::io::{
    AtCheckpoint, Codec, Directory, MemoryCommits, MemorySink, Polled, Sink, Source, codec,
};
use millstream::metrics::Counter;
use millstream::{Record, Timestamp};

use super::{RECORDS, alone, kept, numbers, numbers_of, with_checkpoints};

/// A record for a shard that there is not, and one that a sink will not have: errors, not panics.
#[test]
fn errors_that_are_a_record_s_doing_are_found_like_panics() {
    let _alone = alone();
    let (policy, letters) = kept();
    let sums = MemorySink::new();
    let shown = sums.clone();
    let result = with_checkpoints(2).poison(policy).run(move |p| {
        p.source(numbers(p))
            .partition_custom(|n, shards| if *n == 777 { 99 } else { *n as usize % shards })
            .sink(Picky(sums.clone()));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(numbers_of(&letters), [777, 30_001]);
    let causes: Vec<_> = letters.lock().unwrap().iter().map(|it| it.cause.clone()).collect();
    assert!(causes[0].contains("to shard 99") && causes[1] == "take 30001: not this one");
    let seen: BTreeSet<_> = shown.take().into_iter().map(|record| record.value).collect();
    assert!((0..RECORDS).filter(|n| ![777, 30_001].contains(n)).eq(seen));
}

/// A sink that will not have 30001.
struct Picky(MemorySink<i64>);

impl Sink<i64> for Picky {
    fn accept(&mut self, record: Record<i64>) -> std::result::Result<(), IoError> {
        if record.value == 30_001 {
            let cause = std::io::Error::new(std::io::ErrorKind::InvalidData, "not this one");
            return Err(IoError::new("take", "30001", cause));
        }
        self.0.accept(record)
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        self.0.end_of_batch()
    }
}

/// Numbers as text of five digits.
fn numbers_as_text() -> impl Codec<Value = i64> {
    let encode = |n: &i64, into: &mut Vec<u8>| into.extend(format!("{n:05}").as_bytes());
    codec(5, encode, |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        text.parse::<i64>().map_err(|error| error.to_string())
    })
}

/// What a letter says of a record in a journal is its sequence, and the bytes that are there.
#[test]
fn a_letter_about_a_journal_has_the_sequence_and_the_bytes() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("millstream-letters-{}", std::process::id()));
    let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
    let (mut journal, _) = disk::open(&folder, settings, Timestamp(0)).unwrap();
    for n in 0..3_000 {
        let text = if n % 100 == 7 { "no number".to_owned() } else { format!("{n:05}") };
        while journal.append(Timestamp(n), text.as_bytes()).is_err() {
            journal.poll(Timestamp(0)).unwrap();
        }
    }
    journal.close(&mut Directory::open(&folder).unwrap()).unwrap();
    let (policy, letters) = kept();
    let (sums, place) = (MemorySink::new(), folder.clone());
    let shown = sums.clone();
    let result = with_checkpoints(2).poison(policy).run(move |p| {
        let open = || JournalSource::open(Directory::open(&place).unwrap(), numbers_as_text());
        let journal = (p.shard() == 0).then(open).transpose()?;
        p.source(journal)
            .key_by(|n| n % 7)
            .reduce(|last, n| *last = n)
            .inspect(|record| assert!(record.value.1 != 2_345))
            .sink(sums.clone());
        Ok(())
    });
    let summary = result.unwrap_or_else(|error| panic!("{error}"));
    let letter = letters.lock().unwrap().pop().unwrap();
    assert_eq!((letter.position, &letter.bytes[..]), (2_345, &b"02345"[..]));
    assert!(letters.lock().unwrap().is_empty());
    assert!(summary.counters.get(Counter::DeadLettered) > 30, "with those that do not decode");
    let seen: BTreeSet<_> = shown.take().into_iter().map(|record| record.value.1).collect();
    assert!((0..3_000).filter(|n| n % 100 != 7 && *n != 2_345).eq(seen));
    std::fs::remove_dir_all(folder).unwrap();
}

/// Says each number once, whoever asks, as a socket would.
struct Once(Arc<AtomicI64>);

impl Source for Once {
    type Out = i64;

    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<i64>),
    ) -> std::result::Result<Polled, IoError> {
        for _ in 0..budget {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            if n >= RECORDS {
                return Ok(Polled::ended());
            }
            emit(Record::new(Timestamp(n), n));
        }
        Ok(Polled::open())
    }
}

#[test]
fn what_a_source_says_once_is_journalled_and_comes_again_without_the_poison() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("millstream-once-{}", std::process::id()));
    for (poison, bites_late) in [([5_000, 5_001], false), ([700, 39_990], true)] {
        let (policy, letters) = kept();
        let (said, commits) = (Arc::new(AtomicI64::new(0)), MemoryCommits::new());
        let (shown, place) = (commits.clone(), folder.clone());
        let result = with_checkpoints(1).poison(policy).run(move |p| {
            let settings =
                Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
            let (journal, _) = disk::open(&place, settings, Timestamp(0))?;
            let files = Directory::open(&place).unwrap();
            let source = Journalled::new(Once(said.clone()), numbers_as_text(), journal, files)?;
            let bite = move |late: bool, n: i64| {
                assert!(late != bites_late || !poison.contains(&n), "{n} is poison");
            };
            p.source(source)
                .inspect(move |record| bite(false, record.value))
                .key_by(|n| n % 7)
                .reduce(|last, n| *last = n)
                .inspect(move |record| bite(true, record.value.1))
                .map(|(_, n)| n)
                .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(numbers_of(&letters), poison);
        let all: Vec<_> = shown.records().into_iter().map(|record| record.value).collect();
        assert!(all.into_iter().eq((0..RECORDS).filter(|n| !poison.contains(n))), "{poison:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
