//! Splits an event stream however it is chunked, and says what each event is.
//!
//! Events are passed on as the bytes they came in, never rebuilt; this file only finds where one ends and peeks inside.
//! An event is passed on when its last byte is there: half an event is of no use to a reader, and where the upstream is
//! cut nothing half-sent stands before the error event that follows.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::message::Text;
use super::usage::{RawUsage, Usage, loosely};

/// Cuts bytes into events, separators included. Line ends may be `\n`, `\r\n` or `\r`.
///
/// ```
/// use router_core::chat::stream::Splitter;
/// let mut splitter = Splitter::default();
/// splitter.push(b"data: {\"a\":1}\n\nda".as_slice().into());
/// assert_eq!(splitter.next_event().as_deref(), Some(b"data: {\"a\":1}\n\n".as_slice()));
/// assert_eq!(splitter.next_event(), None);
/// splitter.push(b"ta: [DONE]\n\n".as_slice().into());
/// assert_eq!(splitter.next_event().as_deref(), Some(b"data: [DONE]\n\n".as_slice()));
/// ```
#[derive(Debug, Default)]
pub struct Splitter {
    held: BytesMut,
    /// How far `held` was searched for an event's end.
    searched: usize,
}

impl Splitter {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        if self.held.is_empty() {
            // The usual case, whole events in one chunk: keeps the buffer that came, where nobody else holds it.
            self.held = BytesMut::from(bytes);
        } else {
            self.held.extend_from_slice(&bytes);
        }
    }

    /// The next whole event, its empty line included.
    pub fn next_event(&mut self) -> Option<Bytes> {
        let end = event_end(&self.held, self.searched);
        if end.is_none() {
            // An end may straddle what is here and what comes: at most three bytes (`\r\n\r`) belong to it.
            self.searched = self.held.len().saturating_sub(3);
        }
        let event = self.held.split_to(end?).freeze();
        self.searched = 0;
        Some(event)
    }

    /// How many bytes wait for the end of their event.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What is left when the stream has ended: an event without its empty line, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.held.split().freeze()
    }
}

/// The place behind the first empty line at or after `from`.
fn event_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..).and_then(|tail| memchr::memchr2(b'\n', b'\r', tail)) {
        let first = line_end(bytes, at + found)?;
        match bytes.get(first) {
            Some(b'\n' | b'\r') => return line_end(bytes, first),
            Some(_) => at = first,
            None => return None,
        }
    }
    None
}

/// The place behind the line end at `at`. A `\r` that is the last byte so far ends its line all the same: a `\n` that
/// follows is an empty line of its own, which event streams allow between events.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some(at + 2),
        (Some(b'\r' | b'\n'), _) => Some(at + 1),
        (Some(_) | None, _) => None,
    }
}

/// What an event of a stream is, whichever operation's stream it is of: they are told apart by what they hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A comment, an empty event, or one that holds nothing we know.
    Nothing,
    /// A chunk of the answer.
    Chunk(Chunk),
    /// The upstream reports an error instead of a chunk.
    Error {
        /// The upstream's code, or its type where it gives no code.
        code: Box<str>,
        /// The status that the code is known to stand for, such as 429.
        status: Option<u16>,
    },
    /// `[DONE]`.
    Done,
    /// A `data` line that is not JSON.
    Malformed,
}

/// What routing reads of a chunk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    /// True where the chunk carries content, a refusal, reasoning or a tool call: from here on the caller has seen
    /// something.
    pub content: bool,
    /// The number of bytes of content.
    pub content_bytes: usize,
    /// Why a choice ended, where this chunk says so.
    pub finish_reason: Option<Box<str>>,
    /// What was used, where this chunk says so.
    pub usage: Option<Usage>,
    /// True where the chunk holds no choice, as the one that reports usage.
    pub choiceless: bool,
    /// The model that answers, by its own word.
    pub model: Option<Box<str>>,
    /// The place in the stream of an event of the Responses API; `None` for chunks of chat.
    pub sequence: Option<u64>,
    /// The id of the response that the event is about, where it tells one.
    pub response_id: Option<Box<str>>,
}

#[derive(Deserialize)]
struct RawChunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<RawChoice<'a>>>,
    #[serde(default, deserialize_with = "loosely")]
    usage: Option<RawUsage>,
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default)]
    error: Option<RawError>,
    /// The kind of an event of the Responses API.
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    sequence_number: Option<u64>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Option<RawResponse<'a>>,
    #[serde(default)]
    code: Option<serde_json::Value>,
}

/// The response that an event of the Responses API is about.
#[derive(Deserialize)]
struct RawResponse<'a> {
    #[serde(default, borrow)]
    id: Option<Text<'a>>,
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "loosely")]
    usage: Option<RawUsage>,
    #[serde(default)]
    error: Option<RawError>,
}

#[derive(Deserialize)]
struct RawChoice<'a> {
    #[serde(default, borrow)]
    delta: Option<RawDelta<'a>>,
    /// Of legacy completions, which have no delta.
    #[serde(default, borrow)]
    text: Option<Text<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawDelta<'a> {
    #[serde(default, borrow)]
    content: Option<Text<'a>>,
    #[serde(default, borrow)]
    refusal: Option<Text<'a>>,
    #[serde(default, borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(default)]
    tool_calls: Option<IgnoredAny>,
    #[serde(default)]
    function_call: Option<IgnoredAny>,
}

/// An error's code may be a string, a number or null.
#[derive(Deserialize, Default)]
struct RawError {
    #[serde(default)]
    code: Option<serde_json::Value>,
    #[serde(default, rename = "type")]
    kind: Option<serde_json::Value>,
}

impl Event {
    /// Reads one event as the splitter gave it.
    pub fn read(event: &[u8]) -> Self {
        match data_of(event) {
            None => Self::Nothing,
            Some(data) => Self::of_data(&data),
        }
    }

    fn of_data(data: &[u8]) -> Self {
        if data == b"[DONE]" {
            return Self::Done;
        }
        let Ok(raw) = serde_json::from_slice::<RawChunk<'_>>(data) else { return Self::Malformed };
        if raw.kind.as_ref().is_some_and(|kind| is_of_responses(&kind.0)) {
            return Self::of_response(raw);
        }
        if let Some(error) = raw.error {
            return error.into();
        }
        let mut chunk = Chunk {
            usage: raw.usage.map(Usage::from),
            model: raw.model.filter(|model| !model.0.is_empty()).map(|model| model.0.into()),
            ..Chunk::default()
        };
        let choices = raw.choices.unwrap_or_default();
        chunk.choiceless = choices.is_empty();
        for choice in choices {
            if let Some(delta) = &choice.delta {
                let texts = [&delta.content, &delta.refusal, &delta.reasoning_content];
                let said: usize = texts.into_iter().flatten().map(|text| text.0.len()).sum();
                let calls = delta.tool_calls.is_some() || delta.function_call.is_some();
                chunk.content |= said > 0 || calls;
                chunk.content_bytes += said;
            }
            let said = choice.text.map_or(0, |text| text.0.len());
            chunk.content |= said > 0;
            chunk.content_bytes += said;
            let finished = choice.finish_reason.map(|reason| reason.0.into());
            chunk.finish_reason = finished.or(chunk.finish_reason);
        }
        Self::Chunk(chunk)
    }

    /// An event of the Responses API. What the model says comes in events whose kind ends with `.delta`.
    ///
    /// **Source:** `OpenAI` API reference, "Streaming events" of the Responses API.
    fn of_response(raw: RawChunk<'_>) -> Self {
        let kind = raw.kind.map(|kind| kind.0).unwrap_or_default();
        let (id, model, usage, failed) = match raw.response {
            Some(about) => (about.id, about.model, about.usage, about.error),
            None => (None, None, None, None),
        };
        if kind == "error" {
            let flat = RawError { code: raw.code, kind: None };
            return raw.error.unwrap_or(flat).into();
        }
        if kind == "response.failed" {
            return failed.unwrap_or_default().into();
        }
        let said = kind.ends_with(".delta");
        let delta = raw.delta.map_or(0, |delta| delta.get().len().saturating_sub(2));
        let boxed = |text: Text<'_>| -> Box<str> { text.0.into() };
        Self::Chunk(Chunk {
            content: said || kind.ends_with(".partial_image"),
            content_bytes: if said { delta } else { 0 },
            finish_reason: ENDS.contains(&kind.as_ref()).then(|| kind.as_ref().into()),
            usage: usage.map(Usage::from),
            choiceless: true,
            model: model.filter(|model| !model.0.is_empty()).map(boxed),
            sequence: Some(raw.sequence_number.unwrap_or_default()),
            response_id: id.map(boxed),
        })
    }
}

/// The kinds of the last event of a stream that went well.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.cancelled"];

fn is_of_responses(kind: &str) -> bool {
    kind.starts_with("response.") || kind == "error"
}

impl From<RawError> for Event {
    fn from(error: RawError) -> Self {
        let word = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => Some(text),
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            Some(_) | None => None,
        };
        let code =
            word(error.code).or_else(|| word(error.kind)).unwrap_or_else(|| "unknown".into());
        let status = match code.as_str() {
            "rate_limit_exceeded" | "too_many_requests" | "tokens" | "requests" => Some(429),
            "server_error" | "internal_error" => Some(500),
            number => number.parse().ok(),
        };
        // A code goes into labels and logs: keep it a word, whatever the upstream put there.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        let code: String = code.chars().filter(|letter| plain(*letter)).take(64).collect();
        Self::Error { code: code.into(), status }
    }
}

/// The data of an event: its `data` lines joined; `None` where it has none.
fn data_of(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Some(value) = line.strip_prefix(b"data") else { continue };
        let value = match value.strip_prefix(b":") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if value.is_empty() => value,
            None => continue,
        };
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(earlier) => {
                let mut joined = earlier.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    }
    data.map(trimmed)
}

fn trimmed(data: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match data {
        Cow::Borrowed(data) => Cow::Borrowed(data.trim_ascii()),
        Cow::Owned(data) => Cow::Owned(data.trim_ascii().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = splitter.next_event() {
                found.push(event);
            }
        }
        (found, splitter.rest())
    }

    #[test]
    fn every_line_end_ends_an_event() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!(": hi{end}{end}data: {{\"x\":1}}{end}{end}data: [DONE]{end}{end}");
            let (found, rest) = events(&[text.as_bytes()]);
            assert_eq!(found.len(), 3, "{end:?}");
            assert!(rest.is_empty());
            assert_eq!(Event::read(&found[0]), Event::Nothing);
            assert_eq!(Event::read(&found[2]), Event::Done);
        }
    }

    #[test]
    fn events_of_the_responses_api_are_told_apart() {
        let begun = chunk(
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m","usage":null}}"#,
        );
        assert_eq!(
            (begun.response_id.as_deref(), begun.model.as_deref()),
            (Some("resp_1"), Some("m"))
        );
        assert!(!begun.content && begun.finish_reason.is_none());
        let said =
            chunk(r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"안녕"}"#);
        assert_eq!((said.content, said.content_bytes, said.sequence), (true, 6, Some(4)));
        assert!(
            !chunk(r#"{"type":"response.output_item.added","item":{"type":"reasoning"}}"#).content
        );
        let end = chunk(
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4,"input_tokens_details":{"cached_tokens":2}}}}"#,
        );
        assert_eq!(end.finish_reason.as_deref(), Some("response.completed"));
        assert_eq!(end.usage.map(|usage| (usage.prompt.0, usage.cached.0)), Some((3, 2)));
        for (data, code, status) in [
            (r#"{"type":"error","code":"server_error","message":"m"}"#, "server_error", Some(500)),
            (
                r#"{"type":"error","error":{"code":"rate_limit_exceeded"}}"#,
                "rate_limit_exceeded",
                Some(429),
            ),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#,
                "server_error",
                Some(500),
            ),
            (r#"{"type":"response.failed"}"#, "unknown", None),
        ] {
            let expected = Event::Error { code: code.into(), status };
            assert_eq!(Event::read(format!("event: x\ndata: {data}\n\n").as_bytes()), expected);
        }
    }

    #[track_caller]
    fn chunk(data: &str) -> Chunk {
        match Event::read(format!("data: {data}\n\n").as_bytes()) {
            Event::Chunk(chunk) => chunk,
            other @ (Event::Nothing | Event::Error { .. } | Event::Done | Event::Malformed) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn chunks_are_told_apart() {
        let first = chunk(r#"{"id":"","choices":[],"model":"","prompt_filter_results":[]}"#);
        assert!(!first.content && first.choiceless && first.model.is_none());
        assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#).content);
        assert!(chunk(r#"{"choices":[{"delta":{"content":"안"}}]}"#).content);
        assert!(chunk(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#).content);
        assert!(!chunk(r#"{"choices":[{"content_filter_offsets":{"check_offset":1}}]}"#).content);
        let last = chunk(r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#);
        assert_eq!(last.finish_reason.as_deref(), Some("stop"));
        let usage = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert_eq!(usage.usage.map(|usage| usage.completion.0), Some(4));
    }

    #[test]
    fn errors_are_read_whatever_the_form_of_their_code() {
        for (code, expected, status) in [
            (r#""server_error""#, "server_error", Some(500)),
            ("429", "429", Some(429)),
            (r#""429""#, "429", Some(429)),
            ("null", "kind", None),
        ] {
            let data =
                format!(r#"data: {{"error":{{"message":"m","type":"kind","code":{code}}}}}"#);
            let expected = Event::Error { code: expected.into(), status };
            assert_eq!(Event::read(data.as_bytes()), expected, "{code}");
        }
        assert_eq!(Event::read(b"data: {\"choices\":[{]}\n\n"), Event::Malformed);
    }

    #[test]
    fn data_over_several_lines_is_one() {
        assert_eq!(
            Event::read(b"event: x\ndata: {\"choices\":\ndata: []}\n\n"),
            Event::read(b"data:{\"choices\":[]}")
        );
    }

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"안녕하세요\"}}]}\r\n\r\n: note\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\nda";

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_bytes_and_events(cuts in proptest::collection::vec(0usize..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces: Vec<&[u8]> = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&STREAM.as_bytes()[from..cut]);
                from = cut;
            }
            pieces.push(&STREAM.as_bytes()[from..]);
            let (found, rest) = events(&pieces);
            let joined: Vec<u8> = found.iter().flatten().copied().chain(rest.iter().copied()).collect();
            prop_assert_eq!(joined, STREAM.as_bytes());
            let kinds = |events: Vec<Bytes>| -> Vec<Event> {
                events.iter().map(|event| Event::read(event)).filter(|event| *event != Event::Nothing).collect()
            };
            prop_assert_eq!(kinds(found), kinds(events(&[STREAM.as_bytes()]).0));
        }

        #[test]
        fn no_event_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let (found, rest) = events(&[&bytes]);
            for event in found.iter().chain([&rest]) {
                drop(Event::read(event));
            }
        }
    }
}
