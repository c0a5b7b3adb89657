//! Measures how much capacity a request blocks beyond what it uses.
//!
//! Requests are equal by size: a served token is a served token. What a request reserves beyond its
//! answer blocks others while it runs and is then returned; capacity returned to a draining bucket
//! is lost. A request that blocks fewer tokens per used token therefore fills the deployment
//! better. The usual excess is learned, and only more than that counts: if all requests are alike,
//! none is held back.

use crate::units::Tokens;

use super::reservation::Load;
use super::size::Size;
use super::snapshot::Entry;

/// Weight of the latest request in the averages.
const USUAL_SHARE: f64 = 0.02;

/// Tokens that a request uses, and tokens that it reserves beyond that; both normalized.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overreservation {
    used: f64,
    spare: f64,
}

impl Overreservation {
    /// `None` if the length of the answer is unknown, or if the request need not leave capacity to others.
    pub fn of(entry: &Entry, size: &Size) -> Option<Self> {
        let Load { prompt, cached, cap, .. } = entry.load;
        let read = size.normalized(prompt, cached, Tokens::ZERO);
        let used = size.output_ratio.mul_add(entry.answer?, read).max(1.0);
        Some(Self { used, spare: (size.reserved(prompt, cached, cap) - used).max(0.0) })
    }

    /// Learns what is usual: a request entered.
    pub fn learn(&mut self, request: Self) {
        let share = if self.used > 0.0 { USUAL_SHARE } else { 1.0 };
        self.used += (request.used - self.used) * share;
        self.spare += (request.spare - self.spare) * share;
    }

    /// Tokens blocked beyond the usual, per usual amount served.
    pub fn beyond(&self, usual: &Self) -> f64 {
        (self.spare * usual.used / self.used - usual.spare).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Overreservation = Overreservation { used: 1_000.0, spare: 4_000.0 };

    #[test]
    fn only_what_blocks_more_for_what_it_serves_is_beyond() {
        for (used, spare, beyond) in [
            (1_000.0, 4_000.0, 0.0),
            (1_000.0, 5_000.0, 1_000.0),
            (2_000.0, 8_000.0, 0.0),   // twice as large in all
            (500.0, 4_000.0, 4_000.0), // it would take two of them
            (4_000.0, 4_000.0, 0.0),
            (1_000.0, 0.0, 0.0),
        ] {
            let request = Overreservation { used, spare };
            assert!((request.beyond(&USUAL) - beyond).abs() < 1e-9, "{request:?}");
        }
    }

    #[test]
    fn what_is_usual_follows_the_requests() {
        let mut usual = Overreservation::default();
        usual.learn(USUAL);
        assert_eq!(usual, USUAL);
        for _ in 0..500 {
            usual.learn(Overreservation { used: 100.0, spare: 0.0 });
        }
        assert!(usual.used < 101.0 && usual.spare < 1.0, "{usual:?}");
    }
}
