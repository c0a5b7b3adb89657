//! What an attempt awaits, and whether what came is that.
//!
//! Not done here: what follows if it is not (`sending.rs`).

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::chat::Answer;
use crate::upstream::Call;

/// What an attempt awaits.
pub(super) struct Awaited {
    pub(super) call: Call,
    /// True for an event stream.
    pub(super) streamed: bool,
}

impl Awaited {
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
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("text/event-stream"))
}

pub(super) fn says_event_stream(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_TYPE) && is_event_stream(headers)
}
