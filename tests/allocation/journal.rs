//! Appending to a journal and polling it, however it is written, and over segments that come and
//! go.

use std::path::PathBuf;

use millstream::Timestamp;
use millstream::disk::{self, Rung};
use millstream::io::journal::{Journal, Refused, Settings};

use super::CALLS;

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
        let name = format!("allocation-{rung:?}");
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        let (mut journal, _) = disk::open_from(&path, settings(), Timestamp(0), rung).unwrap();
        append_and_poll(&mut journal, 5_000);
        let (before, made) = (CALLS.get(), journal.stats().segments_made);
        append_and_poll(&mut journal, 5_000);
        let (calls, stats) = (CALLS.get() - before, journal.stats());
        assert_eq!(calls, 0, "{}: {stats:?}", journal.storage());
        assert!(stats.segments_made > made + 3, "segments came: {stats:?}");
    }
}
