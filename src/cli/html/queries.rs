//! What was found of each of several queries, as a table.

use std::fmt::Write;

use super::{count, escape, open_table, span, unit};
use crate::cli::report::QueryFigures;
use crate::cli::table;

/// A row for each query: rates flat out, latency in the open loop, and the result.
pub(super) fn section(out: &mut String, queries: &[QueryFigures]) {
    let Some(first) = queries.first() else { return };
    let all = format!("{} shards", first.shards);
    let rates = ["1 shard, flat out", &all, "disordered", "open loop"];
    let results = ["p50", "p99", "p99.9", "max", "samples", "rows"];
    open_table(out, "Queries", &[""], rates.into_iter().chain(results));
    let head = out.rfind("</tr></thead>").unwrap_or(out.len());
    out.insert_str(head, "<th scope=\"col\">hash</th>");
    for query in queries {
        row(out, query);
    }
    out.push_str(
        "</tbody></table></div>\n<p class=\"soft\">Rates are events a second. Latency is that of \
         results in the open loop; where that fell behind there is none.</p>\n",
    );
}

fn row(out: &mut String, query: &QueryFigures) {
    let none = || "-".to_owned();
    let rate = |per_s: f64| unit(&table::rate(per_s));
    let (achieved, kept_up) = (rate(query.open_loop.achieved_per_s), query.open_loop.kept_up);
    let paced = if kept_up { achieved } else { format!("{achieved}, behind") };
    let mut cells = vec![
        rate(query.one_shard_per_s),
        query.all_shards_per_s.map_or_else(none, rate),
        rate(query.disordered_per_s),
        paced,
    ];
    match query.latency_ns.filter(|_| kept_up) {
        Some(ns) => {
            cells.extend([ns.p50, ns.p99, ns.p99_9, ns.max].map(span));
            cells.push(count(ns.samples));
        }
        None => cells.extend(std::iter::repeat_with(none).take(5)),
    }
    cells.push(count(query.rows));
    let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&query.query));
    for cell in cells {
        let _ = write!(out, "<td class=\"number\">{cell}</td>");
    }
    let _ = writeln!(out, "<td><code>{}</code></td></tr>", escape(&query.hash));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::{LatencyNs, Paced};

    #[test]
    fn every_cell_has_its_column() {
        let query = QueryFigures {
            query: "q<5>".to_owned(),
            shards: 2,
            open_loop: Paced { achieved_per_s: 1e5, kept_up: true },
            latency_ns: Some(LatencyNs { max: 5_000, samples: 9, ..LatencyNs::default() }),
            hash: "ab".to_owned(),
            ..QueryFigures::default()
        };
        let behind = QueryFigures { open_loop: Paced::default(), ..query.clone() };
        let mut out = String::new();
        section(&mut out, &[query, behind]);
        let columns = out.matches("<th scope=\"col\"").count();
        assert_eq!(2 * columns, out.matches("<td").count() + 2, "{out}");
        assert!(!out.contains("<5>") && out.contains("<td><code>ab</code></td>"), "{out}");
        assert_eq!((out.matches("behind").count(), out.matches("5.00").count()), (2, 1), "{out}");
        let mut none = String::new();
        section(&mut none, &[]);
        assert!(none.is_empty());
    }
}
