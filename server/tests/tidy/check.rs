//! The checkers of `tidy`: each looks at text and answers with findings.
//!
//! They read no files, so that each is tried below on a few lines that break its
//! rule and a few that keep it. They rely on rustfmt's layout: an item ends at the
//! first line that closes it at its own indentation.

use std::fmt;

/// A file of the repository; the path is relative to its root, with `/`.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A broken rule: `path:line: what; do this instead`.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) instead: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, instead } = self;
        write!(f, "{path}:{line}: {what}; {instead}")
    }
}

/// A word that must not stand in the code of some files.
pub(crate) struct Ban {
    pub(crate) words: &'static [&'static str],
    /// Beginnings of paths where the ban holds.
    pub(crate) under: &'static [&'static str],
    /// Beginnings of paths inside of those where it does not.
    pub(crate) except: &'static [&'static str],
    pub(crate) instead: &'static str,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    fn finding(&self, line: usize, what: impl Into<String>, instead: &str) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), instead: instead.into() }
    }

    /// The lines with their numbers, without comments and without the tests at their end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let test = self.path.contains("/src/") && self.path.contains("/tests");
        let lines = if test { "" } else { self.text.as_str() }.lines();
        let code = lines.take_while(|line| *line != "#[cfg(test)]");
        code.enumerate().map(|(index, line)| (index + 1, without_comment(line)))
    }
}

/// A `//` inside of an address does not begin a comment.
fn without_comment(line: &str) -> &str {
    line.match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'))
        .map_or(line, |(at, _)| &line[..at])
}

pub(crate) fn file_length(source: &Source, lines_max: usize) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= lines_max {
        return Vec::new();
    }
    let what = format!("the file has {lines} lines of at most {lines_max}");
    vec![source.finding(lines_max + 1, what, "cut it along a seam")]
}

/// A line of a `view!` counts half.
pub(crate) fn function_lengths(source: &Source, lines_max: usize) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let Some(body) = lines.get(index..).and_then(item) else { continue };
        let opens_a_view = |(at, line): (usize, &&str)| line.ends_with("view! {").then_some(at);
        let views = body.iter().enumerate().filter_map(opens_a_view);
        let in_views: usize = views.filter_map(|at| item(body.get(at..)?)).map(<[&str]>::len).sum();
        let length = body.len() - in_views.min(body.len()) / 2;
        if length > lines_max {
            let what = format!("`{name}` has {length} lines of at most {lines_max}");
            findings.push(source.finding(index + 1, what, "give its parts names of their own"));
        }
    }
    findings
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let qualifier = |word: &str| {
        matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub")
    };
    let name = after.split(['(', '<']).next()?;
    before.split_whitespace().all(qualifier).then_some(name)
}

/// The lines of the item that begins with the first of them, if it has a body.
fn item<'a, 'b>(lines: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines.first()?);
    for (index, line) in lines.iter().enumerate() {
        let level = indent(line) == own;
        if index > 0 && level && line.trim_start().starts_with('}') {
            return lines.get(..=index);
        }
        let declared_only = level && line.ends_with(';');
        let on_one_line = index == 0 && line.ends_with('}');
        if declared_only || on_one_line {
            return None;
        }
    }
    None
}

pub(crate) fn header(source: &Source, lines_min: usize, lines_max: usize) -> Vec<Finding> {
    let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
    if (lines_min..=lines_max).contains(&lines) {
        return Vec::new();
    }
    let what = format!("the header has {lines} lines, not {lines_min} to {lines_max}");
    vec![source.finding(1, what, "say in `//!` what this is, who calls it, and its law")]
}

pub(crate) fn file_name(source: &Source, banned: &[&str]) -> Vec<Finding> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let stem = name.trim_end_matches(".rs").trim_end_matches(".ts");
    if !banned.contains(&stem) {
        return Vec::new();
    }
    vec![source.finding(1, format!("a file named `{name}`"), "name it after its noun")]
}

pub(crate) fn banned_words(source: &Source, ban: &Ban) -> Vec<Finding> {
    let begins = |list: &[&str]| list.iter().any(|start| source.path.starts_with(start));
    if !begins(ban.under) || begins(ban.except) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, code) in source.code() {
        for word in ban.words.iter().filter(|word| has_word(code, word)) {
            findings.push(source.finding(line, format!("`{word}` here"), ban.instead));
        }
    }
    findings
}

/// Whether the text has the word, with no letter, digit or `_` beside it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(inner);
        let after = text[at + word.len()..].chars().next().is_some_and(inner);
        let open_start = !word.starts_with(inner);
        let open_end = !word.ends_with(inner);
        (open_start || !before) && (open_end || !after)
    })
}

/// Work that is only promised, in code or comment.
pub(crate) fn promises(source: &Source, words: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for word in words.iter().filter(|word| has_word(line, word)) {
            findings.push(source.finding(
                index + 1,
                format!("the word {word}"),
                "do it now, or write an issue",
            ));
        }
    }
    findings
}

/// Imports must go down: `floors` lists the modules of each floor, lowest first.
pub(crate) fn floors(source: &Source, root: &str, floors: &[&[&str]]) -> Vec<Finding> {
    let Some(path) = source.path.strip_prefix(root) else { return Vec::new() };
    let floor_of = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    let own = path.split(['/', '.']).next().unwrap_or_default();
    let Some(own_floor) = floor_of(own) else {
        return vec![source.finding(1, format!("`{own}` has no floor"), "give it one in `FLOORS`")];
    };
    let mut findings = Vec::new();
    for (line, module) in modules_named(source) {
        if floor_of(&module).is_some_and(|floor| floor > own_floor) {
            let what = format!("`{own}` (floor {own_floor}) names `{module}`, which is above it");
            findings.push(source.finding(line, what, "let what is above call down"));
        }
    }
    findings
}

/// The first name behind each `crate::`, those in braces included.
fn modules_named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let code: Vec<&str> = source.code().map(|(_, code)| code).collect();
    let text = code.join("\n");
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        named.extend(first_names(&text[at + "crate::".len()..]).map(|name| (line, name)));
    }
    named
}

fn first_names(path: &str) -> impl Iterator<Item = String> {
    let list = match path.strip_prefix('{') {
        Some(braced) => outermost(braced),
        None => vec![path],
    };
    list.into_iter()
        .map(|name| name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// The parts of a list between its commas, up to the brace that closes it.
fn outermost(braced: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in braced.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&braced[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&braced[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// Words in backticks that look like a path must be one.
pub(crate) fn paths_named(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2).filter(|word| looks_like_a_path(word)) {
            if !exists(word.trim_end_matches('/')) {
                let what = format!("`{word}` does not exist");
                findings.push(source.finding(index + 1, what, "name what is there"));
            }
        }
    }
    findings
}

fn looks_like_a_path(word: &str) -> bool {
    let name = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let inner = word.trim_end_matches('/');
    let file = [".rs", ".md", ".toml", ".css", ".ts"].iter().any(|end| word.ends_with(end));
    word.chars().all(name) && !word.starts_with('/') && (inner.contains('/') || file)
}

/// Links to files must lead to one; they are relative to the document.
pub(crate) fn links(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.contains("://") && !link.is_empty() && !exists(&format!("{folder}/{link}")) {
                let what = format!("the link to `{link}` leads nowhere");
                findings.push(source.finding(index + 1, what, "link what is there"));
            }
        }
    }
    findings
}

/// A table of the document must have a row for each kind, and no other: number, then name.
pub(crate) fn kinds_listed(source: &Source, kinds: &[(u16, &str)]) -> Vec<Finding> {
    let mut listed: Vec<(usize, u16, &str)> = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let number = cells.next().and_then(|cell| cell.parse().ok());
        let name = cells.next().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        listed.extend(number.zip(name).map(|(number, name)| (index + 1, number, name)));
    }
    let mut findings = Vec::new();
    for (line, number, name) in &listed {
        if !kinds.contains(&(*number, *name)) {
            let what = format!("the code has no kind {number} `{name}`");
            findings.push(source.finding(*line, what, "write the table of kinds as it is"));
        }
    }
    for (number, name) in kinds {
        if !listed.iter().any(|row| (row.1, row.2) == (*number, *name)) {
            let what = format!("no row for kind {number} `{name}`");
            findings.push(source.finding(1, what, "write one"));
        }
    }
    findings
}
