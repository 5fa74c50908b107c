//! A report as text for a terminal of 100 columns, and numbers as people read them.

pub mod breakdown;
pub mod load;
mod queries;
mod rates;
mod steps;

use std::fmt::Write;

use super::host::{Disturbance, Host};
use super::report::{Goal, LatencyNs, Report};

pub use rates::allocations;

/// The widest line.
const WIDTH: usize = 100;
/// Where the text of a section starts.
const INDENT: usize = 13;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    heading(&mut out, report);
    section(&mut out, "host", &host_lines(&report.host));
    section(&mut out, "setup", &setup_lines(report));
    if let Some(line) = disturbance_line(report.disturbance) {
        section(&mut out, "disturbed", &[line]);
    }
    out.push('\n');
    rates::section(&mut out, report);
    queries::section(&mut out, &report.queries);
    latencies(&mut out, &report.latencies());
    breakdown::section(&mut out, &report.breakdown);
    load::sections(&mut out, report);
    steps(&mut out, &steps::lines(report));
    ratios(&mut out, report);
    counters(&mut out, report);
    notes(&mut out, &report.notes);
    out
}

fn heading(out: &mut String, report: &Report) {
    line(out, &format!("{}: {}", report.scenario, subtitle(report)));
    out.push('\n');
}

/// Which program, when, and for how long: what stands below the name of the scenario.
pub fn subtitle(report: &Report) -> String {
    let (version, seconds) = (&report.version, report.seconds);
    let mut parts = vec![format!("millstream {version}"), format!("{seconds:.1} s")];
    if report.repeats > 1 {
        parts.push(format!("medians of {} runs", report.repeats));
    }
    parts.push(date(report.unix_time));
    parts.join(", ")
}

/// What ran on which cores: a line, or several for a long one.
fn setup_lines(report: &Report) -> Vec<String> {
    if report.setup.is_empty() { Vec::new() } else { vec![report.setup.clone()] }
}

/// What the host is, in a few lines.
pub fn host_lines(host: &Host) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(unknown);
    let mut machine = vec![text(&host.cpu_model)];
    machine.extend(host.cores.map(|cores| format!("{cores} cores")));
    machine.extend(host.memory_bytes.map(bytes));
    machine
        .extend(host.virtualised.map(|guest| if guest { "virtual" } else { "bare metal" }.into()));
    let mut system = vec![format!("Linux {}", text(&host.kernel))];
    system.push(format!("clock {}", text(&host.clocksource)));
    system.push(format!("governor {}", host.governor.as_deref().unwrap_or("none")));
    system.push(format!("huge pages {}", text(&host.huge_pages)));
    system.push(format!("isolated {}", host.isolated_cpus.as_deref().unwrap_or("none")));
    system.extend(host.load.map(|load| format!("load {load:.2}")));
    let mut lines = vec![machine.join(", "), system.join(", ")];
    if host.debug_build {
        lines.push("DEBUG BUILD: these numbers mean nothing".to_owned());
    }
    lines
}

/// What the host is, name by name.
pub fn host_rows(host: &Host) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or("unknown".to_owned());
    let none = |value: &Option<String>| value.clone().unwrap_or("none".to_owned());
    let yes = |value: Option<bool>| match value {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => "unknown".to_owned(),
    };
    let number = |value: Option<String>| value.unwrap_or("unknown".to_owned());
    vec![
        ("Processor", text(&host.cpu_model)),
        ("Cores online", number(host.cores.map(count))),
        ("Memory", number(host.memory_bytes.map(bytes))),
        ("Virtual machine", yes(host.virtualised)),
        ("Kernel", text(&host.kernel)),
        ("Clock source", text(&host.clocksource)),
        ("Invariant time-stamp counter", yes(host.invariant_tsc)),
        ("Frequency governor", none(&host.governor)),
        ("Transparent huge pages", text(&host.huge_pages)),
        ("Isolated cores", none(&host.isolated_cpus)),
        ("Cores without timer tick", none(&host.nohz_full)),
        ("Load average before", number(host.load.map(|load| format!("{load:.2}")))),
        ("Commit", host.git_hash.clone().unwrap_or("not recorded".to_owned())),
    ]
}

/// What took cores away, name by name.
pub fn disturbance_rows(disturbance: Disturbance) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let stolen = |ticks: u64| nanos(ticks.saturating_mul(10_000_000));
    vec![
        ("Stolen by the hypervisor", disturbance.steal_ticks.map_or_else(unknown, stolen)),
        (
            "Involuntary context switches",
            disturbance.involuntary_switches.map_or_else(unknown, count),
        ),
    ]
}

/// What took cores away, if anything did.
pub fn disturbance_line(disturbance: Disturbance) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(ticks) = disturbance.steal_ticks.filter(|&ticks| ticks > 0) {
        parts.push(format!("{} stolen by the hypervisor", nanos(ticks.saturating_mul(10_000_000))));
    }
    if let Some(switches) = disturbance.involuntary_switches.filter(|&switches| switches > 0) {
        parts.push(format!("{} involuntary context switches", count(switches)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn latencies(out: &mut String, rows: &[(&str, LatencyNs)]) {
    if rows.is_empty() {
        return;
    }
    let longest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let width = (longest + 2).max(INDENT);
    let samples = WIDTH - 5 - 6 * 11 - width;
    let mut head = format!("{:<width$}", "latency");
    for column in LatencyNs::COLUMNS {
        let _ = write!(head, "{column:>11}");
    }
    line(out, &format!("{head}{:>samples$}", "samples"));
    for (name, latency) in rows {
        let mut row = format!("{:<width$}", format!("  {name}"));
        for value in latency.columns() {
            let _ = write!(row, "{:>11}", nanos(value));
        }
        line(out, &format!("{row}{:>samples$}", count(latency.samples)));
    }
    out.push('\n');
}

fn steps(out: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        section(out, "worst step", lines);
        out.push('\n');
    }
}

fn ratios(out: &mut String, report: &Report) {
    let names = report.ratio_names();
    let Some(longest) = names.iter().map(|name| name.len()).max() else { return };
    let width = longest.max(24) + 2;
    line(
        out,
        &format!("{:<width$}{:>10}  {:<18}{:<16}{}", "ratios", "", "range", "goal", "verdict"),
    );
    for name in names {
        let value = report.ratios.get(name).copied();
        let shown = value.map_or("-".to_owned(), ratio);
        let range = report.ratio_ranges.get(name);
        let range = range
            .map_or(String::new(), |[low, high]| format!("{} .. {}", ratio(*low), ratio(*high)));
        let goal = report.goals.get(name).copied();
        let (goal, verdict) =
            goal.map_or_else(Default::default, |goal| (goal_text(goal), verdict(goal, value)));
        let name = format!("  {name}");
        line(out, &format!("{name:<width$}{shown:>10}  {range:<18}{goal:<16}{verdict}"));
    }
    out.push('\n');
}

/// A goal in words.
pub fn goal_text(goal: Goal) -> String {
    match goal {
        Goal::AtLeast(value) => format!("at least {value}"),
        Goal::AtMost(value) => format!("at most {value}"),
    }
}

/// Whether a goal is met, and by how much not.
pub fn verdict(goal: Goal, value: Option<f64>) -> String {
    match value {
        None => "not measured".to_owned(),
        Some(value) if goal.is_met(value) => "met".to_owned(),
        Some(value) if value.is_nan() => "no number".to_owned(),
        Some(value) if goal.missed_by(value) > 10.0 => {
            format!("missed {}-fold", significant(goal.missed_by(value) + 1.0, 2))
        }
        Some(value) => format!("missed by {} %", significant(goal.missed_by(value) * 100.0, 2)),
    }
}

fn counters(out: &mut String, report: &Report) {
    let cells: Vec<String> = report
        .counters
        .iter()
        .map(|(counter, value)| format!("{:<18}{:>15}", counter.name(), count(value)))
        .collect();
    if report.counters == Default::default() {
        return;
    }
    // Down the columns, not across: related counters stand below each other.
    let rows = cells.len().div_ceil(2);
    let lines: Vec<String> = (0..rows)
        .map(|row| {
            let right = cells.get(row + rows).map_or("", String::as_str);
            format!("{}        {right}", cells[row])
        })
        .collect();
    section(out, "counters", &lines);
    out.push('\n');
}

fn notes(out: &mut String, notes: &[String]) {
    let lines: Vec<String> = notes.iter().flat_map(|note| wrap(note, WIDTH - INDENT)).collect();
    section(out, "notes", &lines);
}

/// A name in the margin and lines beside it.
fn section(out: &mut String, name: &str, lines: &[String]) {
    let mut margin = name;
    for text in lines.iter().flat_map(|text| wrap(text, WIDTH - INDENT)) {
        line(out, &format!("{margin:<INDENT$}{text}"));
        margin = "";
    }
}

/// One line without white space at its end.
fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Lines of at most `width` letters, broken at spaces; a longer word stays whole, and so does
/// a text that fits, with its spacing.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |last| last.chars().count());
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(last) = lines.last_mut() {
            let gap = if last.is_empty() { "" } else { " " };
            let _ = write!(last, "{gap}{word}");
        }
    }
    lines
}

/// A span of time: `412 ns`, `1.24 us`, `15.3 ms`, `60.0 s`.
pub fn nanos(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns} ns");
    }
    scaled(ns as f64, &[" ns", " us", " ms", " s"])
}

/// Without the gap between a number and its unit, where columns are narrow.
fn short(text: &str) -> String {
    text.replace(' ', "")
}

/// A rate of records: `12.3 M/s`.
pub fn rate(per_second: f64) -> String {
    scaled(per_second, &["/s", " k/s", " M/s", " G/s"])
}

/// An amount of memory: `7.76 GiB`.
pub fn bytes(amount: u64) -> String {
    let mut value = amount as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next();
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = Some(next);
    }
    format!("{} {}", significant(value, 3), unit.unwrap_or_default())
}

/// A ratio: `0.973`, `1.310`, `24.6`. Three decimals near one, so that a column of them lines up
/// and one just short of its goal does not look as if it had reached it.
pub fn ratio(value: f64) -> String {
    if (0.1..9.9995).contains(&value) {
        return format!("{value:.3}");
    }
    significant(value, 3)
}

/// A point in time, in seconds since the Unix epoch, as `2026-11-24 03:23 UTC`.
pub fn date(unix_time: u64) -> String {
    // Days are counted from 0000-03-01, so that leap days end a year and months have a pattern.
    let days = unix_time / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hour, minute) = (unix_time / 3600 % 24, unix_time / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// A whole number in groups of three: `1 234 567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits in the largest unit, of steps of a thousand, that leaves one before
/// the point.
fn scaled(value: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    // 999.5 would be rounded to 1000 and then want the next unit.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", significant(value, 3), units[unit])
}

/// A number with so many significant digits, without an exponent.
fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let before = if value == 0.0 { 1 } else { value.abs().log10().floor() as i32 + 1 };
    let after = (digits as i32 - before).clamp(0, 9) as usize;
    let text = format!("{value:.after$}");
    // Rounding up may have added a digit: 9.996 with three is 10.0, not 10.00.
    let rounded: f64 = text.parse().unwrap_or(value);
    if after > 0 && rounded != 0.0 && rounded.abs().log10().floor() as i32 + 1 > before {
        return format!("{value:.width$}", width = after - 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::{StageUnits, Step};
    use crate::metrics::Counter;

    #[test]
    fn numbers_read_well() {
        let spans = [0, 999, 1000, 1240, 15_349, 999_499, 999_501, 1_500_000_000, 60_000_000_000];
        let spans: Vec<String> = spans.into_iter().map(nanos).collect();
        let expected = [
            "0 ns", "999 ns", "1.00 us", "1.24 us", "15.3 us", "999 us", "1.00 ms", "1.50 s",
            "60.0 s",
        ];
        assert_eq!(spans, expected);
        let rates = [0.0, 12.0, 950_000.0, 12_345_678.0, 2.5e9].map(rate);
        assert_eq!(rates, ["0.00/s", "12.0/s", "950 k/s", "12.3 M/s", "2.50 G/s"]);
        let counts = [0, 12, 999, 1000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "12", "999", "1 000", "1 234 567"]);
        let ratios = [0.0, 0.9734, 9.996, 24.61, 1234.0, 0.00123, f64::NAN].map(ratio);
        assert_eq!(ratios, ["0.00", "0.973", "9.996", "24.6", "1234", "0.00123", "NaN"]);
        assert_eq!([bytes(512), bytes(8_332_000_000)], ["512 B", "7.76 GiB"]);
    }

    #[test]
    fn few_allocations_do_not_look_like_none() {
        assert_eq!(allocations(0.0), "no allocation in a step after warm-up");
        assert_eq!(allocations(2e-7), "one allocation in 5 000 000 steps after warm-up");
        assert_eq!(allocations(1.5), "1.50 allocations a step after warm-up");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        let days = [0, 951_782_400, 951_868_800, 1_735_689_599, 1_795_490_580].map(date);
        let expected = [
            "1970-01-01 00:00 UTC",
            "2000-02-29 00:00 UTC",
            "2000-03-01 00:00 UTC",
            "2024-12-31 23:59 UTC",
            "2026-11-24 03:23 UTC",
        ];
        assert_eq!(days, expected);
    }

    #[test]
    fn verdicts_say_by_how_much() {
        assert_eq!(verdict(Goal::AtMost(1.5), Some(1.4)), "met");
        assert_eq!(verdict(Goal::AtLeast(1.0), Some(0.97)), "missed by 3.0 %");
        assert_eq!(verdict(Goal::AtMost(5.0), Some(600.0)), "missed 120-fold");
        assert_eq!(verdict(Goal::AtLeast(1.0), Some(f64::NAN)), "no number");
        assert_eq!(verdict(Goal::AtLeast(1.0), None), "not measured");
        assert_eq!(goal_text(Goal::AtMost(1.5)), "at most 1.5");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut report = Report::new("bars");
        let latency = LatencyNs {
            p99_99: u64::MAX,
            max: u64::MAX,
            samples: 999_999_999_999,
            ..LatencyNs::default()
        };
        report.latency_ns = Some(latency);
        report.noise_floor = Some(LatencyNs::default());
        report.ratios.insert("precombined_2_vs_1".into(), 123.0);
        report.ratio_ranges.insert("precombined_2_vs_1".into(), [0.99, 123.0]);
        report.goals.insert("precombined_2_vs_1".into(), Goal::AtMost(1.6));
        report.goals.insert("other".into(), Goal::AtMost(1.6));
        report.offered_per_s = Some(1e6);
        let stage = "key_by > window (tumbling 10 ms) > map > inspect > filter > sink for_each";
        report.worst_step = Some(Step {
            ns: u64::MAX,
            work: u64::MAX,
            stage: stage.to_owned(),
            cpu: Some(127),
            stall_ns: Some(u64::MAX),
        });
        report.stage_work.push(StageUnits { stage: stage.to_owned(), work: u64::MAX });
        report.notes.push("many words ".repeat(30));
        for &counter in Counter::ALL {
            report.counters.set(counter, 123_456_789_012);
        }
        let text = render(&report);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= WIDTH, "{widest}\n{text}");
        for expected in [
            "noise floor",
            "missed 77-fold",
            "not measured",
            "fell behind",
            "dead_lettered",
            "on CPU 127,",
            "in one call of",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains(" \n"), "white space at a line's end");
    }

    #[test]
    fn an_empty_report_is_short() {
        let text = render(&Report::default());
        assert!(text.lines().count() < 12, "{text}");
    }
}
