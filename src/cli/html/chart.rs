//! The two charts, as SVG drawn by hand.

use std::fmt::Write;

use super::{Curve, OverTime, count, escape, span};
use crate::cli::report::LatencyNs;
use crate::metrics::Point;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 380.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 46.0;
const LEFT: f64 = 62.0;
/// What two labels above each other need.
const LABEL: f64 = 14.0;

/// A chart's drawing area: where data stands on paper.
pub(super) struct Frame {
    right: f64,
    /// The largest x.
    across: f64,
    /// The y axis, logarithmic: powers of ten of nanoseconds.
    low: f64,
    high: f64,
}

impl Frame {
    pub(super) fn x(&self, value: f64) -> f64 {
        LEFT + (value / self.across).clamp(0.0, 1.0) * (WIDTH - self.right - LEFT)
    }

    pub(super) fn y(&self, ns: u64) -> f64 {
        self.y_of_power((ns.max(1) as f64).log10())
    }

    fn y_of_power(&self, power: f64) -> f64 {
        let share = ((power - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }

    /// An axis that holds all values and ends at 1, 2 or 5 times a power of ten.
    pub(super) fn around(
        values: impl Iterator<Item = u64> + Clone,
        across: f64,
        right: f64,
    ) -> Self {
        let least = values.clone().filter(|&value| value > 0).min().unwrap_or(10);
        let most = values.max().unwrap_or(0).max(least);
        let ticks = || ticks().map(f64::log10);
        let (least, most) = ((least as f64).log10(), (most as f64).log10());
        let low = ticks().take_while(|&tick| tick <= least).last().unwrap_or(0.0);
        // Some room above the highest value, and never an axis of less than a decade.
        let wanted = (most + 0.05).max(low + 1.0);
        let high = ticks().find(|&tick| tick >= wanted).unwrap_or(wanted);
        Self { right, across: across.max(f64::MIN_POSITIVE), low, high }
    }

    /// Horizontal grid and the labels of the y axis.
    pub(super) fn y_axis(&self, out: &mut String) {
        let decades = self.high - self.low;
        for tick in ticks() {
            let power = tick.log10();
            if power < self.low - 1e-9 || power > self.high + 1e-9 {
                continue;
            }
            let whole = (power - power.round()).abs() < 1e-9;
            if !whole && decades > 3.5 {
                continue;
            }
            let y = self.y_of_power(power);
            line(out, "grid", (LEFT, y), (WIDTH - self.right, y));
            if whole || decades < 2.5 {
                text(out, (LEFT - 8.0, y + 4.0), "end", &tick_label(tick));
            }
        }
        text(out, (LEFT - 8.0, TOP - 14.0), "end", "latency");
    }

    /// A tick of the x axis with its grid line.
    pub(super) fn x_tick(&self, out: &mut String, value: f64, label: &str) {
        let x = self.x(value);
        line(out, "grid", (x, TOP), (x, HEIGHT - BOTTOM));
        text(out, (x, HEIGHT - BOTTOM + 18.0), "middle", label);
    }

    /// The base line and what the x axis shows.
    pub(super) fn x_axis(&self, out: &mut String, title: &str) {
        let bottom = HEIGHT - BOTTOM;
        line(out, "axis", (LEFT, bottom), (WIDTH - self.right, bottom));
        text(out, (WIDTH - self.right, HEIGHT - 8.0), "end", title);
    }
}

/// Latency against the share of samples that do not exceed it.
pub(super) fn percentiles(curves: &[Curve]) -> String {
    let curves: Vec<&Curve> = curves.iter().filter(|curve| curve.latency.samples > 0).collect();
    let across = curves.iter().map(|curve| nines_of(curve.latency.samples)).fold(2.0, f64::max);
    let all = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
    let worst = curves.iter().map(|curve| curve.latency.max);
    let frame = Frame::around(all.chain(worst), across, 20.0);
    let mut out = open("Latency by percentile");
    frame.y_axis(&mut out);
    for (nines, label) in percentile_ticks(across) {
        frame.x_tick(&mut out, nines, &label);
    }
    frame.x_axis(&mut out, "share of samples at or below");
    for curve in &curves {
        percentile_curve(&mut out, &frame, curve);
    }
    // Above all lines, so that a mark can be pointed at.
    for curve in &curves {
        marks(&mut out, &frame, curve);
    }
    out + "</svg>\n"
}

/// One curve; the noise floor as ground to stand on.
fn percentile_curve(out: &mut String, frame: &Frame, curve: &Curve) {
    let end = nines_of(curve.latency.samples);
    let mut places = Vec::new();
    for &(quantile, ns) in &curve.points {
        let nines = nines(quantile);
        if nines >= end {
            break;
        }
        places.push((frame.x(nines), frame.y(ns)));
    }
    places.push((frame.x(end), frame.y(curve.latency.max)));
    if curve.is_floor() {
        let bottom = HEIGHT - BOTTOM;
        let mut ground = places.clone();
        ground.extend([(frame.x(end), bottom), (frame.x(0.0), bottom)]);
        let _ = writeln!(out, r#"<path class="area floor" d="{}Z"/>"#, path(&ground));
    }
    let _ = writeln!(out, r#"<path class="line {}" d="{}"/>"#, curve.class(), path(&places));
}

/// The percentiles that people quote, to point at.
fn marks(out: &mut String, frame: &Frame, curve: &Curve) {
    let latency = curve.latency;
    let end = nines_of(latency.samples);
    let at = [nines(0.5), 1.0, 2.0, 3.0, 4.0, end];
    for ((name, ns), nines) in LatencyNs::COLUMNS.iter().zip(latency.columns()).zip(at) {
        // A percentile that fewer than ten samples lie above is an accident.
        if *name != "max" && nines > end - 1.0 {
            continue;
        }
        let (x, y) = (frame.x(nines), frame.y(ns));
        let title = format!("{} {name}: {}", escape(&curve.name), span(ns));
        let class = curve.class();
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\">\
             <title>{title}</title></circle>"
        );
    }
}

/// Latency over time, with the noise floor as lines across. Its scale is that of all charts, so
/// that they can be set beside each other.
pub(super) fn over_time(timed: &OverTime, all: &[&OverTime], floor: Option<LatencyNs>) -> String {
    let (points, width) = (&timed.points, timed.slot_seconds);
    let end = |it: &&OverTime| it.points.last().map_or(1.0, |point| point.seconds + width);
    let across = all.iter().map(end).fold(0.0, f64::max);
    let levels = floor.map(|floor| [("floor p99.9", floor.p99_9), ("floor max", floor.max)]);
    let levels: Vec<(&str, u64)> = levels.into_iter().flatten().collect();
    let points_of_all = all.iter().flat_map(|it| &it.points);
    let values = points_of_all.flat_map(|point| [point.p50, point.p99, point.max]);
    let right = if levels.is_empty() { 20.0 } else { 128.0 };
    let frame = Frame::around(values.chain(levels.iter().map(|level| level.1)), across, right);
    let mut out = open("Latency over time");
    frame.y_axis(&mut out);
    for (value, label) in time_ticks(across) {
        frame.x_tick(&mut out, value, &label);
    }
    frame.x_axis(&mut out, "seconds into the run");
    floor_lines(&mut out, &frame, &levels);
    for run in runs(points, width) {
        strand(&mut out, &frame, run, width);
    }
    for point in points {
        hit(&mut out, &frame, point, width);
    }
    out + "</svg>\n"
}

/// Lines of the noise floor, named at their right end.
pub(super) fn floor_lines(out: &mut String, frame: &Frame, levels: &[(&str, u64)]) {
    let end = WIDTH - frame.right;
    let mut above = f64::INFINITY;
    for (at, &(name, ns)) in levels.iter().enumerate() {
        let y = frame.y(ns);
        let style = if at == 0 { "line floor dotted" } else { "line floor dashed" };
        line(out, style, (LEFT, y), (end, y));
        // From the lowest up: a label that would touch the one below it moves up.
        above = (y + 4.0).min(above - LABEL);
        text(out, (end + 8.0, above), "start", &format!("{name} {}", span(ns)));
    }
}

/// The stretches without a gap.
fn runs(points: &[Point], width: f64) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(move |one, next| next.seconds - one.seconds < width * 1.5)
}

/// The lines of one stretch, and the band from the median to p99.
fn strand(out: &mut String, frame: &Frame, points: &[Point], width: f64) {
    let line_of = |what: fn(&Point) -> u64| -> Vec<(f64, f64)> {
        let place = |point: &Point| (frame.x(point.seconds + width / 2.0), frame.y(what(point)));
        let mut places: Vec<_> = points.iter().map(place).collect();
        // A single slot would have no length to draw.
        if let [only] = places[..] {
            places.push((only.0 + 0.1, only.1));
        }
        places
    };
    let lines = [
        ("max", line_of(|point| point.max)),
        ("p99", line_of(|point| point.p99)),
        ("p50", line_of(|point| point.p50)),
    ];
    let mut band = lines[1].1.clone();
    band.extend(lines[2].1.iter().rev());
    let _ = writeln!(out, r#"<path class="area band" d="{}Z"/>"#, path(&band));
    for (class, places) in &lines {
        let _ = writeln!(out, r#"<path class="line {class}" d="{}"/>"#, path(places));
    }
}

/// A slot's whole height, to point at.
fn hit(out: &mut String, frame: &Frame, point: &Point, width: f64) {
    let (from, to) = (frame.x(point.seconds), frame.x(point.seconds + width));
    let (wide, high) = (to - from, HEIGHT - BOTTOM - TOP);
    let (p50, p99, max) = (span(point.p50), span(point.p99), span(point.max));
    let title = format!("p50 {p50}, p99 {p99}, max {max}, {} samples", count(point.count));
    let _ = writeln!(
        out,
        "<rect class=\"hit\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{wide:.1}\" height=\"{high}\">\
         <title>{:.2} s: {title}</title></rect>",
        point.seconds
    );
}

/// What stands beside a legend's entry.
pub(super) fn swatch(class: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 28 10\" aria-hidden=\"true\">\
         <path class=\"line {class}\" d=\"M1 5H27\"/></svg>"
    )
}

/// How many nines a quantile has: 0.99 is 2.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(f64::MIN_POSITIVE).log10()
}

/// Where the worst of so many samples stands.
fn nines_of(samples: u64) -> f64 {
    (samples.max(2) as f64).log10()
}

/// 0, 50, 90, 99, 99.9 ... per cent.
fn percentile_ticks(across: f64) -> Vec<(f64, String)> {
    let mut ticks = vec![(0.0, "0&#8239;%".to_owned()), (nines(0.5), "50&#8239;%".to_owned())];
    for nines in 1..=(across + 1e-9) as usize {
        let label = match nines {
            1 => "90".to_owned(),
            2 => "99".to_owned(),
            more => format!("99.{}", "9".repeat(more - 2)),
        };
        ticks.push((nines as f64, label + "&#8239;%"));
    }
    ticks
}

/// At most ten round values from zero on.
pub(super) fn time_ticks(across: f64) -> Vec<(f64, String)> {
    let rough = (across / 10.0).max(1e-6);
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|&step| step >= rough).unwrap_or(rough);
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    let many = (across / step + 1e-9) as usize;
    (0..=many).map(|at| (at as f64 * step, format!("{:.digits$}", at as f64 * step))).collect()
}

/// 1, 2, 5, 10, 20 ... nanoseconds, up to what a latency can be.
fn ticks() -> impl Iterator<Item = f64> {
    (0..19).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(power)))
}

/// A tick's label: `5 ns`, `20 us`; never a fraction.
fn tick_label(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "&#181;s"), (1.0, "ns")];
    let (size, unit) = units.into_iter().find(|unit| ns >= unit.0 * 0.999).unwrap_or((1.0, "ns"));
    format!("{:.0}&#8239;{unit}", ns / size)
}

pub(super) fn open(title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(title)
    )
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
    );
}

/// A label; the text is HTML already.
pub(super) fn text(out: &mut String, at: (f64, f64), anchor: &str, html: &str) {
    let (x, y) = at;
    let _ = writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{html}</text>"#);
}

pub(super) fn path(places: &[(f64, f64)]) -> String {
    let mut text = String::with_capacity(places.len() * 14);
    for (at, (x, y)) in places.iter().enumerate() {
        let verb = if at == 0 { 'M' } else { 'L' };
        let _ = write!(text, "{verb}{x:.1} {y:.1}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_sane() {
        let labels: Vec<String> = percentile_ticks(4.2).into_iter().map(|tick| tick.1).collect();
        let plain = labels.join(" ").replace("&#8239;%", "");
        assert_eq!(plain, "0 50 90 99 99.9 99.99");
        let times: Vec<String> = time_ticks(19.95).into_iter().map(|tick| tick.1).collect();
        assert_eq!(times.join(" "), "0 2 4 6 8 10 12 14 16 18");
        assert_eq!(time_ticks(0.3).len(), 7);
        assert_eq!(tick_label(5e4), "50&#8239;&#181;s");
        assert_eq!(tick_label(1e9), "1&#8239;s");
    }

    #[test]
    fn the_axis_holds_its_values() {
        for values in [vec![37, 81_000], vec![0], vec![], vec![5, 5], vec![1, u64::MAX]] {
            let frame = Frame::around(values.iter().copied(), 5.0, 20.0);
            assert!(frame.high >= frame.low + 1.0 - 1e-9, "{values:?}");
            for &value in values.iter().filter(|&&value| value > 0) {
                let power = (value as f64).log10();
                assert!(power >= frame.low && power <= frame.high + 0.5, "{values:?}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&frame.y(value)));
            }
        }
    }

    #[test]
    fn gaps_in_time_break_the_line() {
        let point = |seconds| Point { seconds, count: 1, p50: 1, p99: 1, max: 1 };
        let points = [0.0, 0.1, 0.2, 0.9, 1.0].map(point);
        assert_eq!(runs(&points, 0.1).map(<[Point]>::len).collect::<Vec<_>>(), [3, 2]);
    }
}
