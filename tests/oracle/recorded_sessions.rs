//! Sessions of trades and visits that others recorded, against answers that others computed. The
//! files are not part of the project; where they are absent, a line says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millstream::aggregates::{count, sum};
use millstream::io::MemorySource;
use millstream::metrics::Counter;
use millstream::{Record, Session, Text, Timestamp, Windowed, ms, secs};

use super::support::world::disordered;
use super::support::{Open, Seen, World, watch};

/// Where the files lie, if they are here.
fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if path.join("MANIFEST.md").exists() {
        return path.canonicalize().ok();
    }
    println!("skipped: no recorded files in {}", path.display());
    None
}

/// One line: when, whose, how much (in millionths).
#[derive(Clone, Copy, Debug)]
struct Line {
    at: i64,
    key: Text<64>,
    amount: i64,
}

fn millionths(text: &str) -> i64 {
    (text.parse::<f64>().unwrap_or(0.0) * 1e6).round() as i64
}

/// The lines of a file, by where their fields are; the last is counted from the end.
fn lines(path: &Path, [at, key, amount]: [usize; 3]) -> Vec<Line> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let key = Text::try_from(fields[key]).unwrap();
        let at = fields[at].parse::<i64>().unwrap() * 1_000_000;
        Line { at, key, amount: millionths(fields[fields.len() - amount]) }
    };
    fs::read_to_string(path).unwrap().lines().skip(1).map(line).collect()
}

/// Records and amount of a session, by key, start and end.
type Sessions = BTreeMap<(String, i64, i64), (u64, i64)>;

fn answer(path: &Path) -> Sessions {
    let text = fs::read_to_string(path).unwrap();
    let session = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        let [start, end] = [f[1], f[2]].map(|at| at.parse::<i64>().unwrap() * 1_000_000);
        ((f[0].to_owned(), start, end), (f[3].parse().unwrap(), millionths(f[4])))
    };
    text.lines().skip(1).map(session).collect()
}

/// The sessions of these lines on so many shards; none may be late.
fn sessions(lines: &[Line], gap: Duration, disorder: i64, shards: usize) -> Sessions {
    let (batch, fire, home) = (256, 64, shards - 1);
    let open = Open::Sometimes;
    let world = World { shards, ring: 64, batch, fire, seed: 3, hash_seed: 5, home, open };
    let seen = Seen::<Windowed<Text<64>, (u64, i64)>>::new();
    let outcome = world.run(|p| {
        let here = if p.shard() == home { lines } else { &[] };
        let records = here.iter().map(|line| Record::new(Timestamp(line.at), *line));
        let sessions = p
            .source(MemorySource::new(records.collect::<Vec<_>>()))
            .event_time(|line| Timestamp(line.at), disordered(disorder))
            .key_by(|line| line.key)
            .session(Session::gap(gap))
            .aggregate((count(), sum(|line: &Line| line.amount)));
        watch(sessions, &seen, &world);
        Ok(())
    });
    seen.borrow().check_over();
    assert_eq!(outcome.counters.get(Counter::Late), 0);
    let seen = seen.borrow();
    let session = |(_, result): &(i64, Windowed<Text<64>, (u64, i64)>)| {
        let span = (result.span.start.0, result.span.end.0);
        ((result.key.to_string(), span.0, span.1), result.value)
    };
    let all: Sessions = seen.records.iter().map(session).collect();
    assert_eq!(all.len(), seen.records.len(), "each session fires once");
    all
}

#[test]
fn binance_sessions_of_half_a_second() {
    let Some(data) = data() else { return };
    let mut trades = lines(&data.join("binance_trades.csv"), [3, 1, 3]);
    let want = answer(&data.join("answers/binance_trades_session_500ms_touch.csv"));
    for shards in [1, 2, 5] {
        assert_eq!(sessions(&trades, ms(500), 0, shards), want, "on {shards} shards");
    }
    // The same out of order: each chunk of trades backwards.
    let mut disorder = 0;
    for chunk in trades.chunks_mut(37) {
        chunk.reverse();
        disorder = disorder.max(chunk[0].at - chunk[chunk.len() - 1].at);
    }
    for shards in [1, 2, 5] {
        assert_eq!(sessions(&trades, ms(500), disorder, shards), want, "on {shards} shards");
    }
}

#[test]
fn visits_of_hosts() {
    let Some(data) = data() else { return };
    let visits = lines(&data.join("apache_access.csv"), [1, 2, 1]);
    let want = answer(&data.join("answers/apache_sessions_30min_by_host_touch.csv"));
    for shards in [1, 2, 5] {
        let got = sessions(&visits, secs(1_800), 59_000_000_000, shards);
        assert_eq!(got, want, "on {shards} shards");
    }
}
