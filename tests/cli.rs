//! The `millstream` command, run as a user would run it.
#![cfg(feature = "cli")]

#[path = "cli/again.rs"]
mod again;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/checkpoint.rs"]
mod checkpoint;
#[path = "cli/command.rs"]
mod command;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/journal.rs"]
mod journal;
#[path = "cli/live.rs"]
mod live;
#[path = "cli/load.rs"]
mod load;
#[path = "cli/recorded.rs"]
mod recorded;
#[path = "cli/refused.rs"]
mod refused;
#[path = "cli/replay.rs"]
mod replay;
#[path = "cli/scenarios.rs"]
mod scenarios;
