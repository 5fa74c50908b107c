//! Latency against load as text: a search for the highest rate, a sweep.

use super::{WIDTH, count, line, nanos, rate, section, short};
use crate::cli::load::search::Boundary;
use crate::cli::load::{Found, Probe};
use crate::cli::report::{LatencyNs, Report};

/// What a search found, and what a sweep went through.
pub fn sections(out: &mut String, report: &Report) {
    if let Some(found) = &report.slo {
        let percentile = found.slo.percentile();
        line(out, &head("probes", &[percentile, "max"]));
        for probe in &found.probes {
            let latency = probe.latency_ns;
            line(out, &row(probe, &[found.slo.value(&latency), latency.max]));
        }
        out.push('\n');
        section(out, "objective", &answer(found));
        out.push('\n');
    }
    if !report.sweep.is_empty() {
        line(out, &head("load", &LatencyNs::COLUMNS));
        for probe in &report.sweep {
            line(out, &row(probe, &probe.latency_ns.columns()));
        }
        out.push('\n');
    }
}

fn head(name: &str, columns: &[&str]) -> String {
    let columns: String = columns.iter().map(|column| format!("{column:>8}")).collect();
    format!("{name:<8}{:>9}{columns}{:>15}", "achieved", "samples")
}

fn row(probe: &Probe, values: &[u64]) -> String {
    let values: String =
        values.iter().map(|value| format!("{:>8}", short(&nanos(*value)))).collect();
    let (offered, achieved) = (rate(probe.offered_per_s), rate(probe.achieved_per_s));
    let samples = count(probe.latency_ns.samples);
    let text = format!("{:<8}{:>9}{values}{samples:>15}", short(&offered), short(&achieved));
    format!("{text}  {}", remark(probe))
}

/// Whether a rate was held, or fell behind, in few words.
pub fn remark(probe: &Probe) -> &'static str {
    use crate::cli::load::Limit;
    match (probe.held, probe.limited_by) {
        (_, Some(Limit::Generator)) => "generator behind",
        (_, Some(_)) => "pipeline behind",
        (Some(true), None) => "held",
        (Some(false), None) => "missed",
        (None, None) => "",
    }
}

/// The answer in a few lines: the rate, how sure it is, and what limits.
pub fn answer(found: &Found) -> Vec<String> {
    let slo = found.slo;
    let runs = |it: Boundary| format!("in {} of {} runs", it.held, it.runs);
    let Some(highest) = found.highest else {
        let lowest = found.next.map_or_else(String::new, |it| {
            format!(": not even {}, where it held {}", rate(it.per_s), runs(it))
        });
        return vec![format!("{slo}: no rate was found that holds it{lowest}")];
    };
    let mut lines = vec![format!("{slo}: held up to {}, {}", rate(highest.per_s), runs(highest))];
    if let Some(next) = found.next {
        lines.push(format!("next above it: {}, held {}", rate(next.per_s), runs(next)));
    }
    if let Some(limit) = found.limited_by {
        lines.push(format!("limited by {}", limit.in_words()));
    }
    lines.push(format!("the generator by itself makes {}", rate(found.generator_per_s)));
    debug_assert!(lines.iter().all(|text| text.len() < WIDTH));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::Limit;

    fn probe(rate: f64, held: Option<bool>, limited_by: Option<Limit>) -> Probe {
        let latency_ns = LatencyNs {
            p99_9: 61_234,
            max: 123_456_789,
            samples: 12_345_678_901,
            ..LatencyNs::default()
        };
        let kept_up = limited_by.is_none();
        let achieved_per_s = rate * 0.995;
        Probe {
            offered_per_s: rate,
            achieved_per_s,
            held,
            limited_by,
            kept_up,
            latency_ns,
            runs: 1,
        }
    }

    fn found() -> Found {
        Found {
            slo: "p99.9<100us".parse().unwrap(),
            probes: vec![
                probe(1e6, Some(true), None),
                probe(1.5e6, Some(false), None),
                probe(2e6, Some(false), Some(Limit::Pipeline)),
            ],
            generator_per_s: 12e6,
            highest: Some(Boundary { per_s: 1e6, held: 3, runs: 3 }),
            next: Some(Boundary { per_s: 1.05e6, held: 1, runs: 3 }),
            limited_by: Some(Limit::Slo),
        }
    }

    #[test]
    fn a_search_shows_every_probe_and_its_answer() {
        let mut out = String::new();
        sections(&mut out, &Report { slo: Some(found()), ..Report::default() });
        for expected in [
            "1.00M/s",
            "61.2us",
            "held\n",
            "missed\n",
            "pipeline behind\n",
            "p99.9 < 100 us: held up to 1.00 M/s, in 3 of 3 runs",
            "next above it: 1.05 M/s, held in 1 of 3 runs",
            "limited by latency",
            "by itself makes 12.0 M/s",
        ] {
            assert!(out.contains(expected), "no {expected:?} in\n{out}");
        }
    }

    #[test]
    fn a_search_that_finds_nothing_says_so() {
        let next = Some(Boundary { per_s: 980.0, held: 0, runs: 1 });
        let nothing = Found { highest: None, next, limited_by: None, ..found() };
        let text = answer(&nothing).join("\n");
        assert!(text.contains("no rate was found that holds it: not even 980/s"), "{text}");
    }

    #[test]
    fn a_sweep_fits_the_terminal() {
        let mut out = String::new();
        let sweep = vec![probe(1e6, None, None), probe(999e9, None, Some(Limit::Generator))];
        sections(&mut out, &Report { sweep, ..Report::default() });
        let widest = out.lines().map(str::len).max().unwrap();
        assert!(widest <= WIDTH, "{widest}\n{out}");
        assert!(out.contains("p99.99") && out.contains("generator behind"), "{out}");
    }
}
