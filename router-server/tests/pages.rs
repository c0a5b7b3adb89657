//! The pages of `docs/` against the program: their commands are ones that it accepts, and every error code has an entry.
//!
//! Links and TOML examples are checked by `tests/site`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use router_server::args::CommandLine;

/// The Markdown files at the root of the repository and in `docs`, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [root.clone(), root.join("docs"), root.join("docs/ko")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let pages = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?))).collect()
}

/// The lines of a page's shell blocks, with continued lines joined.
fn shell_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for block in page.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default().replace("\\\n", " ");
        lines.extend(block.lines().map(str::to_owned));
    }
    lines
}

/// The words of a command up to a comment, a pipe or a redirection; quotes group words.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>') => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words
}

/// The text after the program's name: called by itself, by cargo, or by the function that starts the tools' image.
fn arguments(line: &str) -> Option<&str> {
    if let Some((_, after)) = line.split_once("cargo run --release -p router-server -- ") {
        return Some(after);
    }
    if let Some(after) = line.strip_prefix("tools ") {
        return Some(after);
    }
    let by_cargo = line.contains("cargo ") || line.contains("install ");
    let (before, after) = line.split_once("router-server ").filter(|_| !by_cargo)?;
    (before.is_empty() || before.ends_with([' ', '/'])).then_some(after)
}

#[test]
fn every_command_on_a_page_is_accepted() {
    let mut seen = 0;
    for (path, page) in pages() {
        for line in shell_lines(&page) {
            let Some(after) = arguments(&line) else { continue };
            let command = words(&format!("router-server {after}"));
            seen += 1;
            if let Err(fault) = CommandLine::try_parse_from(&command) {
                assert!(!fault.use_stderr(), "{}: `{line}`\n{fault}", path.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} commands found");
}

#[test]
fn words_end_at_comments_and_pipes() {
    assert_eq!(words("a 'b c' d=\"e\" # f"), ["a", "b c", "d=e"]);
    assert_eq!(words("a b | c > d"), ["a", "b"]);
}

#[test]
fn every_error_code_has_an_entry_in_troubleshooting() {
    let reference = include_str!("../../docs/reference.md");
    let codes = reference.split("## Error codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let known: Vec<&str> = codes
        .lines()
        .filter_map(|line| line.split('`').nth(1))
        .filter(|code| !code.contains(['"', '.']))
        .collect();
    assert!(known.len() > 30, "{known:?}");
    let page = include_str!("../../docs/troubleshooting.md");
    let missing: Vec<&&str> =
        known.iter().filter(|code| !page.contains(&format!("### `{code}`\n"))).collect();
    assert!(
        missing.is_empty(),
        "docs/troubleshooting.md needs an entry `### `CODE`` for {missing:?}"
    );
    // Below are the kinds of trouble that the dashboard reports; its own test compares them.
    let (by_code, _) = page.split_once("\n## What the dashboard reports\n").unwrap();
    let entries = by_code.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let unknown: Vec<&str> = entries.filter(|entry| !known.contains(entry)).collect();
    assert!(
        unknown.is_empty(),
        "docs/troubleshooting.md describes codes that do not exist: {unknown:?}"
    );
}
