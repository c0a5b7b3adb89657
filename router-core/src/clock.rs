//! Reads the wall clock; no other file does. Everything else takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::units::Day;

/// The time by the system's clock; it may jump, so it dates things and measures nothing.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The day that a moment lies on, in UTC.
pub fn day(wall: SystemTime) -> Day {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    Day::of_unix_seconds(since.as_secs())
}
