//! The floor plan of this crate: which room may import which, and how a file must look.
//!
//! Reads the sources as text. It fails, naming file and reason, when a room imports one above it,
//! a file is in no room, a file has no header, a file has more than 400 production lines, or
//! `use crate::{..}` hides who imports whom.
#![expect(clippy::unwrap_used, reason = "helpers of a test program")]

use std::fs;
use std::path::{Path, PathBuf};

/// Bottom to top; a file may import from rooms before its own. The same table as in `lib.rs`.
const ROOMS: [&str; 15] = [
    "console",
    "shutdown",
    "telemetry",
    "args",
    "design_card",
    "problem",
    "explanation",
    "shared",
    "request_log",
    "passage",
    "handlers",
    "app",
    "serving",
    "commands",
    "lib",
];

const MOST_LINES: usize = 400;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The room of a file: its folder below `src`, else its own name.
fn room_of(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(root).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn height(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// What is wrong with a file.
fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{}: {what}", path.display()));
    if !text.starts_with("//!") {
        fault("no //! header".to_owned());
    }
    let production = text.split("#[cfg(test)]").next().unwrap();
    let lines = production.lines().count();
    if lines > MOST_LINES {
        fault(format!("{lines} production lines"));
    }
    let room = room_of(path);
    if room == "main" {
        return faults;
    }
    let Some(own) = height(&room) else {
        fault(format!("{room} is in no room"));
        return faults;
    };
    for line in production.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for after in line.split("crate::").skip(1) {
            let end = after.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
            let imported = after.split_at(end.unwrap_or(after.len())).0;
            match height(imported) {
                _ if imported.is_empty() => fault(format!("hides what it imports: {line}")),
                None => fault(format!("imports {imported}, which is no room")),
                Some(other) if other > own => fault(format!("imports {imported} from above")),
                Some(_) => {}
            }
        }
    }
    faults
}

#[test]
fn every_room_imports_only_from_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 20, "only {} files found", files.len());
    let faults: Vec<String> =
        files.iter().flat_map(|path| faults(path, &fs::read_to_string(path).unwrap())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_test_can_fail() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/handlers/made_up.rs");
    let check = |text: &str, part: &str| {
        let found = faults(&path, text).join("\n");
        assert!(found.contains(part), "{found}");
    };
    check("use crate::serving::start;", "no //! header");
    check("//! x\nuse crate::serving::start;", "imports serving from above");
    check("//! x\nuse crate::{problem, shared};", "hides what it imports");
    check("//! x\nuse crate::nowhere::X;", "which is no room");
    check(&format!("//! x\n{}", "\n".repeat(400)), "401 production lines");
}

#[test]
fn the_table_in_the_header_is_this_one() {
    let header = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let header = header.unwrap();
    let rows = header.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let rooms: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(rooms, ROOMS.split_last().unwrap().1);
}
