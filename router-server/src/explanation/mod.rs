//! A decision in words: as JSON for programs, as text for people. Both say the same.
//!
//! They explain what was decided and decide nothing: every figure comes from the [`Decision`]. The JSON's field names are
//! a public interface.

mod judged;

use std::time::Duration;

use router_core::decision::{Decision, MatchedRule, Plan, Refusal, SetBy, Tradeoff};
use router_core::model::{Effort, ModelRecord, ServiceTier};
use router_core::policy::{ReasoningValue, RequestedModel};
use router_core::selection::{Candidate, Exclusion, Place};
use router_core::task::{Reason, Task, Verdict};
use router_core::units::{ModelName, Usd};
use serde_json::{Value, json};

pub use judged::Judged;

/// Characters of the question shown in a terminal.
const MOST_SHOWN: usize = 200;

/// The decision as JSON.
///
/// `task` is `null` if the caller named a model and nothing was scored; `plan` is empty if nothing would be sent,
/// and `refusal` then says why. `would` is the task that the score would have chosen where scores are only observed.
pub fn to_json(decision: &Decision, judged: &Judged) -> Value {
    let candidates = decision.candidates.iter().map(|one| candidate(decision, one));
    let candidates: Vec<Value> = candidates.collect();
    let names = |plan: &Plan| plan.iter().map(|found| found.label().into_owned()).collect();
    let plan: Vec<String> = decision.plan.as_ref().map(names).unwrap_or_default();
    let refusal = decision.plan.as_ref().err().map(|refusal| {
        let wait = wait_of(refusal).map(milliseconds);
        json!({"message": refusal.to_string(), "wait_ms": wait})
    });
    let models: Vec<&str> = decision.choice.models.iter().map(ModelName::as_str).collect();
    let hashes: Vec<String> = judged.instructions_hashes.iter().map(ToString::to_string).collect();
    json!({
        "object": "route.decision",
        "asked": asked(&decision.asked),
        "task": decision.task().map(Task::as_str),
        "would": decision.would.map(Task::as_str),
        "rule": decision.rule.as_ref().map(|rule| json!({"name": &*rule.name, "unmet": rule.unmet})),
        "scored": decision.verdict.map(|verdict| scored(decision, verdict, judged)),
        "tradeoff": decision.tradeoff.as_ref().map(|found| tradeoff(found, judged)),
        "models": models,
        "effort": decision.effort.map(Effort::as_str),
        "instructions_hashes": hashes,
        "forced": decision.forced,
        "downgraded": decision.downgraded,
        "residency": decision.residency.to_string(),
        "prefer": decision.prefer.as_str(),
        "priority": decision.priority.as_str(),
        "needs": {
            "prompt_tokens": decision.needs.prompt.0,
            "output_tokens": decision.needs.output.0,
            "streamed": decision.needs.streamed,
        },
        "candidates": candidates,
        "plan": plan,
        "refusal": refusal,
    })
}

fn scored(decision: &Decision, verdict: Verdict, judged: &Judged) -> Value {
    json!({
        "score": rounded(verdict.score.value()),
        "decided_by": decision.decided_by(),
        "question": judged.question,
        "reasons": reasons(&judged.reasons),
    })
}

fn reasons(reasons: &[Reason]) -> Vec<Value> {
    let shown = |reason: &Reason| json!({"feature": reason.name, "weight": rounded(reason.weight)});
    reasons.iter().map(shown).collect()
}

/// Both numbers, the choice that follows from them, and the terms of the value if it was weighed.
fn tradeoff(tradeoff: &Tradeoff, judged: &Judged) -> Value {
    let value = |value: &ReasoningValue| {
        json!({
            "worth_usd": micros(value.worth_usd),
            "added_cost_usd": micros(value.added.cost_usd),
            "lost_cache_usd": micros(value.added.lost_cache_usd),
            "added_seconds": (value.added.seconds * 1e3).round() / 1e3,
            "seconds_usd": micros(value.seconds_usd),
            "net_usd": micros(value.net_usd),
        })
    };
    json!({
        "choose": tradeoff.choose.as_str(),
        "chosen_by": tradeoff.chosen_by.as_str(),
        "score": rounded(tradeoff.score.value()),
        "benefit": rounded(tradeoff.benefit),
        "reasons": reasons(&judged.benefit_reasons),
        "by_type": tradeoff.by_type.as_str(),
        "task": tradeoff.task.as_str(),
        "value": tradeoff.value.as_ref().map(value),
    })
}

fn candidate(decision: &Decision, candidate: &Candidate) -> Value {
    let deployment = &candidate.deployment;
    let mut shown = json!({
        "deployment": deployment.name.as_str(),
        "model": deployment.model.name.as_str(),
        "effort": decision.effort_at(&deployment.model).map(Effort::as_str),
        "billing": deployment.billing.as_str(),
        "service_tier": deployment.service_tier.map(ServiceTier::as_str),
        "area": deployment.area.to_string(),
    });
    let place = match candidate.place {
        Place::In(rank) => json!({
            "in_plan": true,
            "cost_usd": rank.cost.map(Usd::as_f64),
            "time_ms": rank.time.map(milliseconds),
            "failing": rank.failing,
        }),
        Place::Out(why) => json!({
            "in_plan": false,
            "excluded": why.as_str(),
            "why": because(why),
            "wait_ms": why.wait().map(milliseconds),
        }),
    };
    if let (Some(shown), Value::Object(place)) = (shown.as_object_mut(), place) {
        shown.extend(place);
    }
    shown
}

/// The decision as text for a terminal, without a line end at the end.
pub fn to_text(decision: &Decision, judged: &Judged) -> String {
    let mut lines = Vec::new();
    let mut line = |label: &str, said: String| lines.push(format!("{label:<12}{said}"));
    line("asked", asked(&decision.asked));
    match &decision.verdict {
        Some(verdict) => {
            line("task", scored_task(decision, *verdict));
            // If the whole turn is the question, there is nothing to show.
            if let Some(question) = judged.question.as_ref().filter(|text| text.contains("[..]")) {
                line("question", shortened(question));
            }
            for (label, said) in reason_lines(&judged.reasons) {
                line(label, said);
            }
        }
        None => line("task", "not scored: the request names what shall serve it".to_owned()),
    }
    if let Some(tradeoff) = &decision.tradeoff {
        line("benefit", benefit_line(tradeoff));
        for (label, said) in reason_lines(&judged.benefit_reasons) {
            line(label, said);
        }
    }
    if let Some(rule) = &decision.rule {
        line("rule", rule_line(rule));
    }
    let hashes: Vec<String> = judged.instructions_hashes.iter().map(ToString::to_string).collect();
    if !hashes.is_empty() {
        line("prompt hash", hashes.join(", "));
    }
    let models: Vec<String> =
        decision.choice.models.iter().map(|name| model_at_effort(decision, name)).collect();
    let downgraded = if decision.downgraded { " (the chat role serves: downgraded)" } else { "" };
    line("models", format!("{}{downgraded}", models.join(", then ")));
    line("residency", decision.residency.to_string());
    line(
        "prefer",
        format!("{}, priority {}", decision.prefer.as_str(), decision.priority.as_str()),
    );
    line(
        "needs",
        format!(
            "about {} prompt tokens, {} of answer{}",
            decision.needs.prompt,
            decision.needs.output,
            if decision.needs.streamed { ", streamed" } else { "" }
        ),
    );
    for (place, candidate) in decision.candidates.iter().enumerate() {
        let shown = candidate_line(decision, place + 1, candidate);
        line(if place == 0 { "candidates" } else { "" }, shown);
    }
    match &decision.plan {
        Ok(plan) => {
            let names: Vec<_> = plan.iter().map(|found| found.label()).collect();
            line("plan", names.join(" -> "));
        }
        Err(refusal) => line("plan", format!("none: {refusal}")),
    }
    lines.join("\n")
}

fn reason_lines(reasons: &[Reason]) -> impl Iterator<Item = (&'static str, String)> {
    reasons.iter().enumerate().map(|(place, reason)| {
        let label = if place == 0 { "  because" } else { "" };
        (label, format!("{:+.2}  {}", reason.weight, reason.name))
    })
}

/// The question on one line, at most [`MOST_SHOWN`] characters.
fn shortened(question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{} [..]", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The rule that matched, and what it could not set.
fn rule_line(rule: &MatchedRule) -> String {
    match rule.unmet.as_slice() {
        [] => rule.name.to_string(),
        unmet => format!("{}, which could not set {}", rule.name, unmet.join(" and ")),
    }
}

/// The task and what decided it; where the score did not, what it would have decided as well.
fn scored_task(decision: &Decision, verdict: Verdict) -> String {
    let because = match decision.decided_by() {
        // The line itself says so.
        Some("key") | None => verdict.because.as_str(),
        Some(because) => because,
    };
    let ruled = decision.set_by == Some(SetBy::Rule);
    let task = decision.task().filter(|_| ruled).unwrap_or(verdict.task);
    let judged = format!("{task}, by {because} (score {:.3})", verdict.score.value());
    match (decision.would, decision.task()) {
        (Some(_), Some(served)) => {
            format!("{served}, as scores are only observed; would be {judged}")
        }
        (None, Some(served)) if decision.forced => {
            format!("{served}, as routing.force_role says; would be {judged}")
        }
        (None, Some(served)) if decision.set_by == Some(SetBy::Key) => {
            format!("{served}, the one role that this key may use; would be {judged}")
        }
        (Some(_) | None, _) => judged,
    }
}

/// The benefit, and the terms of the value if it was weighed.
fn benefit_line(tradeoff: &Tradeoff) -> String {
    let benefit = format!("{:.3}", tradeoff.benefit);
    let by_type = if tradeoff.task == tradeoff.by_type {
        String::new()
    } else {
        format!("; by type it would be {}", tradeoff.by_type)
    };
    let Some(value) = tradeoff.value else { return benefit + &by_type };
    let lost = value.added.lost_cache_usd;
    let lost = if lost == 0.0 {
        String::new()
    } else {
        format!(", of which ${lost:.6} for the lost cache")
    };
    format!(
        "{benefit}: worth ${:.6}, less ${:.6} of added cost{lost}, less ${:.6} for {:.1} s: ${:.6}{by_type}",
        value.worth_usd,
        value.added.cost_usd,
        value.seconds_usd,
        value.added.seconds,
        value.net_usd,
    )
}

/// A model of the choice as `gpt-5.4@low`; a model without efforts by its name alone.
fn model_at_effort(decision: &Decision, name: &ModelName) -> String {
    let mut deployments = decision.candidates.iter().map(|candidate| &candidate.deployment);
    let found = deployments.find(|deployment| deployment.model.name == *name);
    found.map_or_else(|| name.to_string(), |found| at_effort(decision, &found.model))
}

fn at_effort(decision: &Decision, model: &ModelRecord) -> String {
    match decision.effort_at(model) {
        Some(effort) => format!("{}@{effort}", model.name),
        None => model.name.to_string(),
    }
}

fn candidate_line(decision: &Decision, place: usize, candidate: &Candidate) -> String {
    let deployment = &candidate.deployment;
    let what = format!(
        "{} ({}, {}, {})",
        deployment.label(),
        at_effort(decision, &deployment.model),
        deployment.billing,
        deployment.area
    );
    match candidate.place {
        Place::In(rank) => {
            let cost = rank.cost.map_or("cost unknown".to_owned(), |cost| format!("${cost}"));
            let time = rank.time.map_or("time unknown".to_owned(), |time| {
                format!("about {} ms", milliseconds(time))
            });
            let failing = if rank.failing { ", failed a short while ago" } else { "" };
            format!("{place}. {what}: {cost}, {time}{failing}")
        }
        Place::Out(why) => format!(" - {what}: {}", because(why)),
    }
}

/// Meaning of the name in the request.
fn asked(asked: &RequestedModel) -> String {
    match asked {
        RequestedModel::Auto(None) => "auto".to_owned(),
        RequestedModel::Auto(Some(prefer)) => format!("auto:{}", prefer.as_str()),
        RequestedModel::Role(task) => format!("role {task}"),
        RequestedModel::Model(model) => format!("model {model}"),
        RequestedModel::Deployment(name) => format!("deployment {name}"),
        RequestedModel::Pinned(name) => format!("deployment {name} alone"),
    }
}

/// The reason why a deployment is out, in words.
fn because(why: Exclusion) -> String {
    match why {
        Exclusion::Model => "serves another model".to_owned(),
        Exclusion::NotAsked => "another deployment was asked for".to_owned(),
        Exclusion::NotAllowed => "the key does not allow it".to_owned(),
        Exclusion::Disabled => "is disabled".to_owned(),
        Exclusion::Endpoint => "lies elsewhere than what the request refers to".to_owned(),
        Exclusion::Residency => "processes outside the residency".to_owned(),
        Exclusion::Ability(ability) => format!("its model has no {ability}"),
        Exclusion::ContextWindow => {
            "the prompt is longer than its model's context window".to_owned()
        }
        Exclusion::Retired(day) => format!("its model retired on {day}"),
        Exclusion::ServiceTier(why) => format!("its service tier {why}"),
        Exclusion::Cooling { cause, wait } => {
            format!("left alone for {} ms more ({})", milliseconds(wait), cause.as_str())
        }
        Exclusion::InFlight => "serves as many requests as it may".to_owned(),
        Exclusion::Full { wait } => {
            format!("full for about {} ms, longer than the request waits", milliseconds(wait))
        }
        Exclusion::ExceedsQuota => "its quota is smaller than the request".to_owned(),
        Exclusion::TooLarge { wait } => {
            format!("refuses requests of this size for {} ms more", milliseconds(wait))
        }
    }
}

fn wait_of(refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Full { wait, .. } | Refusal::Unavailable { wait } => Some(*wait),
        Refusal::Residency { .. }
        | Refusal::Ability { .. }
        | Refusal::ContextWindow { .. }
        | Refusal::HostedTool { .. }
        | Refusal::Retired { .. }
        | Refusal::NotAllowed { .. }
        | Refusal::Elsewhere { .. }
        | Refusal::ExceedsQuota
        | Refusal::Disabled
        | Refusal::Misconfigured => None,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Six decimals, of dollars.
fn micros(dollars: f64) -> f64 {
    (dollars * 1e6).round() / 1e6
}

/// Three decimals: more would only be noise of floats.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests;
