//! Writes so many events of NEXMark to standard output, for contestants in other languages.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use rivals_workload::auctions;

fn main() -> ExitCode {
    let Some(records) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("usage: events NUMBER > FILE");
        return ExitCode::from(2);
    };
    let mut to = BufWriter::with_capacity(1 << 20, stdout().lock());
    match auctions::write(records, &mut to).and_then(|()| to.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("events: {error}");
            ExitCode::FAILURE
        }
    }
}
