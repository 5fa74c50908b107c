//! Every scenario about event time, small and short: what it reports is named as documented. The
//! scenarios themselves fail where the engine and the hand-written program find different things.

use serde_json::Value;

use crate::command::{folder, run, run_on_one_core};

/// Runs a scenario in next to no time and looks for the ratios that it promises.
fn names(scenario: &str, seconds: f64, ratios: &[&str]) -> Value {
    names_on("--shards 1", scenario, seconds, ratios)
}

fn names_on(shards: &str, scenario: &str, seconds: f64, ratios: &[&str]) -> Value {
    let flags = format!("--keys 500 {shards} --json --quiet");
    let words = format!("bench {scenario} --seconds {seconds} {flags}");
    let json = run(&folder(scenario), &words).json();
    assert_eq!(json["scenario"], *scenario);
    for ratio in ratios {
        assert!(json["ratios"][ratio].is_number(), "{ratio}: {json}");
    }
    assert_eq!(json["ratios"].as_object().unwrap().len(), ratios.len(), "{}", json["ratios"]);
    assert!(json["goals"].is_null(), "goals are set for another number of keys");
    assert!(json["records_per_s"].as_f64().unwrap() > 0.0, "{json}");
    let (step, stages) = (&json["worst_step"], json["stage_work"].as_array().unwrap());
    assert!(step["ns"].as_u64().unwrap() > 0 && step["stall_ns"].is_u64(), "{step}");
    assert!(stages.iter().any(|of| of["stage"] == step["stage"]), "{stages:?}");
    assert!(json["notes"][0].is_string(), "{json}");
    json
}

#[test]
fn sliding() {
    let beside_hand = ["sliding_vs_hand", "sliding_fine_vs_hand"];
    let beside_packed = ["sliding_vs_packed", "sliding_fine_vs_packed"];
    names("sliding", 0.1, &[&beside_hand[..], &beside_packed, &["sliding_max_vs_sum"]].concat());
}

#[test]
fn sessions() {
    names("sessions", 0.2, &["sessions_vs_hand"]);
}

#[test]
fn join() {
    names("join", 0.2, &["join_vs_hand"]);
}

#[test]
fn asof() {
    names("asof", 0.2, &["asof_vs_sorted_arrays"]);
}

#[test]
fn tablejoin() {
    names("tablejoin", 0.2, &["tablejoin_vs_hand"]);
}

#[test]
fn yahoo() {
    let json = names("yahoo", 0.1, &["yahoo_vs_hand"]);
    assert!(json["notes"].to_string().contains("One core only"), "{json}");
    names_on("--shards 2", "yahoo", 0.1, &["yahoo_vs_hand", "yahoo_all_vs_1"]);
}

#[test]
fn process() {
    names("process", 0.2, &["process_m_per_s", "process_vs_hand"]);
}

#[test]
fn timers() {
    names("timers", 0.1, &["timers_worst_step_us", "timers_worst_stall_us"]);
}

#[test]
fn ttl() {
    names("ttl", 0.1, &["ttl_worst_step_us", "ttl_worst_stall_us"]);
}

/// All the time goes into the floor: some million looks at the clock a second and core.
#[test]
fn noise() {
    let text = run(&folder("noise_text"), "bench noise --seconds 0.2 --shards 1 --quiet");
    for words in ["noise floor", "an empty loop on each", "was away for up to"] {
        assert!(text.stdout.contains(words), "{words}: {}", text.stdout);
    }
    let json = run(&folder("noise"), "bench noise --seconds 0.2 --shards 1 --json --quiet").json();
    let floor = &json["noise_floor"];
    assert!(floor["samples"].as_u64().unwrap() > 100_000, "{json}");
    assert!(floor["p99_9"].as_u64().unwrap() <= floor["max"].as_u64().unwrap(), "{json}");
}

/// No engine runs, so there is no step.
#[test]
fn journal() {
    let words = "bench journal --seconds 0.4 --shards 1 --json --quiet";
    let json = run(&folder("journal_bench"), words).json();
    let names = [
        "gate_adds_vs_raw_write",
        "journal_records_vs_raw_writes",
        "journal_vs_raw_writes",
        "journal_wait_vs_raw_write",
    ];
    let ratios = json["ratios"].as_object().unwrap();
    assert_eq!(ratios.keys().collect::<Vec<_>>(), names);
    assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0), "{json}");
    assert_eq!(json["goals"]["journal_vs_raw_writes"]["at_least"], 0.7);
    assert_eq!(json["goals"]["journal_wait_vs_raw_write"]["at_most"], 1.5);
    assert!(json["latency_ns"]["samples"].as_u64().unwrap() > 0, "{json}");
    assert!(json["setup"].as_str().unwrap().contains("durable by"), "{json}");
}

/// The picture of coordinated omission: both loops, on a page.
#[test]
fn stall() {
    let folder = folder("stall");
    let text = run(&folder, "bench stall --seconds 2 --shards 1 --rate 20k --quiet");
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("closed loop") && text.stdout.contains("coordinated omission"));
    let read = |name: &str| std::fs::read_to_string(folder.join("report").join(name)).unwrap();
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    let (open, closed) = (&json["record_latency_ns"], &json["beside_ns"]["closed loop"]);
    let names = ["stall_open_vs_closed_p50", "stall_open_vs_closed_p99", "stall_p99_vs_expected"];
    assert!(json["ratios"].as_object().unwrap().keys().eq(names), "{json}");
    assert_eq!(json["goals"]["stall_open_vs_closed_p99"]["at_least"], 10.0);
    // The open loop owes every record of its time; the closed one sends what it gets to.
    let samples = |latency: &Value| latency["samples"].as_u64().unwrap();
    assert!(samples(closed) < samples(open), "{json}");
    let page = read("index.html");
    for class in ["line results", "line closed", "area floor"] {
        assert!(page.contains(class), "{class}");
    }
    assert_eq!(page.matches("aria-label=\"Latency over time\"").count(), 2);
}

/// No engine runs, so there is no step.
#[test]
fn codecs() {
    let words = "bench codecs --seconds 0.2 --shards 1 --json --quiet";
    let json = run(&folder("codecs_bench"), words).json();
    let ratios = json["ratios"].as_object().unwrap();
    assert!(ratios.keys().eq(["itch_vs_match", "json_vs_struct"]), "{ratios:?}");
    assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0), "{json}");
    assert_eq!(json["goals"]["itch_vs_match"]["at_least"], 0.7);
    assert_eq!(json["goals"]["json_vs_struct"]["at_least"], 0.8);
    assert!(json["records_per_s"].as_f64().unwrap() > 0.0, "{json}");
}

/// One core is for the engine, one for who talks to it.
#[cfg(feature = "net")]
#[test]
fn wire() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let names = [
            ("wire_calls_per_record", Some(("at_most", 0.05))),
            ("wire_paced_p99_9_vs_echo", Some(("at_most", 1.5))),
            ("wire_paced_p99_vs_echo", Some(("at_most", 1.5))),
            ("wire_vs_echo", Some(("at_most", 1.3))),
            ("wire_vs_echo_on_one", None),
        ];
        let json = on_sockets("wire", &names);
        assert!(json["latency_ns"]["samples"].as_u64().unwrap() > 0, "{json}");
    }
}

#[cfg(feature = "net")]
#[test]
fn ingest() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let names = [
            ("ingest_calls_per_record", Some(("at_most", 0.05))),
            ("ingest_vs_bare_ring", Some(("at_least", 0.6))),
        ];
        on_sockets("ingest", &names);
    }
}

#[cfg(feature = "net")]
#[test]
fn abuse() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let names =
            [("abuse_p50", None), ("abuse_p99", None), ("abuse_p99_9", Some(("at_most", 1.5)))];
        let json = on_sockets("abuse", &names);
        assert!(json["latency_ns"]["samples"].as_u64().unwrap() > 0, "{json}");
    }
}

/// No engine runs: two processes play with a ball.
#[cfg(feature = "net")]
#[test]
fn shared() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let words = "bench shared --seconds 0.5 --shards 2 --json --quiet";
        let json = run(&folder("shared_bench"), words).json();
        assert!(json["ratios"]["shared_vs_rtrb"].as_f64().unwrap() > 0.0, "{json}");
        assert_eq!(json["ratios"].as_object().unwrap().len(), 1, "{json}");
        assert_eq!(json["goals"]["shared_vs_rtrb"]["at_most"], 1.3, "{json}");
        assert!(json["latency_ns"]["samples"].as_u64().unwrap() > 0, "{json}");
    }
}

#[cfg(feature = "net")]
fn on_sockets(scenario: &str, names: &[(&str, Option<(&str, f64)>)]) -> Value {
    let words = format!("bench {scenario} --seconds 1.5 --shards 2 --json --quiet");
    let json = run(&folder(scenario), &words).json();
    let ratios = json["ratios"].as_object().unwrap();
    assert!(ratios.keys().eq(names.iter().map(|(name, _)| name)), "{ratios:?}");
    assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0), "{json}");
    for (name, goal) in names {
        match goal {
            Some((way, value)) => assert_eq!(json["goals"][name][way], *value, "{json}"),
            None => assert!(json["goals"][name].is_null(), "{json}"),
        }
    }
    assert!(json["records_per_s"].as_f64().unwrap() > 0.0, "{json}");
    json
}

/// With one core there is nothing to split.
#[test]
fn hotkey() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let beside = ["hot_split_vs_uniform", "hot_whole_vs_uniform", "uniform_watched_vs_uniform"];
        let json = names_on("--shards 2", "hotkey", 0.1, &beside);
        assert!(json["counters"]["hot_records"].as_u64().unwrap() > 0, "{json}");
    }
}

#[test]
fn goals_stand_beside_the_numbers_they_are_set_for() {
    let words = "bench process --seconds 0.1 --shards 1 --json --quiet";
    let json = run(&folder("process_goal"), words).json();
    assert_eq!(json["goals"]["process_m_per_s"]["at_least"], 5.0);
}

#[test]
fn windows_show_their_worst_step() {
    let words = "bench window --seconds 0.1 --shards 1 --json --quiet";
    let json = run(&folder("window_steps"), words).json();
    assert!(json["worst_step"]["work"].as_u64().unwrap() > 0, "{json}");
    assert!(json["ratios"]["window_vs_hand_loop"].is_number(), "{json}");
}

/// One shard that is looked at from outside, a file, and an engine.
#[test]
fn checkpoint() {
    let words = "bench checkpoint --seconds 0.4 --keys 5000 --shards 1 --json --quiet";
    let json = run(&folder("checkpoint_bench"), words).json();
    let names = [
        "checkpoint_barrier_us",
        "checkpoint_p999",
        "checkpoint_pause_us",
        "checkpoint_pause_vs_small",
        "checkpoint_throughput",
        "restore_vs_raw_read",
    ];
    let ratios = json["ratios"].as_object().unwrap();
    assert!(ratios.keys().eq(names), "{ratios:?}");
    assert!(json["goals"].is_null(), "goals are set for another number of keys");
    assert!(json["records_per_s"].as_f64().unwrap() > 0.0, "{json}");
}

/// All queries, which must come to the same on one shard, on two, and disordered.
#[test]
fn nexmark() {
    let words = "bench nexmark --seconds 0.5 --rate 50k --arrival burst:8 --json --quiet";
    let json = run(&folder("nexmark"), words).json();
    let ratios = json["ratios"].as_object().unwrap();
    let is_there = |number: i32| ratios.contains_key(&format!("nexmark_q{number}_m_per_s"));
    assert!((0..23).all(is_there), "{json}");
    assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0), "{json}");
    let queries = json["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 23, "{json}");
    for query in queries {
        assert_eq!(query["hash"].as_str().unwrap().len(), 16, "{query}");
        assert!(query["rows"].is_u64() && query["one_shard_per_s"].as_f64().unwrap() > 0.0);
        assert!(query["open_loop"]["achieved_per_s"].is_f64(), "{query}");
        assert!(query["open_loop"]["kept_up"].is_boolean(), "{query}");
    }
    // Bids as they are, with prices in euros, of an auction: not all of them can have been starved.
    let samples = |query: &Value| query["latency_ns"]["samples"].as_u64().unwrap_or(0);
    assert!(queries[..3].iter().map(samples).sum::<u64>() > 0, "{json}");
    assert_eq!(json["offered_per_s"], 50_000.0);
    assert_eq!(json["pace"], "flat out; latencies: open loop, bursts of 8 at once");
}

#[test]
fn nexmark_of_one_query_has_latencies() {
    let folder_of = folder("nexmark_q1");
    let words = "bench nexmark q1 --seconds 0.5 --rate 20k --breakdown --quiet";
    let text = run(&folder_of, words);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for word in ["open loop: offered 20.0 k/s, achieved ", "  q1 ", "where the time went"] {
        assert!(text.stdout.contains(word), "no {word:?} in {}", text.stdout);
    }
    let page = std::fs::read_to_string(folder_of.join("report/index.html")).unwrap();
    assert!(page.contains("<h2>Queries</h2>") && page.contains("flat out; latencies"), "{page}");
    let json = std::fs::read_to_string(folder_of.join("report/report.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["latency_ns"]["samples"].as_u64().unwrap() > 0, "{json}");
    assert_eq!(json["queries"][0]["latency_ns"], json["latency_ns"]);
    run(&folder("nexmark_q1"), "bench nexmark q23").failed(2, &["query q23", "q0, q1,", "q22"]);
    run(&folder("nexmark_q1"), "bench bars q5").failed(2, &["bars", "no query q5"]);
    let all = "bench nexmark --breakdown";
    run(&folder("nexmark_q1"), all).failed(2, &["query all", "--breakdown", "nexmark q5"]);
}

/// More than can be made is stopped, and no rate that was achieved.
#[test]
fn nexmark_that_falls_behind_ends_and_says_so() {
    let words = "bench nexmark q0 --seconds 0.4 --rate 1e12 --json --quiet";
    let started = std::time::Instant::now();
    let json = run_on_one_core(&folder("nexmark_behind"), words).json();
    // It would take days.
    assert!(started.elapsed().as_secs() < 300, "{:?}", started.elapsed());
    let paced = &json["open_loop"];
    assert_eq!((&json["offered_per_s"], &paced["kept_up"]), (&1e12.into(), &false.into()));
    let achieved = paced["achieved_per_s"].as_f64().unwrap();
    assert!(0.0 < achieved && achieved < 1e9, "{json}");
    assert!(json["notes"].to_string().contains("One core only"), "{json}");
}
