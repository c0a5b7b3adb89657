//! What an attempt expects, and whether the response matches it.
//!
//! Not done here: the consequences of a mismatch (`send_attempt.rs`).

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::chat::Answer;
use crate::upstream::Call;

/// How a successful answer arrives.
pub(super) enum Arrival {
    /// Event by event.
    Events,
    /// As raw bytes that can be played before the last one has been made.
    Media,
    /// As one JSON document, or as anything else that is passed through.
    Whole,
}

/// What an attempt awaits.
pub(super) struct Awaited {
    pub(super) call: Call,
    /// True for an event stream.
    pub(super) streamed: bool,
}

impl Awaited {
    /// How an answer with these headers arrives. What is passed through asks for events in ways of its own: `stream_format`, or
    /// a field of a form.
    pub(super) fn arrival(&self, headers: &HeaderMap) -> Arrival {
        let passed = matches!(self.call, Call::Passed { .. });
        if passed && is_media(headers) {
            Arrival::Media
        } else if (self.streamed || passed && headers.contains_key(CONTENT_TYPE))
            && is_event_stream(headers)
        {
            Arrival::Events
        } else {
            Arrival::Whole
        }
    }

    /// True if a whole answer is one to what was asked. In place of a stream it must be one that can be streamed on.
    pub(super) fn is_answered_by(&self, answer: &Answer) -> bool {
        match self.call {
            Call::Operation(operation) => {
                answer.answers(operation) && (!self.streamed || operation.is_scored())
            }
            Call::Passed { .. } | Call::Stored { .. } => true,
        }
    }
}

/// True of a body in an encoding that is not decoded here: none was asked for, and the common ones are decoded already.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity")
}

/// Behind some gateways the content type of a stream is missing; JSON always has one.
fn is_event_stream(headers: &HeaderMap) -> bool {
    content_type(headers).is_none_or(|kind| kind.starts_with("text/event-stream"))
}

/// True of sound and pictures as raw bytes.
fn is_media(headers: &HeaderMap) -> bool {
    let kind = content_type(headers).unwrap_or_default();
    ["audio/", "image/", "video/"]
        .iter()
        .any(|media| kind.get(..media.len()).is_some_and(|start| start.eq_ignore_ascii_case(media)))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}
