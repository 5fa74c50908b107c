//! The files of the project, with and without comments and tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::words::{block_length, first_word, is_word};

/// One file, in three readings with the same lines.
pub struct Source {
    /// Its path from the root of the repository.
    pub name: String,
    pub raw: String,
    /// Without comments and without what is in quotes.
    pub code: String,
    /// And without tests.
    pub product: String,
}

impl Source {
    pub fn read(root: &Path, path: &Path, is_test: bool) -> Self {
        let raw = std::fs::read_to_string(path).expect("a source is text");
        let code = without_comments(&raw);
        let product = if is_test { String::new() } else { without_tests(&code) };
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        Self { name, raw, code, product }
    }

    /// An offence on a line counted from 0, unless the line is excused.
    pub fn offence(&self, line: usize, what: &str) -> Option<String> {
        let above = line.checked_sub(1).and_then(|above| self.raw.lines().nth(above));
        let here = self.raw.lines().nth(line);
        let excused = here.is_some_and(|here| here.contains("// tidy: "))
            || above.is_some_and(|above| above.trim_start().starts_with("// tidy: "));
        (!excused).then(|| format!("{}:{}: {what}", self.name, line + 1))
    }
}

/// Every Rust file of the project, tests known as such.
pub fn all_files() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        walk(&root.join(folder), &mut paths);
    }
    let tests: BTreeSet<PathBuf> = paths.iter().flat_map(|path| test_modules(path)).collect();
    // What a module of tests is made of are tests too.
    let within =
        |path: &Path, test: &PathBuf| path == test || path.starts_with(test.with_extension(""));
    let is_test = |path: &PathBuf| tests.iter().any(|test| within(path, test));
    let read = |path: &PathBuf| Source::read(root, path, is_test(path));
    paths.iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        // The golden cases in tests/ui are wrong on purpose.
        if path.is_dir() && !path.ends_with("tests/ui") {
            walk(&path, paths);
        } else if path.extension().is_some_and(|end| end == "rs") {
            paths.push(path);
        }
    }
}

/// The files that this file declares as `#[cfg(test)] mod name;`.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let code = without_comments(&std::fs::read_to_string(path).expect("a source is text"));
    let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|root| path.ends_with(root));
    let folder = if is_root { path.with_file_name("") } else { path.with_extension("") };
    let mut files = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let item = code[at + attribute.len()..].trim_start();
        if let Some(name) = item.strip_prefix("mod ") {
            files.push(folder.join(format!("{}.rs", first_word(name))));
        }
    }
    files
}

/// Blanks every item under `#[cfg(test)]`, and keeps the lines.
pub fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut product = String::new();
    while let Some(at) = rest.find("#[cfg(test)]").or_else(|| rest.find("#[cfg(all(test")) {
        product.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|s| brace < s) => {
                brace + block_length(&item[brace..])
            }
            (_, semicolon) => semicolon.map_or(item.len(), |s| s + 1),
        };
        product.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    product + rest
}

/// Blanks comments and what is between quotes, and keeps the lines.
pub fn without_comments(raw: &str) -> String {
    let mut code = String::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let skipped = token_length(rest, raw[..at].chars().next_back());
        if skipped > 0 {
            code.push(' ');
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            at += skipped;
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            code.push(c);
            at += c.len_utf8();
        }
    }
    code
}

/// The length of the comment or literal that `rest` starts with; 0 if it starts with neither.
fn token_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    let hashes = rest.strip_prefix('r').map_or(0, |r| r.len() - r.trim_start_matches('#').len());
    let is_raw = rest.starts_with('r') && rest[1 + hashes..].starts_with('"');
    if is_raw && before.is_none_or(|c| c == 'b' || !is_word(c)) {
        let close = format!("\"{}", "#".repeat(hashes));
        let open = 2 + hashes;
        return rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len());
    }
    // A quote that is no lifetime: 'x' or an escape.
    let mut chars = rest.chars();
    let is_char = chars.next() == Some('\'')
        && matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')));
    if is_char { quoted_length(rest, '\'') } else { 0 }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}
