//! Recognises a chunk that differs from the one before it in its text alone, as most chunks of a chat stream do, and counts the
//! bytes of that text without parsing the rest again.
//!
//! The bytes of the earlier chunk are kept as a pattern with a gap for the text. What stands before and after the gap must be
//! equal byte by byte, and the gap must hold the inside of a JSON string, so a chunk that fits was read by the parser already,
//! except for its text. Anything else is left to the parser.

use std::ops::Range;

use super::stream::Chunk;

/// The bytes before the text of a chunk.
const TEXT: &[u8] = b"\"delta\":{\"content\":\"";
/// The bytes before the filler that hides the length of a text. No reader uses its value.
///
/// **Source:** `OpenAI` API reference, chat completions, `stream_options.include_obfuscation`.
const FILLER: &[u8] = b",\"obfuscation\":\"";

/// A chunk, and where its text stands.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    event: Vec<u8>,
    /// `None` while there is no pattern.
    text: Option<Range<usize>>,
    filler: Option<Range<usize>>,
}

impl Alike {
    /// The bytes of text of an event that differs from the pattern in its text alone; `None` of every other event.
    pub(crate) fn text_bytes(&self, event: &[u8]) -> Option<usize> {
        let text = self.text.as_ref()?;
        let event = event.strip_prefix(self.event.get(..text.start)?)?;
        let (bytes, length) = inside(event)?;
        let event = event.get(length..)?;
        let mut after = self.event.get(text.end..)?;
        if bytes == 0 {
            return None;
        }
        let Some(filler) = &self.filler else { return (event == after).then_some(bytes) };
        let event = event.strip_prefix(self.event.get(text.end..filler.start)?)?;
        let (_, length) = inside(event)?;
        after = self.event.get(filler.end..)?;
        (event.get(length..)? == after).then_some(bytes)
    }

    /// Takes an event that was read as this chunk for the pattern of those that follow; none if it has more to tell than its text.
    pub(crate) fn learn(&mut self, event: &[u8], chunk: &Chunk) {
        self.text = None;
        let Some((text, filler)) =
            says_text_alone(chunk).then(|| gaps(event, chunk.content_bytes)).flatten()
        else {
            return;
        };
        self.event.clear();
        self.event.extend_from_slice(event);
        (self.text, self.filler) = (Some(text), filler);
    }

    /// The next event is not compared.
    pub(crate) fn forget(&mut self) {
        self.text = None;
    }
}

/// True if reading the chunk once more, with another text, would only count that text.
fn says_text_alone(chunk: &Chunk) -> bool {
    let Chunk { content, finished, finish_reason, usage, reports_usage, .. } = chunk;
    let Chunk { last, sequence, response_id, hosted, hosted_item, .. } = chunk;
    let goes_on = *finished == 0 && finish_reason.is_none() && !last;
    let no_usage = usage.is_none() && !reports_usage;
    let of_chat = sequence.is_none() && response_id.is_none();
    *content && goes_on && no_usage && of_chat && hosted.is_empty() && hosted_item.is_empty()
}

/// The ranges of a chunk's text and filler, if its text has so many bytes.
fn gaps(event: &[u8], bytes: usize) -> Option<(Range<usize>, Option<Range<usize>>)> {
    let start = memchr::memmem::find(event, TEXT)? + TEXT.len();
    // Without an escape, every second quotation mark ends a string: here one has just begun.
    let before = event.get(..start)?;
    let quotes = memchr::memchr_iter(b'"', before).count();
    let lines = before.starts_with(b"data: {") && memchr::memchr2(b'\n', b'\r', before).is_none();
    if !lines || quotes.is_multiple_of(2) || memchr::memchr(b'\\', before).is_some() {
        return None;
    }
    let (found, length) = inside(event.get(start..)?)?;
    let text = start..start + length;
    let after = event.get(text.end..)?;
    let filler = memchr::memmem::find(after, FILLER).and_then(|at| {
        let from = text.end + at + FILLER.len();
        let between = event.get(text.end..from)?;
        let quotes = memchr::memchr_iter(b'"', between).count();
        // The first of them ends the text.
        let is_value = quotes.is_multiple_of(2) && memchr::memchr(b'\\', between).is_none();
        let (_, length) = is_value.then(|| inside(event.get(from..)?)).flatten()?;
        Some(from..from + length)
    });
    (found == bytes && bytes > 0).then_some((text, filler))
}

/// The bytes that the inside of a JSON string stands for, and its length as written; `None` if it does not end, is no text, or
/// has an escape that is seldom.
fn inside(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut escapes) = (0, 0);
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            break;
        }
        if !matches!(bytes.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
            return None;
        }
        (at, escapes) = (at + 2, escapes + 1);
    }
    let text = bytes.get(..at)?;
    let is_text = text.iter().all(|byte| *byte >= b' ');
    (is_text && std::str::from_utf8(text).is_ok()).then_some((at - escapes, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::stream::Event;

    /// The chunk of an event as the parser reads it.
    fn read(event: &[u8]) -> Option<Chunk> {
        match Event::read(event) {
            Event::Chunk(chunk) => Some(chunk),
            Event::Nothing | Event::Error(_) | Event::Done | Event::Foreign | Event::Malformed => {
                None
            }
        }
    }

    fn learned(event: &[u8]) -> Alike {
        let mut alike = Alike::default();
        alike.learn(event, &read(event).unwrap());
        alike
    }

    const OPENAI: &str = r#"data: {"id":"c","model":"gpt-4o","service_tier":"default","choices":[{"index":0,"delta":{"content":"@"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1Y"}"#;
    const AZURE: &str = r#"data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"@"},"finish_reason":null,"index":2,"logprobs":null}],"created":1,"id":"c","model":"gpt-4o"}"#;

    fn event(pattern: &str, text: &str) -> Vec<u8> {
        format!("{}\n\n", pattern.replace('@', text)).into_bytes()
    }

    #[test]
    fn chunks_that_differ_in_their_text_are_recognised() {
        for pattern in [OPENAI, AZURE] {
            let alike = learned(&event(pattern, "Hello"));
            for (text, bytes) in [
                ("x", Some(1)),
                (" 안녕", Some(7)),
                (r#"\n\"a\\"#, Some(4)),
                ("", None),
                (r"\u00e9", None),
                (r"\x", None),
                ("a\tb", None),
                (r#"a","refusal":"b"#, None),
                (r#"a"},"finish_reason":"stop"},{"delta":{"content":"b"#, None),
                ("a\n\ndata: x", None),
            ] {
                assert_eq!(alike.text_bytes(&event(pattern, text)), bytes, "{text}");
            }
            assert_eq!(alike.text_bytes(&event(OPENAI, "x")).is_some(), pattern == OPENAI);
            let mut torn = event(pattern, "ab");
            let at = torn.windows(2).position(|two| two == b"ab").unwrap();
            torn[at] = 0xff;
            assert_eq!(alike.text_bytes(&torn), None);
        }
        let alike = learned(&event(OPENAI, "Hello"));
        let other = String::from_utf8(event(OPENAI, "x")).unwrap();
        let longer = other.replace("x1Y", "0123456789");
        assert_eq!(alike.text_bytes(longer.as_bytes()), Some(1));
        let usage = other.replace("null,\"obf", "{\"prompt_tokens\":1},\"obf");
        assert_eq!(alike.text_bytes(usage.as_bytes()), None);
    }

    #[test]
    fn nothing_is_learned_of_a_chunk_that_has_more_to_tell() {
        for (from, to) in [
            ("\"finish_reason\":null", "\"finish_reason\":\"stop\""),
            ("\"usage\":null", "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}"),
            ("{\"content\":", "{\"role\":\"assistant\",\"content\":"),
            ("\"id\":\"c\"", r#""id":"\"c""#),
            ("\"logprobs\":null", r#""text":"more""#),
            ("\"choices\":[", "\"x\":{\"delta\":{\"content\":\"inner text\"}},\"choices\":["),
        ] {
            let event = String::from_utf8(event(OPENAI, "Hello")).unwrap();
            let changed = event.replace(from, to);
            assert_ne!(event, changed);
            let alike = learned(changed.as_bytes());
            assert_eq!(alike.text_bytes(changed.as_bytes()), None, "{changed}");
        }
    }

    proptest! {
        /// What is recognised is what the parser reads.
        #[test]
        fn a_recognised_event_is_read_alike(at in 0usize..230, with in prop::collection::vec(any::<u8>(), 0..6), cut in 0usize..4) {
            for pattern in [OPENAI, AZURE] {
                let first = event(pattern, "Hello");
                let mut other = first.clone();
                let at = at.min(other.len());
                let end = (at + cut).min(other.len());
                other.splice(at..end, with.iter().copied());
                let alike = learned(&first);
                if let Some(bytes) = alike.text_bytes(&other) {
                    let expected = Chunk { content_bytes: bytes, ..read(&first).unwrap() };
                    prop_assert_eq!(read(&other), Some(expected));
                }
            }
        }
    }
}
