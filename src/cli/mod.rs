//! The `millstream` command: it measures what the engine does on this host and says so.
//!
//! [`main`] reads the command line (`args.rs`) and runs one scenario (`scenario/`), which builds a
//! pipeline like any user would and hands it to `run.rs` to be run and watched. What came of it is
//! a [`report::Report`], shown as text (`table.rs`), JSON and HTML (`html.rs`). Nothing else in the
//! crate may know this room. Start with `bench.rs`.

pub mod args;
pub mod baseline;
pub mod bench;
pub mod checkpoint;
pub mod compare;
pub mod failure;
mod folder;
pub mod host;
pub mod html;
pub mod interrupt;
pub mod journal;
pub mod load;
pub mod noise;
pub mod output;
pub mod pin;
pub mod progress;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shard_thread;
pub mod table;
pub mod values;
pub mod workload;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use failure::{Failure, Result};

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => dispatch(&cli),
        Err(error) => explain(&error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("millstream: error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Journal(command) => journal::run(command),
        Command::Checkpoint(command) => checkpoint::run(command),
        Command::Replay(args) => replay::run(args),
        #[cfg(feature = "net")]
        Command::SharedPeer(args) => scenario::shared::peer(args),
    }
}

/// Help that was asked for goes to standard output; anything else is an error in one line.
fn explain(error: &clap::Error) -> Result<()> {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return print(&text);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{text}");
        return Err(Failure { message: "no command given".to_owned(), code: Failure::REFUSED });
    }
    let what = text.strip_prefix("error: ").unwrap_or(&text);
    let what = what.split("\n\nUsage:").next().unwrap_or(what);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = format!("{what}; see `millstream bench --help`");
    Err(Failure { message, code: Failure::REFUSED })
}

/// Prints to standard output; a reader who has left is an error and no panic.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure {
        message: format!("write standard output: {error}"),
        code: Failure::RAN,
    })
}
