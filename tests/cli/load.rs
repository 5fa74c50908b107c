//! The load that scenarios are put under: arrivals, closed loops, objectives, sweeps. Runs are
//! short, and what is looked at is structure and arithmetic, never how fast this host is.

use std::fs;

use serde_json::Value;

use crate::command::{body, folder, replay, run};

const SMALL: &str = "--seconds 0.3 --keys 50 --shards 1 --idle adaptive --json --quiet";

/// The percentiles that every distribution shows, ascending, and how many samples they are of.
fn whole(latency: &Value) {
    let names = ["p50", "p90", "p99", "p99_9", "p99_99", "max"];
    let values: Vec<u64> = names.iter().map(|name| latency[name].as_u64().unwrap()).collect();
    assert!(values.is_sorted(), "{latency}");
    assert!(latency["samples"].as_u64().unwrap() > 0, "{latency}");
}

#[test]
fn arrivals_are_labelled_and_give_the_same_records_again() {
    let folder = folder("arrivals");
    for (arrival, label) in [
        ("constant", "open loop"),
        ("poisson", "open loop, poisson, seed 9"),
        ("burst:64", "open loop, bursts of 64 at once"),
        ("burst:8/0.5", "open loop, bursts of 8 in 50 % of the time"),
    ] {
        let words = format!("bench {SMALL} --rate 20k --seed 9 --arrival {arrival}");
        let json = run(&folder, &words).json();
        assert_eq!(json["pace"], *label);
        assert_eq!(json["offered_per_s"], 20_000.0);
        whole(&json["latency_ns"]);
        whole(&json["noise_floor"]);
        let goals = json["goals"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(goals, 0, "goals are set for another load");
    }
}

#[test]
fn a_recording_keeps_its_gaps_or_is_spread_anew() {
    let folder = folder("arrivals_recorded");
    // A millisecond in all.
    let lines = (0..100).map(|at| format!("{},A,{at},1\n", at * 10_000));
    let text = format!("ts,key,price,qty\n{}", lines.collect::<String>());
    let (flat_out, bars) = replay(&folder, &text, "--shards 1 --window 1ms");
    assert_eq!(flat_out.json()["pace"], "flat out");
    for (flags, pace) in [
        ("--arrival replay", "open loop at 1 times the recorded speed"),
        ("--arrival replay --speed 3", "open loop at 3 times the recorded speed"),
        ("--arrival poisson --seed 4 --rate 1M", "open loop, poisson, seed 4"),
    ] {
        let (done, same) = replay(&folder, &text, &format!("--shards 1 --window 1ms {flags}"));
        assert_eq!((done.json()["pace"].as_str(), &same), (Some(pace), &bars));
        assert_eq!(done.counter("records_in"), 100);
    }
    assert_eq!(body(&bars).len(), 1);
}

#[test]
fn a_closed_loop_is_labelled_in_every_output() {
    let folder = folder("closed");
    let small = SMALL.replace(" --json", "");
    let words = format!("bench {small} --closed-loop --rate 10k");
    let words = words.replace(" --shards 1", "");
    let text = run(&folder, &words);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    let page = fs::read_to_string(folder.join("report/index.html")).unwrap();
    let json = fs::read_to_string(folder.join("report/report.json")).unwrap();
    for output in [&text.stdout, &json] {
        assert!(output.contains("closed loop of at most 10.0 k/s"), "{output}");
        assert!(output.contains("coordinated omission"), "{output}");
    }
    assert!(page.contains("Load: closed loop of at most 10.0 k/s"), "{page}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["offered_per_s"].is_null() && json["setup"].as_str().unwrap().contains("1 shard"));
    assert_eq!(json["ratios"].as_object().unwrap().len(), 0, "nothing to compare it with");
}

/// What holds for every search: its probes agree with its answer.
fn consistent(slo: &Value) {
    let probes = slo["probes"].as_array().unwrap();
    assert!(!probes.is_empty());
    let count = |side: &Value| {
        let of = |probe: &&Value| probe["offered_per_s"] == side["per_s"];
        let all: Vec<&Value> = probes.iter().filter(of).collect();
        let held = all.iter().filter(|probe| probe["held"] == true).count();
        assert_eq!(
            (side["held"].as_u64(), side["runs"].as_u64()),
            (Some(held as u64), Some(all.len() as u64))
        );
        2 * held > all.len()
    };
    if !slo["highest"].is_null() {
        assert!(count(&slo["highest"]), "{slo}");
        assert!(slo["limited_by"].is_string(), "{slo}");
    }
    if !slo["next"].is_null() {
        count(&slo["next"]);
    }
    for probe in probes {
        assert!(probe["held"] == false || probe["kept_up"] == true, "{probe}");
        assert_eq!(probe["limited_by"].is_null(), probe["kept_up"] == true, "{probe}");
    }
}

#[test]
fn an_objective_is_searched_for_and_every_probe_shown() {
    let folder = folder("slo");
    let words = "bench --seconds 0.5 --keys 20 --shards 1 --idle adaptive --window 1ms --quiet";
    // Nothing holds it, so it ends soon.
    let words = format!("{words} --rate 20k --slo p50<1ns --arrival poisson");
    let text = run(&folder, &words);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("p50 < 1 ns: no rate was found that holds it"), "{}", text.stdout);
    let page = fs::read_to_string(folder.join("report/index.html")).unwrap();
    assert!(page.contains("The highest rate that holds p50 &lt; 1 ns"), "{page}");
    let json = fs::read_to_string(folder.join("report/report.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["slo"]["slo"], "p50 < 1 ns");
    assert_eq!(json["slo"]["probes"].as_array().unwrap().len(), 11, "halved ten times");
    assert!(json["slo"]["highest"].is_null() && json["slo"]["limited_by"].is_null());
    whole(&json["noise_floor"]);
    consistent(&json["slo"]);
}

#[test]
fn a_rate_beyond_the_generator_is_explained() {
    let words = "bench --seconds 0.5 --keys 20 --shards 1 --idle adaptive --json --quiet";
    let json = run(&folder("slo_beyond"), &format!("{words} --rate 1G --slo max<1h")).json();
    let generator = json["slo"]["generator_per_s"].as_f64().unwrap();
    assert!(0.0 < generator && generator < 1e9);
    consistent(&json["slo"]);
    for probe in json["slo"]["probes"].as_array().unwrap() {
        assert!(probe["offered_per_s"].as_f64().unwrap() <= generator, "{probe}");
    }
    let notes = json["notes"].to_string();
    assert!(notes.contains("more than the generator makes by itself"), "{notes}");
}

#[test]
fn a_query_of_nexmark_has_a_load_too() {
    let words = "bench nexmark q5 --shards 1 --seconds 0.4 --json --quiet";
    let json = run(&folder("slo_query"), &format!("{words} --slo p50<1h --rate 20k")).json();
    consistent(&json["slo"]);
    let all = words.replace(" q5", "");
    let refused = run(&folder("slo_queries"), &format!("{all} --slo p50<1ms"));
    assert!(refused.stderr.contains("say `nexmark q5`"), "{}", refused.stderr);
    let refused = run(&folder("closed_query"), &format!("{words} --closed-loop"));
    assert!(refused.stderr.contains("open loop"), "{}", refused.stderr);
}

#[test]
fn a_sweep_is_a_table_a_chart_and_json() {
    let folder = folder("sweep");
    let small = SMALL.replace(" --json", "");
    let words = format!("bench {small} --sweep 10k..30k/3 --repeat 2 --window 2ms --breakdown");
    let text = run(&folder, &words);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    let breakdown = ["where the time went", "results, emitted to sent"];
    let load = ["load", "achieved", "10.0k/s", "20.0k/s", "30.0k/s", "p99.99"];
    for word in load.into_iter().chain(breakdown) {
        assert!(text.stdout.contains(word), "no {word:?} in {}", text.stdout);
    }
    let page = fs::read_to_string(folder.join("report/index.html")).unwrap();
    assert!(page.contains("aria-label=\"Latency against load\""), "{page}");
    assert!(!page.contains("<script") && !page.contains("http"), "by itself");
    let json = fs::read_to_string(folder.join("report/report.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let sweep = json["sweep"].as_array().unwrap();
    let rates: Vec<f64> = sweep.iter().map(|it| it["offered_per_s"].as_f64().unwrap()).collect();
    assert_eq!(rates, [10e3, 20e3, 30e3]);
    for probe in sweep {
        assert_eq!(probe["runs"], 2);
        whole(&probe["latency_ns"]);
    }
    adds_up(&json, "results", "latency_ns");
}

/// The pieces of each batch add up to its latency, so their means add up to its mean.
fn adds_up(json: &Value, of: &str, whole: &str) {
    let pieces = json["breakdown"].as_array().unwrap();
    let own: Vec<&Value> = pieces.iter().filter(|piece| piece["of"] == of).collect();
    assert!(!own.is_empty(), "{json}");
    let mean: u64 = own.iter().map(|piece| piece["latency_ns"]["mean"].as_u64().unwrap()).sum();
    let expected = json[whole]["mean"].as_u64().unwrap();
    let error = mean.abs_diff(expected) as f64 / expected as f64;
    assert!(error < 0.01, "{of}: {mean} and {expected}");
    for piece in own {
        assert_eq!(piece["latency_ns"]["samples"], json[whole]["samples"], "{piece}");
    }
}

#[test]
fn a_breakdown_adds_up() {
    let folder = folder("breakdown");
    for shards in ["1", "2"] {
        let small = SMALL.replace("--shards 1", &format!("--shards {shards}"));
        let words = format!("bench {small} --rate 20k --window 2ms --breakdown");
        let json = run(&folder, &words).json();
        let pieces = json["breakdown"].as_array().unwrap();
        assert_eq!(pieces.len(), 7, "{pieces:?}");
        for (of, whole) in [("records", "record_latency_ns"), ("results", "latency_ns")] {
            adds_up(&json, of, whole);
        }
        let without = run(&folder, &words.replace(" --breakdown", "")).json();
        assert!(without["breakdown"].is_null());
    }
}

#[test]
fn ads_have_a_load_too() {
    let folder = folder("yahoo_load");
    let words = "bench yahoo --shards 1 --idle adaptive --seconds 0.5 --json --quiet";
    let json = run(&folder, &format!("{words} --sweep 2k..6k/2 --arrival burst:4 --keys 7")).json();
    assert_eq!(json["pace"], "open loop, bursts of 4 at once");
    assert!(
        json["setup"].to_string().contains("7 campaigns, windows of 10 ms"),
        "{}",
        json["setup"]
    );
    for probe in json["sweep"].as_array().unwrap() {
        whole(&probe["latency_ns"]);
        // At most one result of each campaign and window.
        let samples = probe["latency_ns"]["samples"].as_u64().unwrap();
        assert!(samples <= 7 * 21, "{probe}");
    }
    let json = run(&folder, &format!("{words} --rate 2k --slo p50<1ns")).json();
    consistent(&json["slo"]);
    assert!(json["slo"]["highest"].is_null());
    // By itself it is flat out.
    for flags in ["--arrival poisson", "--closed-loop"] {
        run(&folder, &format!("{words} {flags}")).failed(2, &["yahoo", "--slo or --sweep"]);
    }
}

/// What is flat out by itself has rates, too, with spans so short that they end while one is tried.
#[test]
fn what_is_flat_out_has_a_load_too() {
    let folder = folder("flat_out_load");
    let each = [
        ("window", "10 keys, windows of 10 ms"),
        ("sliding", "10 keys, 100ms every 10ms"),
        ("sessions", "10 keys, sessions of 7 readings"),
        ("join", "10 keys, a partner each"),
        ("asof", "quotes and trades of 10 symbols"),
        ("tablejoin", "two tables of 10 rows"),
        ("process", "10 keys, rows of 20 readings"),
        ("hotkey", "10 keys and a hot one, 100ms every 10ms"),
        ("checkpoint", "10 accounts, a checkpoint every"),
    ];
    for (scenario, words) in each {
        let small = "--shards 1 --idle adaptive --seconds 0.5 --json --quiet --keys 10";
        let loaded = format!("bench {scenario} {small} --sweep 2k..6k/2 --arrival poisson");
        let json = run(&folder, &(loaded + " --breakdown")).json();
        assert_eq!(json["pace"], "open loop, poisson, seed 1", "{scenario}");
        let setup = json["setup"].as_str().unwrap();
        assert!(setup.starts_with(words), "{scenario}: {setup}");
        for probe in json["sweep"].as_array().unwrap() {
            // Nothing is made up: each of them has results.
            whole(&probe["latency_ns"]);
            assert!(probe["latency_ns"]["samples"].as_u64().unwrap() > 10, "{scenario}: {probe}");
        }
        let notes = json["notes"].to_string();
        assert!(notes.contains("where the time went, is that at"), "{notes}");
        let of_results = |pieces: &Vec<Value>| pieces.iter().any(|it| it["of"] == "results");
        let is_known = json["breakdown"].as_array().is_some_and(of_results);
        assert!(is_known || notes.contains("went is not known"), "{scenario}: {json}");
        let refused = format!("bench {scenario} {small} --arrival poisson");
        run(&folder, &refused).failed(2, &[scenario, "--slo or --sweep"]);
    }
    let small = "--shards 1 --idle adaptive --seconds 0.5 --json --quiet --keys 10";
    let json = run(&folder, &format!("bench join {small} --rate 2k --slo p50<1ns")).json();
    consistent(&json["slo"]);
    assert!(json["slo"]["highest"].is_null());
}

#[test]
fn a_hop_has_a_load_too() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return;
    }
    let folder = folder("hop_load");
    let words = "bench hop --shards 2 --seconds 0.5 --json --quiet";
    let json = run(&folder, &format!("{words} --sweep 1k..3k/2 --arrival poisson")).json();
    assert_eq!(json["pace"], "open loop, poisson, seed 1");
    for (probe, per_s) in json["sweep"].as_array().unwrap().iter().zip([1e3, 3e3]) {
        whole(&probe["latency_ns"]);
        // What is served comes back at most once: a quarter of a second, by chance more or less.
        let samples = probe["latency_ns"]["samples"].as_u64().unwrap() as f64;
        assert!(samples < 0.4 * per_s, "{probe}");
    }
    let json = run(&folder, &format!("{words} --rate 1k --slo max<1h")).json();
    consistent(&json["slo"]);
    run(&folder, &format!("{words} --closed-loop")).failed(2, &["hop", "--slo or --sweep"]);
    let one = words.replace("--shards 2", "--shards 1");
    run(&folder, &format!("{one} --slo p50<1ms")).failed(2, &["two shards"]);
}

/// One core is for the engine, one for who talks to it.
#[cfg(feature = "net")]
#[test]
fn sockets_have_a_load_too() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return;
    }
    let folder = folder("wire_load");
    let small = "--seconds 0.6 --shards 2 --json --quiet";
    let words = format!("bench wire {small} --sweep 1k..3k/2 --arrival burst:4");
    let json = run(&folder, &words).json();
    assert_eq!(json["pace"], "open loop, bursts of 4 at once");
    for probe in json["sweep"].as_array().unwrap() {
        whole(&probe["latency_ns"]);
    }
    let json = run(&folder, &format!("bench wire {small} --rate 1k --slo p50<1ns")).json();
    consistent(&json["slo"]);
    assert!(json["slo"]["highest"].is_null());
    // A rate that no client can send ends all the same.
    let words = format!("bench wire {small} --rate 5M --arrival poisson");
    let json = run(&folder, &words).json();
    assert_eq!(
        (&json["pace"], &json["offered_per_s"]),
        (&"open loop, poisson, seed 1".into(), &5e6.into())
    );
    whole(&json["beside_ns"]["bare ring"]);
    assert!(json["goals"]["wire_paced_p99_vs_echo"].is_null(), "set for another load");
    let json = run(&folder, &format!("bench wire {small} --closed-loop")).json();
    assert_eq!(json["pace"], "closed loop of one record in flight");
    whole(&json["beside_ns"]["ring, closed"]);
}
