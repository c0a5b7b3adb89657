//! Labelled rows from files, for the commands that train and measure.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use router_core::chat::ChatRequest;
use router_core::task::train::{GainError, GainRow, Row, RowError};

/// The reason why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("{path}: cannot be read: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// A line of it.
    #[error("{path}: {fault}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Number of the line, and its fault.
        fault: RowError,
    },
    /// A line of a file of recorded answers.
    #[error("{path}: {fault}")]
    Gain {
        /// The file.
        path: PathBuf,
        /// The line and its fault.
        fault: GainError,
    },
    /// There is nothing in the files.
    #[error("the data files hold no rows")]
    Empty,
}

/// All rows of all files, in the order given.
pub(crate) fn read_all(files: &[PathBuf]) -> Result<Vec<Row>, ReadError> {
    let mut rows = Vec::new();
    for path in files {
        rows.extend(read(path)?);
    }
    if rows.is_empty() { Err(ReadError::Empty) } else { Ok(rows) }
}

fn read(path: &Path) -> Result<Vec<Row>, ReadError> {
    Row::read_all(&text(path)?).map_err(|fault| ReadError::Row { path: path.to_owned(), fault })
}

fn text(path: &Path) -> Result<String, ReadError> {
    std::fs::read_to_string(path).map_err(|why| ReadError::File { path: path.to_owned(), why })
}

/// All rows of recorded answers of all files, in the order given.
pub(crate) fn read_gains(files: &[PathBuf]) -> Result<Vec<GainRow>, ReadError> {
    let mut rows = Vec::new();
    for path in files {
        let found = GainRow::read_all(&text(path)?);
        rows.extend(found.map_err(|fault| ReadError::Gain { path: path.clone(), fault })?);
    }
    if rows.is_empty() { Err(ReadError::Empty) } else { Ok(rows) }
}

/// Leaves out rows by licence and source, and conversations one of whose turns is the text of a row left out.
pub(crate) fn without(rows: Vec<Row>, licenses: &[String], sources: &[String]) -> Vec<Row> {
    let named =
        |names: &[String], text: &str| names.iter().any(|name| text.contains(name.as_str()));
    let out = |row: &Row| named(licenses, &row.license) || named(sources, &row.source);
    let quoted: HashSet<String> = rows.iter().filter(|row| out(row)).flat_map(turns).collect();
    let several = |row: &Row| row.request().is_ok_and(|request| request.messages().len() > 1);
    let quotes = |row: &Row| several(row) && turns(row).iter().any(|turn| quoted.contains(turn));
    let keep = |row: &Row| !(out(row) || quotes(row));
    rows.into_iter().filter(keep).collect()
}

fn turns(row: &Row) -> Vec<String> {
    let request = row.request().ok();
    let messages = request.iter().flat_map(ChatRequest::messages);
    // A short turn ("hello") is nobody's text.
    messages.map(|turn| turn.texts().collect::<String>()).filter(|text| text.len() > 40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_left_out_take_the_conversations_that_quote_them_along() {
        let long = "a text that is long enough to be recognised when quoted";
        let text = format!(
            r#"{{"text":"{long}","label":"chat","source":"made_by_a_model","license":"MIT"}}
{{"text":"x","label":"chat","source":"talks","license":"MIT","messages":[{{"role":"user","content":"{long}"}},{{"role":"user","content":"x"}}]}}
{{"text":"{long}!","label":"chat","source":"people","license":"MIT"}}
{{"text":"y","label":"chat","source":"people","license":"CC-BY-SA-4.0"}}"#
        );
        let rows = Row::read_all(&text).unwrap();
        let kept = without(rows, &["SA".to_owned()], &["made_by".to_owned()]);
        let sources: Vec<&str> = kept.iter().map(|row| row.source.as_str()).collect();
        assert_eq!(sources, ["people"]);
    }
}
