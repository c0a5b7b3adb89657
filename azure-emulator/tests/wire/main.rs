//! The emulator over real sockets: what its clients see, and what it sees of them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test program")]

mod chat;
mod faults;
mod identity;
mod limits;
mod media;
#[cfg(feature = "cli")]
mod page;
#[cfg(feature = "cli")]
mod program;
mod responses;
mod support;
