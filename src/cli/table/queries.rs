//! What was found of each of several queries, as text.

use super::{WIDTH, count, line, nanos, rate, short};
use crate::cli::report::QueryFigures;

/// A row for each query: rates flat out, latency in the open loop, and the result.
pub fn section(out: &mut String, queries: &[QueryFigures]) {
    let Some(first) = queries.first() else { return };
    let all = format!("{} shards", first.shards);
    let all = if first.shards > 1 { all.as_str() } else { "" };
    line(
        out,
        &format!("{:<10}{:<23}latency of results, open loop", "queries", "events/s, flat out"),
    );
    line(
        out,
        &format!(
            "{:<6}{:>8}{all:>9}{:>11}{:>8}{:>8}{:>8}{:>11}{:>11}  hash",
            "", "1 shard", "disordered", "p50", "p99", "p99.9", "samples", "rows"
        ),
    );
    for query in queries {
        line(out, &row(query));
    }
    debug_assert!(out.lines().all(|line| line.chars().count() <= WIDTH), "{out}");
    out.push('\n');
}

fn row(query: &QueryFigures) -> String {
    let per_s = |per_s: f64| short(&rate(per_s));
    let all = query.all_shards_per_s.map_or(String::new(), per_s);
    let [one, disordered] = [query.one_shard_per_s, query.disordered_per_s].map(per_s);
    let latency = match query.latency_ns {
        // How late it was says when it was stopped, and nothing else.
        _ if !query.open_loop.kept_up => {
            format!(
                "{:>24}{:>11}",
                format!("behind: {}", per_s(query.open_loop.achieved_per_s)),
                ""
            )
        }
        Some(ns) => {
            let [p50, p99, p99_9] = [ns.p50, ns.p99, ns.p99_9].map(|ns| short(&nanos(ns)));
            format!("{p50:>8}{p99:>8}{p99_9:>8}{:>11}", count(ns.samples))
        }
        None => format!("{:>8}{:>8}{:>8}{:>11}", "-", "-", "-", 0),
    };
    let (name, rows, hash) = (format!("  {}", query.query), count(query.rows), &query.hash);
    format!("{name:<6}{one:>8}{all:>9}{disordered:>11}{latency}{rows:>11}  {hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::{LatencyNs, Paced};

    #[test]
    fn each_query_is_a_line_of_the_terminal() {
        let latency = LatencyNs {
            p50: 999_400,
            p99: 99_900_000,
            p99_9: 123_456_789,
            samples: 12_345_678,
            ..LatencyNs::default()
        };
        let query = QueryFigures {
            query: "q22".to_owned(),
            shards: 2,
            one_shard_per_s: 123e6,
            all_shards_per_s: Some(234e6),
            disordered_per_s: 98.7e6,
            open_loop: Paced { achieved_per_s: 99e3, kept_up: true },
            latency_ns: Some(latency),
            rows: 4_194_304,
            hash: "0123456789abcdef".to_owned(),
            ..QueryFigures::default()
        };
        let behind = QueryFigures {
            open_loop: Paced { kept_up: false, ..query.open_loop },
            ..query.clone()
        };
        let none = QueryFigures { latency_ns: None, all_shards_per_s: None, ..query.clone() };
        let mut out = String::new();
        section(&mut out, &[query, behind, none]);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[2].contains("999us  99.9ms   123ms"), "{out}");
        assert!(lines[3].contains("behind: 99.0k/s") && !lines[3].contains("999us"), "{out}");
        assert!(lines[4].contains("       -       -       -          0"), "{out}");
        assert!(lines[2..5].iter().all(|line| line.ends_with("4 194 304  0123456789abcdef")));
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        let mut none = String::new();
        section(&mut none, &[]);
        assert!(none.is_empty());
    }
}
