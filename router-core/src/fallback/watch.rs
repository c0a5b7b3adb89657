//! The bounds of a stream: first content, silence, preamble and event size.
//!
//! Not done here: enforcing them (`relay.rs`).

use std::time::Duration;

use tokio::time::Instant;

/// The bounds of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The first content must come before this moment.
    pub(crate) content_by: Instant,
    /// The longest silence after it.
    pub(crate) idle: Duration,
    /// After so long a silence towards the caller a comment keeps the connection alive.
    pub(crate) heartbeat: Duration,
    /// The longest event, in bytes.
    pub(crate) max_event_bytes: usize,
    /// The most bytes before the first content.
    pub(crate) max_preamble_bytes: usize,
    /// True where the chunk with the usage is our own wish and not the caller's.
    pub(crate) withhold_usage: bool,
    /// True if the answer is made in the background: its id is content.
    pub(crate) background: bool,
}

/// The time to wait for the end of the connection's body after the last event. A connection whose body was read to its end
/// can be used again; one that stays open after it must hold up no caller.
pub(super) const LINGER: Duration = Duration::from_millis(50);

/// The memory of a held event in addition to its bytes.
pub(super) const HELD_EVENT_BYTES: usize = 64;
