//! The README holds what it promises: its commands, its scripts and its links exist.
//!
//! That its programs compile and run is checked as doc tests: see the end of `src/lib.rs`.
#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages whose commands and links must hold.
fn pages() -> Vec<(PathBuf, String)> {
    let tuning = std::fs::read_dir(root().join("tuning")).into_iter().flatten().flatten();
    let mut paths: Vec<_> = tuning.map(|entry| entry.path()).collect();
    paths.push(root().join("README.md"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a page is text");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The lines of the blocks fenced as `language`, without comments.
fn commands(page: &str, language: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = !inside && fence == language;
        } else if inside {
            let line = line.split(" #").next().unwrap_or(line).trim();
            if !line.is_empty() && !line.starts_with('#') {
                lines.push(line.to_owned());
            }
        }
    }
    lines
}

#[test]
fn every_command_of_the_readme_exists() {
    let (_, readme) = pages().pop().expect("the README is the last page");
    let commands = commands(&readme, "sh");
    assert!(commands.len() >= 2, "the README has lost its commands");
    let wrong: Vec<_> = commands.iter().filter_map(|line| check(line).err()).collect();
    assert!(wrong.is_empty(), "README.md:\n{}", wrong.join("\n"));
}

fn check(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().skip_while(|word| word.contains('=')).collect();
    match words[..] {
        ["cargo", "run", ref rest @ ..] => {
            let ours =
                rest.iter().position(|word| *word == "--").map_or(&[][..], |at| &rest[at + 1..]);
            check_millstream(line, ours)
        }
        ["millstream", ref rest @ ..] => check_millstream(line, rest),
        ["cargo", "test" | "build" | "doc" | "bench", ..] => Ok(()),
        [script, ..] if script.starts_with("scripts/") => check_script(script),
        _ => Err(format!("`{line}`: no command that this test knows")),
    }
}

/// Walks down the subcommands; what is left must be flags and values that the help mentions.
fn check_millstream(line: &str, words: &[&str]) -> Result<(), String> {
    let mut path = Vec::new();
    let mut help = help_of(&path)?;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--") {
            if !mentions(&help, &format!("--{flag}")) {
                return Err(format!("`{line}`: no flag --{flag}"));
            }
            if help.contains(&format!("--{flag} <")) {
                words.next(); // Its value.
            }
        } else if subcommands(&help).contains(word) {
            path.push(*word);
            help = help_of(&path)?;
        } else if word.starts_with(char::is_alphabetic) && !mentions(&help, word) {
            return Err(format!("`{line}`: the help of {path:?} does not mention {word}"));
        }
    }
    Ok(())
}

/// What a command says of itself; that of `bench` with its scenarios.
fn help_of(path: &[&str]) -> Result<String, String> {
    let mut help = output_of(path, "--help")?;
    if path == ["bench"] {
        help.push_str(&output_of(path, "--list")?);
    }
    Ok(help)
}

fn output_of(path: &[&str], flag: &str) -> Result<String, String> {
    let program = env!("CARGO_BIN_EXE_millstream");
    let output = Command::new(program).args(path).arg(flag).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("`millstream {} {flag}` fails", path.join(" ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first words of the lines under "Commands:".
fn subcommands(help: &str) -> Vec<&str> {
    let after = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = after.take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

/// Whether a text holds a word, and not just as a part of another.
fn mentions(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, found)| {
        !text[..at].ends_with(part) && !text[at + found.len()..].starts_with(part)
    })
}

fn check_script(script: &str) -> Result<(), String> {
    let path = root().join(script);
    if !path.is_file() {
        return Err(format!("{script} does not exist"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().map_err(|error| format!("{script}: {error}"))?.permissions();
        if mode.mode() & 0o111 == 0 {
            return Err(format!("{script} is not executable"));
        }
    }
    Ok(())
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for (path, page) in pages() {
        let folder = path.parent().unwrap_or(root());
        for rest in page.split("](").skip(1) {
            let link = rest.split([')', '#', ' ']).next().unwrap_or(rest);
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere: {dead:?}");
}

#[test]
fn the_table_of_the_readme_can_be_filled() {
    let (_, readme) = pages().pop().expect("the README is the last page");
    let begin = readme.find("<!-- table:begin -->");
    let end = readme.find("<!-- table:end -->");
    assert!(begin.is_some() && begin < end, "the marks around the table of latencies are gone");
}

#[test]
fn mistakes_in_a_readme_are_found() {
    assert!(check("scripts/does-not-exist").is_err());
    assert!(check("mill stream").is_err());
    assert!(mentions("[--json] [--seconds N]", "--seconds"));
    assert!(!mentions("[--json-lines]", "--json"));
    let page = "```sh\n# why\ncargo test   # all\n```\n```rust\nlet x;\n```\n";
    assert_eq!(commands(page, "sh"), ["cargo test"]);
    assert_eq!(
        subcommands("Commands:\n  bench  Measures\n  help   Explains\n\nOptions:\n"),
        ["bench", "help"]
    );
}
