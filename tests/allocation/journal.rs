//! Appending to a journal and polling it, however it is written, and over segments that come and
//! go.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use millstream::disk::{self, Rung};
use millstream::io::journal::{Journal, JournalSource, Journalled, Refused, Settings};
use millstream::io::{
    AtOnce, Codec, Directory, Generator, Journals, Numbered, Origin, Source, Token, callback, codec,
};
use millstream::{Config, Record, Shard, Timestamp, us};

use super::calls::CALLS;

fn settings() -> Settings {
    Settings {
        segment_bytes: 128 << 10,
        slots: 4,
        slot_bytes: 8 << 10,
        in_flight: 3,
        bytes_max: Some(512 << 10),
        segments_max: 64,
        ..Settings::default()
    }
}

fn append_and_poll<S: millstream::io::Storage>(journal: &mut Journal<S>, records: u64) {
    for number in 0..records {
        let at = Timestamp(number as i64);
        while let Err(refused) = journal.append(at, &[7; 300]) {
            assert_eq!(refused, Refused::Full);
            journal.poll(at).unwrap();
        }
        journal.poll(at).unwrap();
    }
}

#[test]
fn a_journal_allocates_nothing_after_warm_up() {
    for rung in [Rung::Direct, Rung::Buffered, Rung::Threads] {
        let path = fresh(&format!("allocation-{rung:?}"));
        let (mut journal, _) = disk::open_from(&path, settings(), Timestamp(0), rung).unwrap();
        append_and_poll(&mut journal, 5_000);
        let (before, made) = (CALLS.get(), journal.stats().segments_made);
        append_and_poll(&mut journal, 5_000);
        let (calls, stats) = (CALLS.get() - before, journal.stats());
        assert_eq!(calls, 0, "{}: {stats:?}", journal.storage());
        assert!(stats.segments_made > made + 3, "segments came: {stats:?}");
    }
}

/// Numbers, of eight bytes.
fn numbers() -> impl Codec<Value = u64> {
    codec(
        8,
        |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
        |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| String::new()),
    )
}

fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// A journalled source allocates nothing, and nor does the replay of what it wrote, but for opening
/// each segment.
#[test]
fn journalled_records_and_their_replay_allocate_nothing_after_warm_up() {
    let (path, now) = (fresh("allocation-source"), Timestamp(0));
    let settings = Settings { segment_bytes: 16 << 20, bytes_max: None, ..settings() };
    let (journal, _) = disk::open(&path, settings, now).unwrap();
    let files = || Directory::open(&path).unwrap();
    let live = Generator::flat_out(1e6, |index, _at| index).unwrap().count(200_000);
    let mut live = Journalled::new(live.share(0, 1), numbers(), journal, files()).unwrap();
    let calls = calls_after_half(200_000, |seen| {
        !live.poll(0, now, 64, &mut |_| *seen += 1).unwrap().ended
    });
    assert_eq!(calls, 0, "live");
    drop(live);
    let mut again = JournalSource::open(files(), numbers()).unwrap();
    let calls = calls_after_half(200_000, |seen| {
        !again.poll(0, now, 64, &mut |_| *seen += 1).unwrap().ended
    });
    assert_eq!(calls, 0, "replayed");
}

/// Gates in front of a sink allocate nothing either, while they wait for the disk and while not.
#[test]
fn gates_allocate_nothing_after_warm_up() {
    let path = fresh("allocation-gates");
    let settings = Settings { segment_bytes: 16 << 20, bytes_max: None, ..settings() };
    let shown = Rc::new(Cell::new(0));
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let (journal, _) = disk::open(&path, settings, Timestamp(0))?;
        let live = Generator::flat_out(1e6, |index, _at| index)?.count(200_000);
        let files = Directory::open(&path).unwrap();
        let source = Journalled::new(live.share(0, 1), numbers(), journal, files)?;
        let (journals, shown) = (Journals::new(), shown.clone());
        journals.watch(p.shard(), "numbers", source.watch());
        let sink = callback(move |_: Record<(Token, (Origin, u64))>| shown.set(shown.get() + 1));
        let tokens = AtOnce::new(sink, p.shard(), |it: &(Origin, u64)| it.0);
        p.source(Numbered::new(source, 0)).sink(journals.gate(tokens, 1_000));
        Ok(())
    })
    .unwrap();
    let mut now = Timestamp(0);
    let calls = calls_after_half(200_000, |seen| {
        now = now + us(5);
        shard.step(now);
        *seen = shown.get();
        !shard.is_done()
    });
    assert_eq!((calls, shown.get()), (0, 200_000));
}

/// What is allocated from the half of the records on until the last has come.
fn calls_after_half(records: u64, mut poll: impl FnMut(&mut u64) -> bool) -> u64 {
    let (mut seen, mut before, mut after) = (0, None, 0);
    loop {
        let goes_on = poll(&mut seen);
        if seen > records / 2 && before.is_none() {
            before = Some(CALLS.get());
        }
        if !goes_on {
            assert_eq!(seen, records);
            return after - before.unwrap();
        }
        if seen < records {
            after = CALLS.get();
        }
    }
}
