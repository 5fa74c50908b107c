//! How many records went through, as text.

use std::fmt::Write;

use super::{count, rate, section as lines_of};
use crate::cli::report::{Paced, Report};

/// What was offered, what was achieved, how the input was paced, and what was allocated meanwhile.
pub fn section(out: &mut String, report: &Report) {
    if report.offered_per_s.is_none() && report.records_per_s == 0.0 {
        return;
    }
    let mut lines = match report.open_loop {
        Some(paced) => two_runs(report, paced),
        None => vec![one_run(report)],
    };
    lines.extend(report.allocations_per_step.map(allocations));
    lines_of(out, "records", &lines);
    out.push('\n');
}

fn one_run(report: &Report) -> String {
    let offered = report.offered_per_s.map(|offered| format!("offered {}, ", rate(offered)));
    let offered = offered.unwrap_or_default();
    let mut text = format!("{offered}achieved {}", rate(report.records_per_s));
    if !report.pace.is_empty() {
        let _ = write!(text, ", {}", report.pace);
    }
    if let Some(wanted) = report.offered_per_s.filter(|&wanted| wanted > 0.0) {
        let share = report.records_per_s / wanted * 100.0;
        if share < 99.0 {
            let _ = write!(text, " ({share:.1} %: it fell behind)");
        }
    }
    text
}

/// Where latencies are not those of the run that was flat out.
fn two_runs(report: &Report, paced: Paced) -> Vec<String> {
    let offered = rate(report.offered_per_s.unwrap_or_default());
    let achieved = rate(paced.achieved_per_s);
    let (each, least) = if report.queries.len() > 1 { (" each", " at least") } else { ("", "") };
    let behind = if paced.kept_up { "" } else { ": it fell behind" };
    vec![
        format!("achieved {}, {}", rate(report.records_per_s), report.pace),
        format!("open loop:{each} offered {offered}, achieved{least} {achieved}{behind}"),
    ]
}

/// Allocations, said so that zero can be told from nearly zero.
pub fn allocations(per_step: f64) -> String {
    if per_step == 0.0 {
        return "no allocation in a step after warm-up".to_owned();
    }
    if per_step < 0.01 {
        let steps = count((1.0 / per_step).round() as u64);
        return format!("one allocation in {steps} steps after warm-up");
    }
    format!("{per_step:.2} allocations a step after warm-up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_beside_is_not_taken_for_the_rate_flat_out() {
        let paced = Paced { achieved_per_s: 4.2e6, kept_up: false };
        let mut report = Report {
            records_per_s: 32e6,
            offered_per_s: Some(1e9),
            pace: "flat out; latencies: open loop".to_owned(),
            open_loop: Some(paced),
            ..Report::default()
        };
        let said = |report: &Report| {
            let mut out = String::new();
            section(&mut out, report);
            out
        };
        let text = said(&report);
        assert!(text.starts_with("records      achieved 32.0 M/s, flat out; latencies"), "{text}");
        let behind = "open loop: offered 1.00 G/s, achieved 4.20 M/s: it fell behind\n";
        assert!(text.contains(behind) && !text.contains('%'), "{text}");
        report.open_loop = Some(Paced { kept_up: true, ..paced });
        assert!(!said(&report).contains("behind"));
    }
}
