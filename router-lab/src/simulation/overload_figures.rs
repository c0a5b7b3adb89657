//! The figures of a play under overload: goodput, waste, times and fairness between keys.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::tally::{milliseconds, quantile, share};
use super::workload::as_f64;

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// It was answered after this time.
    Answered(Duration),
    /// It was refused after this time.
    Refused(Duration),
    /// Its client hung up.
    GaveUp,
}

/// A request and its outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// When it arrived.
    pub at: Duration,
    /// Number of its key.
    pub key: usize,
    /// Normalized tokens of its answer.
    pub tokens: f64,
    /// Normalized tokens spent on it.
    pub spent: f64,
    /// Duration of its answer on an idle deployment.
    pub idle: Duration,
    /// Its outcome.
    pub fate: Fate,
}

/// The figures of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub policy: &'static str,
    /// Normalized tokens of answers that arrived in time, as a share of what the PTUs could serve.
    pub goodput_share: f64,
    /// Requests.
    pub requests: usize,
    /// Answers that arrived in time.
    pub answered: usize,
    /// 429s that arrived in time.
    pub refused: usize,
    /// Clients that hung up.
    pub gave_up: usize,
    /// Normalized tokens spent for clients that hung up, as a share of what the PTUs could serve.
    pub wasted_share: f64,
    /// The median time to a whole answer.
    pub answer_p50_ms: f64,
    /// Its 90th percentile.
    pub answer_p90_ms: f64,
    /// The 90th percentile that the same answers would have on an idle deployment.
    pub idle_p90_ms: f64,
    /// The median time to a 429.
    pub refusal_p50_ms: f64,
    /// Jain's index of what each key got of its max-min fair share: 1 is fair.
    pub fairness: f64,
    /// Time from the fall of the load to half the capacity until the last request that is refused or delayed.
    pub recovery_ms: f64,
}

impl Figures {
    /// The figures of a policy's outcomes; the PTUs serve `room` normalized tokens in the span.
    pub(super) fn of(policy: &'static str, outcomes: &[Outcome], room: f64) -> Self {
        let (mut good, mut wasted) = (0.0, 0.0);
        let (mut answers, mut idle, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        let (mut asked, mut got) = (HashMap::new(), HashMap::new());
        for Outcome { key, tokens, spent, idle: alone, fate, .. } in outcomes {
            *asked.entry(*key).or_insert(0.0) += tokens;
            let got: &mut f64 = got.entry(*key).or_insert(0.0);
            match fate {
                Fate::Answered(took) => {
                    good += tokens;
                    *got += tokens;
                    answers.push(*took);
                    idle.push(*alone);
                }
                Fate::Refused(took) => refusals.push(*took),
                Fate::GaveUp => wasted += spent,
            }
        }
        answers.sort_unstable();
        idle.sort_unstable();
        refusals.sort_unstable();
        let shares = fair_shares(&asked, good);
        let ratios = shares.iter().map(|(key, fair)| got.get(key).map_or(0.0, |got| got / fair));
        Self {
            policy,
            goodput_share: share(good, room),
            requests: outcomes.len(),
            answered: answers.len(),
            refused: refusals.len(),
            gave_up: outcomes.len() - answers.len() - refusals.len(),
            wasted_share: share(wasted, room),
            answer_p50_ms: milliseconds(quantile(&answers, 50)),
            answer_p90_ms: milliseconds(quantile(&answers, 90)),
            idle_p90_ms: milliseconds(quantile(&idle, 90)),
            refusal_p50_ms: milliseconds(quantile(&refusals, 50)),
            fairness: jain(&ratios.collect::<Vec<_>>()),
            recovery_ms: 0.0,
        }
    }
}

/// The max-min fair division of what was served: no key gets more than it asked, and what one leaves goes to the others.
fn fair_shares(asked: &HashMap<usize, f64>, served: f64) -> HashMap<usize, f64> {
    let mut left: Vec<(usize, f64)> = asked.iter().map(|(key, tokens)| (*key, *tokens)).collect();
    left.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut shares = HashMap::new();
    let mut rest = served;
    let mut count = left.len();
    for (key, tokens) in left {
        let fair = (rest / as_f64(u64::try_from(count).unwrap_or(u64::MAX))).min(tokens);
        shares.insert(key, fair.max(f64::MIN_POSITIVE));
        rest -= fair;
        count -= 1;
    }
    shares
}

/// Jain's fairness index.
///
/// **Source:** Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", 1984.
fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let count = as_f64(u64::try_from(values.len()).unwrap_or(u64::MAX));
    share(sum * sum, count * squares)
}
