//! Runs on generated trades: the report, JSON, Ctrl-C.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::command::{body, command, folder, run};

const QUICK: &str = "bench --seconds 1 --rate 50k --idle adaptive --quiet";

#[test]
fn json_is_one_object_with_the_documented_fields() {
    let folder = folder("json");
    let done = run(&folder, &format!("{QUICK} --json"));
    let json = done.json();
    assert_eq!(json["scenario"], "bars");
    assert!(json["host"]["cores"].is_u64() && json["records_per_s"].as_f64().unwrap() > 0.0);
    for latency in ["latency_ns", "noise_floor", "record_latency_ns"] {
        for name in ["p50", "p90", "p99", "p99_9", "p99_99", "max", "samples"] {
            assert!(json[latency][name].is_u64(), "{latency}.{name}: {json}");
        }
    }
    for counter in ["records_in", "late", "dropped", "dead_lettered"] {
        assert!(json["counters"][counter].is_u64(), "{counter}");
    }
    for ratio in ["bars_p999_vs_noise", "bars_p50_us", "bars_p99_us", "bars_p999_us"] {
        assert!(json["ratios"][ratio].is_number(), "{ratio}");
    }
    assert!(json["goals"].is_null(), "goals are set for another load");
    assert_eq!(json["repeats"], 1);
    assert_eq!(json["offered_per_s"], 50_000.0);
    assert!(json["allocations_per_step"].as_f64().unwrap() < 0.01, "{json}");
    let step = &json["worst_step"];
    assert!(step["ns"].as_u64().unwrap() > 0 && step["work"].as_u64().unwrap() > 0, "{step}");
    assert!(step["stall_ns"].as_u64().unwrap() > 0 && step["cpu"].is_u64(), "{step}");
    let stages = json["stage_work"].as_array().unwrap();
    assert!(stages.iter().any(|of| of["stage"] == step["stage"]), "{stages:?}");
    assert!(stages.iter().all(|of| of["work"].as_u64().unwrap() > 0), "{stages:?}");
    assert!(done.stderr.is_empty() && folder.read_dir().unwrap().count() == 0, "nothing else");
}

#[test]
fn goals_are_shown_for_the_load_they_are_set_for() {
    let done = run(&folder("goals"), "bench --seconds 1 --shards 2 --idle adaptive --json");
    let json = done.json();
    for goal in ["bars_p999_vs_noise", "bars_p50_us", "bars_p99_us"] {
        assert!(json["goals"][goal]["at_most"].is_number(), "{goal}");
        assert!(json["ratios"][goal].is_number(), "{goal}");
    }
}

#[test]
fn text_and_files() {
    let folder = folder("text");
    let done = run(&folder, &format!("{QUICK} --repeat 2 --keys 7 --output bars.csv"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let words = [
        "noise floor",
        "offered",
        "achieved",
        "p99.99",
        "samples",
        "late",
        "dead_lettered",
        "worst step",
        "most units of work in one call",
        "medians of 2 runs",
        "7 keys",
        "report/index.html",
        "allocation",
    ];
    for word in words {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
    let html = fs::read_to_string(folder.join("report/index.html")).unwrap();
    assert!(html.contains("<svg") && html.ends_with("</html>\n"));
    assert!(!html.contains("src=") && !html.contains("@import"), "no network");
    let json = fs::read_to_string(folder.join("report/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["repeats"], 2);
    let log = fs::read_to_string(folder.join("report/latency.hlog")).unwrap();
    for tag in ["Tag=noise_floor", "Tag=records", "Tag=results"] {
        assert!(log.contains(tag), "{tag}");
    }
    let bars = fs::read_to_string(folder.join("bars.csv")).unwrap();
    assert!(!body(&bars).is_empty() && bars.ends_with('\n'));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let folder = folder("no_report");
    fs::write(folder.join("taken"), "").unwrap();
    let done = run(&folder, &format!("{QUICK} --json --report taken"));
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.starts_with("millstream: error: create taken"), "{}", done.stderr);
}

/// Starts a run and interrupts it as soon as `is_time` says so of its process.
fn interrupted(name: &str, words: &str, is_time: fn(u32) -> bool) -> (Option<i32>, String) {
    let child = command(&folder(name), words).spawn().unwrap();
    while !is_time(child.id()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    eprintln!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Whether a process handles SIGINT by now: it is about to measure the noise floor.
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (2 - 1) != 0
}

/// Whether the shards of a process have used a tenth of a second of their cores.
fn runs(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let shards = stats.filter(|stat| stat.contains("(shard-"));
    let ticks = shards.filter_map(|stat| stat.split_whitespace().nth(13)?.parse::<u64>().ok());
    ticks.sum::<u64>() >= 10
}

#[test]
fn ctrl_c_is_a_clean_stop_with_a_report() {
    let words = "bench --seconds 100 --rate 50k --idle adaptive --json";
    for (name, is_time) in [("ctrl_c_floor", listens as fn(u32) -> bool), ("ctrl_c_run", runs)] {
        let (code, stdout) = interrupted(name, words, is_time);
        assert_eq!(code, Some(0), "{name}");
        let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert!(json["notes"].to_string().contains("Ctrl-C"), "{name}: {json}");
        let records = json["counters"]["records_in"].as_u64().unwrap();
        assert_eq!(records > 0, name == "ctrl_c_run", "{json}");
    }
}
