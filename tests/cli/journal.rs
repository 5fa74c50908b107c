//! `millstream journal`, on journals that are whole, torn, damaged and not there.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use millstream::Timestamp;
use millstream::disk;
use millstream::io::Directory;
use millstream::io::journal::Settings;

use super::command::{folder, run};

/// A journal of so many records in several segments, closed or not.
fn journal(path: &Path, records: u64, closes: bool) {
    let settings = Settings {
        segment_bytes: 64 << 10,
        slots: 2,
        slot_bytes: 8 << 10,
        in_flight: 1,
        ..Settings::default()
    };
    let (mut journal, _) = disk::open(path, settings, Timestamp(0)).unwrap();
    for number in 0..records {
        let text = format!("order {number}");
        let at = Timestamp(10 * number as i64);
        while journal.append(at, text.as_bytes()).is_err() {
            journal.poll(Timestamp(7)).unwrap();
        }
        while journal.durable().0 <= number {
            journal.poll(Timestamp(7)).unwrap();
        }
    }
    if closes {
        journal.close(&mut Directory::open(path).unwrap()).unwrap();
    }
}

#[test]
fn a_whole_one() {
    let folder = folder("journal-whole");
    journal(&folder.join("j"), 40, true);
    let done = run(&folder, "journal verify j");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(done.stdout.starts_with("whole: 40 records, 0 to before 40, 310 bytes, in "));
    assert!(done.stdout.ends_with("\nend: closed\n"), "{}", done.stdout);
    let done = run(&folder, "journal cat j --from 38");
    assert_eq!(done.stdout, "38 380 8 order 38\n39 390 8 order 39\n");
    let done = run(&folder, "journal cat j --at 101 --count 1 --hex");
    assert_eq!(done.stdout, "11 110 8 6f72646572203131\n");
    let done = run(&folder, "journal stat j");
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("journal ") && lines.len() > 5, "{}", done.stdout);
    assert!(lines[1].starts_with("written by ") && lines[1].contains("durable by"), "{lines:?}");
    assert!(lines[3].starts_with("000000000000.segment "), "{}", done.stdout);
}

#[test]
fn one_whose_writer_is_gone() {
    let folder = folder("journal-open");
    journal(&folder.join("j"), 5, false);
    let done = run(&folder, "journal verify j");
    assert!(done.stdout.contains("end: not closed"), "{}", done.stdout);
    run(&folder, "journal cat j --from 77").failed(2, &["record 77 is not in the journal", "5"]);
}

#[test]
fn damage_names_the_file_the_byte_and_the_record() {
    let folder = folder("journal-damaged");
    journal(&folder.join("j"), 40, true);
    let segment = folder.join("j/000000000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    // In the third block: the second record.
    bytes[2 * 4096 + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let words = ["000000000000.segment: damaged at byte 8192, record 1", "1 records before it"];
    run(&folder, "journal verify j").failed(1, &words);
    let done = run(&folder, "journal cat j");
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), "0 0 7 order 0\n"));
    fs::remove_file(segment).unwrap();
    let words = ["000000000000.segment: missing; it would begin with record 0", "25 records"];
    run(&folder, "journal verify j").failed(1, &words);
}

#[test]
fn a_missing_segment_is_named() {
    let folder = folder("journal-missing");
    journal(&folder.join("j"), 40, true);
    fs::remove_file(folder.join("j/000000000001.segment")).unwrap();
    let words = ["000000000001.segment: missing; it would begin with record 15", "15 records"];
    run(&folder, "journal verify j").failed(1, &words);
}

#[test]
fn one_that_is_being_written() {
    let folder = folder("journal-live");
    let path = folder.join("j");
    let (mut journal, _) = disk::open(&path, Settings::default(), Timestamp(0)).unwrap();
    let looks = thread::spawn(move || {
        let looks: Vec<_> = (0..8).map(|_| run(&folder, "journal verify j")).collect();
        looks
    });
    let mut appended = 0;
    while !looks.is_finished() {
        // A block each, and no more of them than a small disk has room for.
        let goes_on = appended < 20_000;
        if goes_on && journal.append(Timestamp(0), &[7; 900]).is_ok() {
            appended += 1;
        }
        journal.poll(Timestamp(0)).unwrap();
        thread::sleep(Duration::from_micros(if goes_on { 50 } else { 1_000 }));
    }
    for look in looks.join().unwrap() {
        let said = (look.code, look.stderr.as_str());
        assert_eq!(said, (Some(0), ""), "{}", look.stdout);
        assert!(look.stdout.contains("end: its writer is at work"), "{}", look.stdout);
    }
}

#[test]
fn none() {
    let folder = folder("journal-none");
    run(&folder, "journal verify nowhere").failed(2, &["open nowhere"]);
    run(&folder, "journal verify .").failed(2, &["no journal"]);
}
