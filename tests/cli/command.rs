//! Runs the command and looks at what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::Value;

/// What a run left behind.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The object that `--json` printed.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }

    /// A counter in that object.
    pub fn counter(&self, name: &str) -> u64 {
        self.json()["counters"][name].as_u64().unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// Asserts that it ended with `code`, and an error of one line that holds all of `words`.
    pub fn failed(&self, code: i32, words: &[&str]) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}{stderr}");
        assert!(stderr.starts_with("millstream: error: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!stderr.contains("{ ") && !stderr.contains("panicked"), "a dump: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "no {word:?} in {stderr}");
        }
        assert!(stdout.is_empty(), "{stdout}");
    }
}

/// A directory that is empty when the test begins.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The command with these words, in this directory.
pub fn command(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.args(words.split_whitespace()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, words: &str) -> Done {
    let output = command(folder, words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs it to its end where one core is all that it may use.
pub fn run_on_one_core(folder: &Path, words: &str) -> Done {
    // A process inherits what a thread may use, and that is forgotten with the thread.
    let on_one = || {
        let mine = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let first = (0..CpuSet::count()).find(|cpu| mine.is_set(*cpu).unwrap()).unwrap();
        let mut one = CpuSet::new();
        one.set(first).unwrap();
        sched_setaffinity(Pid::from_raw(0), &one).unwrap();
        run(folder, words)
    };
    thread::scope(|scope| scope.spawn(on_one).join().unwrap())
}

/// What the tests replay by: a file with a header, and shards that leave the cores to other tests.
pub const REPLAY: &str = "bench --json --idle adaptive --time-unit ns \
                          --columns ts=ts,key=key,price=price,qty=qty";

/// Replays `text` with further flags and returns what came of it and the bars.
pub fn replay(folder: &Path, text: &str, flags: &str) -> (Done, String) {
    fs::write(folder.join("in.csv"), text).unwrap();
    let done = run(folder, &format!("{REPLAY} --input in.csv --output out.csv {flags}"));
    let bars = fs::read_to_string(folder.join("out.csv")).unwrap_or_default();
    (done, bars)
}

/// A file's lines behind the header.
pub fn body(text: &str) -> Vec<&str> {
    text.lines().skip(1).collect()
}
