//! Warns about unreachable rules, and about rules that compete for the same requests.
//!
//! A rule is unreachable if a single earlier rule matches every request that it matches; the union of several earlier rules is
//! not considered. Two rules compete if a request may match both and they set the same property differently.

use crate::policy::Conditions;
use crate::policy::Effects;
use crate::policy::HeaderCondition;
use crate::policy::HeaderMatch;
use crate::policy::Literal;
use crate::policy::PrefixHash;
use crate::policy::RoutingRule;
use crate::policy::Span;

use super::table::{Table, listed};

/// Warns about the rules, which are in their order.
pub(super) fn warn(rules: &[RoutingRule], table: &Table<'_>) {
    for (at, rule) in rules.iter().enumerate() {
        let earlier = rules.get(..at).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|first| covers(&first.when, &rule.when)) {
            let problem = format!(
                "is never used: rules.{} (order {}) matches all its requests",
                first.name, first.order
            );
            table.warn_strictly(&rule.name, problem);
            continue;
        }
        let competes = |first: &&RoutingRule| {
            differ(&first.set, &rule.set) && may_meet(&first.when, &rule.when)
        };
        let competing: Vec<String> =
            earlier.iter().filter(competes).map(|first| format!("rules.{}", first.name)).collect();
        if !competing.is_empty() {
            let take = if competing.len() == 1 { "takes" } else { "take" };
            let problem = format!("overlaps {}, which {take} precedence", listed(competing));
            table.warn(&rule.name, problem);
        }
    }
}

/// True if every request that fulfils `inner` fulfils `outer`.
fn covers(outer: &Conditions, inner: &Conditions) -> bool {
    contains(&outer.keys, &inner.keys)
        && contains(&outer.operations, &inner.operations)
        && contains(&outer.tools, &inner.tools)
        && contains(&outer.instructions_hash, &inner.instructions_hash)
        && finds(&outer.instructions_words, &inner.instructions_words)
        && finds(&outer.turn_words, &inner.turn_words)
        && finds(&outer.question_words, &inner.question_words)
        && is_within(inner.turn_chars, outer.turn_chars)
        && is_within(inner.prompt_tokens, outer.prompt_tokens)
        && match (&outer.header, &inner.header) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => outer.name == inner.name && accepts(outer, inner),
        }
}

/// True if `outer` contains every entry of `inner`; an empty list is not a condition.
fn contains<T: PartialEq>(outer: &[T], inner: &[T]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|entry| outer.contains(entry)))
}

/// True if a text with a word of `inner` always has one of `outer`.
fn finds(outer: &[Literal], inner: &[Literal]) -> bool {
    let found = |word: &Literal| outer.iter().any(|outer| outer.is_in(word));
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(found))
}

fn is_within(inner: Span, outer: Span) -> bool {
    outer.contains(inner.min) && outer.contains(inner.max)
}

fn accepts(outer: &HeaderCondition, inner: &HeaderCondition) -> bool {
    match (&outer.value, &inner.value) {
        (HeaderMatch::Present, _) => true,
        (HeaderMatch::Is(outer), HeaderMatch::Is(inner)) => outer == inner,
        (HeaderMatch::StartsWith(start), HeaderMatch::Is(text) | HeaderMatch::StartsWith(text)) => {
            text.starts_with(&**start)
        }
        (HeaderMatch::Is(_) | HeaderMatch::StartsWith(_), _) => false,
    }
}

/// True if a request may fulfil both. Texts and tools can have several words, and a header several values.
fn may_meet(one: &Conditions, other: &Conditions) -> bool {
    let lengths = |one: Span, other: Span| one.min <= other.max && other.min <= one.max;
    // Hashes of one length exclude each other.
    let agree = |one: &PrefixHash, other: &PrefixHash| {
        one == other || one.characters() != other.characters()
    };
    let mut pairs = one
        .instructions_hash
        .iter()
        .flat_map(|one| other.instructions_hash.iter().map(move |other| agree(one, other)));
    let hashes = one.instructions_hash.is_empty()
        || other.instructions_hash.is_empty()
        || pairs.any(|agree| agree);
    meet(&one.keys, &other.keys)
        && meet(&one.operations, &other.operations)
        && hashes
        && lengths(one.turn_chars, other.turn_chars)
        && lengths(one.prompt_tokens, other.prompt_tokens)
        && match (&one.header, &other.header) {
            (Some(one), Some(other)) if one.name == other.name => {
                accepts(one, other) || accepts(other, one)
            }
            _ => true,
        }
}

fn meet<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|entry| other.contains(entry))
}

/// True if both set one thing, to different values.
fn differ(one: &Effects, other: &Effects) -> bool {
    fn differs<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.zip(other).is_some_and(|(one, other)| one != other)
    }
    let task = |effects: &Effects| effects.role.or(effects.task).or(effects.role_of_model);
    differs(task(one).as_ref(), task(other).as_ref())
        || differs(one.model.as_ref(), other.model.as_ref())
        || differs(one.effort.as_ref(), other.effort.as_ref())
        || differs(one.prefer.as_ref(), other.prefer.as_ref())
}
