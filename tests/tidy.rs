//! The house rules that a compiler does not check, over the text of the sources.
//!
//! A line is excused from a rule by `// tidy: why` at its end or on the line above.

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/words.rs"]
mod words;

use std::path::Path;

use files::{Source, all_files, without_comments, without_tests};
use words::{crate_named, functions_of, holds_word, line_of, rooms_named, word_positions};

/// Rooms by floor: a room imports rooms of lower floors only, never sideways. Where the rooms of a
/// floor have an order of their own, it is the second digit.
const FLOORS: &[(u32, &[&str])] = &[
    (0, &["error"]),
    (1, &["memory"]),
    (2, &["time"]),
    (3, &["metrics"]),
    (4, &["config"]),
    (10, &["state", "trust"]),
    (20, &["dataflow"]),
    (30, &["exchange", "io"]),
    (40, &["operators", "window", "lookup", "join", "commit", "checkpoint", "disk"]),
    (40, &["net", "web"]),
    // Made of what is in several of them: above them, and below the shard like them.
    (41, &["table", "window_join"]),
    (50, &["shard"]),
    (60, &["runtime", "sim"]),
    (70, &["testing", "nexmark"]),
    (80, &["cli"]),
    (90, &["main", "lib"]),
];

/// Rooms up to here are on the hot path.
const HOT: u32 = 50;

/// Each dependency, and the files that may name it. `io/mod.rs` is there because its `csv` is ours,
/// `lookup/mod.rs` because of its `redis`, and `checkpoint/mod.rs` because it shows `object_store`
/// to whoever makes one.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("glommio", &["runtime/"]),
    ("io_uring", &["net/", "disk/"]),
    ("rtrb", &["exchange/ring.rs", "exchange/pipe.rs", "cli/baseline/"]),
    ("hdrhistogram", &["metrics/histogram.rs"]),
    ("zerocopy", &["io/codec/", "net/shared/"]),
    ("memchr", &["io/framing.rs", "io/codec/"]),
    ("sonic_rs", &["cli/baseline/codecs.rs"]),
    ("csv", &["io/csv/", "io/mod.rs"]),
    ("rustls", &["trust/", "net/gate/"]),
    ("webpki", &["trust/names.rs"]),
    ("subtle", &["trust/access.rs"]),
    ("tokio_rustls", &["web/sealing.rs"]),
    ("quanta", &["time/clock.rs"]),
    ("crc32c", &["io/journal/crc.rs"]),
    ("jiff", &["window/zone.rs"]),
    ("tokio_postgres", &["lookup/postgres.rs", "commit/postgres.rs"]),
    ("tokio", &["lookup/postgres.rs", "commit/postgres.rs", "checkpoint/objects.rs", "web/"]),
    ("axum", &["web/"]),
    ("hyper", &["web/"]),
    ("hyper_util", &["web/"]),
    ("futures_util", &["web/"]),
    ("object_store", &["checkpoint/objects.rs", "checkpoint/mod.rs"]),
    ("redis", &["lookup/redis.rs", "lookup/mod.rs"]),
    ("clap", &["cli/", "main.rs"]),
    ("postcard", &["memory/encoding.rs"]),
    (
        "serde_json",
        &["cli/", "checkpoint/manifest.rs", "runtime/poison.rs", "io/codec/json/", "web/"],
    ),
    ("indicatif", &["cli/"]),
    ("ctrlc", &["cli/", "main.rs"]),
    ("mimalloc", &["main.rs"]),
    ("hashbrown", &["cli/"]),
];

/// What the hot floors do without: bad input is a value there, and the clock is read by the driver.
const NOT_HOT: &[&str] = &[
    ".unwrap()",
    ".expect(",
    "panic!",
    "println!",
    "print!",
    "eprintln!",
    "Instant::now",
    "SystemTime::now",
];

/// What nobody leaves behind.
const NOWHERE: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Rooms where `unsafe` may be.
const UNSAFE_ROOMS: &[&str] = &["memory", "state", "exchange", "runtime", "disk", "net"];

const LINE_MAX: usize = 100;
const FILE_MAX: usize = 500;
const FUNCTION_MAX: usize = 70;

#[test]
fn the_house_is_tidy() {
    let files = all_files();
    let mut offences = Vec::new();
    for file in &files {
        offences.extend(text_offences(file));
        if let Some(path) = file.name.strip_prefix("src/") {
            offences.extend(floor_offences(file, path));
            offences.extend(wrapper_offences(file, path));
            offences.extend(hot_offences(file, path));
            offences.extend(unsafe_offences(file, path));
        }
    }
    let report = offences.join("\n");
    assert!(offences.is_empty(), "{} offences against the house rules:\n{report}", offences.len());
}

/// Pages of text, by their folders.
const PAGES: &[&str] = &["", "tuning", "benches/alternatives", "benches/rivals"];

#[test]
fn pages_are_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = PAGES.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let mut offences = Vec::new();
    for path in folders.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let (text, mut is_code) = (std::fs::read_to_string(&path).unwrap(), false);
        for (at, line) in text.lines().enumerate() {
            is_code ^= line.starts_with("```");
            // A row of a table and a command cannot be broken.
            let is_prose = !is_code && !line.starts_with('|') && !line.starts_with("    ");
            if line.contains('\u{2014}') || (is_prose && line.chars().count() > LINE_MAX) {
                offences.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    assert!(offences.is_empty(), "long lines or em dashes:\n{}", offences.join("\n"));
}

#[test]
fn prints_how_long_files_and_functions_are() {
    let files = all_files();
    let sources = files.iter().filter(|file| file.name.starts_with("src/"));
    let (mut lengths, mut functions, mut lines) = (Vec::new(), Vec::new(), 0);
    for file in sources {
        lengths.push(file.raw.lines().count());
        lines += file.raw.lines().count();
        functions.extend(functions_of(&file.product).map(|(_, length)| length));
    }
    let (of_files, of_functions) = (lengths.len(), functions.len());
    println!("{of_files} files, {lines} lines: median {}", median(&mut lengths));
    println!("{of_functions} functions outside tests: median {} lines", median(&mut functions));
}

fn median(numbers: &mut [usize]) -> usize {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

/// Rules for every line of every file.
fn text_offences(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let fix_me = concat!("FIX", "ME");
    for (at, line) in file.raw.lines().enumerate() {
        if line.chars().count() > LINE_MAX {
            found.extend(file.offence(at, &format!("longer than {LINE_MAX} columns")));
        }
        if !line.is_ascii() {
            found.extend(file.offence(at, "not ASCII"));
        }
        if line.contains(fix_me) {
            found.extend(file.offence(at, fix_me));
        }
    }
    found.extend(words_offences(file, &file.code, NOWHERE));
    let lines = file.raw.lines().count();
    if lines > FILE_MAX {
        found.extend(file.offence(lines - 1, &format!("{lines} lines, at most {FILE_MAX}")));
    }
    let long = functions_of(&file.code).filter(|(_, length)| *length > FUNCTION_MAX);
    for (at, length) in long {
        let what = format!("a function of {length} lines, at most {FUNCTION_MAX}");
        found.extend(file.offence(at, &what));
    }
    found
}

fn floor_offences(file: &Source, path: &str) -> Vec<String> {
    let room = room_of(path);
    let Some(floor) = floor_of(room) else {
        return file
            .offence(0, &format!("room `{room}` is on no floor: see FLOORS"))
            .into_iter()
            .collect();
    };
    // The crate's root only says what the rooms are and what is public.
    if floor == 90 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, other) in rooms_named(&file.product) {
        if other == room {
            continue;
        }
        let why = match floor_of(&other) {
            Some(theirs) if theirs < floor => continue,
            Some(_) => format!("`{room}` may not know `{other}`: not on a lower floor"),
            None => format!("`crate::{other}` hides its room: name the room"),
        };
        found.extend(file.offence(at, &why));
    }
    found
}

fn wrapper_offences(file: &Source, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (dependency, homes) in WRAPPERS {
        if homes.iter().any(|home| path.starts_with(home)) {
            continue;
        }
        for at in crate_named(&file.product, dependency) {
            let homes = homes.join(", ");
            found.extend(file.offence(at, &format!("`{dependency}` belongs to {homes} only")));
        }
    }
    found
}

fn hot_offences(file: &Source, path: &str) -> Vec<String> {
    if floor_of(room_of(path)).is_none_or(|floor| floor > HOT) {
        return Vec::new();
    }
    let is_clock = path == "time/clock.rs";
    let words = NOT_HOT.iter().copied().filter(|word| !(is_clock && word.ends_with("::now")));
    words_offences(file, &file.product, &words.collect::<Vec<_>>())
}

fn unsafe_offences(file: &Source, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let raw: Vec<&str> = file.raw.lines().collect();
    for at in word_positions(&file.code, "unsafe") {
        let line = line_of(&file.code, at);
        let next = file.code[at + "unsafe".len()..].trim_start();
        let needs_reason = next.starts_with('{') || next.starts_with("impl");
        if needs_reason && !has_safety_comment(&raw, line) {
            found.extend(file.offence(line, "`unsafe` without a SAFETY comment above"));
        }
        if !UNSAFE_ROOMS.contains(&room_of(path)) {
            let rooms = UNSAFE_ROOMS.join(", ");
            found.extend(file.offence(line, &format!("`unsafe` outside of {rooms}")));
        }
    }
    found
}

/// Within the three lines above, or in the comment that ends there.
fn has_safety_comment(raw: &[&str], line: usize) -> bool {
    let is_reason = |line: &&str| line.contains("// SAFETY:");
    let near = &raw[line.saturating_sub(3)..=line];
    let comment = raw[..line].iter().rev().take_while(|l| l.trim_start().starts_with("//"));
    near.iter().any(is_reason) || comment.into_iter().any(is_reason)
}

fn words_offences(file: &Source, code: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in code.lines().enumerate() {
        for word in words.iter().filter(|word| holds_word(line, word)) {
            found.extend(file.offence(at, &format!("`{word}` has no place here")));
        }
    }
    found
}

fn room_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

fn floor_of(room: &str) -> Option<u32> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| *floor)
}

// ---- the rules themselves, tried

fn source(name: &str, raw: &str) -> Source {
    let code = without_comments(raw);
    let product = without_tests(&code);
    Source { name: format!("src/{name}"), raw: raw.to_owned(), code, product }
}

#[test]
fn offences_are_found_where_they_are() {
    let file = source("io/x.rs", "use crate::{time::Timestamp,\n    shard::{Shard, io}};\n");
    let found = floor_offences(&file, "io/x.rs");
    assert_eq!(found, ["src/io/x.rs:1: `io` may not know `shard`: not on a lower floor"]);
    let file = source("io/x.rs", "// panic!\nfn f() { x.unwrap(); \"panic!\" }\n");
    assert_eq!(hot_offences(&file, "io/x.rs").len(), 1);
    let file = source("io/x.rs", "use rtrb::Producer;\nuse crate::rtrb::X;\nuse quanta;\n");
    assert_eq!(wrapper_offences(&file, "io/x.rs").len(), 2);
    let file = source("state/x.rs", "fn f() {\n    unsafe { g() }\n}\n");
    assert_eq!(unsafe_offences(&file, "state/x.rs").len(), 1);
    let file = source("io/x.rs", "// SAFETY: no.\nunsafe impl Send for X {}\n");
    assert_eq!(unsafe_offences(&file, "io/x.rs").len(), 1);
    let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(FUNCTION_MAX));
    assert_eq!(text_offences(&source("io/x.rs", &long)).len(), 1);
    assert_eq!(floor_offences(&source("attic/x.rs", ""), "attic/x.rs").len(), 1);
}

#[test]
fn what_is_allowed_is_not_found() {
    let text = "use crate::time::Timestamp;\nuse crate::io::Sink;\n\
                fn f() { x.unwrap(); } // tidy: a test of the rule\n\
                fn g(x: [u8; 3]) -> char { '\"' }\n\
                #[cfg(test)]\nmod tests {\n    use crate::shard::Shard;\n\
                fn f() { panic!() }\n}\n";
    let file = source("io/x.rs", text);
    assert!(floor_offences(&file, "io/x.rs").is_empty());
    assert!(hot_offences(&file, "io/x.rs").is_empty());
    assert!(text_offences(&file).is_empty());
    assert_eq!(functions_of(&file.product).count(), 2);
    let file = source("memory/x.rs", "// SAFETY: two\n// lines.\nlet x = unsafe { f() };\n");
    assert!(unsafe_offences(&file, "memory/x.rs").is_empty());
}
