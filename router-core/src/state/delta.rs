//! What one replica tells the others of a deployment, and what hearing it does to what is known.
//!
//! Nothing here is sent or received: pure rules over [`DeploymentState`]. What was learned here is found by comparing what was
//! known before and after, so no event can be forgotten. Whatever others tell carries its time; to apply it twice is
//! prevented by whoever carries it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::capacity::Ends;
use crate::capacity::LevelReading;
use crate::capacity::Taken;
use crate::capacity::TooLarge;

/// A piece of news of one deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delta {
    /// Normalized tokens were added to its bucket, or given back.
    Added {
        /// When.
        at: Instant,
        /// How many; below zero where calls gave back.
        tokens: f64,
    },
    /// It told its level.
    LevelReading(LevelReading),
    /// It is left alone.
    Cooling {
        /// Until when; only what is new is told.
        ends: Ends,
        /// How many faults came in a row.
        faults: u32,
    },
    /// It answers again after faults.
    Recovered(Instant),
    /// It refuses large requests.
    TooLarge(TooLarge),
    /// A part of its quota was used.
    Taken {
        /// When the last of it was.
        at: Instant,
        /// How much.
        taken: Taken,
    },
}

/// Tokens added within this time are told as one.
const TOGETHER: Duration = Duration::from_millis(2);

/// The most that waits to be told of one deployment.
const MOST_UNTOLD: usize = 512;

/// For how long, and how many pieces of, what was added is remembered.
const REMEMBERED: Duration = Duration::from_secs(3);
const MOST_REMEMBERED: usize = 1_024;

/// A replica that was served so lately does not believe that config or rights are wrong.
const OWN_WORD: Duration = Duration::from_secs(10);

/// What happened here and is not yet told, and what all have added lately.
#[derive(Debug, Default)]
pub struct ChangeLog {
    untold: Vec<Delta>,
    added: VecDeque<(Instant, f64)>,
    served: Option<Instant>,
}

impl ChangeLog {
    /// Notes what was learned here. True where others should hear of it at once.
    pub fn note(
        &mut self,
        now: Instant,
        before: &DeploymentState,
        after: &DeploymentState,
    ) -> bool {
        let mut urgent = false;
        if let (Some(old), Some(new)) = (&before.twin, &after.twin) {
            let tokens = new.net() - old.net();
            if tokens.abs() > 0.0 {
                self.added(now, tokens);
                self.tell_added(now, tokens);
            }
            if let Some(told) = new.told().filter(|told| old.told() != Some(*told)) {
                urgent = true;
                self.tell(Delta::LevelReading(told));
            }
        }
        urgent |= self.note_cooldown(now, before, after);
        if let Some(large) = after.large.filter(|large| before.large != Some(*large)) {
            urgent = true;
            self.tell(Delta::TooLarge(large));
        }
        let (old, new) = (before.quota.taken(), after.quota.taken());
        if new != old {
            let requests = new.requests.saturating_sub(old.requests);
            let tokens = new.tokens.saturating_sub(old.tokens);
            self.tell_taken(now, Taken { requests, tokens });
        }
        urgent
    }

    fn note_cooldown(
        &mut self,
        now: Instant,
        before: &DeploymentState,
        after: &DeploymentState,
    ) -> bool {
        let (old, new) = (before.cooldown.ends(), after.cooldown.ends());
        let later = |old: Option<Instant>, new: Option<Instant>| new.filter(|_| new > old);
        let ends = Ends {
            throttled: later(old.throttled, new.throttled),
            unavailable: later(old.unavailable, new.unavailable),
            fault: later(old.fault, new.fault),
            misconfigured: later(old.misconfigured, new.misconfigured),
        };
        let cooling = ends != Ends::default();
        if cooling {
            self.tell(Delta::Cooling { ends, faults: after.cooldown.faults() });
        }
        let served = before.latency != after.latency;
        if served {
            self.served = Some(now);
        }
        let recovered = (old.fault.is_some() && new.fault.is_none())
            || (old.misconfigured.is_some() && new.misconfigured.is_none());
        if recovered {
            self.tell(Delta::Recovered(now));
        }
        cooling || recovered
    }

    /// What is to be told, oldest first; from now on it counts as told.
    pub fn take(&mut self) -> Vec<Delta> {
        std::mem::take(&mut self.untold)
    }

    /// What all replicas have added after `at`, as far as is known.
    pub fn since(&self, at: Instant) -> f64 {
        self.added.iter().filter(|(when, _)| *when > at).map(|(_, tokens)| tokens).sum()
    }

    /// Puts what another replica told into what is known.
    pub fn hear(&mut self, now: Instant, standing: &mut DeploymentState, news: Delta) {
        match news {
            Delta::Added { at, tokens } => {
                let at = at.min(now);
                if now.saturating_duration_since(at) > REMEMBERED {
                    return;
                }
                self.added(at, tokens);
                if let Some(twin) = &mut standing.twin {
                    twin.absorb(now, at, tokens);
                }
            }
            Delta::LevelReading(told) => {
                let told = LevelReading { at: told.at.min(now), ..told };
                if let Some(twin) = &mut standing.twin
                    && now.saturating_duration_since(told.at) <= REMEMBERED
                {
                    twin.hear(now, told, self.since(told.at));
                }
            }
            Delta::Cooling { mut ends, faults } => {
                let served = self.served.map(|at| now.saturating_duration_since(at));
                if served.is_some_and(|ago| ago < OWN_WORD) {
                    ends.misconfigured = None;
                }
                standing.cooldown.hear(ends, faults);
            }
            Delta::Recovered(at) => standing.cooldown.serve(at.min(now)),
            Delta::TooLarge(large) => {
                let held = standing.large.filter(|held| held.until > now);
                let from = held.map_or(large.from, |held| held.from.min(large.from));
                let until = held.map_or(large.until, |held| held.until.max(large.until));
                standing.large = Some(TooLarge { from, until });
            }
            Delta::Taken { at, taken } => standing.quota.hear(at.min(now), taken),
        }
    }

    fn added(&mut self, at: Instant, tokens: f64) {
        self.added.push_back((at, tokens));
        while self.added.len() > MOST_REMEMBERED
            || self.added.front().is_some_and(|(first, _)| *first + REMEMBERED < at)
        {
            self.added.pop_front();
        }
    }

    fn tell_added(&mut self, now: Instant, more: f64) {
        let full = self.untold.len() >= MOST_UNTOLD;
        for news in self.untold.iter_mut().rev() {
            match news {
                // Room given back to an empty bucket is lost, so what was added after it must not make up for it.
                Delta::Added { at, tokens }
                    if full || *at + TOGETHER > now && (*tokens > 0.0) == (more > 0.0) =>
                {
                    *tokens += more;
                    return;
                }
                // What the deployment told divides what was added before from what was added after.
                Delta::Added { .. } | Delta::LevelReading(_) => break,
                Delta::Cooling { .. }
                | Delta::Recovered(_)
                | Delta::TooLarge(_)
                | Delta::Taken { .. } => {}
            }
        }
        self.tell(Delta::Added { at: now, tokens: more });
    }

    fn tell_taken(&mut self, now: Instant, more: Taken) {
        let taken = self.untold.iter_mut().find_map(|news| match news {
            Delta::Taken { at, taken } => Some((at, taken)),
            Delta::Added { .. }
            | Delta::LevelReading(_)
            | Delta::Cooling { .. }
            | Delta::Recovered(_)
            | Delta::TooLarge(_) => None,
        });
        match taken {
            Some((at, taken)) => {
                *at = now;
                taken.requests = taken.requests.saturating_add(more.requests);
                taken.tokens = taken.tokens.saturating_add(more.tokens);
            }
            None => self.tell(Delta::Taken { at: now, taken: more }),
        }
    }

    fn tell(&mut self, news: Delta) {
        if self.untold.len() >= MOST_UNTOLD {
            self.untold.remove(0);
        }
        self.untold.push(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Cause;
    use crate::capacity::Load;
    use crate::capacity::Size;
    use crate::capacity::Timing;
    use crate::capacity::Twin;
    use crate::units::Tokens;

    const SECOND: Duration = Duration::from_secs(1);

    fn standing(now: Instant) -> DeploymentState {
        let size = Size {
            rate: 100.0,
            window: 10 * SECOND,
            output_ratio: 4.0,
            missing_output: Tokens(100),
            cached_discount: 1.0,
        };
        DeploymentState { twin: Some(Twin::new(size, now)), ..DeploymentState::default() }
    }

    /// What a change here is told as.
    fn told(now: Instant, change: impl FnOnce(&mut DeploymentState)) -> (bool, Vec<Delta>) {
        let (mut chronicle, before) = (ChangeLog::default(), standing(now));
        let mut after = before;
        change(&mut after);
        let urgent = chronicle.note(now, &before, &after);
        (urgent, chronicle.take())
    }

    #[test]
    fn each_change_is_told_and_bad_news_at_once() {
        let now = Instant::now();
        assert_eq!(told(now, |_| {}), (false, vec![]));
        let (urgent, news) = told(now, |here| {
            here.twin.as_mut().unwrap().admit(now, 30.0);
        });
        assert_eq!((urgent, news), (false, vec![Delta::Added { at: now, tokens: 30.0 }]));
        let (urgent, news) = told(now, |here| here.cooldown.throttle(now, SECOND));
        let ends = Ends { throttled: Some(now + SECOND), ..Ends::default() };
        assert_eq!((urgent, news), (true, vec![Delta::Cooling { ends, faults: 0 }]));
        let (urgent, news) = told(now, |here| {
            let twin = here.twin.as_mut().unwrap();
            let ticket = twin.admit(now, 30.0);
            twin.refused(now, ticket, 2 * SECOND, None);
        });
        assert!(urgent);
        assert!(
            matches!(news[..], [Delta::LevelReading(LevelReading { over, .. })] if (over - 2.0).abs() < 1e-9)
        );
        let (_, news) = told(now, |here| {
            here.quota.take(now, &Load::default());
        });
        assert!(matches!(news[..], [Delta::Taken { taken: Taken { requests: 1, .. }, .. }]));
        let large = TooLarge { from: Tokens(9), until: now + SECOND };
        let (urgent, news) = told(now, |here| here.large = Some(large));
        assert_eq!((urgent, news), (true, vec![Delta::TooLarge(large)]));
    }

    #[test]
    fn what_was_added_together_is_told_as_one_unless_room_was_given_back_between() {
        let now = Instant::now();
        let mut chronicle = ChangeLog::default();
        for tokens in [30.0, 20.0, -10.0, -5.0, 40.0] {
            chronicle.tell_added(now, tokens);
        }
        chronicle.tell_added(now + TOGETHER, 1.0);
        let tokens = |news: &Delta| {
            let Delta::Added { tokens, .. } = news else { panic!("{news:?}") };
            *tokens
        };
        let all: Vec<f64> = chronicle.take().iter().map(tokens).collect();
        assert_eq!(all, [50.0, -15.0, 40.0, 1.0]);
        // While nobody takes it, it stays bounded and sums up.
        for number in 0..3_000u32 {
            chronicle.tell_added(now + TOGETHER * number, 1.0);
        }
        let all: Vec<f64> = chronicle.take().iter().map(tokens).collect();
        assert!(all.len() <= MOST_UNTOLD);
        assert!((all.iter().sum::<f64>() - 3_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_replica_that_was_just_served_does_not_believe_that_rights_are_wrong() {
        let now = Instant::now();
        let ends = Ends { misconfigured: Some(now + 60 * SECOND), ..Ends::default() };
        let news = Delta::Cooling { ends, faults: 0 };
        let cause = |chronicle: &mut ChangeLog, here: &mut DeploymentState, at: Instant| {
            chronicle.hear(at, here, news);
            here.cooling(at).map(|(cause, _)| cause)
        };
        let (mut chronicle, mut here) = (ChangeLog::default(), standing(now));
        let before = here;
        here.latency.learn(now, Timing { first: SECOND, total: SECOND });
        chronicle.note(now, &before, &here);
        assert_eq!(cause(&mut chronicle, &mut here, now + SECOND), None);
        assert_eq!(cause(&mut chronicle, &mut here, now + OWN_WORD), Some(Cause::Misconfigured));
        chronicle.hear(now + OWN_WORD, &mut here, Delta::Recovered(now + OWN_WORD));
        assert_eq!(here.cooling(now + OWN_WORD), None);
    }
}
