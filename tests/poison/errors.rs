//! Failures that are no panics, and what letters say of a journal.

use std::collections::BTreeSet;

use millstream::disk;
use millstream::error::IoError;
use millstream::io::journal::{JournalSource, Settings};
use millstream::io::{Directory, MemorySink, Sink, codec};
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
    let numbers = || {
        let encode = |n: &i64, into: &mut Vec<u8>| into.extend(format!("{n:05}").as_bytes());
        let decode = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
            text.parse::<i64>().map_err(|error| error.to_string())
        };
        codec(5, encode, decode)
    };
    let (policy, letters) = kept();
    let (sums, place) = (MemorySink::new(), folder.clone());
    let shown = sums.clone();
    let result = with_checkpoints(2).poison(policy).run(move |p| {
        let open = || JournalSource::open(Directory::open(&place).unwrap(), numbers());
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
