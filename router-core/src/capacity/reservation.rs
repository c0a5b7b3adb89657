//! How much room does a request block, and how long will its answer be? Learned from the answers of its task and caller.
//!
//! A provisioned deployment sets aside a request's whole cap, or a few thousand tokens where it names none, although most
//! answers are far shorter. The quantiles learned here tell a reservation that is far too large, and, where config allows,
//! give a tighter cap. They are learned online: until enough answers were seen nothing is claimed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::task::Task;
use crate::units::Tokens;

use super::settings::Settings;

/// What a request weighs on arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// The prompt, nearly.
    pub prompt: Tokens,
    /// The part of it that the deployment that holds the conversation should have in its cache.
    pub cached: Tokens,
    /// The characters of the prompt.
    pub characters: u64,
    /// The caller's cap on all answers together; `None` where it names none.
    pub cap: Option<Tokens>,
}

/// What is known of the answer to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The mean length.
    pub mean: f64,
    /// The length that nearly none exceeds: config's quantile.
    pub most: Tokens,
    /// How many answers this was learned from, older ones counting less.
    pub samples: f64,
}

/// The bounds of the buckets grow by this factor, which is how exact a quantile is.
const STEP: f64 = 1.05;

/// Enough buckets for answers of 100,000 tokens.
const BUCKETS: usize = 240;

/// With so many answers seen, older ones are halved.
const HALVED_AT: f64 = 20_000.0;

/// Lengths of answers, in buckets of growing width.
#[derive(Debug, Clone)]
struct Lengths {
    counts: Vec<f64>,
    total: f64,
    sum: f64,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { counts: vec![0.0; BUCKETS], total: 0.0, sum: 0.0 }
    }
}

impl Lengths {
    fn learn(&mut self, length: Tokens) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a logarithm of a count is small and not negative"
        )]
        let bucket = (length.as_f64().max(1.0).ln() / STEP.ln()).ceil() as usize;
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1.0;
        }
        self.total += 1.0;
        self.sum += length.as_f64();
        if self.total >= HALVED_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2.0);
            self.total /= 2.0;
            self.sum /= 2.0;
        }
    }

    /// The upper bound of the bucket in which the quantile lies.
    fn quantile(&self, quantile: f64) -> Tokens {
        let above = self.total * (1.0 - quantile);
        let mut seen = 0.0;
        let mut bucket = self.counts.len();
        for (at, count) in self.counts.iter().enumerate().rev() {
            seen += count;
            if seen > above {
                bucket = at;
                break;
            }
        }
        let power = i32::try_from(bucket).unwrap_or(i32::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded by the number of buckets"
        )]
        let bound = STEP.powi(power).ceil() as u64;
        Tokens(bound)
    }

    fn expected(&self, settings: &Settings) -> Option<Expected> {
        (self.total >= settings.learned_samples).then(|| Expected {
            mean: self.sum / self.total,
            most: self.quantile(settings.learned_quantile),
            samples: self.total,
        })
    }
}

type Shared = Arc<Mutex<Lengths>>;

/// The lengths of answers by task, for each caller and for all of them. Bounded: callers unheard of for long are forgotten.
#[derive(Debug)]
pub struct Habits {
    callers: moka::sync::Cache<(Task, u64), Shared>,
    all: [Shared; 2],
    settings: Settings,
}

impl Habits {
    /// Nothing learned yet.
    pub fn new(settings: &Settings) -> Self {
        let callers = moka::sync::Cache::new(settings.callers_max);
        Self { callers, all: Default::default(), settings: settings.clone() }
    }

    fn of_all(&self, task: Task) -> &Shared {
        let [reasoning, chat] = &self.all;
        match task {
            Task::Reasoning => reasoning,
            Task::Chat => chat,
        }
    }

    /// An answer was this long.
    pub fn learn(&self, task: Task, caller: u64, length: Tokens) {
        let own = self.callers.get_with((task, caller), Shared::default);
        for lengths in [&own, self.of_all(task)] {
            lengths.lock().unwrap_or_else(PoisonError::into_inner).learn(length);
        }
    }

    /// How long the caller's next answer will be; by all callers' answers while there are too few of its own.
    pub fn expected(&self, task: Task, caller: u64) -> Option<Expected> {
        let of = |lengths: &Shared| {
            lengths.lock().unwrap_or_else(PoisonError::into_inner).expected(&self.settings)
        };
        let own = self.callers.get(&(task, caller));
        own.as_ref().and_then(of).or_else(|| of(self.of_all(task)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_claimed_once_enough_was_seen() {
        let settings = Settings { learned_samples: 200.0, ..Settings::default() };
        let habits = Habits::new(&settings);
        for length in 1..200u64 {
            habits.learn(Task::Chat, 1, Tokens(length));
        }
        assert_eq!(habits.expected(Task::Chat, 1), None);
        for length in 200..=1_000u64 {
            habits.learn(Task::Chat, 1, Tokens(length));
        }
        let expected = habits.expected(Task::Chat, 1).unwrap();
        assert!((1_000..=1_060).contains(&expected.most.0), "{expected:?}");
        assert!((500.0..501.0).contains(&expected.mean));
        assert_eq!(habits.expected(Task::Chat, 2), Some(expected), "another caller: as all");
        assert_eq!(habits.expected(Task::Reasoning, 1), None);
    }

    #[test]
    fn callers_have_habits_of_their_own_and_new_ones_replace_old_ones() {
        let habits = Habits::new(&Settings::default());
        for _ in 0..1_000 {
            habits.learn(Task::Chat, 1, Tokens(10));
            habits.learn(Task::Chat, 2, Tokens(2_000));
        }
        let most = |caller| habits.expected(Task::Chat, caller).unwrap().most.0;
        assert!(most(1) <= 11 && most(2) >= 2_000, "{} {}", most(1), most(2));
        for _ in 0..400_000 {
            habits.learn(Task::Chat, 2, Tokens(100));
        }
        assert!(most(2) <= 105, "{}", most(2));
    }
}
