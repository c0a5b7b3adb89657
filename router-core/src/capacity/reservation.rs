//! Learns output lengths per task and caller, to estimate how much capacity a request blocks and
//! how long its answer is.
//!
//! A provisioned deployment reserves a request's whole cap, or a few thousand tokens without one,
//! although most answers are far shorter. The learned quantiles identify an excessive reservation
//! and, if config allows, provide a tighter cap. Before enough answers have been seen, there is at
//! most a guess.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::Task;
use crate::units::Tokens;

use super::settings::Settings;

/// Size of a request on arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// The prompt, approximately.
    pub prompt: Tokens,
    /// The part of it that the deployment that holds the conversation should have in its cache.
    pub cached: Tokens,
    /// The characters of the prompt.
    pub characters: u64,
    /// The caller's cap on all answers together; `None` if it names none.
    pub cap: Option<Tokens>,
}

/// Prediction for the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The mean length.
    pub mean: f64,
    /// The length at the configured quantile, which almost no answer exceeds.
    pub most: Tokens,
    /// False while fewer answers were seen than configured: a first guess, with a margin. If nothing may spill, it is far
    /// better than none, and an answer that it cuts off is requested again.
    pub sure: bool,
}

/// The bounds of the buckets grow by this factor, which is how exact a quantile is.
const STEP: f64 = 1.05;

/// Enough buckets for answers of 100,000 tokens.
const BUCKETS: usize = 240;

/// With so many answers seen, older ones are halved.
const HALVED_AT: f64 = 20_000.0;

/// From this share of config's samples on a first guess is made: the longest answer so far, times a margin that falls.
const FIRST_SHARE: f64 = 0.05;
const SECOND_SHARE: f64 = 0.2;
const FIRST_MARGIN: f64 = 3.0;
const SECOND_MARGIN: f64 = 2.0;

/// With config's samples just reached, the longest answer is exceeded more often than the quantile allows. This margin makes
/// up for it, and falls to none by the time that enough answers were seen for one of them to lie above the quantile.
const SURE_MARGIN: f64 = 1.5;

/// The quantile is read again after so many answers: reading walks all buckets, and decisions ask often.
const READ_EVERY: u32 = 8;

/// Lengths of answers, in buckets of growing width.
#[derive(Debug, Clone, Default)]
struct Lengths {
    counts: Vec<f64>,
    total: f64,
    sum: f64,
    until_read: u32,
    expected: Option<Expected>,
}

impl Lengths {
    fn learn(&mut self, length: Tokens, settings: &Settings) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a logarithm of a count is small and not negative"
        )]
        let bucket = (length.as_f64().max(1.0).ln() / STEP.ln()).ceil() as usize;
        self.counts.resize(BUCKETS, 0.0);
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
        self.until_read = self.until_read.saturating_sub(1);
        let sure = self.total >= settings.learned_samples;
        let is_news = sure && !self.expected.is_some_and(|expected| expected.sure);
        if (self.until_read == 0 || is_news)
            && let Some(margin) = margin(self.total, settings)
        {
            self.until_read = READ_EVERY;
            let most = Tokens(whole(self.quantile(settings.learned_quantile).as_f64() * margin));
            self.expected = Some(Expected { mean: self.sum / self.total, most, sure });
        }
    }

    /// The upper bound of the bucket that contains the quantile.
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
        Tokens(whole(STEP.powi(power).ceil()))
    }
}

/// By how much the longest answer so far is multiplied when `seen` answers were seen; `None`: too few for a guess.
fn margin(seen: f64, settings: &Settings) -> Option<f64> {
    let sure = settings.learned_samples;
    match seen / sure {
        1.0.. => {
            let enough = 1.0 / (1.0 - settings.learned_quantile);
            let missing = ((enough - seen) / (enough - sure).max(1.0)).clamp(0.0, 1.0);
            Some((SURE_MARGIN - 1.0).mul_add(missing, 1.0))
        }
        SECOND_SHARE.. => Some(SECOND_MARGIN),
        FIRST_SHARE.. => Some(FIRST_MARGIN),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by the number of buckets"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// Callers' caps, in classes of twice the size. A cap says something about the answer: one who caps tightly knows how long
/// it will be, and so answers to tight caps must not be foretold by those to loose ones, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapClass(u32);

impl CapClass {
    /// The class of a cap; having none is one as well.
    pub fn of(cap: Option<Tokens>) -> Self {
        Self(cap.map_or(0, |cap| 1 + cap.0.max(1).ilog2()))
    }
}

/// The lengths of answers to both kinds of task: a decision asks for both, and one look finds them.
#[derive(Debug, Clone, Default)]
struct ByTask {
    reasoning: Lengths,
    chat: Lengths,
}

impl ByTask {
    fn of(&mut self, task: Task) -> &mut Lengths {
        match task {
            Task::Reasoning => &mut self.reasoning,
            Task::Chat => &mut self.chat,
        }
    }

    fn expected(&self) -> ExpectedByTask {
        ExpectedByTask { reasoning: self.reasoning.expected, chat: self.chat.expected }
    }
}

/// Predictions for both kinds of task.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ExpectedByTask {
    /// For a reasoning task.
    pub(crate) reasoning: Option<Expected>,
    /// For a chat task.
    pub(crate) chat: Option<Expected>,
}

type Shared = Arc<Mutex<ByTask>>;

/// The lengths of answers by class of cap and task, for each caller and for all of them. Bounded: callers unheard of for
/// long are forgotten.
#[derive(Debug)]
pub(crate) struct OutputLengths {
    callers: moka::sync::Cache<(CapClass, u64), Shared>,
    /// At most 65 classes.
    all: Arc<Mutex<HashMap<CapClass, ByTask>>>,
    settings: Settings,
}

impl OutputLengths {
    /// Nothing learned yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let callers = moka::sync::Cache::new(settings.callers_max);
        Self { callers, all: Arc::default(), settings: settings.clone() }
    }

    /// Keeps the learned values under new settings.
    #[must_use]
    pub(crate) fn renewed(&self, settings: &Settings) -> Self {
        let mut callers = self.callers.clone();
        if self.settings.callers_max != settings.callers_max {
            callers = moka::sync::Cache::new(settings.callers_max);
            self.callers.iter().for_each(|(caller, lengths)| callers.insert(*caller, lengths));
        }
        Self { callers, all: Arc::clone(&self.all), settings: settings.clone() }
    }

    /// An answer was this long.
    pub(crate) fn learn(&self, task: Task, caller: u64, class: CapClass, length: Tokens) {
        let key = (class, caller);
        // `get_with` allocates for the case that the caller is new, which it is only once.
        let own = self.callers.get(&key);
        let own = own.unwrap_or_else(|| self.callers.get_with(key, Shared::default));
        locked(&own).of(task).learn(length, &self.settings);
        locked(&self.all).entry(class).or_default().of(task).learn(length, &self.settings);
    }

    /// The expected length of the answer to the caller's next request with such a cap, from all callers' answers while there
    /// are too few of its own.
    pub(crate) fn expected(&self, caller: u64, class: CapClass) -> ExpectedByTask {
        let own = self.callers.get(&(class, caller));
        let own = own.map(|own| locked(&own).expected()).unwrap_or_default();
        let is_sure = |expected: Option<Expected>| expected.is_some_and(|expected| expected.sure);
        if is_sure(own.reasoning) && is_sure(own.chat) {
            return own;
        }
        let all = locked(&self.all).get(&class).map(ByTask::expected).unwrap_or_default();
        let better = |own: Option<Expected>, all: Option<Expected>| {
            let all = all.filter(|all| !is_sure(own) && (all.sure || own.is_none()));
            all.or(own)
        };
        ExpectedByTask {
            reasoning: better(own.reasoning, all.reasoning),
            chat: better(own.chat, all.chat),
        }
    }
}

/// A lock that a panic left behind still holds whole numbers.
fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: CapClass = CapClass(0);

    #[test]
    fn a_first_guess_has_a_margin_and_gives_way_to_what_is_sure() {
        let habits = OutputLengths::new(&Settings::default());
        let learn = |caller, count: usize, length| {
            (0..count).for_each(|_| habits.learn(Task::Chat, caller, FREE, Tokens(length)));
        };
        let expected = |caller| habits.expected(caller, FREE).chat;
        learn(1, 9, 100);
        assert_eq!(expected(1), None);
        learn(1, 1, 100);
        let first = expected(1).unwrap();
        assert!(!first.sure && (300..=320).contains(&first.most.0), "{first:?}");
        learn(1, 40, 100);
        let second = expected(1).unwrap();
        assert!(!second.sure && (200..=215).contains(&second.most.0), "{second:?}");
        learn(2, 200, 1_000);
        assert!(expected(2).unwrap().sure);
        let others = expected(1).unwrap();
        assert!(others.sure && others.most.0 >= 1_000, "all callers' answers before a guess");
    }

    #[test]
    fn quantiles_are_claimed_once_enough_was_seen() {
        let settings = Settings { learned_samples: 200.0, ..Settings::default() };
        let habits = OutputLengths::new(&settings);
        for length in 1..200u64 {
            habits.learn(Task::Chat, 1, FREE, Tokens(length));
        }
        assert!(!habits.expected(1, FREE).chat.unwrap().sure);
        for length in 200..=1_000u64 {
            habits.learn(Task::Chat, 1, FREE, Tokens(length));
        }
        let expected = habits.expected(1, FREE).chat.unwrap();
        assert!((1_000..=1_060).contains(&expected.most.0), "{expected:?}");
        assert!((500.0..501.0).contains(&expected.mean));
        assert_eq!(habits.expected(2, FREE).chat, Some(expected), "another caller: as all");
        assert_eq!(habits.expected(1, FREE).reasoning, None);
    }

    /// As long as too few answers were seen for one to lie above the quantile, the longest of them is no upper bound.
    #[test]
    fn the_margin_falls_with_each_answer_until_the_quantile_can_be_read() {
        let habits = OutputLengths::new(&Settings::default());
        let most = |count: usize| {
            (0..count).for_each(|_| habits.learn(Task::Chat, 1, FREE, Tokens(1_000)));
            habits.expected(1, FREE).chat.unwrap().most.0
        };
        let (at_200, at_600, at_1_000) = (most(200), most(400), most(400));
        assert!((1_500..1_570).contains(&at_200), "{at_200}");
        assert!((1_250..1_320).contains(&at_600), "{at_600}");
        assert!((1_000..1_060).contains(&at_1_000), "{at_1_000}");
        let settings = Settings { learned_quantile: 0.9, ..Settings::default() };
        let coarse = OutputLengths::new(&settings);
        (0..200).for_each(|_| coarse.learn(Task::Chat, 1, FREE, Tokens(1_000)));
        assert!(
            coarse.expected(1, FREE).chat.unwrap().most.0 < 1_060,
            "a quantile that can be read has none"
        );
    }

    #[test]
    fn callers_have_habits_of_their_own_and_new_ones_replace_old_ones() {
        let habits = OutputLengths::new(&Settings::default());
        for _ in 0..1_000 {
            habits.learn(Task::Chat, 1, FREE, Tokens(10));
            habits.learn(Task::Chat, 2, FREE, Tokens(2_000));
        }
        let most = |caller| habits.expected(caller, FREE).chat.unwrap().most.0;
        assert!(most(1) <= 11 && most(2) >= 2_000, "{} {}", most(1), most(2));
        for _ in 0..400_000 {
            habits.learn(Task::Chat, 2, FREE, Tokens(100));
        }
        assert!(most(2) <= 105, "{}", most(2));
    }

    #[test]
    fn what_tight_caps_say_is_not_said_of_loose_ones() {
        let habits = OutputLengths::new(&Settings::default());
        let (tight, loose) = (CapClass::of(Some(Tokens(1_000))), CapClass::of(Some(Tokens(4_096))));
        for _ in 0..1_000 {
            habits.learn(Task::Chat, 1, tight, Tokens(900));
            habits.learn(Task::Chat, 1, loose, Tokens(200));
        }
        let most = |class| habits.expected(1, class).chat.unwrap().most.0;
        assert!(most(tight) >= 900 && most(loose) < 220);
        assert_eq!(habits.expected(1, FREE).chat, None);
    }
}
