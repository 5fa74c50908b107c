//! The same input gives the same output, however it is run.

use std::collections::BTreeMap;
use std::fs;

use crate::command::{REPLAY, body, folder, replay, run};

/// Trades of several keys, out of order by up to 40 us and now and then by much more.
fn trades(count: u64) -> Vec<(i64, u64, i64)> {
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) % below
    };
    let trade = |n: u64| {
        let back = if random(500) == 0 { 900_000 } else { random(40_000) };
        ((n * 1_000) as i64 - back as i64, random(37), 10_000 + random(500) as i64)
    };
    (0..count).map(trade).collect()
}

fn text(trades: &[(i64, u64, i64)]) -> String {
    let line = |(at, key, price): &(i64, u64, i64)| format!("{at},K{key},{price},2\n");
    let lines: String = trades.iter().map(line).collect();
    format!("ts,key,price,qty\n{lines}")
}

#[test]
fn the_same_bytes_on_one_and_two_shards_run_after_run() {
    let (folder, trades) = (folder("bytes"), trades(30_000));
    let text = text(&trades);
    for windows in ["--window 100us", "--window 100us --slide 20us"] {
        let mut seen = Vec::new();
        for shards in [1, 2, 2, 3] {
            let flags = format!("{windows} --disorder 40us --late late.csv --shards {shards}");
            let (done, bars) = replay(&folder, &text, &flags);
            let late = fs::read_to_string(folder.join("late.csv")).unwrap();
            assert_eq!(done.counter("late"), body(&late).len() as u64);
            assert!(body(&late).len() > 20, "some are late");
            seen.push((bars, late));
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{windows}");
        let order = |line: &&str| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[2].parse::<i64>().unwrap(), fields[0].to_owned())
        };
        assert!(body(&seen[0].0).iter().map(order).is_sorted(), "by window end, then key");
    }
}

#[test]
fn bars_are_those_of_a_slow_and_obvious_loop() {
    let trades = trades(20_000);
    let (done, bars) = replay(&folder("model"), &text(&trades), "--window 100us --disorder 1h");
    assert_eq!(done.counter("late"), 0);
    // Open, its time, high, low, close, its time, count.
    type Bar = (i64, i64, i64, i64, i64, i64, i64);
    let mut model: BTreeMap<(i64, String), Bar> = BTreeMap::new();
    for (at, key, price) in trades {
        let (start, p) = (at.div_euclid(100_000) * 100_000, price);
        let bar = model.entry((start, format!("K{key}"))).or_insert((p, at, p, p, p, at, 0));
        if at < bar.1 {
            (bar.0, bar.1) = (p, at);
        }
        if at >= bar.5 {
            (bar.4, bar.5) = (p, at);
        }
        (bar.2, bar.3, bar.6) = (bar.2.max(p), bar.3.min(p), bar.6 + 1);
    }
    let lines = body(&bars);
    assert_eq!(lines.len(), model.len());
    for (line, ((start, key), bar)) in lines.iter().zip(&model) {
        let (open, _, high, low, close, _, count) = bar;
        let end = start + 100_000;
        let want = format!("{key},{start},{end},{open},{high},{low},{close},{},", 2 * count);
        assert!(line.starts_with(&want) && line.ends_with(&format!(",{count}")), "{line} {want}");
    }
}

#[test]
fn columns_by_position_joined_keys_and_scaled_prices() {
    let folder = folder("columns");
    fs::write(folder.join("in.csv"), "1.5,EWR,UA,5853300\n1.6,EWR,UA,5853301\n").unwrap();
    let words = "bench --json --idle adaptive --input in.csv --columns ts=0,key=1+2,price=3 \
                 --time-unit s --price-scale 1e-4 --output out.csv";
    assert_eq!(run(&folder, words).counter("records_in"), 2);
    let bars = fs::read_to_string(folder.join("out.csv")).unwrap();
    let want = "EWR+UA,1000000000,2000000000,585.33,585.3301,585.33,585.3301,2,";
    assert!(bars.lines().nth(1).is_some_and(|line| line.starts_with(want)), "{bars}");
}

#[test]
fn paced_replays_give_the_same_bars() {
    let folder = folder("paced");
    let text = text(&trades(20_000));
    let windows = "--window 100us --disorder 40us";
    let (_, flat_out) = replay(&folder, &text, windows);
    for pace in ["--rate 100k", "--speed 0.1", "--flat-out"] {
        let (done, bars) = replay(&folder, &text, &format!("{windows} {pace}"));
        assert_eq!(bars, flat_out, "{pace}");
        let json = done.json();
        let is_open_loop = json["ratios"]["bars_p999_vs_noise"].is_number();
        assert_eq!(is_open_loop, pace != "--flat-out", "{pace}: {json}");
        if pace == "--speed 0.1" {
            let seconds = json["seconds"].as_f64().unwrap();
            assert!((0.19..5.0).contains(&seconds), "20 ms of trades in 0.2 s: {seconds}");
        }
    }
}

#[test]
fn a_pipe_is_read_once() {
    let folder = folder("pipe");
    fs::write(folder.join("in.csv"), text(&trades(1000))).unwrap();
    let script = format!(
        "cat in.csv | {} {REPLAY} --window 100us --disorder 1h --input /dev/stdin --output -",
        env!("CARGO_BIN_EXE_millstream")
    )
    .replace("--json ", "");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(&folder)
        .output()
        .unwrap();
    let bars = String::from_utf8(output.stdout).unwrap();
    let count = |line: &&str| line.rsplit(',').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(body(&bars).iter().map(count).sum::<u64>(), 1000);
}
