//! Cuts an event stream into events, however it is chunked, and joins the data lines of an event.
//!
//! Events are relayed as received, never rebuilt: this file only finds where each one ends.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

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
    /// Length of the part of `held` that was searched for the end of an event.
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
        self.split_event().map(BytesMut::freeze)
    }

    /// The same as a buffer, which joins the one before it without a copy.
    pub(crate) fn split_event(&mut self) -> Option<BytesMut> {
        let end = event_end(&self.held, self.searched);
        if end.is_none() {
            // An end may straddle what is here and what comes: at most three bytes (`\r\n\r`) belong to it.
            self.searched = self.held.len().saturating_sub(3);
        }
        let event = self.held.split_to(end?);
        self.searched = 0;
        Some(event)
    }

    /// Bytes that wait for the end of their event.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Remainder after the end of the stream: an event without its empty line, or nothing.
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

/// The data of an event: its `data` lines joined; `None` if it has none.
pub(super) fn data_of(event: &[u8]) -> Option<Cow<'_, [u8]>> {
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
    use crate::chat::stream::Event;

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

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"AA\"},\"tool_calls\":[]},\"finish_reason\":\"\"}],\"error\":{}}\n\nevent: x\rdata: {\"type\":\"response.web_search_call.searching\"}\r\rdata: {\"choices\":[{\"delta\":{\"content\":\"안녕하세요\"}}]}\r\n\r\n: note\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\nda";

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
