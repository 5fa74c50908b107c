//! Latency against load on the page: a search for the highest rate, a sweep with its chart.

use std::fmt::Write;

use super::chart::{self, Frame};
use super::{count, escape, open_table, span, unit};
use crate::cli::load::Probe;
use crate::cli::report::{LatencyNs, Report};
use crate::cli::table;

/// The percentiles that are drawn, with the classes of their lines; what comes later is on top.
const DRAWN: [(&str, usize); 4] = [("max", 5), ("results", 3), ("p99", 2), ("p50", 0)];

/// What a search found, and what a sweep went through.
pub(super) fn sections(out: &mut String, report: &Report) {
    if let Some(found) = &report.slo {
        let lines = table::load::answer(found);
        let _ = writeln!(
            out,
            "<h2>The highest rate that holds {}</h2>",
            escape(&found.slo.to_string())
        );
        for text in lines {
            let _ = writeln!(out, "<p>{}</p>", unit(&escape(&text)).replace("&#8239;", " "));
        }
        let mut probes = found.probes.clone();
        probes.sort_by(|one, two| one.offered_per_s.total_cmp(&two.offered_per_s));
        section(out, "Probes", &probes, report.noise_floor);
    }
    if !report.sweep.is_empty() {
        section(out, "Latency against load", &report.sweep, report.noise_floor);
    }
}

fn section(out: &mut String, title: &str, probes: &[Probe], floor: Option<LatencyNs>) {
    let _ = write!(out, "<h2>{title}</h2>\n<figure>\n<ul class=\"legend\">");
    for (class, column) in DRAWN {
        let _ = write!(out, "<li>{}{}</li>", chart::swatch(class), LatencyNs::COLUMNS[column]);
    }
    out.push_str("</ul>\n");
    out.push_str(&against_load(probes, floor));
    out.push_str(
        "<figcaption>Each point is a run of its own at a rate of its own. Squares fell behind: \
         what they show depends on how long one waits.</figcaption>\n</figure>\n",
    );
    rows(out, probes);
}

fn rows(out: &mut String, probes: &[Probe]) {
    let columns = LatencyNs::COLUMNS.into_iter().chain(["samples"]);
    open_table(out, "Rates", &["offered", "achieved", ""], columns);
    for probe in probes {
        let (offered, achieved) =
            (table::rate(probe.offered_per_s), table::rate(probe.achieved_per_s));
        let class = if probe.kept_up && probe.held != Some(false) { "met" } else { "missed" };
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"{class}\">{}</td>",
            unit(&offered),
            unit(&achieved),
            table::load::remark(probe)
        );
        for cell in probe.latency_ns.columns().map(span) {
            let _ = write!(out, "<td class=\"number\">{cell}</td>");
        }
        let samples = count(probe.latency_ns.samples);
        let _ = writeln!(out, "<td class=\"number\">{samples}</td></tr>");
    }
    out.push_str("</tbody></table></div>\n");
}

/// Latency against the rate offered, with the p99.9 of the noise floor as a line across.
fn against_load(probes: &[Probe], floor: Option<LatencyNs>) -> String {
    let floor = floor.map(|floor| [("floor p99.9", floor.p99_9)]);
    let levels: &[(&str, u64)] = floor.as_ref().map_or(&[], |levels| levels);
    let across = probes.iter().map(|probe| probe.offered_per_s).fold(0.0, f64::max) * 1.02;
    let drawn = |probe: &Probe| DRAWN.map(|(_, column)| probe.latency_ns.columns()[column]);
    let values = probes.iter().flat_map(drawn).chain(levels.iter().map(|level| level.1));
    let frame = Frame::around(values, across, 128.0);
    let mut out = chart::open("Latency against load");
    frame.y_axis(&mut out);
    for (value, _) in chart::time_ticks(across) {
        frame.x_tick(&mut out, value, &unit(&table::rate(value)));
    }
    frame.x_axis(&mut out, "records offered a second");
    chart::floor_lines(&mut out, &frame, levels);
    for (class, column) in DRAWN {
        let value = |probe: &Probe| probe.latency_ns.columns()[column];
        let place = |probe: &Probe| (frame.x(probe.offered_per_s), frame.y(value(probe)));
        let places: Vec<_> = probes.iter().map(place).collect();
        let _ = writeln!(out, r#"<path class="line {class}" d="{}"/>"#, chart::path(&places));
        for (probe, (x, y)) in probes.iter().zip(places) {
            let (name, rate) =
                (LatencyNs::COLUMNS[column], unit(&table::rate(probe.offered_per_s)));
            let title = format!("<title>{name} at {rate}: {}</title>", span(value(probe)));
            let _ = match probe.kept_up {
                true => writeln!(
                    out,
                    "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" \
                     r=\"3.2\">{title}</circle>"
                ),
                false => writeln!(
                    out,
                    "<rect class=\"behind {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" \
                     height=\"7\">{title}</rect>",
                    x - 3.5,
                    y - 3.5
                ),
            };
        }
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::Limit;

    fn probe(rate: f64, p50: u64, kept_up: bool) -> Probe {
        let latency_ns = LatencyNs {
            p50,
            p90: 2 * p50,
            p99: 4 * p50,
            p99_9: 9 * p50,
            p99_99: 20 * p50,
            max: 50 * p50,
            mean: p50,
            samples: 1000,
        };
        let limited_by = (!kept_up).then_some(Limit::Pipeline);
        Probe { offered_per_s: rate, kept_up, latency_ns, limited_by, ..Probe::default() }
    }

    #[test]
    fn a_sweep_is_drawn_and_higher_is_slower() {
        let sweep = vec![probe(1e5, 900, true), probe(2e5, 1500, true), probe(3e5, 90_000, false)];
        let floor = Some(LatencyNs { p99_9: 77, samples: 5, ..LatencyNs::default() });
        let mut out = String::new();
        sections(&mut out, &Report { sweep, noise_floor: floor, ..Report::default() });
        assert_eq!(out.matches("<circle").count(), 2 * DRAWN.len());
        assert_eq!(out.matches("<rect class=\"behind").count(), DRAWN.len());
        assert!(out.contains("floor p99.9") && out.contains("pipeline behind"), "{out}");
        assert!(!out.contains("NaN") && out.is_ascii());
        // The y of a point of p50 falls as latency rises: up is more.
        let heights: Vec<f64> = out
            .split("<circle class=\"p50\"")
            .skip(1)
            .filter_map(|rest| rest.split("cy=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(heights.len() == 2 && heights[0] > heights[1], "{heights:?}");
    }

    #[test]
    fn one_point_is_no_trouble() {
        let mut out = String::new();
        sections(&mut out, &Report { sweep: vec![probe(1.0, 0, true)], ..Report::default() });
        assert!(out.contains("<svg") && !out.contains("NaN"), "{out}");
    }
}
