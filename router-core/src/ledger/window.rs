//! The usage of the last 60 seconds, exact to 10 ms.
//!
//! A token bucket would allow twice its rate within a minute, and two counters of whole minutes
//! nearly as much. Every use is therefore kept until it is a minute old. Uses within the same 10 ms
//! are one entry, dated by its end, so the log has at most 6,001 entries, never admits above the
//! limit, and refuses at most 10 ms longer than necessary.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Time during which a use counts.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Uses within so many milliseconds are one entry.
const STEP_MS: u128 = 10;

/// The date of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entered(Instant);

/// Sum of uses in the last minute.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    entries: VecDeque<(Instant, u64)>,
    total: u64,
}

impl Window {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, entries: VecDeque::new(), total: 0 }
    }

    /// Amount used in the minute before `now`.
    pub(super) fn used(&mut self, now: Instant) -> u64 {
        while let Some((at, amount)) = self.entries.front().copied() {
            if at + MINUTE > now {
                break;
            }
            self.entries.pop_front();
            self.total -= amount;
        }
        self.total
    }

    /// Time until `amount` fits below `limit`; zero if it does now. An amount that does not fit into an empty window
    /// waits for at least a minute.
    pub(super) fn wait(&mut self, now: Instant, amount: u64, limit: u64) -> Duration {
        let mut left = self.used(now);
        let fits = |left: u64| left.saturating_add(amount) <= limit;
        if fits(left) {
            return Duration::ZERO;
        }
        for (at, amount) in &self.entries {
            left -= amount;
            if fits(left) {
                return *at + MINUTE - now;
            }
        }
        MINUTE
    }

    /// Time until no use counts any more; zero if none does now.
    pub(super) fn empties(&mut self, now: Instant) -> Duration {
        self.used(now);
        let last = self.entries.iter().rev().find(|(_, amount)| *amount > 0);
        last.map_or(Duration::ZERO, |(at, _)| (*at + MINUTE).saturating_duration_since(now))
    }

    /// Enters a use.
    pub(super) fn enter(&mut self, now: Instant, amount: u64) -> Entered {
        let steps = now.saturating_duration_since(self.began).as_millis() / STEP_MS + 1;
        let end = u64::try_from(steps * STEP_MS).unwrap_or(u64::MAX);
        let at = self.began + Duration::from_millis(end);
        self.total += amount;
        match self.entries.back_mut() {
            // Entries stay in order, even for a `now` read before another's.
            Some((last, sum)) if *last >= at => {
                *sum += amount;
                Entered(*last)
            }
            Some(_) | None => {
                self.entries.push_back((at, amount));
                Entered(at)
            }
        }
    }

    /// Returns a part of an entry; nothing if it does not count any more.
    pub(super) fn take_back(&mut self, entered: Entered, amount: u64) {
        let found = self.entries.binary_search_by_key(&entered.0, |(at, _)| *at);
        if let Some((_, sum)) = found.ok().and_then(|index| self.entries.get_mut(index)) {
            let taken = amount.min(*sum);
            *sum -= taken;
            self.total -= taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 20;

    proptest! {
        /// Admits when, and only when, it fits: against a plain list of all uses.
        #[test]
        fn never_above_the_limit_and_never_refused_below_it(
            uses in proptest::collection::vec((0u64..9_000, 1u64..8), 1..200),
        ) {
            let began = Instant::now();
            let mut window = Window::new(began);
            let mut admitted: Vec<(Instant, u64)> = Vec::new();
            let mut now = began;
            for (pause, amount) in uses {
                now += Duration::from_millis(pause);
                let within = |span: Duration| -> u64 {
                    let young = admitted.iter().filter(|(at, _)| *at + span > now);
                    young.map(|(_, amount)| amount).sum()
                };
                let wait = window.wait(now, amount, LIMIT);
                if wait.is_zero() {
                    prop_assert!(within(MINUTE) + amount <= LIMIT);
                    window.enter(now, amount);
                    admitted.push((now, amount));
                } else {
                    prop_assert!(within(MINUTE + Duration::from_millis(10)) + amount > LIMIT);
                    // Exactly then it fits, and not a step before.
                    prop_assert!(window_after(&admitted, began, now + wait) + amount <= LIMIT);
                    let before = now + wait - Duration::from_millis(1);
                    prop_assert!(window_after(&admitted, began, before) + amount > LIMIT);
                }
            }
        }

        #[test]
        fn what_is_taken_back_is_free_at_once(amounts in proptest::collection::vec(1u64..9, 1..50)) {
            let began = Instant::now();
            let mut window = Window::new(began);
            for (index, amount) in (0u64..).zip(&amounts) {
                let now = began + Duration::from_millis(index * 7);
                let entered = window.enter(now, *amount);
                window.take_back(entered, amount / 2);
            }
            let kept: u64 = amounts.iter().map(|amount| amount - amount / 2).sum();
            prop_assert_eq!(window.used(began + Duration::from_secs(1)), kept);
            prop_assert_eq!(window.used(began + Duration::from_secs(62)), 0);
            prop_assert!(window.entries.is_empty());
        }
    }

    /// The content of a window with the same input at a later moment.
    fn window_after(admitted: &[(Instant, u64)], began: Instant, now: Instant) -> u64 {
        let mut window = Window::new(began);
        for (at, amount) in admitted {
            window.enter(*at, *amount);
        }
        window.used(now)
    }

    #[test]
    fn a_minute_of_any_traffic_is_a_bounded_log() {
        let began = Instant::now();
        let mut window = Window::new(began);
        for use_ in 0..200_000u64 {
            let now = began + Duration::from_millis(use_);
            window.used(now);
            window.enter(now, 1);
        }
        assert!(window.entries.len() <= 6_001, "{}", window.entries.len());
    }

    #[test]
    fn it_is_empty_when_the_last_use_that_counts_is_a_minute_old() {
        let began = Instant::now();
        let mut window = Window::new(began);
        assert_eq!(window.empties(began), Duration::ZERO);
        window.enter(began, 5);
        let second = began + Duration::from_secs(1);
        let taken_back = window.enter(second, 3);
        assert_eq!(window.empties(second), Duration::from_millis(60_010));
        window.take_back(taken_back, 3);
        assert_eq!(window.empties(second), Duration::from_millis(59_010));
        assert_eq!(window.empties(began + Duration::from_millis(60_010)), Duration::ZERO);
    }

    #[test]
    fn an_old_use_gives_nothing_back() {
        let began = Instant::now();
        let mut window = Window::new(began);
        let entered = window.enter(began, 5);
        let later = began + Duration::from_secs(61);
        assert_eq!(window.used(later), 0);
        window.take_back(entered, 5);
        assert_eq!(window.used(later), 0);
    }
}
