//! Estimates how much of the capacity reserved by running calls will be returned.
//!
//! Calls reserve far more than they use, and a replica that dies returns nothing. The other
//! replicas then remove its reservations, by the last figures that it sent and by the share that
//! calls returned recently.

/// Tokens reserved by running calls, and the share that ended calls returned.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Outstanding {
    reserved: f64,
    /// Decayed sums over ended calls: tokens reserved (`ended`) and tokens returned (`given`).
    ended: f64,
    given: f64,
}

/// Weight of the latest call.
const LATEST_SHARE: f64 = 0.05;

impl Outstanding {
    pub(super) fn begun(&mut self, reserved: f64) {
        self.reserved += reserved;
    }

    pub(super) fn withdrawn(&mut self, reserved: f64) {
        self.reserved = (self.reserved - reserved).max(0.0);
    }

    pub(super) fn ended(&mut self, reserved: f64, used: f64) {
        self.withdrawn(reserved);
        let share = if self.ended > 0.0 { LATEST_SHARE } else { 1.0 };
        self.ended += (reserved - self.ended) * share;
        self.given += ((reserved - used).max(0.0) - self.given) * share;
    }

    /// Normalized tokens.
    pub(super) fn spare(&self) -> f64 {
        if self.ended > 0.0 { self.reserved * (self.given / self.ended).min(1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_was_given_back_lately_is_expected_again() {
        let mut open = Outstanding::default();
        open.begun(1_000.0);
        assert!(open.spare().abs() < 1e-9, "nothing is known yet");
        open.ended(1_000.0, 250.0);
        open.begun(400.0);
        assert!((open.spare() - 300.0).abs() < 1e-9, "{open:?}");
        open.withdrawn(400.0);
        assert!(open.spare().abs() < 1e-9);
    }
}
