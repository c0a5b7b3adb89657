//! What was counted since the process began: where requests went and why, who was held, what left full deployments, how
//! scores lie, what was paid.
//!
//! Keys are names from config and words of our own, so the number of counts is bounded by config; a process that has seen
//! more names than [`MOST_NAMES`] over many configs counts no new ones.

use std::collections::BTreeMap;
use std::time::Duration;

use router_core::fallback::{Ended, Note};
use router_core::record::RequestRecord;
use router_core::task::{Score, Task};
use router_core::units::{DeploymentName, Usd};

use super::money::Money;
use super::outcome::{Outcome, WAYS};

/// The bins that scores are counted in: each a twentieth wide, its upper edge belongs to it.
pub(super) const SCORE_BINS: usize = 20;

/// The upper edges of the bins that holds are counted in, in milliseconds; one bin more is for what is longer.
pub(super) const HOLD_EDGES_MS: [u64; 9] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000];

const HOLD_BINS: usize = HOLD_EDGES_MS.len() + 1;

/// Deployments and causes that are counted apart.
const MOST_NAMES: usize = 4_096;

/// What one deployment did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Requests that it answered.
    pub(super) answers: u64,
    /// 429s.
    pub(super) throttled: u64,
    /// Attempts that failed by its fault, or because config or rights are wrong.
    pub(super) faults: u64,
    /// What its answers cost.
    pub(super) cost: Usd,
}

/// Where requests went and why: no deployment where nobody answered.
pub(super) type Route = (Option<DeploymentName>, &'static str, Outcome);

/// How requests that were held went on, by how long they were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holds {
    /// Room came in time.
    pub(super) entered: [u64; HOLD_BINS],
    /// It did not.
    pub(super) gave_up: [u64; HOLD_BINS],
    /// All time that was waited.
    pub(super) time: Duration,
}

impl Holds {
    fn add(&mut self, took: Duration, entered: bool) {
        let bin = HOLD_EDGES_MS.iter().filter(|edge| took > Duration::from_millis(**edge)).count();
        let bins = if entered { &mut self.entered } else { &mut self.gave_up };
        if let Some(count) = bins.get_mut(bin) {
            *count += 1;
        }
        self.time += took;
    }
}

/// The counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) ways: [u64; WAYS],
    pub(super) routes: BTreeMap<Route, u64>,
    pub(super) deployments: BTreeMap<DeploymentName, Done>,
    pub(super) spills: BTreeMap<(DeploymentName, &'static str), u64>,
    pub(super) holds: Holds,
    pub(super) chat_scores: [u64; SCORE_BINS],
    pub(super) reasoning_scores: [u64; SCORE_BINS],
    pub(super) money: Money,
}

impl Tally {
    /// One request more; gives its way.
    pub(super) fn add(&mut self, record: &RequestRecord) -> Outcome {
        let way = Outcome::of(record);
        self.requests += 1;
        for (known, count) in Outcome::ALL.into_iter().zip(&mut self.ways) {
            *count += u64::from(known == way);
        }
        let name = record.answer.as_ref().map(|answer| answer.deployment.name.clone());
        count(&mut self.routes, (name, Outcome::cause(record), way));
        self.attempts(record);
        self.beside(record);
        if let Some(verdict) = record.decided.as_ref().and_then(|decided| decided.verdict) {
            let bins = match verdict.task {
                Task::Chat => &mut self.chat_scores,
                Task::Reasoning => &mut self.reasoning_scores,
            };
            if let Some(count) = bins.get_mut(bin(verdict.score)) {
                *count += 1;
            }
        }
        if let Some(answer) = &record.answer {
            let would = record.decided.as_ref().and_then(|decided| decided.would);
            self.money.add(record.operation, would, answer);
        }
        way
    }

    fn attempts(&mut self, record: &RequestRecord) {
        for step in &record.attempts {
            if let Some(done) = known(&mut self.deployments, &step.deployment.name) {
                done.throttled += u64::from(matches!(step.ended, Ended::Throttled(..)));
                let wrong = matches!(step.ended, Ended::Misconfigured(_));
                done.faults += u64::from(wrong || step.ended.is_fault());
            }
        }
        if let Some(answer) = &record.answer
            && let Some(done) = known(&mut self.deployments, &answer.deployment.name)
        {
            done.answers += 1;
            done.cost += answer.cost.unwrap_or_default();
        }
    }

    fn beside(&mut self, record: &RequestRecord) {
        for (deployment, why) in record.decided.iter().flat_map(|decided| &decided.passed_over) {
            count(&mut self.spills, (deployment.name.clone(), why.as_str()));
        }
        for note in &record.notes {
            match note {
                Note::Held { took, entered, .. } => self.holds.add(*took, *entered),
                Note::Spilled { deployment, cause } => {
                    count(&mut self.spills, (deployment.name.clone(), cause.as_str()));
                }
                Note::Recovering { .. } | Note::AskedAgain { .. } | Note::Outrun { .. } => {}
            }
        }
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    if counts.len() < MOST_NAMES || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}

fn known<'d>(
    deployments: &'d mut BTreeMap<DeploymentName, Done>,
    name: &DeploymentName,
) -> Option<&'d mut Done> {
    if deployments.len() >= MOST_NAMES && !deployments.contains_key(name) {
        return None;
    }
    Some(deployments.entry(name.clone()).or_default())
}

/// The bin of a score, as the metric `model_router_score` counts it: an edge belongs to the bin below.
fn bin(score: Score) -> usize {
    (1..SCORE_BINS).filter(|step| f64::from(score.value()) > edge(*step)).count()
}

/// The upper edge of the bin before `step`.
#[expect(clippy::cast_precision_loss, reason = "there are twenty")]
fn edge(step: usize) -> f64 {
    step as f64 / SCORE_BINS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_into_the_bins_of_the_metric() {
        for (score, expected) in
            [(0.0, 0), (0.04, 0), (0.051, 1), (0.25, 4), (0.51, 10), (0.999, 19), (1.0, 19)]
        {
            assert_eq!(bin(Score::nearest(score)), expected, "{score}");
        }
    }

    #[test]
    fn holds_are_counted_up_to_their_edge() {
        let mut holds = Holds::default();
        for ms in [0, 10, 11, 5_000, 60_000] {
            holds.add(Duration::from_millis(ms), true);
        }
        holds.add(Duration::from_millis(450), false);
        assert_eq!(holds.entered, [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(holds.gave_up, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(holds.time, Duration::from_millis(65_471));
    }

    #[test]
    fn new_names_stop_being_counted_at_the_bound() {
        let mut counts = BTreeMap::new();
        (0..MOST_NAMES + 10).for_each(|key| count(&mut counts, key));
        count(&mut counts, 0);
        assert_eq!((counts.len(), counts[&0]), (MOST_NAMES, 2));
    }
}
