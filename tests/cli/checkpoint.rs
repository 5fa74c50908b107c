//! `millstream checkpoint`, on a directory that an engine has left behind.

use std::fs;
use std::path::Path;

use millstream::aggregates::count;
use millstream::io::MemorySource;
use millstream::runtime::Checkpoints;
use millstream::{Config, Engine, Idle, Record, Shards, Timestamp, Tumbling, ns, secs};

use super::command::{folder, run};

/// One checkpoint, taken at the end.
fn checkpoints(path: &Path) {
    let config = Config { shards: Shards::Count(1), idle: Idle::Park, ..Config::default() };
    let checkpoints = Checkpoints::in_directory(path, secs(60)).unwrap();
    let engine = Engine::new(config).unwrap().checkpoints(checkpoints);
    let run = engine.run(|p| {
        let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
        let windows = p
            .source(MemorySource::new(numbers.collect::<Vec<_>>()))
            .key_by(|n| n % 7)
            .window(Tumbling::of(ns(10)));
        windows.aggregate(count()).for_each(drop);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn one_that_is_whole_is_listed_shown_and_copied() {
    let folder = folder("checkpoint-whole");
    checkpoints(&folder.join("c"));
    let done = run(&folder, "checkpoint list c");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(done.stdout.trim_end().ends_with("  checkpoint-000000000001.json"), "{}", done.stdout);
    let done = run(&folder, "checkpoint show c");
    assert!(done.stdout.starts_with("checkpoint-000000000001.json: epoch 1, "), "{}", done.stdout);
    for word in ["source (1 here)", "  window: millstream::state::panes::Panes<i64, u64>"] {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
    let done = run(&folder, "checkpoint show c --json");
    assert!(done.stdout.contains("\"hash_seed\""), "{}", done.stdout);
    let done = run(&folder, "checkpoint verify c");
    assert!(done.stdout.starts_with("whole: 1 checkpoints, "), "{}", done.stdout);
    let done = run(&folder, "checkpoint export c d");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.ends_with(" copied to d\n"), "{}", done.stdout);
    assert_eq!(
        run(&folder, "checkpoint verify d").stdout,
        run(&folder, "checkpoint verify c").stdout
    );
}

#[test]
fn one_that_is_damaged_or_not_there() {
    let folder = folder("checkpoint-damaged");
    checkpoints(&folder.join("c"));
    let state = folder.join("c/checkpoint-000000000001-000.state");
    let mut bytes = fs::read(&state).unwrap();
    bytes[9] ^= 1;
    fs::write(&state, bytes).unwrap();
    let done = run(&folder, "checkpoint verify c");
    let golden = "millstream: error: checkpoint-000000000001-000.state: its check sum is wrong\n";
    assert_eq!((done.code, done.stderr.as_str()), (Some(1), golden));
    assert_eq!(run(&folder, "checkpoint export c d").code, Some(1));
    assert_eq!(run(&folder, "checkpoint show c checkpoint-7.json").code, Some(2));
    fs::create_dir(folder.join("empty")).unwrap();
    assert_eq!(run(&folder, "checkpoint list empty").code, Some(2));
    assert_eq!(run(&folder, "checkpoint list nowhere").code, Some(2));
}
