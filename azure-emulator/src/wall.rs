//! The wall clock, read here and nowhere else: answers and tokens carry calendar times.

use std::time::Duration;

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
