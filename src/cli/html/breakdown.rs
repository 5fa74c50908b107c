//! Where the time went, as bars of pieces.

use std::fmt::Write;

use super::{chart, count, escape, open_table, span};
use crate::cli::report::{LatencyNs, Piece};
use crate::cli::table;

/// Paper for the bars: what is left of it, and how high a bar is with the space below it.
const LEFT: f64 = 90.0;
const WIDTH: f64 = 850.0;
const BAR: f64 = 34.0;
const BELOW: f64 = 14.0;

/// One bar for records and one for results, and a table of the pieces.
pub(super) fn section(out: &mut String, pieces: &[Piece]) {
    if pieces.is_empty() {
        return;
    }
    out.push_str("<h2>Where the time went</h2>\n<figure>\n<ul class=\"legend\">");
    let mut spans: Vec<&str> = Vec::new();
    for piece in pieces {
        if !spans.contains(&piece.span.as_str()) {
            spans.push(&piece.span);
        }
    }
    for (at, name) in spans.iter().enumerate() {
        let _ = write!(out, "<li>{}{}</li>", chart::swatch(&class(at)), escape(name));
    }
    out.push_str("</ul>\n");
    bars(out, pieces, &spans);
    out.push_str(
        "<figcaption>A bar is the mean latency, and its pieces the means between two stamps of the \
         same batch, which add up. Percentiles do not: the slowest record of one piece is seldom \
         that of another.</figcaption>\n</figure>\n",
    );
    rows(out, pieces);
}

fn class(at: usize) -> String {
    format!("piece{}", at.min(4))
}

fn bars(out: &mut String, pieces: &[Piece], spans: &[&str]) {
    let mut kinds: Vec<&str> = pieces.iter().map(|piece| piece.of.as_str()).collect();
    kinds.dedup();
    let height = kinds.len() as f64 * (BAR + BELOW);
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 960 {height}\" role=\"img\" aria-label=\"Where the time went\">"
    );
    for (row, kind) in kinds.iter().enumerate() {
        let y = row as f64 * (BAR + BELOW);
        chart::text(out, (LEFT - 8.0, y + BAR / 2.0 + 4.0), "end", &escape(kind));
        for (piece, [from, to]) in pieces.iter().zip(table::breakdown::shares(pieces)) {
            if piece.of != *kind {
                continue;
            }
            let at = spans.iter().position(|name| *name == piece.span).unwrap_or(0);
            let (class, name) = (class(at), escape(&piece.span));
            let (x, wide) = (LEFT + from * WIDTH, (to - from) * WIDTH);
            let (mean, share) = (span(piece.latency_ns.mean), (to - from) * 100.0);
            let _ = writeln!(
                out,
                "<rect class=\"piece {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" \
                 height=\"{BAR}\"><title>{name}: {mean}, {share:.1} %</title></rect>"
            );
            if wide > 60.0 {
                chart::text(out, (x + wide / 2.0, y + BAR / 2.0 + 4.0), "middle", &mean);
            }
        }
    }
    out.push_str("</svg>\n");
}

fn rows(out: &mut String, pieces: &[Piece]) {
    let columns = LatencyNs::COLUMNS.into_iter().chain(["mean", "samples"]);
    open_table(out, "Pieces", &["", ""], columns);
    for piece in pieces {
        let latency = piece.latency_ns;
        let (of, name) = (escape(&piece.of), escape(&piece.span));
        let _ = write!(out, "<tr><th scope=\"row\">{of}</th><td>{name}</td>");
        let spans = latency.columns().into_iter().chain([latency.mean]).map(span);
        for cell in spans.chain([count(latency.samples)]) {
            let _ = write!(out, "<td class=\"number\">{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_pieces() {
        let piece = |of: &str, span: &str, mean| Piece {
            of: of.to_owned(),
            span: span.to_owned(),
            latency_ns: LatencyNs { mean, samples: 5, ..LatencyNs::default() },
        };
        let pieces = [
            piece("records", "a <b>", 300),
            piece("records", "b", 100),
            piece("results", "a <b>", 10),
            piece("results", "c", 30),
        ];
        let mut out = String::new();
        section(&mut out, &pieces);
        assert!(!out.contains("<b>") && out.is_ascii() && !out.contains("NaN"), "{out}");
        let widths: Vec<f64> = out
            .split("<rect")
            .skip(1)
            .filter_map(|rest| rest.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths, [637.5, 212.5, 212.5, 637.5]);
        assert_eq!(out.matches("class=\"piece piece0\"").count(), 2, "the same colour in both");
        let mut none = String::new();
        section(&mut none, &[]);
        assert!(none.is_empty());
    }
}
