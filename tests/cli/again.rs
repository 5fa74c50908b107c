//! `millstream replay`: the same journal again, and where two replays part.

use std::fs;
use std::path::Path;

use millstream::Timestamp;
use millstream::disk;
use millstream::io::Directory;
use millstream::io::journal::Settings;

use super::command::{Done, folder, run};

/// A journal of trades of some keys, one a millisecond; record 7 is no trade.
fn journal(path: &Path, records: u64, wrong: Option<u64>) {
    let settings = Settings { segment_bytes: 64 << 10, slots: 2, slot_bytes: 8 << 10, ..small() };
    let (mut journal, _) = disk::open(path, settings, Timestamp(0)).unwrap();
    for number in 0..records {
        let at = 1_000_000 * number as i64;
        let price = 100 + number % 13 + u64::from(wrong == Some(number));
        let text = match number {
            7 => "what is this".to_owned(),
            _ => format!("{at},K{},{price}.5,2", number % 5),
        };
        while journal.append(Timestamp(at), text.as_bytes()).is_err() {
            journal.poll(Timestamp(7)).unwrap();
        }
    }
    journal.close(&mut Directory::open(path).unwrap()).unwrap();
}

fn small() -> Settings {
    Settings { in_flight: 1, ..Settings::default() }
}

fn done(folder: &Path, words: &str) -> Done {
    let done = run(folder, words);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{words}");
    done
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

const WINDOWS: &str = "--window 20ms --slide 10ms";

#[test]
fn the_same_bytes_run_after_run_and_the_same_results_on_more_shards() {
    let folder = folder("again");
    journal(&folder.join("j"), 300, None);
    for shards in [1, 2, 5] {
        for name in ["a", "b"] {
            let words = format!("replay --journal j --shards {shards} --output {name} {WINDOWS}");
            let said = done(&folder, &words).stdout;
            let golden = "replayed: 299 records, the last is 299, 1 beside them are no trades\n";
            assert!(said.starts_with(golden), "{said}");
            assert!(said.ends_with(&format!(" on {shards} shards\n")), "{said}");
        }
        assert!(read(&folder, "a") == read(&folder, "b"));
        fs::rename(folder.join("a"), folder.join(format!("on-{shards}"))).unwrap();
    }
    for other in ["on-2", "on-5"] {
        let said = done(&folder, &format!("replay --compare on-1 {other} --journal j")).stdout;
        assert!(said.starts_with("the same: ") && said.ends_with(" results\n"), "{said}");
    }
    let to_screen = done(&folder, &format!("replay --journal j {WINDOWS}")).stdout;
    assert_eq!(to_screen, read(&folder, "on-1"));
}

#[test]
fn until_a_record_and_on_from_there() {
    let folder = folder("again-in-parts");
    journal(&folder.join("j"), 300, None);
    done(&folder, &format!("replay --journal j --output whole {WINDOWS}"));
    let words = format!("replay --journal j --until 120 --save there --output head {WINDOWS}");
    let said = done(&folder, &words).stdout;
    assert!(said.starts_with("replayed: 120 records, the last is 120, 1 beside"), "{said}");
    let tail = done(&folder, &format!("replay --journal j --checkpoint there {WINDOWS}")).stdout;
    let results = |text: &str| -> Vec<String> {
        let results = text.lines().filter(|line| line.contains(",K") || line.contains(" K"));
        let plain = |line: &str| {
            let mut words = line.split(' ');
            format!("{} {}", words.next().unwrap(), words.next_back().unwrap())
        };
        results.map(plain).collect()
    };
    let (whole, head) = (results(&read(&folder, "whole")), results(&read(&folder, "head")));
    assert!(head.len() > 20);
    assert_eq!([head, results(&tail)].concat(), whole);
    let state = |text: &str| text.trim_end().rsplit_once("state=").unwrap().1.to_owned();
    assert_eq!(state(&tail), state(&read(&folder, "whole")));
    let refused = run(&folder, "replay --journal j --checkpoint there --shards 2");
    refused.failed(2, &["--shards 2: the checkpoint was taken of 1"]);
    run(&folder, "replay --journal j --checkpoint j").failed(2, &["j: no checkpoint"]);
}

#[test]
fn a_difference_is_named_with_the_records_behind_it() {
    let folder = folder("again-differs");
    journal(&folder.join("j"), 300, None);
    journal(&folder.join("other"), 300, Some(103));
    for (name, journal) in [("old", "j"), ("new", "other")] {
        done(&folder, &format!("replay --journal {journal} --output {name} {WINDOWS}"));
    }
    let done = run(&folder, "replay --compare old new --journal j --records 5");
    assert_eq!(done.code, Some(1));
    let golden = "millstream: error: old and new differ, first by record 110\n";
    assert_eq!(done.stderr, golden, "the next window to close");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "first difference: a result by record 110");
    assert_eq!(lines[1], "they agree to the end of what came by record 100");
    assert!(lines[2].starts_with("  old: K3,90000000,110000000,"), "{lines:?}");
    assert!(lines[3].starts_with("  new: K3,90000000,110000000,"), "{lines:?}");
    assert_eq!(lines[4..6], ["records since then:", "(5 before these)"]);
    assert!(lines[6].starts_with("106 106000000 ") && lines[10].starts_with("110 "), "{lines:?}");
    assert_eq!(lines.len(), 11);
    for (name, journal) in [("old", "j"), ("new", "other")] {
        let words = format!("replay --journal {journal} --output {name} --state-every 1 {WINDOWS}");
        assert_eq!(run(&folder, &words).code, Some(0));
    }
    let done = run(&folder, "replay --compare old new --journal j");
    assert!(done.stdout.starts_with("first difference: the state by record 103\n"));
    assert!(done.stdout.contains("records since then:\n103 103000000 "), "{}", done.stdout);
}

#[test]
fn a_damaged_journal_ends_the_replay_where_it_is_damaged() {
    let folder = folder("again-damaged");
    journal(&folder.join("j"), 3_000, None);
    let segment = folder.join("j/000000000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[3 * 4096 + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let words = ["000000000000.segment: damaged at byte ", "record "];
    run(&folder, &format!("replay --journal j --output log {WINDOWS}")).failed(1, &words);
    assert!(read(&folder, "log").lines().count() > 1, "what came before is there");
    run(&folder, "replay --compare log log").failed(2, &["log:", "cut off"]);
    done(&folder, &format!("replay --journal j --until 3 --output log {WINDOWS}"));
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = folder("again-refused");
    journal(&folder.join("j"), 10, None);
    for (words, expected) in [
        ("replay", "--journal"),
        ("replay --journal nowhere", "open nowhere"),
        ("replay --journal .", "no journal"),
        ("replay --journal j --until x", "--until"),
        ("replay --journal j --until 10", "record 10 is not in the journal, which holds 0 up to"),
        ("replay --journal j --until 999", "record 999 is not in the journal"),
        ("replay --journal j --shards 0", "--shards 0"),
        ("replay --journal j --window 1s --slide 2s", "--slide"),
        ("replay --journal j --output nowhere/log", "nowhere/log"),
        ("replay --compare a", "--compare"),
        ("replay --compare a b", "open a"),
        ("replay --compare j/000000000000.segment b", "segment"),
        ("replay --journal j --compare a b --until 7", "--until"),
    ] {
        let done = run(&folder, words);
        assert_eq!(done.code, Some(2), "{words}: {}", done.stderr);
        assert!(done.stderr.contains(expected), "{words}: {}", done.stderr);
    }
    assert_eq!(folder.read_dir().unwrap().count(), 1, "nothing was written");
}
