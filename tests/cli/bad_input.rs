//! Odd input has a defined result, and the rest goes on.

use std::fs;
use std::process::Stdio;

use crate::command::{Done, REPLAY, body, command, folder, replay, run};

const HEADER: &str = "ts,key,price,qty\n";

#[test]
fn malformed_lines_are_dead_letters_and_the_rest_goes_on() {
    let folder = folder("dead_letters");
    let text = format!(
        "{HEADER}1,A,10,1\n\
         x,A,10,1\n\
         2,A,NaN,1\n\
         3,A,inf,1\n\
         4,A,11,\n\
         5,A\n\
         6,{},12,1\n\
         7,\"A\"x,12,1\n\
         8,A,12,1\n\
         99999999999999999999,A,1,1\n",
        "x".repeat(24)
    );
    let (done, bars) = replay(&folder, &text, "--dead-letters dead.csv --window 1us");
    assert_eq!((done.counter("dead_lettered"), done.counter("records_in")), (8, 2));
    assert_eq!(body(&bars), ["A,0,1000,10,12,10,12,2,11,2"]);
    let letters = fs::read_to_string(folder.join("dead.csv")).unwrap();
    let letters = body(&letters);
    assert_eq!(letters.len(), 8);
    for (letter, (line, reason)) in letters.iter().zip([
        (3, "not a time"),
        (4, "not a finite number"),
        (5, "not a finite number"),
        (6, "is not a number"),
        (7, "no field for"),
        (8, "24 bytes long, at most 23"),
        (9, "text after a closing quote"),
        (11, "64 bits"),
    ]) {
        assert!(letter.starts_with(&format!("in.csv,{line},")), "{letter}");
        assert!(letter.contains(reason), "{letter}: {reason}");
    }
    let notes = done.json()["notes"].to_string();
    assert!(notes.contains("Dead letter: in.csv:3: ") && notes.contains("5 more"), "{notes}");
}

#[test]
fn empty_files_give_a_header() {
    let folder = folder("empty");
    for text in ["", "\n\n", HEADER] {
        let (done, bars) = replay(&folder, text, "--late late.csv --dead-letters dead.csv");
        assert_eq!(done.counter("records_in"), 0);
        let late = fs::read_to_string(folder.join("late.csv")).unwrap();
        let dead = fs::read_to_string(folder.join("dead.csv")).unwrap();
        assert_eq!([bars, late, dead].map(|text| text.lines().count()), [1, 1, 1], "{text:?}");
    }
}

#[test]
fn one_key_and_negative_quantities() {
    let text = format!("{HEADER}0,A,10,5\n1,A,20,-5\n1000,A,10,2\n1001,A,30,-1\n");
    let (_, bars) = replay(&folder("one_key"), &text, "--window 1us");
    // A correction takes volume and value out again; at volume zero there is no average price.
    assert_eq!(body(&bars), ["A,0,1000,10,20,10,20,0,NaN,2", "A,1000,2000,10,30,10,30,1,-10,2"]);
}

#[test]
fn all_late_but_the_first() {
    let folder = folder("all_late");
    let late: String = (0..50).map(|n| format!("{n},K{n},1,2\n")).collect();
    let text = format!("{HEADER}9000,A,1,1\n{late}");
    for shards in [1, 2] {
        let flags = format!("--window 1us --late late.csv --shards {shards}");
        let (done, bars) = replay(&folder, &text, &flags);
        assert_eq!(done.counter("late"), 50);
        assert_eq!(body(&bars), ["A,9000,10000,1,1,1,1,1,1,1"]);
        let late = fs::read_to_string(folder.join("late.csv")).unwrap();
        assert_eq!(late.lines().next(), Some("record,ts_ns,key,price,qty"));
        let want: Vec<String> = (0..50).map(|n| format!("{},{n},K{n},1,2", n + 2)).collect();
        assert_eq!(body(&late), want, "in the order of the input");
    }
}

#[test]
fn the_ends_of_time() {
    let (min, max) = (i64::MIN, i64::MAX);
    let text = format!("{HEADER}{min},A,1,1\n{},A,2,1\n0,A,3,1\n{max},A,4,1\n", min + 1);
    let mut seen = Vec::new();
    for shards in [1, 2] {
        let (done, bars) =
            replay(&folder("ends"), &text, &format!("--window 1s --shards {shards}"));
        assert_eq!((done.counter("records_in"), done.counter("late")), (4, 0));
        seen.push(bars);
    }
    assert_eq!(seen[0], seen[1]);
    let bars = body(&seen[0]);
    assert_eq!(bars.len(), 3, "{bars:?}");
    assert!(bars[0].starts_with(&format!("A,{min},")) && bars[0].ends_with(",2"), "{bars:?}");
    assert!(bars[1].starts_with("A,0,1000000000,3,"));
    assert!(bars[2].contains(&format!(",{max},4,")), "{bars:?}");
}

fn many(lines: usize) -> String {
    let line = |n: usize| format!("{},K{},{}.25,1\n", n * 1000, n % 10, n % 7);
    std::iter::once(HEADER.to_owned()).chain((0..lines).map(line)).collect()
}

#[test]
fn a_full_disk_is_an_error() {
    let folder = folder("full");
    fs::write(folder.join("in.csv"), many(1000)).unwrap();
    for flag in ["--output /dev/full", "--late /dev/full"] {
        run(&folder, &format!("{REPLAY} --input in.csv {flag}")).failed(1, &["/dev/full", "space"]);
    }
    fs::write(folder.join("in.csv"), many(10) + "x,A,1,1\n").unwrap();
    let done = run(&folder, &format!("{REPLAY} --input in.csv --dead-letters /dev/full"));
    done.failed(1, &["/dev/full", "space"]);
}

#[test]
fn a_reader_that_leaves_is_an_error() {
    let folder = folder("gone");
    fs::write(folder.join("in.csv"), many(100_000)).unwrap();
    let words = REPLAY.replace("--json ", "");
    let words = format!("{words} --quiet --window 1us --input in.csv --output - --report r");
    let mut child = command(&folder, &words).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Done { code: output.status.code(), stdout: String::new(), stderr }
        .failed(1, &["standard output", "Broken pipe"]);
}

#[test]
fn bars_to_standard_output_come_alone() {
    let folder = folder("stdout");
    fs::write(folder.join("in.csv"), many(10)).unwrap();
    let words = REPLAY.replace("--json ", "");
    let done = run(&folder, &format!("{words} --window 1us --input in.csv --output -"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout.lines().count(), 11);
    assert_eq!(done.stdout.matches("window_start_ns").count(), 1, "one header");
    assert_eq!(folder.read_dir().unwrap().count(), 1, "no report: nobody was told where it is");
    let both = format!("{REPLAY} --window 1us --input in.csv --output -");
    run(&folder, &both).failed(2, &["--json", "--output -"]);
}
