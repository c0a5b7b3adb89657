//! The kind of answer that an attempt expects, and the check whether the response is one.
//!
//! Not done here: the consequences of a mismatch (`send_attempt.rs`).

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::chat::Answer;
use crate::upstream::Call;

/// The form of a successful answer.
pub(super) enum Arrival {
    /// Event by event.
    Events,
    /// Raw bytes that can be played before the last one has been made.
    Media,
    /// One JSON document, or anything else that is passed through.
    Whole,
}

/// The answer that an attempt expects.
pub(super) struct Awaited {
    pub(super) call: Call,
    /// True for an event stream.
    pub(super) streamed: bool,
}

impl Awaited {
    /// The form of an answer with these headers. Passed-through operations request events in their own ways: `stream_format`, or
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

/// True for a body in an encoding that is not decoded here: none was requested, and the common ones are decoded already.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity")
}

/// Behind some gateways the content type of a stream is missing; JSON always has one.
fn is_event_stream(headers: &HeaderMap) -> bool {
    content_type(headers).is_none_or(|kind| kind.starts_with("text/event-stream"))
}

/// True for sound and images as raw bytes.
fn is_media(headers: &HeaderMap) -> bool {
    let kind = content_type(headers).unwrap_or_default();
    ["audio/", "image/", "video/"]
        .iter()
        .any(|media| kind.get(..media.len()).is_some_and(|start| start.eq_ignore_ascii_case(media)))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}
