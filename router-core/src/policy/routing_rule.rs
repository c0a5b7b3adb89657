//! The operator's rules: conditions on a request, and the settings for requests that match.
//!
//! A rule corrects a misroute without retraining. The first matching rule, by order, takes precedence over the score. A rule is a
//! preference: it cannot select what the key may not use or what lies outside the residency (`decision`).
//!
//! `rule_match.rs` compares a request with conditions, `config/routing_rules.rs` checks the configuration.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;

use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::model::Effort;
use crate::task::Classifier;
use crate::task::Task;
use crate::units::ModelName;
use crate::units::Tokens;

use super::hints::Preference;
use super::literal::Literal;
use super::prefix_hash::PrefixHash;
use super::rule_match::Seen;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingRule {
    /// Its name, of `a-z`, `0-9` and `_`.
    pub name: Arc<str>,
    /// Position: lower ones are tried first.
    pub order: u32,
    /// The requests that it matches.
    pub when: Conditions,
    /// Settings for these requests.
    pub set: Effects,
}

/// The requests that a rule matches: those that fulfil every condition that is there. A list is fulfilled by one of its
/// entries; an empty list is not a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The names of callers' keys.
    pub keys: Vec<Box<str>>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// A header of the caller.
    pub header: Option<HeaderCondition>,
    /// Names of offered tools.
    pub tools: Vec<Box<str>>,
    /// Hashes of the start of the system prompt.
    pub instructions_hash: Vec<PrefixHash>,
    /// Words in the system prompt.
    pub instructions_words: Vec<Literal>,
    /// Words anywhere in the user's last turn.
    pub turn_words: Vec<Literal>,
    /// Words in the question that the scorer locates in the user's last turn.
    pub question_words: Vec<Literal>,
    /// The characters of the user's last turn.
    pub(crate) turn_chars: Span,
    /// The estimated tokens of the whole prompt.
    pub prompt_tokens: Span,
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderCondition {
    /// The header's name.
    pub name: HeaderName,
    /// The test of its value.
    pub value: HeaderMatch,
}

/// A test of a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderMatch {
    /// Any value.
    Present,
    /// Exactly this value.
    Is(Box<str>),
    /// A value with this prefix.
    StartsWith(Box<str>),
}

/// A range of whole numbers, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Default for Span {
    fn default() -> Self {
        Self { min: 0, max: u64::MAX }
    }
}

impl Span {
    /// True if a number lies inside.
    pub fn contains(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }

    /// True if it is empty, which is not a condition.
    pub(crate) fn is_all(self) -> bool {
        self == Self::default()
    }
}

/// The settings of a rule; `None` leaves a property unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The task, in place of the score. The caller's `x-router-task` wins.
    pub task: Option<Task>,
    /// The role that serves, even if the caller asks for the other one.
    pub role: Option<Task>,
    /// The model that serves in place of the role's.
    pub model: Option<ModelName>,
    /// The only role that lists the model. It comes with the model: its limits and the lengths of its answers.
    pub(crate) role_of_model: Option<Task>,
    /// The effort of requests that set none, in place of the role's.
    pub effort: Option<Effort>,
    /// The preference of requests that state none.
    pub prefer: Option<Preference>,
}

/// The sender of a request: the properties outside its body that rules test.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender<'r> {
    /// The name of the caller's key.
    pub key: Option<&'r str>,
    /// The caller's headers.
    pub headers: Option<&'r HeaderMap>,
}

/// All rules, in their order. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct RuleTable(Arc<[RoutingRule]>);

impl RuleTable {
    /// A table of these rules, which may come in any order.
    pub fn new(mut rules: Vec<RoutingRule>) -> Self {
        rules.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        Self(rules.into())
    }

    /// The rules, in their order.
    pub fn all(&self) -> &[RoutingRule] {
        &self.0
    }

    /// The first rule that matches. `prompt` is the estimated size of the prompt.
    pub(crate) fn matching(
        &self,
        request: &ChatRequest<'_>,
        sender: Sender<'_>,
        prompt: Tokens,
        classifier: &Classifier,
    ) -> Option<&RoutingRule> {
        // Most configurations have no rules.
        if self.0.is_empty() {
            return None;
        }
        let seen = Seen::of(request, sender, prompt, classifier);
        self.0.iter().find(|rule| seen.fulfils(&rule.when))
    }
}
