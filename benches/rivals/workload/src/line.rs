//! The line of JSON that a contestant prints.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::args::Args;
use crate::digest::Digest;

/// What a contestant found.
pub struct Line<'a> {
    /// Who it is.
    pub contestant: &'a str,
    /// What it was told.
    pub args: &'a Args,
    /// How many records went in, each time.
    pub records: u64,
    /// How many seconds each pass took.
    pub passes: Vec<f64>,
    /// What came out, each time.
    pub digest: Digest,
    /// How late results were, if that was asked for.
    pub late: Option<Histogram<u64>>,
    /// What else is to be said.
    pub note: String,
}

impl Line<'_> {
    /// Prints it.
    pub fn print(&self) {
        let mut passes = self.passes.clone();
        passes.sort_by(f64::total_cmp);
        let median = passes.get(passes.len() / 2).copied().unwrap_or(f64::NAN);
        let Self { contestant, args, records, digest, note, .. } = self;
        let mut line = format!(
            r#"{{"workload":"{}","contestant":"{contestant}","cores":{},"records":{records}"#,
            args.workload,
            args.threads(),
        );
        _ = write!(
            line,
            r#","passes":{},"seconds":{median:.6},"rate":{:.1},"rows":{},"hash":"{:016x}""#,
            passes.len(),
            *records as f64 / median,
            digest.rows,
            digest.hash
        );
        if let Some(late) = &self.late {
            for (name, quantile) in
                [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)]
            {
                _ = write!(line, r#","{name}_ns":{}"#, late.value_at_quantile(quantile));
            }
            _ = write!(line, r#","max_ns":{},"samples":{}"#, late.max(), late.len());
        }
        let note = note.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
        println!(r#"{line},"note":"{note}"}}"#);
    }
}

/// Says that there is nothing to be printed, and why.
pub fn left_out(contestant: &str, workload: &str, why: &str) {
    let why = why.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    println!(r#"{{"workload":"{workload}","contestant":"{contestant}","left_out":"{why}"}}"#);
}
