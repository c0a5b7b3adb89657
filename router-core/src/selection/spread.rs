//! Divides requests among deployments that are equal in all else.
//!
//! Each conversation ranks the equals by weighted rendezvous hashing. So each deployment gets the share of conversations
//! that its weight asks for, a conversation stays where it is, and a deployment that leaves or comes back moves no
//! conversations but its own. Two things change a share: a deployment whose streams begin late gets less, and one that
//! serves far more than its share at the moment comes after the others.
//!
//! The conversation's previous deployment is not considered here (`order.rs`).
//!
//! **Source:** Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998 (rendezvous hashing);
//! Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::deployment::Deployment;

/// A deployment counts as slow once its tail is so many times that of the quickest of its equals: below it, chance decides.
const SLOW: f64 = 1.5;

/// A deployment may serve so many times its share of what all equals serve, and one more.
const OVERLOADED: f64 = 1.25;

/// Values that decide between equals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Equal {
    /// Index of the deployment.
    name: u64,
    share: f64,
    in_flight: f64,
    tail: Option<Duration>,
    total: Option<Duration>,
}

/// The rank of one among its equals: the lower goes first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    overloaded: bool,
    draw: f64,
}

impl Equal {
    pub(super) fn of(deployment: &Deployment, standing: &DeploymentState, now: Instant) -> Self {
        let mut name = DefaultHasher::new();
        deployment.name.as_str().hash(&mut name);
        Self {
            name: name.finish(),
            share: deployment.share(),
            in_flight: f64::from(standing.in_flight),
            tail: standing.latency.first_tail(now),
            total: standing.latency.total(),
        }
    }

    /// Duration of its answers, in the same measure for all.
    fn time(&self, by_tail: bool) -> Option<f64> {
        let time = if by_tail { self.tail } else { self.total };
        time.map(|time| time.as_secs_f64().max(1e-3))
    }
}

impl Turn {
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        (self.overloaded.cmp(&other.overloaded)).then(self.draw.total_cmp(&other.draw))
    }
}

/// The turn of each of `equals`, in their order.
pub(super) fn turns(equals: &[Equal], conversation: u64) -> Vec<Turn> {
    let by_tail = equals.iter().any(|one| one.tail.is_some());
    let times = equals.iter().filter_map(|one| one.time(by_tail));
    let quickest = times.fold(f64::INFINITY, f64::min);
    let share = |one: &Equal| {
        let slow = one.time(by_tail).map_or(1.0, |time| time / quickest);
        // Twice as slow as may be: a quarter of its share. A little is left, to see when it is quick again.
        if slow > SLOW { one.share * (SLOW / slow).powi(2) } else { one.share }
    };
    let all_shares: f64 = equals.iter().map(|one| one.share).sum();
    let all_in_flight: f64 = equals.iter().map(|one| one.in_flight).sum();
    let turn = |one: &Equal| {
        let due = all_in_flight * one.share / all_shares;
        let overloaded = one.in_flight > due.mul_add(OVERLOADED, 1.0);
        Turn { overloaded, draw: -uniform(one.name, conversation).ln() / share(one).max(1e-9) }
    };
    equals.iter().map(turn).collect()
}

/// A number above 0 and at most 1 that the pair draws, evenly spread and always the same.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
fn uniform(name: u64, conversation: u64) -> f64 {
    // The finalizer of SplitMix64.
    let mut mixed = name ^ conversation.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(name: u64, share: f64) -> Equal {
        Equal { name, share, in_flight: 0.0, tail: None, total: None }
    }

    fn first(equals: &[Equal], conversation: u64) -> u64 {
        let turns = turns(equals, conversation);
        let pairs = turns.iter().zip(equals);
        pairs.min_by(|one, other| one.0.cmp(other.0)).unwrap().1.name
    }

    /// The share of conversations whose first choice is the deployment of that name.
    fn share_of(equals: &[Equal], name: u64) -> f64 {
        let count = (0..20_000).filter(|number| first(equals, *number) == name).count();
        f64::from(u32::try_from(count).unwrap()) / 20_000.0
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.02, "{found} instead of {expected}");
    }

    #[test]
    fn weights_are_shares_of_conversations() {
        let equals = [equal(11, 3.0), equal(12, 1.0), equal(13, 1.0)];
        near(share_of(&equals, 11), 0.6);
        near(share_of(&equals, 12), 0.2);
    }

    #[test]
    fn a_deployment_that_leaves_moves_no_conversations_but_its_own() {
        let all = [equal(11, 3.0), equal(12, 1.0), equal(13, 2.0)];
        for conversation in 0..2_000 {
            let before = first(&all, conversation);
            if before != 13 {
                assert_eq!(first(&all[..2], conversation), before);
            }
        }
    }

    #[test]
    fn one_that_begins_late_gets_less_and_a_little_is_left() {
        let tail = |milliseconds| Some(Duration::from_millis(milliseconds));
        let mut equals = [equal(11, 1.0), equal(12, 1.0)];
        equals[0].tail = tail(400);
        equals[1].tail = tail(560);
        near(share_of(&equals, 12), 0.5);
        equals[1].tail = tail(1_200);
        near(share_of(&equals, 12), 0.2);
        equals[1].tail = tail(6_000);
        let left = share_of(&equals, 12);
        assert!(left > 0.001 && left < 0.03, "{left}");
        // Latencies of complete answers say nothing about tails of streams.
        equals[1] = Equal { tail: None, total: tail(6_000), ..equals[1] };
        near(share_of(&equals, 12), 0.5);
    }

    #[test]
    fn one_that_serves_far_more_than_its_share_comes_last() {
        let mut equals = [equal(11, 1.0), equal(12, 1.0)];
        equals[0].in_flight = 12.0;
        equals[1].in_flight = 10.0;
        near(share_of(&equals, 11), 0.5);
        equals[0].in_flight = 20.0;
        near(share_of(&equals, 11), 0.0);
    }
}
