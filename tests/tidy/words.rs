//! Finding names, paths and functions in code.

/// The line, from 0, of every room that is named after `crate::`, braces included.
pub fn rooms_named(code: &str) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    for at in word_positions(code, "crate") {
        let Some(rest) = code[at..].strip_prefix("crate::") else { continue };
        let line = line_of(code, at);
        if let Some(group) = rest.strip_prefix('{') {
            rooms.extend(top_level_names(group).into_iter().map(|name| (line, name)));
        } else {
            rooms.push((line, first_word(rest)));
        }
    }
    rooms
}

/// The first word of every item up to the brace that closes the group.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut names) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    names.push(item);
    names.iter().map(|item| first_word(item.trim())).filter(|name| !name.is_empty()).collect()
}

pub fn first_word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

pub fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// Where a crate is named as the start of a path: `name::`, or `use name`.
pub fn crate_named(code: &str, name: &str) -> Vec<usize> {
    let is_path = |at: &usize| {
        let (before, after) = (&code[..*at], &code[at + name.len()..]);
        let before = before.trim_end();
        let starts = !before.ends_with("::") || before.ends_with(" ::");
        let imported = before.ends_with("use") && !after.starts_with("::");
        starts && (after.starts_with("::") || imported)
    };
    word_positions(code, name).into_iter().filter(is_path).map(|at| line_of(code, at)).collect()
}

/// Where `word` stands by itself.
pub fn word_positions(code: &str, word: &str) -> Vec<usize> {
    let alone = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

/// Whether `word` is there and not the end of a longer one.
pub fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with(is_word) || !before.is_some_and(is_word)
    })
}

pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count()
}

/// The line, from 0, and the length in lines of every function that has a body.
pub fn functions_of(code: &str) -> impl Iterator<Item = (usize, usize)> {
    word_positions(code, "fn").into_iter().filter_map(|at| {
        let body = at + body_start(&code[at..])?;
        let end = body + block_length(&code[body..]);
        Some((line_of(code, at), code[at..end].matches('\n').count() + 1))
    })
}

/// Where the body of a function starts; `None` for a declaration and for the type `fn(..)`.
fn body_start(function: &str) -> Option<usize> {
    if !function.strip_prefix("fn")?.starts_with(' ') {
        return None;
    }
    let mut depth = 0;
    for (at, c) in function.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The length of the block that starts here.
pub fn block_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}
