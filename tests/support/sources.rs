//! Reads the sources of the project's crates as text.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines outside tests: what `#[cfg(test)]` stands before is left out.
pub(crate) fn production(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        // The item that follows ends with a `;` on its own line or with a brace as far in as the attribute.
        let indent = line.len() - line.trim_start().len();
        let ends = |line: &&str| {
            let own = line.len() - line.trim_start().len() == indent;
            own && (line.trim_end().ends_with(';') || line.trim() == "}")
        };
        lines.by_ref().find(ends);
    }
    kept
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
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
