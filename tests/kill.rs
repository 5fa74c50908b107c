//! A process that is killed with -9 again and again, and results that are there once each.
//!
//! `MILLSTREAM_KILLS=1000 cargo test --release --test kill` takes longer.
#![cfg(feature = "runtime")]

#[cfg(feature = "postgres")]
#[path = "lookup/eventually.rs"]
mod eventually;
#[cfg(feature = "postgres")]
#[path = "kill/postgres.rs"]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "lookup/servers.rs"]
mod servers;
#[cfg(feature = "net")]
#[path = "kill/socket.rs"]
mod socket;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use millstream::aggregates::{count, sum};
use millstream::commit::Parts;
use millstream::io::MemorySource;
use millstream::join::{after, before};
use millstream::runtime::Checkpoints;
use millstream::{
    Config, Engine, Idle, Pipeline, Record, Result, Shards, Stage, Stream, Timestamp, Tumbling, ms,
    ns,
};

const FOLDER: &str = "MILLSTREAM_KILLED_IN";

/// What each shard reads, and each number is its own time.
const RECORDS: i64 = 150_000;

fn numbers(p: Pipeline<'_>) -> MemorySource<i64> {
    let here = (0..RECORDS).filter(|n| *n as usize % p.shards() == p.shard());
    MemorySource::new(here.map(|n| Record::new(Timestamp(n), n)).collect::<Vec<_>>())
}

/// Key, count and sum of a window, and a number beside its end.
type Line = (i64, u64, i64, i64);

/// Windows of numbers joined with numbers beside their ends.
fn joined<'p>(
    numbers: Stream<'p, impl Stage<Out = i64>>,
    again: Stream<'p, impl Stage<Out = i64>>,
) -> Stream<'p, impl Stage<Out = Line>> {
    let windows = numbers
        .key_by(|n| n % 7)
        .window(Tumbling::of(ns(500)))
        .aggregate((count(), sum(|n: &i64| *n)))
        .map(|window| (window.key, window.value));
    let ends = again.filter(|n| n % 500 >= 493);
    windows
        .key_by(|window| window.0)
        .interval_join(ends.key_by(|n| n % 7))
        .between(before(ns(10)), after(ns(0)))
        .select(|window, end| (window.0, window.1.0, window.1.1, *end))
}

/// An engine whose checkpoints are in a folder, which says where it begins.
fn engine(folder: &Path) -> Result<Engine> {
    let idle = Idle::SpinThenPark(Duration::from_micros(20));
    let config = Config { shards: Shards::Count(2), idle, batch_max: 32, ..Config::default() };
    let checkpoints = Checkpoints::in_directory(folder.join("checkpoints"), ms(2))?;
    Ok(Engine::new(config)?.checkpoints(checkpoints))
}

/// From memory into files.
fn run(folder: &Path) -> Result<()> {
    let parts = parts(folder)?;
    engine(folder)?.run(move |p| {
        into_files(joined(p.source(numbers(p)), p.source(numbers(p))), &parts, p);
        Ok(())
    })?;
    Ok(())
}

fn parts(folder: &Path) -> Result<Parts> {
    Ok(Parts::new(folder.join("results"), "windows")?)
}

fn into_files<'p>(lines: Stream<'p, impl Stage<Out = Line>>, parts: &Parts, p: Pipeline<'p>) {
    lines.sink(parts.sink(p.shard(), |record: &Record<Line>, out| {
        let (key, count, sum, end) = record.value;
        out.extend_from_slice(format!("{key} {count} {sum} {end}\n").as_bytes());
    }));
}

/// The lines that must be there, and how often.
fn want() -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for start in (0..RECORDS).step_by(500) {
        for key in 0..7 {
            let of_key = (start..start + 500).filter(|n| n % 7 == key);
            let (count, sum) = (of_key.clone().count(), of_key.clone().sum::<i64>());
            for end in of_key.filter(|n| n % 500 >= 493) {
                *lines.entry(format!("{key} {count} {sum} {end}")).or_default() += 1;
            }
        }
    }
    lines
}

fn found(folder: &Path) -> BTreeMap<String, usize> {
    let parts = parts(folder).unwrap();
    let mut lines = BTreeMap::new();
    for file in parts.files().unwrap() {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().for_each(|line| *lines.entry(line.to_owned()).or_default() += 1);
    }
    lines
}

fn folder(name: &str) -> PathBuf {
    let name = format!("millstream-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// By itself it runs once, and nobody kills it. It is also what the other test kills.
#[test]
fn a_run_that_nobody_kills() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return run(Path::new(&folder)).unwrap();
    }
    let folder = folder("not-killed");
    run(&folder).unwrap();
    assert_eq!(found(&folder), want());
    // Whoever begins again finds that all is done.
    run(&folder).unwrap();
    assert_eq!(found(&folder), want());
    std::fs::remove_dir_all(folder).unwrap();
}

/// How many kills there are to be.
fn kills(default: i64) -> i64 {
    std::env::var("MILLSTREAM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Chooses the instants.
fn instants(default: u64) -> Rng {
    let seed = std::env::var("MILLSTREAM_KILLS_SEED").ok().and_then(|text| text.parse().ok());
    Rng::with_seed(seed.unwrap_or(default))
}

/// What was found must be what was wanted; or else everything stays for whoever looks into it.
fn compare(folder: &Path, left: i64) {
    let (found, want, place) = (found(folder), want(), folder.display());
    let all = want.keys().chain(found.keys());
    for line in all {
        let [found, wanted] = [&found, &want].map(|it| it.get(line).copied().unwrap_or(0));
        assert_eq!(found, wanted, "times that `{line}` is there; {place} is left as it is");
    }
    eprintln!("all there, once each; {} kills left", left.max(0));
}

/// Runs a test of this program again and again in a folder, and kills it, until it has come to its
/// end in spite of all. Returns how often it was killed. What `begin` returns before each run is
/// dropped after it.
fn kill<B>(test: &str, folder: &Path, rng: &mut Rng, mut begin: impl FnMut() -> B) -> i64 {
    for kills in 0.. {
        let beside = begin();
        // Where it says why, if it fails.
        let said = std::fs::File::create(folder.join("said")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(FOLDER, folder)
            .stdout(said)
            .spawn()
            .unwrap();
        std::thread::sleep(lifetime(kills, rng));
        child.kill().unwrap();
        let code = child.wait().unwrap().code();
        drop(beside);
        if let Some(code) = code {
            assert_eq!(code, 0, "it failed by itself, as {}/said has it", folder.display());
            return kills;
        }
    }
    unreachable!("it goes on until it returns")
}

/// How long a process lives that was killed so often before: longer and longer, so that also on a
/// slow host one comes to the end.
fn lifetime(kills: i64, rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.u64(1_000..250_000 + 20_000 * kills as u64))
}

#[test]
fn killed_at_any_instant() {
    let (mut left, mut rng) = (kills(25), instants(17));
    while left > 0 {
        let folder = folder(&format!("killed-{left}"));
        left -= kill("a_run_that_nobody_kills", &folder, &mut rng, || ());
        compare(&folder, left);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
