//! `millstream bench`: runs a scenario, once or several times, and reports.

use std::fs;
use std::io::BufWriter;
use std::path::Path;

use super::args::BenchArgs;
use super::failure::{Failure, Result};
use super::progress::Progress;
use super::report::Report;
use super::scenario::{self, Measured, Scenario};
use super::{html, interrupt, print, table};
use crate::error::{ConfigError, IoError};
use crate::metrics;

/// Where the report goes unless `--report` says so.
const REPORT: &str = "report";

/// Does what the flags say.
///
/// # Errors
/// A scenario or setting that cannot be, a run that failed, a report that could not be written.
pub fn run(args: &BenchArgs) -> Result<()> {
    bench(args).map_err(|failure| {
        // The engine does not know by which flag it was told where to run.
        match failure.message.strip_prefix("--shards ").filter(|_| !args.cpus.is_empty()) {
            Some(rest) => Failure { message: format!("--cpus {rest}"), ..failure },
            None => failure,
        }
    })
}

fn bench(args: &BenchArgs) -> Result<()> {
    if args.list {
        return print(&scenario::list());
    }
    let scenario = scenario::find(args)?;
    if args.plan || args.plan_dot {
        let plan = (scenario.plan)(args).map_err(as_refused)?;
        return print(&if args.plan_dot { plan.dot() } else { plan.to_string() });
    }
    if args.json && is_taken(args) {
        let reason = "standard output belongs to --json";
        return Err(ConfigError::setting("--output", "-", reason).into());
    }
    interrupt::install()?;
    let measured = measure(scenario, args)?;
    let directory = match &args.report {
        Some(directory) => Some(directory.as_path()),
        None => (!args.json && !is_taken(args)).then_some(Path::new(REPORT)),
    };
    if args.json {
        print(&format!("{}\n", json(&measured.report)?))?;
    } else if !is_taken(args) {
        print(&table::render(&measured.report))?;
    }
    match directory {
        Some(directory) => write_report(directory, &measured, args),
        None => Ok(()),
    }
}

/// Whether standard output belongs to the bars.
fn is_taken(args: &BenchArgs) -> bool {
    args.output.as_deref().is_some_and(|output| output.as_os_str() == "-")
}

fn as_refused(failure: Failure) -> Failure {
    Failure { code: Failure::REFUSED, ..failure }
}

/// Runs it once or several times, at one rate or at many.
fn measure(scenario: &Scenario, args: &BenchArgs) -> Result<Measured> {
    let open_loop = scenario::OPEN_LOOPS.iter().find(|it| it.name == scenario.name);
    let mut progress = Progress::new(!args.json && !args.quiet);
    let measured = match (open_loop, args.load.slo, args.load.sweep) {
        (Some(open_loop), Some(slo), _) => scenario::find_rate(open_loop, args, slo, &mut progress),
        (Some(open_loop), _, Some(sweep)) => {
            scenario::go_through(open_loop, args, sweep, &mut progress)
        }
        _ => return repeat(scenario, args, progress),
    };
    progress.clear();
    measured
}

/// Runs it as often as asked for. Of several runs the report holds medians, and the drawings are
/// those of the run with the median rate.
fn repeat(scenario: &Scenario, args: &BenchArgs, mut progress: Progress) -> Result<Measured> {
    let mut runs = Vec::new();
    while runs.is_empty() || runs.len() < args.repeat as usize && !interrupt::is_seen() {
        let result = (scenario.run)(args, &mut progress);
        progress.clear();
        runs.push(result?);
    }
    let reports: Vec<Report> = runs.iter().map(|run| run.report.clone()).collect();
    runs.sort_by(|one, two| one.report.records_per_s.total_cmp(&two.report.records_per_s));
    let mut middle = runs.swap_remove(runs.len() / 2);
    middle.report = Report::of_repeats(reports).unwrap_or(middle.report);
    Ok(middle)
}

fn json(report: &Report) -> Result<String> {
    report.to_json().map_err(|error| Failure { message: error.to_string(), code: Failure::RAN })
}

fn write_report(directory: &Path, measured: &Measured, args: &BenchArgs) -> Result<()> {
    let shown = directory.display().to_string();
    fs::create_dir_all(directory).map_err(|error| IoError::new("create", &shown, error))?;
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        fs::write(&path, text)
            .map_err(|error| IoError::new("write", path.display().to_string(), error))
    };
    write("index.html", html::render(&measured.report, &measured.plots))?;
    write("report.json", json(&measured.report)? + "\n")?;
    write_log(&directory.join("latency.hlog"), measured)?;
    if args.json || is_taken(args) {
        return Ok(());
    }
    print(&format!("report       {shown}/index.html, {shown}/latency.hlog\n"))
}

/// Writes the distributions as an HdrHistogram log.
fn write_log(path: &Path, measured: &Measured) -> Result<()> {
    let written = fs::File::create(path).and_then(|file| {
        let entries: Vec<_> = measured.latencies.iter().map(|(tag, all)| (*tag, all)).collect();
        let comment = format!("millstream bench {}", measured.report.scenario);
        let (started, lasted) = (measured.started, measured.lasted);
        metrics::write_log(&mut BufWriter::new(file), started, lasted, &comment, &entries)
    });
    written.map_err(|error| IoError::new("write", path.display().to_string(), error).into())
}
