//! The clock of the exchange, as seen from this process: replicas need not agree on the time.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of the exchange, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedClock {
    local: Instant,
    micros: u64,
}

/// A time further away than this is of another age, or a fault.
const FARTHEST: Duration = Duration::from_secs(24 * 3_600);

impl SharedClock {
    /// The clock that showed `micros` at the moment `local`.
    pub(super) fn new(local: Instant, micros: u64) -> Self {
        Self { local, micros }
    }

    /// The time that it shows at a moment of this process.
    pub(super) fn micros(&self, at: Instant) -> u64 {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let later = micros(at.saturating_duration_since(self.local));
        let earlier = micros(self.local.saturating_duration_since(at));
        self.micros.saturating_add(later).saturating_sub(earlier)
    }

    /// The moment of this process at which it shows `micros`; `None` if that is more than a day away.
    pub(super) fn local(&self, micros: u64) -> Option<Instant> {
        let away = Duration::from_micros(self.micros.abs_diff(micros));
        if away > FARTHEST {
            return None;
        }
        if micros >= self.micros {
            self.local.checked_add(away)
        } else {
            self.local.checked_sub(away)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_convert_both_ways_and_other_ages_do_not() {
        let now = Instant::now();
        let clock = SharedClock::new(now, 1_700_000_000_000_000);
        let later = now + Duration::from_micros(1_500);
        assert_eq!(clock.micros(later), 1_700_000_000_001_500);
        assert_eq!(clock.local(1_700_000_000_001_500), Some(later));
        assert_eq!(clock.local(7), None);
        assert_eq!(clock.local(u64::MAX), None);
    }
}
