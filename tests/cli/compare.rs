//! Reports that are compared; what the verdicts are worth is tested where they are made.

use std::fs;

use serde_json::Value;

use crate::command::{folder, run};

#[test]
fn two_reports_of_a_scenario() {
    let folder = folder("compare");
    let small = "bench --seconds 0.1 --keys 20 --shards 1 --idle adaptive --window 1ms --quiet";
    for report in ["a", "b"] {
        let done = run(&folder, &format!("{small} --repeat 2 --rate 20k --report {report}"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    let text = fs::read_to_string(folder.join("a/report.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let runs = json["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run["latency_ns"]["p99_9"].is_u64()), "{runs:?}");
    let done = run(&folder, "compare a b/report.json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for word in
        ["bars: A a (2 runs)", "results p99.9", "noise floor p50", "too few runs", "--repeat"]
    {
        assert!(done.stdout.contains(word), "no {word:?} in {}", done.stdout);
    }
    if cfg!(debug_assertions) {
        assert!(done.stdout.contains("warning: a debug build"), "{}", done.stdout);
    }
    let json = run(&folder, "compare a b --json").json();
    let figures = json["figures"].as_array().unwrap();
    assert!(figures.iter().all(|it| it["verdict"] == "too_few_runs"), "{figures:?}");
    let other = text.replace("\"scenario\": \"bars\"", "\"scenario\": \"hop\"");
    fs::write(folder.join("other.json"), other.replace("\"version\": \"", "\"version\": \"9"))
        .unwrap();
    run(&folder, "compare a other.json").failed(2, &["hop", "another scenario", "bars"]);
    fs::write(folder.join("broken.json"), "{").unwrap();
    run(&folder, "compare a broken.json").failed(2, &["broken.json", "no report"]);
    run(&folder, "compare a missing.json").failed(2, &["missing.json", "No such file"]);
    fs::write(folder.join("old.json"), "{\"scenario\": \"bars\"}").unwrap();
    run(&folder, "compare old.json a").failed(2, &["old.json", "no figures of single runs"]);
    run(&folder, "compare a b --least 2").failed(2, &["--least", "share"]);
}
