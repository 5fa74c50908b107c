//! What the command says about itself.

use crate::command::{folder, run};

const FLAGS: &[&str] = &[
    "--input",
    "--columns",
    "--time-unit",
    "--key-const",
    "--price-scale",
    "--disorder",
    "--window",
    "--slide",
    "--shards",
    "--cpus",
    "--rate",
    "--speed",
    "--flat-out",
    "--arrival",
    "--seed",
    "--closed-loop",
    "--slo",
    "--sweep",
    "--breakdown",
    "--output",
    "--late",
    "--dead-letters",
    "--report",
    "--json",
    "--seconds",
    "--repeat",
    "--keys",
    "--idle",
    "--plan",
    "--plan-dot",
    "--quiet",
    "--list",
];

/// Each of them is listed and has a plan that can be drawn.
const SCENARIOS: &[&str] = &[
    "bars",
    "hop",
    "stall",
    "window",
    "closing",
    "growth",
    "sliding",
    "sessions",
    "process",
    "timers",
    "ttl",
    "fifo",
    "hotkey",
    "join",
    "asof",
    "tablejoin",
    "journal",
    "checkpoint",
    "nexmark",
    "yahoo",
    "codecs",
    "noise",
    #[cfg(feature = "net")]
    "wire",
    #[cfg(feature = "net")]
    "ingest",
    #[cfg(feature = "net")]
    "abuse",
    #[cfg(feature = "net")]
    "shared",
];

#[test]
fn help_names_every_flag_and_teaches() {
    let done = run(&folder("help"), "bench --help");
    assert_eq!(done.code, Some(0));
    for flag in FLAGS {
        assert!(done.stdout.contains(flag), "{flag}");
    }
    for word in ["Examples:", "What the numbers mean:", "noise floor", "Exit codes:"] {
        assert!(done.stdout.contains(word), "{word}");
    }
    assert!(done.stderr.is_empty());
    for words in ["--help", "--version", "bench -h"] {
        assert_eq!(run(&folder("help"), words).code, Some(0), "{words}");
    }
    let nothing = run(&folder("help"), "");
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("Usage:"));
}

#[test]
fn help_of_replay_names_every_flag_and_teaches() {
    let done = run(&folder("help-replay"), "replay --help");
    assert_eq!(done.code, Some(0));
    let flags = [
        "--journal",
        "--until",
        "--shards",
        "--checkpoint",
        "--save",
        "--output",
        "--state-every",
        "--window",
        "--slide",
        "--disorder",
        "--compare",
        "--records",
        "Examples:",
    ];
    for flag in flags {
        assert!(done.stdout.contains(flag), "{flag}");
    }
    let all = run(&folder("help-replay"), "--help").stdout;
    for command in ["bench", "compare", "journal", "checkpoint", "replay"] {
        assert!(all.lines().any(|line| line.trim_start().starts_with(command)), "{all}");
    }
}

#[test]
fn scenarios_are_listed() {
    let done = run(&folder("list"), "bench --list");
    assert_eq!(done.code, Some(0));
    for name in SCENARIOS {
        assert!(done.stdout.lines().any(|line| line.starts_with(name)), "{}", done.stdout);
    }
}

#[test]
fn plans_are_drawn_and_nothing_runs() {
    let folder = folder("plan");
    for scenario in SCENARIOS {
        let plan = run(&folder, &format!("bench {scenario} --plan --shards 2 --idle adaptive"));
        assert!(plan.code == Some(0) && plan.stdout.contains("source"), "{}", plan.stderr);
    }
    let dot = run(&folder, "bench --plan-dot").stdout;
    assert!(dot.starts_with("digraph") && dot.contains("window"), "{dot}");
    assert_eq!(folder.read_dir().unwrap().count(), 0, "no report");
}
