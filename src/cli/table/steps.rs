//! The worst step in words, and the most work of each stage.

use std::fmt::Write;

use crate::cli::report::{Report, Step};
use crate::cli::table::{count, nanos};

/// A few lines, or none if no step was measured.
pub fn lines(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.worst_step.iter().map(in_words).collect();
    if report.stage_work.is_empty() {
        return lines;
    }
    lines.push("most units of work in one call of a stage:".to_owned());
    let width = report.stage_work.iter().map(|of| count(of.work).len()).max().unwrap_or(0);
    let work = |work: u64| format!("{:>width$}", count(work));
    lines.extend(report.stage_work.iter().map(|of| format!("{}  {}", work(of.work), of.stage)));
    lines
}

fn in_words(step: &Step) -> String {
    let (time, work) = (nanos(step.ns), count(step.work));
    let mut text = format!("{time} for {work} units of work");
    if let Some(cpu) = step.cpu {
        let _ = write!(text, " on CPU {cpu}");
    }
    if let Some(stall) = step.stall_ns {
        let _ = write!(text, ", where an empty loop was away for {} at worst", nanos(stall));
    }
    let _ = write!(text, "; most of it in `{}`", step.stage);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::StageUnits;

    #[test]
    fn the_worst_step_stands_beside_the_stalls_of_its_core() {
        let stage = "key_by > reduce".to_owned();
        let mut step = Step { ns: 41_234, work: 513, stage: stage.clone(), ..Step::default() };
        let text = "41.2 us for 513 units of work; most of it in `key_by > reduce`";
        assert_eq!(in_words(&step), text);
        (step.cpu, step.stall_ns) = (Some(1), Some(38_000));
        let text = "41.2 us for 513 units of work on CPU 1, where an empty loop was away for \
                    38.0 us at worst; most of it in `key_by > reduce`";
        assert_eq!(in_words(&step), text);
        let stage_work = vec![
            StageUnits { stage: "source".to_owned(), work: 64 },
            StageUnits { stage, work: 1234 },
        ];
        let report = Report { worst_step: Some(step), stage_work, ..Report::default() };
        let rows = ["   64  source", "1 234  key_by > reduce"];
        assert_eq!(lines(&report)[2..], rows);
        assert!(lines(&Report::default()).is_empty());
    }
}
