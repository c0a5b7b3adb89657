//! Sums over the requests of one group in one step of time. A group shares key, team, task, deployment, outcome and cause.

use std::time::Duration;

use router_core::fallback::Note;
use router_core::record::{Answer, RequestRecord, Settlement};
use router_core::task::Task;
use router_core::units::Usd;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::names::{Id, NONE, Names, OTHERS};
use super::outcome::Outcome;

/// Requests that are summed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) key: Id,
    pub(super) team: Id,
    pub(super) deployment: Id,
    pub(super) cause: Id,
    /// 0 if the caller named the model, else the index of the task in [`Task::ALL`] plus 1.
    pub(super) task: u8,
    /// Index in [`Outcome::ALL`].
    pub(super) way: u8,
}

impl Group {
    /// The group that takes the requests once there are too many groups.
    pub(super) fn folded(self) -> Self {
        Self { key: OTHERS, team: NONE, deployment: OTHERS, cause: NONE, task: 0, ..self }
    }

    /// The group of a request.
    pub(super) fn of(record: &RequestRecord, names: &mut Names) -> Self {
        let answered = record.answer.as_ref().map(|answer| answer.deployment.name.as_str());
        Self {
            key: record.caller.name().map_or(NONE, |name| names.id(name)),
            team: record.caller.team().map_or(NONE, |team| names.id(team.name.as_str())),
            deployment: answered.map_or(NONE, |name| names.id(name)),
            cause: names.id(Outcome::cause(record)),
            task: task_number(record.decided.as_ref().and_then(|decided| decided.task)),
            way: Outcome::of(record).number(),
        }
    }

    /// The group of the usage that an answer made in the background reports later.
    pub(super) fn of_settlement(settlement: &Settlement, names: &mut Names) -> Self {
        let Settlement { caller, answer, .. } = settlement;
        let provisioned = answer.deployment.billing.is_provisioned();
        let way = if provisioned { Outcome::Provisioned } else { Outcome::PayAsYouGo };
        Self {
            key: caller.name().map_or(NONE, |name| names.id(name)),
            team: caller.team().map_or(NONE, |team| names.id(team.name.as_str())),
            deployment: names.id(answer.deployment.name.as_str()),
            cause: NONE,
            task: 0,
            way: way.number(),
        }
    }

    /// The task's word; `None` if the caller named the model.
    pub(super) fn task(self) -> Option<&'static str> {
        let place = usize::from(self.task).checked_sub(1)?;
        Task::ALL.get(place).map(|task| task.as_str())
    }
}

/// The number of a task in a [`Group`].
pub(super) fn task_number(task: Option<Task>) -> u8 {
    let place = Task::ALL.into_iter().position(|known| Some(known) == task);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or_default()
}

/// Sums over requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sums {
    pub(super) requests: u64,
    pub(super) prompt: u64,
    pub(super) completion: u64,
    /// Answers without a known price.
    pub(super) unpriced: u64,
    pub(super) paid_usd: f64,
    pub(super) saved_by_choice_usd: f64,
    pub(super) saved_by_ptu_usd: f64,
    /// Cost of answers in observe mode at pay-as-you-go prices: as served, and as the scores would have chosen.
    pub(super) observed_usd: f64,
    pub(super) would_usd: f64,
    /// From sending to the end of the answer.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) total: Counts,
    /// From sending to the first content of a stream.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) first: Counts,
    /// Waits of requests that then entered a provisioned deployment.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) entered: Counts,
    /// Waits that ended without entering.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) held_in_vain: Counts,
    /// Scores by the task that they gave.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) reasoning_scores: Counts,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub(super) chat_scores: Counts,
}

impl Sums {
    /// Adds a request.
    pub(super) fn add(&mut self, record: &RequestRecord) {
        self.requests += 1;
        for note in &record.notes {
            if let Note::Held { took, entered, .. } = note {
                self.held(*took, *entered);
            }
        }
        let decided = record.decided.as_ref();
        if let Some(verdict) = decided.and_then(|decided| decided.verdict) {
            let scores = match verdict.task {
                Task::Reasoning => &mut self.reasoning_scores,
                Task::Chat => &mut self.chat_scores,
            };
            scores.add_score(verdict.score.value());
        }
        self.saved_by_choice_usd += dollars(record.saved_by_choice());
        let Some(answer) = &record.answer else { return };
        if answer.is_refusal() {
            return;
        }
        self.total.add_time(answer.timing.total);
        if answer.streamed {
            self.first.add_time(answer.timing.first);
        }
        if let Some(would) = decided.and_then(|decided| decided.would)
            && let (Some(served), Some(would)) =
                (answer.instead.pay_as_you_go, answer.instead.task(would))
        {
            self.observed_usd += served.as_f64();
            self.would_usd += would.as_f64();
        }
        // A later response reports the usage of an answer made in the background.
        if !record.pending {
            self.used(answer);
        }
    }

    /// Adds the usage of an answer.
    pub(super) fn used(&mut self, answer: &Answer) {
        let usage = answer.usage.unwrap_or_default();
        self.prompt += usage.prompt.0;
        self.completion += usage.completion.0;
        match answer.usage.and(answer.cost) {
            Some(cost) => self.paid_usd += cost.as_f64(),
            None => self.unpriced += 1,
        }
        self.saved_by_ptu_usd += dollars(answer.saved_by_ptu());
    }

    fn held(&mut self, took: Duration, entered: bool) {
        let counts = if entered { &mut self.entered } else { &mut self.held_in_vain };
        counts.add_time(took);
    }

    /// Adds the sums of another cell.
    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.unpriced += other.unpriced;
        self.paid_usd += other.paid_usd;
        self.saved_by_choice_usd += other.saved_by_choice_usd;
        self.saved_by_ptu_usd += other.saved_by_ptu_usd;
        self.observed_usd += other.observed_usd;
        self.would_usd += other.would_usd;
        self.total.merge(&other.total);
        self.first.merge(&other.first);
        self.entered.merge(&other.entered);
        self.held_in_vain.merge(&other.held_in_vain);
        self.reasoning_scores.merge(&other.reasoning_scores);
        self.chat_scores.merge(&other.chat_scores);
    }
}

fn dollars(usd: Option<Usd>) -> f64 {
    usd.map_or(0.0, Usd::as_f64)
}
