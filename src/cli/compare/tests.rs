//! On made-up reports: what differs by chance is not said to differ, what does is.

use serde_json::{Value, json};

use super::*;

/// Runs of a made-up host: each has its mood, which all of its percentiles feel, and each
/// percentile an accident of its own, the larger the further out.
struct Host {
    chance: fastrand::Rng,
}

impl Host {
    fn new(seed: u64) -> Self {
        Self { chance: fastrand::Rng::with_seed(seed) }
    }

    /// About normal, with a tail: one run in ten is disturbed.
    fn factor(&mut self, spread: f64) -> f64 {
        let normal = (0..12).map(|_| self.chance.f64()).sum::<f64>() - 6.0;
        let disturbed = if self.chance.f64() < 0.1 { 1.0 + 3.0 * spread } else { 1.0 };
        (spread * normal).exp() * disturbed
    }

    fn latency(&mut self, p50: f64, slower_p999: f64) -> Value {
        let mood = self.factor(0.03);
        let mut at = |times: f64, spread: f64| (p50 * mood * times * self.factor(spread)) as u64;
        json!({
            "p50": at(1.0, 0.01),
            "p90": at(1.4, 0.02),
            "p99": at(3.0, 0.03),
            "p99_9": at(9.0 * slower_p999, 0.05),
            "p99_99": at(30.0, 0.15),
            "max": at(200.0, 0.6),
            "samples": 1_000_000,
        })
    }

    fn report(&mut self, runs: usize, slower_p999: f64) -> Value {
        let runs: Vec<Value> = (0..runs)
            .map(|_| {
                json!({
                    "records_per_s": 1e6 * self.factor(0.02),
                    "latency_ns": self.latency(4_000.0, slower_p999),
                    "record_latency_ns": self.latency(900.0, 1.0),
                    "noise_floor": self.latency(50.0, 1.0),
                    "ratios": { "bars_p50_us": 4.0 * self.factor(0.03), "other": self.factor(0.1) },
                })
            })
            .collect();
        json!({
            "scenario": "bars",
            "version": "0.1.0",
            "host": { "kernel": "6.18", "cpu_model": "made up", "debug_build": false },
            "goals": { "bars_p50_us": { "at_most": 5.0 } },
            "pace": "open loop",
            "runs": runs,
        })
    }
}

fn compared(a: &Value, b: &Value) -> Comparison {
    compare(&Recorded::of(a).unwrap(), &Recorded::of(b).unwrap(), 0.02, 1)
}

fn verdict(found: &Comparison, name: &str) -> Verdict {
    found.figures.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}")).verdict
}

#[test]
fn ten_pairs_of_the_same_raise_nothing() {
    for pair in 0..10 {
        let mut host = Host::new(pair);
        let found = compared(&host.report(20, 1.0), &host.report(20, 1.0));
        assert!(found.figures.len() > 18 && found.warnings.is_empty(), "{found:?}");
        for it in &found.figures {
            assert_eq!(it.verdict, Verdict::NoDifferenceSeen, "pair {pair}: {it:?}");
            assert!(it.interval[0] <= it.ratio && it.ratio <= it.interval[1], "{it:?}");
        }
    }
}

#[test]
fn a_fifth_more_of_p999_is_caught_and_nothing_else() {
    for pair in 0..10 {
        let mut host = Host::new(100 + pair);
        let found = compared(&host.report(20, 1.0), &host.report(20, 1.2));
        for it in &found.figures {
            let expected = match it.name.as_str() {
                "results p99.9" => Verdict::Worse,
                _ => Verdict::NoDifferenceSeen,
            };
            assert_eq!(it.verdict, expected, "pair {pair}: {it:?}");
        }
    }
    let mut host = Host::new(99);
    let back = compared(&host.report(20, 1.2), &host.report(20, 1.0));
    assert_eq!(verdict(&back, "results p99.9"), Verdict::Better);
}

#[test]
fn few_runs_lie_apart_by_chance() {
    assert_eq!(least_chance(1, 1), 1.0);
    assert!((least_chance(5, 5) - 2.0 / 252.0).abs() < 1e-12);
    assert!((least_chance(10, 10) - 2.0 / 184_756.0).abs() < 1e-12);
}

/// How often something is said of two reports of the same thing, over many pairs: of 200, not half
/// of one is expected.
#[test]
fn alarms_are_as_rare_as_they_say() {
    let alarms = (0..200).filter(|pair| {
        let mut host = Host::new(1_000 + pair);
        let lots = [host.report(10, 1.0), host.report(10, 1.0)];
        let [a, b] = lots.map(|json| Recorded::of(&json).unwrap());
        let error = ERROR / a.figures.len() as f64;
        a.figures
            .iter()
            .any(|(name, of_a)| ranks::chance(&of_a.runs, &b.figures[name].runs) <= error)
    });
    let alarms = alarms.count();
    assert!(alarms <= 2, "{alarms} of 200");
}

#[test]
fn few_runs_say_nothing_however_far_apart() {
    let mut host = Host::new(1);
    let found = compared(&host.report(5, 1.0), &host.report(5, 3.0));
    assert!(found.figures.iter().all(|it| it.verdict == Verdict::TooFewRuns), "{found:?}");
    let text = render(&found, "a", "b");
    let enough = needed(found.figures.len());
    assert!(
        text.contains("too few runs") && text.contains(&format!("--repeat {enough}")),
        "{text}"
    );
    let found = compared(&host.report(enough, 1.0), &host.report(enough, 3.0));
    assert_eq!(verdict(&found, "results p99.9"), Verdict::Worse);
}

#[test]
fn which_way_is_better_is_said_by_the_goal() {
    let with = |ratio: f64, goal: Value| {
        let run = |at: usize| json!({ "ratios": { "r": ratio + at as f64 / 1e4 } });
        let runs: Vec<Value> = (0..10).map(run).collect();
        json!({ "scenario": "s", "runs": runs, "goals": { "r": goal } })
    };
    for (goal, expected) in [
        (json!({ "at_least": 1.0 }), Verdict::Better),
        (json!({ "at_most": 1.0 }), Verdict::Worse),
        (Value::Null, Verdict::Higher),
    ] {
        assert_eq!(verdict(&compared(&with(1.0, goal.clone()), &with(1.5, goal)), "r"), expected);
    }
    // Sure, and too small to matter.
    let found = compared(&with(1.0, Value::Null), &with(1.01, Value::Null));
    assert_eq!(verdict(&found, "r"), Verdict::NoDifferenceSeen);
}

#[test]
fn another_host_or_version_is_a_warning() {
    let mut host = Host::new(2);
    let (a, mut b) = (host.report(8, 1.0), host.report(8, 1.0));
    b["version"] = json!("0.2.0");
    b["host"]["cpu_model"] = json!("another");
    b["host"]["debug_build"] = json!(true);
    b["pace"] = json!("closed loop");
    let found = compared(&a, &b);
    let text = render(&found, "a.json", "b.json");
    for word in [
        "warning: a debug build",
        "warning: cpu_model differs: made up and another",
        "warning: version differs: 0.1.0 and 0.2.0",
        "warning: pace differs: open loop and closed loop",
        "A a.json (8 runs)",
    ] {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
    let widest = text.lines().map(str::len).max().unwrap();
    assert!(widest <= 100, "{widest}\n{text}");
}

#[test]
fn what_is_no_report_is_said() {
    for (json, word) in [
        (json!({}), "names no scenario"),
        (json!({ "scenario": "bars" }), "no figures of single runs"),
        (json!({ "scenario": "bars", "runs": [] }), "no figures of single runs"),
    ] {
        assert!(Recorded::of(&json).unwrap_err().contains(word), "{json}");
    }
    // What is not a number, or not above zero, is left out.
    let odd =
        json!({ "scenario": "s", "runs": [{ "records_per_s": "many", "ratios": { "r": 0 } }] });
    assert!(Recorded::of(&odd).unwrap().figures.is_empty());
}
