//! Labelled requests, one JSON object a line: what trains and measures the scorer.
//!
//! A row is made the body of a chat request at once, so that training reads it through the same parser as serving.
//! Fields: `text`, `label` (`reasoning` or `chat`); optional `messages` (which then are the request), `lang`, `source`,
//! `license`, and `hard` or `slice`, either of which marks a row made to mislead.
//!
//! Not done here: deciding which rows may train.

use serde_json::Value;

use crate::chat::ChatRequest;
use crate::chat::RequestFault;
use crate::task::Task;

/// The language of a row's ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English, and whatever is not Korean.
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// The code used in rows and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

/// The mark between the source of a composed row and the name of its template.
const COMPOSED: &str = "+composed:";

/// A labelled request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The request body.
    body: String,
    /// The label of the request.
    pub task: Task,
    /// The language of the ask.
    pub language: Language,
    /// The source of the row; empty if it is not named.
    pub source: String,
    /// Under which terms; empty if it was not said.
    pub license: String,
    /// True for rows made to mislead: keyword lures, short hard questions, long simple ones.
    pub hard: bool,
}

/// The reason why a line is not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not JSON, or not an object.
    #[error("line {line}: expected a JSON object")]
    NotAnObject {
        /// The line, from 1.
        line: usize,
    },
    /// A field that every row needs.
    #[error("line {line}: `{field}` is missing or not {expected}")]
    Field {
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// The expected value.
        expected: &'static str,
    },
    /// The messages of the row are no chat request.
    #[error("line {line}: {fault}")]
    Request {
        /// The line, from 1.
        line: usize,
        /// The finding of the parser.
        fault: RequestFault,
    },
}

impl Row {
    /// Reads all rows of a JSONL text; empty lines are skipped.
    ///
    /// # Errors
    /// The first line that is not a row.
    pub fn read_all(text: &str) -> Result<Vec<Self>, RowError> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(line, text)| Self::read(line, text)).collect()
    }

    fn read(line: usize, text: &str) -> Result<Self, RowError> {
        let value: Value =
            serde_json::from_str(text).map_err(|_| RowError::NotAnObject { line })?;
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let missing = |field, expected| RowError::Field { line, field, expected };
        let task = field("label")
            .and_then(Task::from_word)
            .ok_or_else(|| missing("label", "`reasoning` or `chat`"))?;
        let messages = match (value.get("messages"), field("text")) {
            (Some(messages @ Value::Array(_)), _) => messages.clone(),
            (_, Some(text)) => serde_json::json!([{"role": "user", "content": text}]),
            (_, None) => return Err(missing("text", "a string")),
        };
        let body = serde_json::json!({ "messages": messages }).to_string();
        ChatRequest::parse(body.as_bytes()).map_err(|fault| RowError::Request { line, fault })?;
        let korean = match field("lang") {
            Some(language) => language == "ko",
            None => body.contains(|letter| matches!(letter, '가'..='힣')),
        };
        Ok(Self {
            body,
            task,
            language: if korean { Language::Korean } else { Language::English },
            source: field("source").unwrap_or_default().to_owned(),
            license: field("license").unwrap_or_default().to_owned(),
            hard: field("hard").is_some()
                || value.get("hard").and_then(Value::as_bool) == Some(true)
                || field("slice").is_some(),
        })
    }

    /// The text of a row of one turn.
    pub(super) fn single_text(&self) -> Option<String> {
        let request = self.request().ok()?;
        match request.messages() {
            [one] => Some(one.texts().collect::<Vec<_>>().join("\n")),
            _ => None,
        }
    }

    /// The row with another text around its question.
    pub(super) fn composed(&self, text: &str, task: Task, family: &str) -> Self {
        let message = serde_json::json!([{"role": "user", "content": text}]);
        Self {
            body: serde_json::json!({ "messages": message }).to_string(),
            task,
            source: format!("{}{COMPOSED}{family}", self.source),
            ..self.clone()
        }
    }

    /// The source of the row that this one was composed from; its own source if it was not composed.
    pub(super) fn origin(&self) -> &str {
        self.source.split(COMPOSED).next().unwrap_or_default()
    }

    /// Was this row composed from another one?
    pub(super) fn is_composed(&self) -> bool {
        self.source.contains(COMPOSED)
    }

    /// The row as a request.
    ///
    /// # Errors
    /// Never for a row that was read: its body has been parsed once.
    pub fn request(&self) -> Result<ChatRequest<'_>, RequestFault> {
        ChatRequest::parse(self.body.as_bytes())
    }

    /// The body of the row's request.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The family of the row's source: what stands before `+`, behind which variants of the same rows are named.
    pub fn family(&self) -> &str {
        self.source.split('+').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_languages_and_of_several_turns() {
        let text = r#"{"text":"증명해","label":"reasoning","source":"own:proof+prefix","slice":"short"}

{"text":"x","label":"chat","lang":"en","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],"hard":true}"#;
        let rows = Row::read_all(text).unwrap();
        assert_eq!((rows[0].language, rows[0].family()), (Language::Korean, "own:proof"));
        assert!(rows[0].hard && rows[1].hard);
        assert_eq!(rows[1].request().unwrap().messages().len(), 2);
        assert_eq!((rows[1].task, rows[1].language), (Task::Chat, Language::English));
    }

    #[test]
    fn faults_name_line_and_field() {
        for (text, expected) in [
            ("\nnot json", "line 2: expected a JSON object"),
            (
                r#"{"text":"a","label":"hard"}"#,
                "line 1: `label` is missing or not `reasoning` or `chat`",
            ),
            (r#"{"label":"chat"}"#, "line 1: `text` is missing or not a string"),
        ] {
            assert_eq!(Row::read_all(text).unwrap_err().to_string(), expected);
        }
    }
}
