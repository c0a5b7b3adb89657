//! Reads request logs. Readers skip a line that was not written whole.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::LoggedRequest;

/// The content of a log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The requests, in the order of their lines.
    pub requests: Vec<LoggedRequest>,
    /// Usage of background answers, reported by later calls; in the order of their lines.
    pub settlements: Vec<LoggedRequest>,
    /// Incomplete lines: the writer was stopped in the middle of one.
    pub torn: usize,
}

/// The reason why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogReadFault {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A line is not a request log entry.
    #[error("{}: line {line}: expected a line of a request log: JSON with at_unix_ms", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
}

impl Log {
    /// Reads the files of a log; the requests come out in the order of time. A folder stands for the `*.jsonl*` files in it
    /// and one level below: pods that share a volume have a folder each.
    ///
    /// # Errors
    /// The first file that cannot be read or is not a log.
    pub fn read(paths: &[PathBuf]) -> Result<Self, LogReadFault> {
        let mut all = Self::default();
        for path in paths {
            let file = |cause| LogReadFault::File { path: path.clone(), cause };
            for path in files(path, 1).map_err(file)? {
                let file = |cause| LogReadFault::File { path: path.clone(), cause };
                let text = std::fs::read_to_string(&path).map_err(file)?;
                let line = |line| LogReadFault::Line { path: path.clone(), line };
                let log = Self::parse(&text).map_err(line)?;
                all.requests.extend(log.requests);
                all.settlements.extend(log.settlements);
                all.torn += log.torn;
            }
        }
        all.requests.sort_by_key(|request| request.at_unix_ms);
        all.settlements.sort_by_key(|settlement| settlement.at_unix_ms);
        Ok(all)
    }

    /// Reads the text of a log.
    ///
    /// # Errors
    /// The number, from 1, of the first line that is not a line of a log.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut log = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            match serde_json::from_str::<LoggedRequest>(line) {
                Ok(line) if line.is_settlement() => log.settlements.push(line),
                Ok(request) => log.requests.push(request),
                Err(_) if line.trim().is_empty() => {}
                Err(fault) if fault.is_eof() => log.torn += 1,
                Err(_) if serde_json::from_str::<OfRouter>(line).is_ok() => {}
                Err(_) => return Err(number),
            }
        }
        Ok(log)
    }
}

/// A line of the router's own log, which shares standard output with a request log that goes there.
#[derive(serde::Deserialize)]
struct OfRouter {
    #[serde(rename = "timestamp")]
    _timestamp: IgnoredAny,
    #[serde(rename = "level")]
    _level: IgnoredAny,
}

/// The file itself, or the log files of a folder and of so many levels below it.
fn files(path: &Path, levels: usize) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_file() && name.contains(".jsonl") {
            found.push(entry);
        } else if levels > 0 && entry.is_dir() {
            // A folder of something else, such as lost+found, is not a fault.
            found.extend(files(&entry, levels - 1).unwrap_or_default());
        }
    }
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no *.jsonl file in this folder"));
    }
    found.sort();
    Ok(found)
}
