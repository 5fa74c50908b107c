//! Ctrl-C: the first stops what runs, cleanly; the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::{Failure, Result};

/// What the shell expects of a process that Ctrl-C ended.
const ENDED_BY_INTERRUPT: i32 = 130;

static SEEN: AtomicBool = AtomicBool::new(false);

/// Takes Ctrl-C (and SIGTERM) over from the system.
///
/// # Errors
/// If the system refuses the handler.
pub fn install() -> Result<()> {
    let handler = || {
        if SEEN.swap(true, Ordering::AcqRel) {
            std::process::exit(ENDED_BY_INTERRUPT);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure {
        message: format!("cannot handle Ctrl-C: {error}"),
        code: Failure::RAN,
    })
}

/// Whether Ctrl-C has been pressed. Whoever watches what runs asks a few times a second and stops
/// it; nothing new is started.
pub fn is_seen() -> bool {
    SEEN.load(Ordering::Acquire)
}
