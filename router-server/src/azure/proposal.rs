//! Proposes models for the roles, by their records.
//!
//! A proposal is a start: the written file states the rule, so that a reader can change it.

use std::sync::Arc;

use router_core::model::{Effort, ModelRecord};
use router_core::units::Day;

/// A model that has a deployment.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its record.
    pub(super) record: Arc<ModelRecord>,
    /// True if one of its deployments is provisioned.
    pub(super) provisioned: bool,
}

/// The roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// Models for reasoning, the first choice first.
    pub(super) reasoning: Vec<String>,
    /// Models for chat, the first choice first.
    pub(super) chat: Vec<String>,
    /// The effort of the chat role, if its models reason by themselves.
    pub(super) chat_effort: Option<Effort>,
    /// True if no model reasons, so that both roles have the same ones.
    pub(super) shared: bool,
}

/// Proposes the roles; `None` if no model answers chat completions.
pub(super) fn propose(candidates: &[Candidate], today: Day) -> Option<Proposal> {
    let retired = |one: &&Candidate| one.record.retires.is_some_and(|day| day < today);
    let answering: Vec<&Candidate> =
        candidates.iter().filter(|one| one.record.abilities.chat_completions).collect();
    let mut reasoning: Vec<&Candidate> =
        answering.iter().copied().filter(|one| one.record.reasons()).collect();
    // The dearest first: among models that reason, price follows ability.
    reasoning.sort_by(|one, other| {
        let key = |one: &Candidate| (retired(&one), price(one));
        key(one).0.cmp(&key(other).0).then(key(other).1.total_cmp(&key(one).1))
    });
    let best = reasoning.first().map(|one| one.record.name.clone());
    let mut chat: Vec<&Candidate> = answering
        .iter()
        .copied()
        .filter(|one| Some(&one.record.name) != best.as_ref() && quick(&one.record))
        .collect();
    // Paid capacity comes first, then the cheapest.
    chat.sort_by(|one, other| {
        let key = |one: &Candidate| (retired(&one), !one.provisioned);
        key(one).cmp(&key(other)).then(price(one).total_cmp(&price(other)))
    });
    let shared = reasoning.is_empty();
    if chat.is_empty() {
        chat.clone_from(if shared { &answering } else { &reasoning });
    }
    if shared {
        reasoning.clone_from(&chat);
    }
    let names = |all: &[&Candidate]| -> Vec<String> {
        all.iter().map(|one| one.record.name.to_string()).collect()
    };
    let chat_effort = chat.iter().find_map(|one| least(&one.record));
    let some = !chat.is_empty();
    some.then(|| Proposal { reasoning: names(&reasoning), chat: names(&chat), chat_effort, shared })
}

/// True if the model can answer without reasoning first.
fn quick(record: &ModelRecord) -> bool {
    let efforts = record.efforts.as_ref();
    efforts.is_none_or(|efforts| {
        efforts.accepted.iter().any(|effort| matches!(effort, Effort::None | Effort::Minimal))
    })
}

/// The least effort of a model that would think by itself.
fn least(record: &ModelRecord) -> Option<Effort> {
    let efforts = record.efforts.as_ref().filter(|efforts| efforts.default != Effort::None)?;
    efforts.accepted.iter().min().copied()
}

/// Price of an output token; a model without a known price counts as the most expensive.
fn price(one: &Candidate) -> f64 {
    one.record.prices.as_ref().map_or(f64::MAX, |prices| prices.standard.output.as_f64())
}

#[cfg(test)]
mod tests {
    use router_core::config::shipped_records;

    use super::*;

    fn proposed(models: &[(&str, bool)]) -> Proposal {
        let records = shipped_records();
        let candidates: Vec<Candidate> = models
            .iter()
            .map(|(name, provisioned)| {
                let record = records.values().find(|record| record.name.as_str() == *name);
                Candidate { record: Arc::clone(record.unwrap()), provisioned: *provisioned }
            })
            .collect();
        propose(&candidates, Day::try_from("2026-11-23").unwrap()).unwrap()
    }

    #[test]
    fn roles_follow_from_what_models_do_and_cost() {
        let pair = proposed(&[("gpt-4o", true), ("gpt-4o-mini", false), ("gpt-5.2", false)]);
        assert_eq!(pair.reasoning, ["gpt-5.2"]);
        assert_eq!(pair.chat, ["gpt-4o", "gpt-4o-mini"], "provisioned first");
        assert_eq!(pair.chat_effort, None);
        let fives = proposed(&[("gpt-5-mini", false), ("gpt-5", false)]);
        assert_eq!((&*fives.reasoning[0], &*fives.chat[0]), ("gpt-5", "gpt-5-mini"));
        assert_eq!(fives.chat_effort, Some(Effort::Minimal));
        let old = proposed(&[("o1", false), ("gpt-5.4", false), ("gpt-4o", false)]);
        assert_eq!(old.reasoning, ["gpt-5.4", "o1"], "o1 has retired");
        let one = proposed(&[("gpt-4o", false), ("text-embedding-3-small", false)]);
        assert_eq!((one.reasoning, one.shared), (vec!["gpt-4o".to_owned()], true));
    }
}
