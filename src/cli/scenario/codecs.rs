//! `codecs`: formats of the wire read from memory, beside what is written by hand for each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::trial::{failed, interrupted, no_engine, on_core};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::codecs::{self, Found};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::{interrupt, run};
use crate::runtime::Engine;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "codecs",
    about: "ITCH and JSON lines read from memory, beside a match by hand and a parser to a struct",
    takes: &[],
    plan: no_engine,
    run,
};

/// Records of a round; their bytes fit into a core's own cache.
const MESSAGES: usize = 8_000;
const LINES: usize = 500;

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let half = times.measured / 2;
    progress.phase("ITCH messages", None);
    let messages = codecs::messages(MESSAGES);
    let readers = [codecs::messages_by_codec, codecs::messages_by_hand];
    let itch = on_core(cpu, move || in_turn(&messages, readers, half))?;
    progress.phase("JSON lines", None);
    let lines = codecs::lines(LINES);
    let readers = [codecs::lines_by_codec, codecs::lines_by_struct];
    let json = on_core(cpu, move || in_turn(&lines, readers, half))?;
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup = format!("one thread on CPU {cpu}, from memory");
    measured.report.pace = "flat out".to_owned();
    measured.report.records_per_s = 1e9 / itch.ns[0];
    measured.report.seconds = (itch.lasted + json.lasted).as_secs_f64();
    measured.lasted = itch.lasted + json.lasted;
    for (name, turns, goal) in [("itch_vs_match", &itch, 0.7), ("json_vs_struct", &json, 0.8)] {
        let [one, other] = turns.found;
        if one != other {
            return Err(failed(&format!("{name}: {one:?} by the codec, {other:?} by hand")));
        }
        measured.ratio(name, turns.ns[1] / turns.ns[0], Some(Goal::AtLeast(goal)));
    }
    measured.note(format!(
        "Nanoseconds a record, the fastest round of each: ITCH {:.1}, a match by hand {:.1}; JSON, \
         5 fields of 20, {:.0}, sonic-rs to a struct {:.0}.",
        itch.ns[0], itch.ns[1], json.ns[0], json.ns[1]
    ));
    Ok(measured)
}

/// What two readers came to.
struct Turns {
    found: [Found; 2],
    /// Nanoseconds a record, in the fastest round of each.
    ns: [f64; 2],
    lasted: Duration,
}

/// Reads by turns: what disturbs the one disturbs the other.
fn in_turn(bytes: &[u8], readers: [fn(&[u8]) -> Found; 2], lasts: Duration) -> Turns {
    let begun = Instant::now();
    let mut turns =
        Turns { found: [Found::default(); 2], ns: [f64::MAX; 2], lasted: Duration::ZERO };
    while turns.lasted < lasts && !interrupt::is_seen() {
        for (at, read) in readers.iter().enumerate() {
            let start = Instant::now();
            let found = read(black_box(bytes));
            let ns = start.elapsed().as_nanos() as f64 / found.records.max(1) as f64;
            (turns.found[at], turns.ns[at]) = (found, turns.ns[at].min(ns));
        }
        turns.lasted = begun.elapsed();
    }
    turns
}
