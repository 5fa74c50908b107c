//! Where the time went, as text.

use super::{line, nanos};
use crate::cli::report::Piece;

/// Letters of a bar that stands for the whole.
const BAR: f64 = 24.0;

/// A row for each piece: percentiles, and its share of the mean as a bar.
pub fn section(out: &mut String, pieces: &[Piece]) {
    if pieces.is_empty() {
        return;
    }
    line(
        out,
        &format!(
            "{:<32}{:>10}{:>10}{:>10}{:>10}  share of the mean",
            "where the time went", "p50", "p99", "p99.9", "mean"
        ),
    );
    for (piece, [from, to]) in pieces.iter().zip(shares(pieces)) {
        let latency = piece.latency_ns;
        let values = [latency.p50, latency.p99, latency.p99_9, latency.mean].map(nanos);
        let values: String = values.iter().map(|value| format!("{value:>10}")).collect();
        let (gap, end) = ((from * BAR).round() as usize, (to * BAR).round() as usize);
        let bar = format!("{}{}", " ".repeat(gap), "=".repeat(end.saturating_sub(gap)));
        let name = format!("  {}, {}", piece.of, piece.span);
        line(out, &format!("{name:<32}{values}  {bar}"));
    }
    out.push('\n');
}

/// From which to which share of the mean latency of its kind each piece goes: pieces of the same
/// batches follow each other, so their means add up.
pub fn shares(pieces: &[Piece]) -> Vec<[f64; 2]> {
    let whole = |of: &str| -> u64 {
        pieces.iter().filter(|piece| piece.of == of).map(|piece| piece.latency_ns.mean).sum()
    };
    let (mut kind, mut done) = ("", 0);
    let mut share = |piece: &'_ Piece, is_new: bool| {
        done = if is_new { 0 } else { done };
        let (from, whole) = (done, whole(&piece.of).max(1) as f64);
        done += piece.latency_ns.mean;
        [from as f64 / whole, done as f64 / whole]
    };
    let mut all = Vec::with_capacity(pieces.len());
    for piece in pieces {
        all.push(share(piece, piece.of != kind));
        kind = &piece.of;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::LatencyNs;

    fn piece(of: &str, span: &str, mean: u64) -> Piece {
        let latency_ns = LatencyNs { p50: mean / 2, p99: 9 * mean, mean, ..LatencyNs::default() };
        Piece { of: of.to_owned(), span: span.to_owned(), latency_ns }
    }

    #[test]
    fn bars_follow_each_other_and_make_a_whole() {
        let pieces = [
            piece("records", "intended to received", 300),
            piece("records", "dequeued to updated", 100),
            piece("results", "received to dequeued", 0),
            piece("results", "dequeued to emitted", 5_000),
        ];
        assert_eq!(shares(&pieces), [[0.0, 0.75], [0.75, 1.0], [0.0, 0.0], [0.0, 1.0]]);
        let mut out = String::new();
        section(&mut out, &pieces);
        let bars: Vec<usize> = out.lines().map(|line| line.matches('=').count()).collect();
        assert_eq!(bars, [0, 18, 6, 0, 24, 0], "{out}");
        assert!(out.lines().all(|line| line.len() <= super::super::WIDTH), "{out}");
        assert!(out.contains("45.0 us") && out.contains("results, dequeued to emitted"), "{out}");
    }
}
