//! Writes one line of the log as JSON, field by field, in the form of `tracing`. Text without characters to escape is copied.
//!
//! Not done here: the choice of fields (`request_log`).

use std::fmt::Display;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use router_core::units::Day;

/// The usual length of a line, with room.
const LENGTH: usize = 640;

/// A line under construction.
#[derive(Debug)]
pub(crate) struct JsonLine(Vec<u8>);

impl JsonLine {
    /// Begins with the time, the level and the message.
    pub(crate) fn begin(at: SystemTime, level: &str, message: &str) -> Self {
        let mut line = Self(Vec::with_capacity(LENGTH));
        line.put(b"{\"timestamp\":\"");
        line.time(at);
        line.put(b"\"");
        line.word("level", Some(level));
        line.word("message", Some(message));
        line
    }

    /// The whole line, its end included.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.put(b"}\n");
        self.0
    }

    /// A text that may hold anything; nothing if there is none.
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(text) = value else { return };
        if !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
            return self.word(name, Some(text));
        }
        self.name(name);
        // Writing to memory does not fail.
        drop(serde_json::to_writer(&mut self.0, text));
    }

    /// One of our own words, which needs no escape.
    pub(crate) fn word(&mut self, name: &str, value: Option<&str>) {
        let Some(word) = value else { return };
        self.name(name);
        self.put(b"\"");
        self.put(word.as_bytes());
        self.put(b"\"");
    }

    /// A number that is not negative, as its type writes it; nothing if there is none.
    pub(crate) fn number(&mut self, name: &str, value: Option<impl Display>) {
        let Some(number) = value else { return };
        self.name(name);
        // Writing to memory does not fail.
        drop(write!(self.0, "{number}"));
    }

    /// A whole number.
    pub(crate) fn count(&mut self, name: &str, value: Option<u64>) {
        let Some(number) = value else { return };
        self.name(name);
        self.digits(number, 1);
    }

    fn name(&mut self, name: &str) {
        self.put(b",\"");
        self.put(name.as_bytes());
        self.put(b"\":");
    }

    /// As `2026-11-23T10:00:00.000000Z`.
    fn time(&mut self, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, day) = (since.as_secs(), Day::of_unix_seconds(since.as_secs()));
        let (year, month, of_month) = day.parts();
        for (number, width, after) in [
            (u64::from(year), 4, b'-'),
            (u64::from(month), 2, b'-'),
            (u64::from(of_month), 2, b'T'),
            (seconds / 3_600 % 24, 2, b':'),
            (seconds / 60 % 60, 2, b':'),
            (seconds % 60, 2, b'.'),
            (u64::from(since.subsec_micros()), 6, b'Z'),
        ] {
            self.digits(number, width);
            self.0.push(after);
        }
    }

    /// A number with at least so many digits.
    fn digits(&mut self, mut number: u64, width: usize) {
        let start = self.0.len();
        while number > 0 || self.0.len() < start + width {
            self.0.push(b'0' + u8::try_from(number % 10).unwrap_or_default());
            number /= 10;
        }
        if let Some(digits) = self.0.get_mut(start..) {
            digits.reverse();
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_is_json_whatever_it_tells() {
        let at = UNIX_EPOCH + Duration::new(1_795_046_399, 7_042_000);
        let mut line = JsonLine::begin(at, "INFO", "request");
        line.text("quoted", Some("a \"b\" \\ \n\t\u{1} é 안"));
        line.text("plain", Some("é 안 a/b"));
        line.text("none", None);
        line.word("word", Some("chat"));
        for (name, number) in [("half", 0.5), ("one", 1.0), ("ten", 10.25)] {
            line.number(name, Some(number));
        }
        line.number("nothing", None::<f64>);
        line.count("zero", Some(0));
        line.count("many", Some(u64::MAX));
        let line = line.end();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let expected = json!({
            "timestamp": "2026-11-18T23:59:59.007042Z", "level": "INFO", "message": "request",
            "quoted": "a \"b\" \\ \n\t\u{1} é 안", "plain": "é 안 a/b", "word": "chat",
            "half": 0.5, "one": 1, "ten": 10.25, "zero": 0, "many": u64::MAX,
        });
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), expected);
    }
}
