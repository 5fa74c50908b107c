//! What DuckDB makes of the same events: `queries.py` has the queries in SQL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use millstream::nexmark::{Event, Nexmark};

use super::{arrived, line};

/// Set where the database must be there.
const REQUIRED: &str = "MILLSTREAM_DUCKDB_REQUIRED";

/// The rows of each query by its name, in the order of their text; none where there is no DuckDB.
pub fn results(
    name: &str,
    nexmark: &Nexmark,
    events: &[Event],
) -> Option<BTreeMap<String, Vec<String>>> {
    if !is_there() {
        assert!(env::var_os(REQUIRED).is_none(), "python3 has no package duckdb");
        eprintln!("skipped: python3 has no package duckdb (`pip install duckdb`)");
        return None;
    }
    let folder = folder(name);
    write(&folder, nexmark, events);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nexmark/queries.py");
    let done = Command::new("python3").arg(script).arg(&folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let files = fs::read_dir(folder.join("results")).unwrap().flatten();
    let results = files.map(|file| {
        let name = file.path().file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(file.path()).unwrap();
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        (name, rows)
    });
    Some(results.collect())
}

fn is_there() -> bool {
    let done = Command::new("python3").args(["-c", "import duckdb"]).output();
    done.is_ok_and(|done| done.status.success())
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexmark").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("results")).unwrap();
    folder
}

/// A file for each of the three kinds of events: when it came, and what it says.
fn write(folder: &Path, nexmark: &Nexmark, events: &[Event]) {
    let [mut people, mut auctions, mut bids] = [(); 3].map(|()| String::new());
    for (place, event) in events.iter().enumerate() {
        let at = arrived(nexmark, place);
        let (file, line) = match event {
            Event::Person(person) => (&mut people, line((at, person))),
            Event::Auction(auction) => (&mut auctions, line((at, auction))),
            Event::Bid(bid) => (&mut bids, line((at, bid))),
        };
        file.push_str(&line);
        file.push('\n');
    }
    for (name, text) in [("people", people), ("auctions", auctions), ("bids", bids)] {
        fs::write(folder.join(name).with_extension("csv"), text).unwrap();
    }
}
