//! A line on standard error that says what is going on.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::table;

/// Letters of the bar.
const WIDTH: usize = 40;

/// What is going on now. Draws nothing where nobody would see it: standard error is not a terminal,
/// or it was asked to be quiet.
pub struct Progress {
    line: ProgressBar,
    phase: &'static str,
    total: Option<Duration>,
}

impl Progress {
    /// A line, or nothing at all.
    pub fn new(visible: bool) -> Self {
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let line = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            line.set_style(style);
        }
        Self { line, phase: "", total: None }
    }

    /// A new phase begins, which takes so long if that is known.
    pub fn phase(&mut self, name: &'static str, total: Option<Duration>) {
        (self.phase, self.total) = (name, total);
        self.tick(Duration::ZERO, None);
    }

    /// The phase is so old, and so many records a second go through it.
    ///
    /// Draws once and by itself: a shard may have to give its core away for it.
    pub fn tick(&mut self, elapsed: Duration, records_per_s: Option<f64>) {
        let bar = self.total.map(|total| bar(elapsed, total)).unwrap_or_default();
        let mut text = format!("{:<12}{bar} {:.1} s", self.phase, elapsed.as_secs_f64());
        if let Some(total) = self.total {
            text += &format!(" of {:.1} s", total.as_secs_f64());
        }
        if let Some(rate) = records_per_s {
            text += &format!(", {}", table::rate(rate));
        }
        self.line.set_message(text);
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        self.line.finish_and_clear();
        self.line.reset();
    }
}

/// A share of a whole, drawn: `[=====>    ]`.
fn bar(done: Duration, total: Duration) -> String {
    let share = done.as_secs_f64() / total.as_secs_f64().max(1e-9);
    let filled = ((share * WIDTH as f64) as usize).min(WIDTH);
    let head = if filled > 0 && filled < WIDTH { ">" } else { "" };
    let body = "=".repeat(filled - head.len());
    format!("[{:<WIDTH$}]", body + head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    #[test]
    fn bars_keep_their_width() {
        assert_eq!(bar(secs(0), secs(8)), format!("[{}]", " ".repeat(40)));
        assert_eq!(bar(secs(2), secs(8)), format!("[{}>{}]", "=".repeat(9), " ".repeat(30)));
        for done in [8, 9] {
            assert_eq!(bar(secs(done), secs(8)), format!("[{}]", "=".repeat(40)));
        }
        assert_eq!(bar(secs(1), secs(0)).len(), 42);
    }
}
