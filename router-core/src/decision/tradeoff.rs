//! Weighs chat against reasoning for a scored request, by the number that `routing.choose` names.
//!
//! The value compares the first deployment of each role: the price of the tokens that it is expected to use, what the prompt
//! cache saves there, and its time. A full provisioned deployment adds its wait. If a role has no usable deployment, or a
//! price is unknown, there is no value, and the type of the task decides.

use std::sync::Arc;
use std::time::Duration;

use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::model::Effort;
use crate::policy::Added;
use crate::policy::Choose;
use crate::policy::ReasoningValue;
use crate::policy::RequestedModel;
use crate::selection::Needs;
use crate::selection::Place;
use crate::selection::Rank;
use crate::selection::eligible;
use crate::task::Because;
use crate::task::Score;
use crate::task::Task;
use crate::task::Verdict;
use crate::units::Tokens;
use crate::units::Usd;

use super::ordered::{Inputs, Ordered};

/// The two numbers of a scored request, and the choice between chat and reasoning that follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Tradeoff {
    /// The number that chooses, by `routing.choose`.
    pub choose: Choose,
    /// The number that decided: that of `choose`, but the type if no value can be calculated.
    pub chosen_by: Choose,
    /// The probability that this kind of task needs reasoning.
    pub score: Score,
    /// The probability that a reasoning model is right where a chat model is wrong, 0 to 1.
    pub benefit: f32,
    /// The task by its type alone.
    pub by_type: Task,
    /// The task that was chosen; a caller's hint, a rule or a switch may still override it.
    pub task: Task,
    /// The terms of the value; `None` unless `choose` is the value, both roles have a usable deployment and prices are known.
    pub value: Option<ReasoningValue>,
}

/// Tokens per second of an answer, if nothing better is known.
const TOKENS_PER_SECOND: f64 = 60.0;

/// The inputs of a trade-off.
#[derive(Clone, Copy)]
pub(super) struct Scales<'d, 'r, 'a> {
    pub(super) inputs: Inputs<'d, 'r, 'a>,
    /// The meaning of the model name in the request.
    pub(super) asked: &'d RequestedModel,
}

/// The first deployment of a role, and what an answer from it takes.
struct Offer {
    deployment: Arc<Deployment>,
    rank: Rank,
    /// The part of the prompt that is in its cache.
    cached: Tokens,
    /// Tokens of the answer, hidden reasoning included.
    tokens: f64,
}

impl Scales<'_, '_, '_> {
    /// The trade-off of a verdict. The value is computed only if the choice is open: if no hint, rule or switch made it.
    pub(super) fn weigh(&self, verdict: Verdict, is_open: bool) -> Tradeoff {
        let settings = &self.inputs.rules.policy.choice;
        let benefit = verdict.benefit.probability;
        let value = match settings.choose {
            Choose::Value if is_open => self.added(benefit).map(|added| settings.value(added)),
            Choose::Type | Choose::Benefit | Choose::Value => None,
        };
        let reasons = |yes: bool| if yes { Task::Reasoning } else { Task::Chat };
        // A hint's task says nothing about the type.
        let by_type = if verdict.because == Because::Hint {
            reasons(verdict.score >= self.inputs.rules.classifier.threshold())
        } else {
            verdict.task
        };
        let (chosen_by, task) = match (settings.choose, value) {
            (Choose::Value, Some(value)) => (Choose::Value, reasons(value.net_usd > 0.0)),
            (Choose::Benefit, _) => {
                (Choose::Benefit, reasons(benefit >= settings.benefit_threshold))
            }
            (Choose::Type | Choose::Value, _) => (Choose::Type, by_type),
        };
        let score = verdict.score;
        Tradeoff { choose: settings.choose, chosen_by, score, benefit, by_type, task, value }
    }

    /// The probability, money and time that reasoning adds to chat.
    fn added(&self, benefit: f32) -> Option<Added> {
        let chat = self.offer(Task::Chat, benefit)?;
        let reasoning = self.offer(Task::Reasoning, benefit)?;
        let needs = self.inputs.constraints.needs;
        let (of_chat, of_reasoning) = (cost(&chat, needs)?, cost(&reasoning, needs)?);
        Some(Added {
            benefit,
            cost_usd: of_reasoning.cached - of_chat.cached,
            lost_cache_usd: of_chat.saved() - of_reasoning.saved(),
            seconds: added_seconds(&chat, &reasoning, needs),
        })
    }

    /// The first deployment that would serve the task; `None` if none can.
    fn offer(&self, task: Task, benefit: f32) -> Option<Offer> {
        let Inputs { rules, constraints, .. } = self.inputs;
        let choice = rules.policy.choose(self.asked, task, &rules.catalog);
        let (kept, _) = eligible(&rules.catalog, &choice, constraints);
        let Ordered { candidates, admission } = self.inputs.order(kept, &choice);
        let first = candidates.into_iter().next()?;
        let Place::In(rank) = first.place else { return None };
        let cached = admission.entry(&first.deployment).load.cached;
        let tokens = self.answer_tokens(task, benefit, &first.deployment);
        Some(Offer { deployment: first.deployment, rank, cached, tokens })
    }

    /// The expected length of an answer: as learned, else the usual text and the usual hidden reasoning of the effort.
    fn answer_tokens(&self, task: Task, benefit: f32, deployment: &Deployment) -> f64 {
        let needs = self.inputs.constraints.needs;
        let learned = |task: Task| {
            self.inputs.snapshot.expected(task).filter(|one| one.sure).map(|one| one.mean)
        };
        let text = learned(Task::Chat).unwrap_or(needs.output.as_f64());
        let hidden = || {
            let of_role = self.inputs.rules.policy.role(task).effort.at(Some(benefit));
            let asked = self.inputs.ask.request.reasoning_effort().and_then(Effort::from_word);
            let efforts = deployment.model.efforts.as_ref();
            efforts.map_or(0.0, |efforts| hidden_tokens(efforts.used(asked, of_role)))
        };
        let tokens = learned(task).unwrap_or_else(|| text + hidden());
        needs.cap.map_or(tokens, |cap| tokens.min(cap.as_f64()))
    }
}

/// Hidden tokens of an answer at an effort, until answers have been seen: an assumption, in the order of magnitude of public
/// reports.
fn hidden_tokens(effort: Effort) -> f64 {
    match effort {
        Effort::None => 0.0,
        Effort::Minimal => 50.0,
        Effort::Low => 250.0,
        Effort::Medium => 900.0,
        Effort::High => 2_500.0,
        Effort::ExtraHigh => 5_000.0,
        Effort::Max => 8_000.0,
    }
}

/// The cost of an answer in dollars.
struct Cost {
    cached: f64,
    uncached: f64,
}

impl Cost {
    /// The saving by the prompt cache.
    fn saved(&self) -> f64 {
        self.uncached - self.cached
    }
}

/// The marginal cost of an offer; `None` if a price is unknown.
fn cost(offer: &Offer, needs: &Needs) -> Option<Cost> {
    let tier = offer.deployment.tier();
    let completion = Tokens(whole(offer.tokens));
    let of = |cached: Tokens| {
        let usage = Usage { prompt: needs.prompt, cached, completion, tier, ..Usage::default() };
        pricing::marginal_cost(&offer.deployment, &usage).map(Usd::as_f64)
    };
    Some(Cost { cached: of(offer.cached)?, uncached: of(Tokens::ZERO)? })
}

/// The time that reasoning adds until the first token of a stream, or until a complete answer.
fn added_seconds(chat: &Offer, reasoning: &Offer, needs: &Needs) -> f64 {
    let seconds = |time: Duration| time.as_secs_f64();
    let waits = seconds(reasoning.rank.wait) - seconds(chat.rank.wait);
    let learned = chat.rank.time.zip(reasoning.rank.time);
    // A deployment that serves both roles has learned the mean of both.
    let learned = learned.filter(|_| chat.deployment.name != reasoning.deployment.name);
    let more_tokens = reasoning.tokens - chat.tokens;
    let estimated = if needs.streamed { more_tokens.max(0.0) } else { more_tokens };
    let answer = learned.map(|(chat, reasoning)| seconds(reasoning) - seconds(chat));
    waits + answer.unwrap_or(estimated / TOKENS_PER_SECOND)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of tokens is small and not negative"
)]
fn whole(tokens: f64) -> u64 {
    tokens.round() as u64
}
