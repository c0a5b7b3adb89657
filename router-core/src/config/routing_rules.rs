//! Checks the tables `[rules.NAME]` and builds the operator's rules.
//!
//! Unreachable and competing rules are found in `rule_overlaps.rs`.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderName, HeaderValue};

use crate::chat::Operation;
use crate::model::Effort;
use crate::policy::Conditions;
use crate::policy::Effects;
use crate::policy::HeaderCondition;
use crate::policy::HeaderMatch;
use crate::policy::Literal;
use crate::policy::Policy;
use crate::policy::Preference;
use crate::policy::PrefixHash;
use crate::policy::RoutingRule;
use crate::policy::RuleTable;
use crate::policy::Span;
use crate::task::Task;
use crate::units::ModelName;

use super::nearest::nearest;
use super::raw::{self, Raw};
use super::records::EFFORTS;
use super::rule_overlaps;
use super::table::{Table, quoted};

/// The most rules.
const MOST_RULES: usize = 256;
/// The most entries of a list.
const MOST_ENTRIES: usize = 64;
/// The most words of all rules, because each may be searched in the texts of each request.
const MOST_WORDS: usize = 256;
/// The longest word, name or value, in bytes.
const LONGEST: usize = 256;
/// The largest bound of a length.
const MOST_LENGTH: i64 = 1_000_000_000;

/// Headers that carry credentials: a configuration holds none.
const CREDENTIALS: [HeaderName; 3] =
    [http::header::AUTHORIZATION, http::header::COOKIE, http::header::PROXY_AUTHORIZATION];
const KEYS: [&str; 3] = ["api-key", "x-api-key", "ocp-apim-subscription-key"];

/// The operations that a rule can name.
const OPERATIONS: [(&str, Operation); 4] = [
    ("chat", Operation::Chat),
    ("responses", Operation::Responses),
    ("input_tokens", Operation::InputTokens),
    ("compact", Operation::Compact),
];

/// Checks `[rules]`.
pub(super) fn check(raw: &Raw, policy: &Policy, table: &Table<'_>) -> RuleTable {
    if raw.rules.len() > MOST_RULES {
        table.fault_here(format!("must be at most {MOST_RULES} rules, found {}", raw.rules.len()));
    }
    let mut orders: BTreeMap<u64, &str> = BTreeMap::new();
    let mut rules = Vec::with_capacity(raw.rules.len());
    for (name, rule) in &raw.rules {
        let own = table.sub(name);
        if !is_name(name) {
            own.fault_here("a name is 1 to 64 of a-z, 0-9 and _");
        }
        let order = own.required("order", rule.order, "1 to 10000; lower ones are tried first");
        let order = own.whole("order", order, 1..=10_000);
        if let Some(other) = order.and_then(|order| orders.insert(order, name)) {
            own.fault(
                "order",
                format!("is also the order of rules.{other}: the first match counts"),
            );
        }
        rules.push(RoutingRule {
            name: name.as_str().into(),
            order: order.and_then(|order| u32::try_from(order).ok()).unwrap_or_default(),
            when: conditions(&rule.when, raw, &own.sub("when")),
            set: effects(&rule.set, raw, policy, &own.sub("set")),
        });
    }
    let words = rules.iter().map(|rule| &rule.when);
    let words: usize = words.map(|when| all_words(when).map(<[Literal]>::len).sum::<usize>()).sum();
    if words > MOST_WORDS {
        table.fault_here(format!("must have at most {MOST_WORDS} words together, found {words}"));
    }
    let rules = RuleTable::new(rules);
    rule_overlaps::warn(rules.all(), table);
    rules
}

/// The words of a rule, by place.
pub(super) fn all_words(when: &Conditions) -> impl Iterator<Item = &[Literal]> {
    [&when.instructions_words, &when.turn_words, &when.question_words]
        .into_iter()
        .map(Vec::as_slice)
}

fn is_name(name: &str) -> bool {
    let letter = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(letter)
}

fn conditions(raw: &raw::RuleConditions, all: &Raw, table: &Table<'_>) -> Conditions {
    if *raw == raw::RuleConditions::default() {
        table.fault_here(
            "missing; must have at least one of keys, operations, header, tools, instructions_hash, \
             instructions_words, turn_words, question_words, min_turn_chars, max_turn_chars, min_prompt_tokens and \
             max_prompt_tokens",
        );
    }
    let keys = list("keys", raw.keys.as_deref(), table);
    for key in keys.iter().filter(|key| !all.keys.contains_key(**key)) {
        let known = nearest(key, all.keys.keys().map(String::as_str));
        table.fault("keys", format!("no key {}; {known}", quoted(key)));
    }
    let operation = |word: &&str| {
        let known = |word: &str| OPERATIONS.iter().find(|(name, _)| *name == word);
        table.word("operations", Some(word), "chat, responses, input_tokens or compact", |word| {
            known(word).map(|(_, operation)| *operation)
        })
    };
    let hash = |text: &&str| table.rule::<PrefixHash>("instructions_hash", Some(text));
    let boxed = |names: Vec<&str>| names.into_iter().map(Box::from).collect();
    let words = |name: &str, written: Option<&[String]>| -> Vec<Literal> {
        list(name, written, table).into_iter().map(Literal::new).collect()
    };
    Conditions {
        keys: boxed(keys),
        operations: list("operations", raw.operations.as_deref(), table)
            .iter()
            .filter_map(operation)
            .collect(),
        header: raw.header.as_ref().and_then(|header| self::header(header, &table.sub("header"))),
        tools: boxed(list("tools", raw.tools.as_deref(), table)),
        instructions_hash: list("instructions_hash", raw.instructions_hash.as_deref(), table)
            .iter()
            .filter_map(hash)
            .collect(),
        instructions_words: words("instructions_words", raw.instructions_words.as_deref()),
        turn_words: words("turn_words", raw.turn_words.as_deref()),
        question_words: words("question_words", raw.question_words.as_deref()),
        turn_chars: span("turn_chars", [raw.min_turn_chars, raw.max_turn_chars], table),
        prompt_tokens: span("prompt_tokens", [raw.min_prompt_tokens, raw.max_prompt_tokens], table),
    }
}

/// The entries of a list, which must not be empty, blank or long.
fn list<'r>(name: &str, written: Option<&'r [String]>, table: &Table<'_>) -> Vec<&'r str> {
    let Some(written) = written else { return Vec::new() };
    if !(1..=MOST_ENTRIES).contains(&written.len()) {
        let found = written.len();
        table.fault(name, format!("must list 1 to {MOST_ENTRIES} entries, found {found}"));
    }
    let fits = |text: &str| !text.trim().is_empty() && text.len() <= LONGEST;
    for text in written.iter().filter(|text| !fits(text)) {
        let problem = format!("an entry is 1 to {LONGEST} bytes that are not all blank");
        table.fault(name, format!("{problem}; found {}", quoted(text)));
    }
    written.iter().map(String::as_str).collect()
}

fn header(raw: &raw::RuleHeader, table: &Table<'_>) -> Option<HeaderCondition> {
    let name = table.required("name", raw.name.as_deref(), "the name of a header");
    let parsed = name.and_then(|name| HeaderName::try_from(name).ok());
    match (&parsed, name) {
        (None, Some(name)) => {
            table.fault("name", format!("must be the name of a header, found {}", quoted(name)));
        }
        (Some(parsed), _) if CREDENTIALS.contains(parsed) || KEYS.contains(&parsed.as_str()) => {
            table.fault(
                "name",
                "carries credentials, which a configuration must not hold; use keys",
            );
        }
        _ => {}
    }
    let fits = |text: &&str| !text.is_empty() && HeaderValue::from_str(text).is_ok();
    for (key, text) in [("value", &raw.value), ("prefix", &raw.prefix)] {
        if text.as_deref().is_some_and(|text| !fits(&text) || text.len() > LONGEST) {
            table.fault(key, format!("must be 1 to {LONGEST} bytes that a header may have"));
        }
    }
    let value = match (&raw.value, &raw.prefix, raw.present) {
        (Some(value), None, None) => HeaderMatch::Is(value.as_str().into()),
        (None, Some(prefix), None) => HeaderMatch::StartsWith(prefix.as_str().into()),
        (None, None, Some(true)) => HeaderMatch::Present,
        _ => {
            table.fault_here("must have exactly one of value, prefix and present = true");
            return None;
        }
    };
    Some(HeaderCondition { name: parsed?, value })
}

/// The range of a pair of keys.
fn span(name: &str, [min, max]: [Option<i64>; 2], table: &Table<'_>) -> Span {
    let (least, most) = (format!("min_{name}"), format!("max_{name}"));
    let min = table.whole(&least, min, 0..=MOST_LENGTH);
    let max = table.whole(&most, max, 0..=MOST_LENGTH);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        table.fault(&least, format!("must be at most {most}, which is {max}; found {min}"));
    }
    let all = Span::default();
    Span { min: min.unwrap_or(all.min), max: max.unwrap_or(all.max) }
}

fn effects(raw: &raw::RuleEffects, all: &Raw, policy: &Policy, table: &Table<'_>) -> Effects {
    if *raw == raw::RuleEffects::default() {
        table.fault_here("missing; must set at least one of task, role, model, effort and prefer");
    }
    if raw.task.is_some() && raw.role.is_some() {
        table.fault("role", "must not be set together with task");
    }
    let served: BTreeSet<&str> =
        all.deployments.values().filter_map(|deployment| deployment.model.as_deref()).collect();
    let model = raw.model.as_deref();
    if let Some(name) = model.filter(|name| !served.contains(name)) {
        let known = nearest(name, served.iter().copied());
        table.fault("model", format!("no deployment serves {}; {known}", quoted(name)));
    }
    let model = model.and_then(|name| ModelName::try_from(name).ok());
    let tasks = "reasoning or chat";
    let task = table.word("task", raw.task.as_deref(), tasks, Task::from_word);
    let role = table.word("role", raw.role.as_deref(), tasks, Task::from_word);
    let is_free = task.is_none() && role.is_none();
    let role_of_model =
        model.as_ref().filter(|_| is_free).and_then(|model| only_role(model, policy));
    Effects {
        task,
        role,
        model,
        role_of_model,
        effort: table.word("effort", raw.effort.as_deref(), EFFORTS, Effort::from_word),
        prefer: table.word(
            "prefer",
            raw.prefer.as_deref(),
            "cost, fast or balanced",
            Preference::from_word,
        ),
    }
}

/// The role that has the model, if just one does.
fn only_role(model: &ModelName, policy: &Policy) -> Option<Task> {
    let mut roles = Task::ALL.into_iter().filter(|task| policy.role(*task).models.contains(model));
    let first = roles.next()?;
    roles.next().is_none().then_some(first)
}
