//! A report as one HTML file: no network, no script, no font but the reader's own.

mod breakdown;
mod chart;
mod load;
mod queries;

use std::fmt::Write;

use super::report::{LatencyNs, Report};
use super::table;
use crate::metrics::{Latency, Point};

/// The name under which the noise floor is drawn apart from the rest.
pub const NOISE_FLOOR: &str = "noise floor";

/// The name under which an open loop is drawn where a closed one is beside it.
pub const OPEN_LOOP: &str = "open loop";
/// The name under which a closed loop is drawn: not as if it were a latency like others.
pub const CLOSED_LOOP: &str = "closed loop";

/// One line of the percentile chart.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it shows: [`NOISE_FLOOR`], `records` or `results`.
    pub name: String,
    /// Quantile and nanoseconds, ascending.
    pub points: Vec<(f64, u64)>,
    /// The marks on the line.
    pub latency: LatencyNs,
}

impl Curve {
    /// The curve of a distribution.
    pub fn of(name: &str, latency: &Latency) -> Self {
        Self {
            name: name.to_owned(),
            points: latency.curve().collect(),
            latency: latency.percentiles().into(),
        }
    }

    fn is_floor(&self) -> bool {
        self.name == NOISE_FLOOR
    }

    /// The style of its line.
    fn class(&self) -> &'static str {
        match self.name.as_str() {
            NOISE_FLOOR => "floor",
            "records" => "records",
            CLOSED_LOOP => "closed",
            _ => "results",
        }
    }
}

/// What the charts show; without points a chart is left out.
#[derive(Clone, Debug, Default)]
pub struct Plots {
    /// The lines of the percentile chart; what comes later is drawn on top.
    pub curves: Vec<Curve>,
    /// The charts of latency over time, one below the other and on one scale.
    pub over_time: Vec<OverTime>,
}

/// Latency over time.
#[derive(Clone, Debug)]
pub struct OverTime {
    /// Whose latency.
    pub name: String,
    /// What there is of it.
    pub points: Vec<Point>,
    /// The width of a slot of it.
    pub slot_seconds: f64,
}

impl Plots {
    /// Adds a curve of the percentile chart.
    #[must_use]
    pub fn curve(mut self, name: &str, latency: &Latency) -> Self {
        self.curves.push(Curve::of(name, latency));
        self
    }

    /// Sets what is shown over time.
    #[must_use]
    pub fn over_time(mut self, name: &str, latency: &Latency) -> Self {
        self.over_time.clear();
        self.and_over_time(name, latency)
    }

    /// Adds what is shown over time beside that.
    #[must_use]
    pub fn and_over_time(mut self, name: &str, latency: &Latency) -> Self {
        let (points, name) = (latency.series().points(), name.to_owned());
        let slot_seconds = latency.series().slot_ns() as f64 / 1e9;
        self.over_time.push(OverTime { name, points, slot_seconds });
        self
    }
}

/// The whole page.
pub fn render(report: &Report, plots: &Plots) -> String {
    let mut out = String::with_capacity(64 << 10);
    head(&mut out, report);
    figures(&mut out, report);
    percentile_chart(&mut out, report, plots);
    time_chart(&mut out, report, plots);
    breakdown::section(&mut out, &report.breakdown);
    load::sections(&mut out, report);
    queries::section(&mut out, &report.queries);
    latencies(&mut out, &report.latencies());
    steps(&mut out, report);
    ratios(&mut out, report);
    counters(&mut out, report);
    host(&mut out, report);
    notes(&mut out, report);
    out.push_str("</body>\n</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let scenario = escape(&report.scenario);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{scenario} - millstream bench</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <h1>{scenario}</h1>\n<p class=\"soft\">{}</p>\n",
        include_str!("html/style.css"),
        escape(&table::subtitle(report)),
    );
    if !report.setup.is_empty() {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&report.setup));
    }
    if !report.pace.is_empty() {
        let is_closed = report.pace.starts_with(CLOSED_LOOP);
        let class = if is_closed { "missed" } else { "soft" };
        let pace = escape(&report.pace);
        let _ = writeln!(out, "<p class=\"{class}\">Load: {pace}</p>");
    }
    if report.host.debug_build {
        out.push_str("<p class=\"missed\">Debug build: these numbers mean nothing.</p>\n");
    }
}

/// The handful of numbers that most readers came for.
fn figures(out: &mut String, report: &Report) {
    let mut rates = vec![("achieved", report.records_per_s)];
    if let Some(paced) = report.open_loop {
        rates = vec![("flat out", report.records_per_s), ("achieved", paced.achieved_per_s)];
    }
    if let Some(offered) = report.offered_per_s {
        rates.insert(rates.len() - 1, ("offered", offered));
    }
    let named = rates.into_iter().map(|(name, rate)| (name.to_owned(), unit(&table::rate(rate))));
    let mut cells: Vec<(String, String)> = named.collect();
    // Results if there are any, else records.
    if let Some((what, latency)) = report.latencies().last().filter(|row| row.0 != NOISE_FLOOR) {
        let names = ["p50", "p99", "p99.9", "max"];
        let values = [latency.p50, latency.p99, latency.p99_9, latency.max];
        let named = names.into_iter().zip(values);
        cells.extend(named.map(|(name, ns)| (format!("{what} {name}"), span(ns))));
    }
    if let Some(floor) = report.noise_floor {
        cells.push((format!("{NOISE_FLOOR} p99.9"), span(floor.p99_9)));
    }
    out.push_str("<dl class=\"figures\">\n");
    for (name, value) in cells {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn percentile_chart(out: &mut String, report: &Report, plots: &Plots) {
    if plots.curves.iter().all(|curve| curve.latency.samples == 0) {
        return;
    }
    out.push_str("<h2>Latency by percentile</h2>\n<figure>\n<ul class=\"legend\">");
    for curve in plots.curves.iter().rev() {
        let (swatch, name) = (chart::swatch(curve.class()), escape(&curve.name));
        let samples = count(curve.latency.samples);
        let _ = write!(out, "<li>{swatch}{name}, {samples} samples</li>");
    }
    out.push_str("</ul>\n");
    out.push_str(&chart::percentiles(&plots.curves));
    let counts_from = match plots.curves.iter().any(|curve| curve.name == CLOSED_LOOP) {
        true => {
            "Latency of the open loop counts from the intended time of a record, so a stall is \
             charged to every record that it delayed; that of the closed loop counts from when a \
             record was sent, which is after the stall for all but one of them."
        }
        false if report.pace.starts_with(CLOSED_LOOP) => {
            "Latency counts from when a record was sent, so a stall is charged to the one record \
             that it met, and not to those that waited to be sent: coordinated omission."
        }
        false => {
            "Latency counts from the intended time of a record, so a stall is charged to every \
             record that it delayed."
        }
    };
    let _ = writeln!(
        out,
        "<figcaption>Each step to the right leaves ten times fewer samples above the line. \
         {counts_from} The grey ground is what an empty loop measures on the same \
         cores.</figcaption>\n</figure>"
    );
}

fn time_chart(out: &mut String, report: &Report, plots: &Plots) {
    let drawn: Vec<&OverTime> =
        plots.over_time.iter().filter(|timed| !timed.points.is_empty()).collect();
    if drawn.is_empty() {
        return;
    }
    out.push_str("<h2>Latency over time</h2>\n");
    for timed in &drawn {
        out.push_str("<figure>\n<ul class=\"legend\">");
        let name = escape(&timed.name);
        for class in ["max", "p99", "p50"] {
            let _ = write!(out, "<li>{}{name} {class}</li>", chart::swatch(class));
        }
        out.push_str("</ul>\n");
        out.push_str(&chart::over_time(timed, &drawn, report.noise_floor));
        let width = span((timed.slot_seconds * 1e9) as u64);
        let _ = writeln!(
            out,
            "<figcaption>One point for each {width}; gaps had no samples.</figcaption>\n</figure>"
        );
    }
}

fn latencies(out: &mut String, rows: &[(&str, LatencyNs)]) {
    if rows.is_empty() {
        return;
    }
    let columns = LatencyNs::COLUMNS.into_iter().chain(["mean", "samples"]);
    open_table(out, "Latency", &[""], columns);
    for (name, latency) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(name));
        let spans = latency.columns().into_iter().chain([latency.mean]).map(span);
        for cell in spans.chain([count(latency.samples)]) {
            let _ = write!(out, "<td class=\"number\">{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn steps(out: &mut String, report: &Report) {
    let Some(worst) = &report.worst_step else { return };
    out.push_str("<h2>Worst step</h2>\n<dl class=\"pairs\">\n");
    pair(out, "Time", &span(worst.ns));
    pair(out, "Units of work", &count(worst.work));
    pair(out, "Most of it in", &escape(&worst.stage));
    if let Some(cpu) = worst.cpu {
        pair(out, "CPU", &cpu.to_string());
    }
    if let Some(stall) = worst.stall_ns {
        pair(out, "An empty loop was away from it, at worst", &span(stall));
    }
    out.push_str("</dl>\n");
    if report.stage_work.is_empty() {
        return;
    }
    open_table(out, "Work", &["stage"], ["most units in one call"]);
    for of in &report.stage_work {
        let (stage, work) = (escape(&of.stage), count(of.work));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{stage}</th><td class=\"number\">{work}</td></tr>"
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn ratios(out: &mut String, report: &Report) {
    let names = report.ratio_names();
    if names.is_empty() {
        return;
    }
    open_table(out, "Ratios", &["measured side by side in one run"], ["value", "range"]);
    // The last two columns are words.
    let head = out.rfind("</tr></thead>").unwrap_or(out.len());
    out.insert_str(head, "<th scope=\"col\">goal</th><th scope=\"col\">verdict</th>");
    for name in names {
        ratio_row(out, report, name);
    }
    out.push_str("</tbody></table></div>\n");
}

fn ratio_row(out: &mut String, report: &Report, name: &str) {
    let value = report.ratios.get(name).copied();
    let shown = value.map_or("-".to_owned(), table::ratio);
    let range = report.ratio_ranges.get(name).map_or(String::new(), |[low, high]| {
        format!("{} &#8211; {}", table::ratio(*low), table::ratio(*high))
    });
    let (mut goal_text, mut class, mut verdict) = (String::new(), "", String::new());
    if let Some(&goal) = report.goals.get(name) {
        let met = value.is_some_and(|value| goal.is_met(value));
        class = if met { "met" } else { "missed" };
        (goal_text, verdict) = (table::goal_text(goal), table::verdict(goal, value));
    }
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\">{shown}</td>\
         <td class=\"number\">{range}</td><td>{goal_text}</td>\
         <td class=\"{class}\">{verdict}</td></tr>",
        escape(name)
    );
}

fn counters(out: &mut String, report: &Report) {
    if report.counters == Default::default() && report.allocations_per_step.is_none() {
        return;
    }
    out.push_str("<h2>Counters</h2>\n");
    if let Some(allocations) = report.allocations_per_step {
        let _ = writeln!(out, "<p>{}</p>", escape(&table::allocations(allocations)));
    }
    out.push_str("<dl class=\"pairs\">\n");
    for (counter, value) in report.counters.iter() {
        let (help, name) = (escape(counter.help()), counter.name());
        let value = count(value);
        let _ = writeln!(out, "<div><dt title=\"{name}\">{help}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn host(out: &mut String, report: &Report) {
    out.push_str("<h2>Host</h2>\n<dl class=\"pairs\">\n");
    for (name, value) in table::host_rows(&report.host) {
        pair(out, name, &escape(&value));
    }
    for (name, value) in table::disturbance_rows(report.disturbance) {
        pair(out, name, &unit(&escape(&value)));
    }
    out.push_str("</dl>\n");
    if !report.command.is_empty() {
        let command = escape(&report.command);
        let _ = writeln!(out, "<h2>Command</h2>\n<pre><code>{command}</code></pre>");
    }
}

fn notes(out: &mut String, report: &Report) {
    if report.notes.is_empty() {
        return;
    }
    out.push_str("<h2>Notes</h2>\n<ul class=\"notes\">\n");
    for note in &report.notes {
        let _ = writeln!(out, "<li>{}</li>", escape(note));
    }
    out.push_str("</ul>\n");
}

/// A heading and a table up to its first row: columns of words, then columns of numbers.
fn open_table<'a>(
    out: &mut String,
    title: &str,
    words: &[&str],
    numbers: impl IntoIterator<Item = &'a str>,
) {
    let _ = write!(out, "<h2>{title}</h2>\n<div class=\"wide\"><table><thead><tr>");
    for column in words {
        let _ = write!(out, "<th scope=\"col\">{column}</th>");
    }
    for column in numbers {
        let _ = write!(out, "<th scope=\"col\" class=\"number\">{column}</th>");
    }
    out.push_str("</tr></thead><tbody>\n");
}

/// A name and a value that is HTML already.
fn pair(out: &mut String, name: &str, html: &str) {
    let _ = writeln!(out, "<div><dt>{}</dt><dd>{html}</dd></div>", escape(name));
}

/// A span of time as HTML.
fn span(ns: u64) -> String {
    unit(&table::nanos(ns))
}

/// A number with its unit: a narrow space between them that does not break, and a real micro sign.
fn unit(text: &str) -> String {
    text.replace(" us", " &#181;s").replace(' ', "&#8239;")
}

/// A whole number whose groups do not break.
fn count(value: u64) -> String {
    table::count(value).replace(' ', "&#8239;")
}

/// Text as HTML, safe in an attribute too.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::{Goal, StageUnits, Step};
    use crate::time::Timestamp;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a & 'b' \"c\">"), "&lt;a &amp; &#39;b&#39; &quot;c&quot;&gt;");
        let mut report = Report::new("<script>alert(1)</script>");
        report.command = "millstream bench '<img>'".into();
        report.notes.push("<b>".into());
        report.ratios.insert("<i>".into(), 1.0);
        report.worst_step = Some(Step { stage: "<s>".into(), ..Step::default() });
        report.stage_work.push(StageUnits { stage: "<em>".into(), work: 1 });
        let latency = Latency::new();
        let html = render(&report, &Plots::default().curve("<u>", &latency));
        for bad in ["<script", "<img", "<b>", "<i>", "<u>", "<s>", "<em>"] {
            assert!(!html.contains(bad), "{bad}");
        }
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let mut latency = Latency::starting_at(Timestamp(0));
        (1..5000).for_each(|at: u64| latency.record(Timestamp(at as i64 * 100_000), at * 9, 1));
        let mut report = Report::new("bars");
        report.latency_ns = Some(latency.percentiles().into());
        report.noise_floor = Some(LatencyNs { p99_9: 90, max: 91, ..LatencyNs::default() });
        report.goals.insert("hop".into(), Goal::AtMost(1.5));
        let plots = Plots::default()
            .curve(NOISE_FLOOR, &latency)
            .curve("results", &latency)
            .over_time("results", &latency);
        let html = render(&report, &plots);
        for bad in ["http:", "https:", "src=", "href=", "url(", "@import", "NaN", "inf\""] {
            assert!(!html.contains(bad), "{bad}");
        }
        assert_eq!(html.matches("<svg viewBox=\"0 0 960").count(), 2);
        assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
        assert!(html.contains("not measured") && html.contains("floor p99.9"));
        assert!(html.is_ascii());
    }

    #[test]
    fn an_empty_report_has_no_chart() {
        let html = render(&Report::default(), &Plots::default());
        assert!(!html.contains("<svg") && html.ends_with("</html>\n"));
    }
}
