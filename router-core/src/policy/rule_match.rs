//! Compares a request with the conditions of rules.
//!
//! Each property of a request is computed at most once, and only if a rule that may still match tests it. The cost is bounded:
//! texts are searched at both ends (`literal.rs`), prompts are hashed at their start (`prefix_hash.rs`).

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::Role;
use crate::task::Classifier;
use crate::units::Tokens;

use super::literal::{Literal, Searched};
use super::prefix_hash::{PrefixHash, instructions};
use super::routing_rule::{Conditions, HeaderCondition, HeaderMatch, Sender, Span};

/// The properties of a request that conditions test, computed on demand.
pub(super) struct Seen<'r, 'a> {
    request: &'r ChatRequest<'a>,
    sender: Sender<'r>,
    prompt: Tokens,
    classifier: &'r Classifier,
    tools: OnceCell<Vec<Cow<'r, str>>>,
    instructions: OnceCell<Searched>,
    turn: OnceCell<Searched>,
    question: OnceCell<Searched>,
    turn_chars: OnceCell<u64>,
}

impl<'r, 'a> Seen<'r, 'a> {
    /// Starts with no property computed.
    pub(super) fn of(
        request: &'r ChatRequest<'a>,
        sender: Sender<'r>,
        prompt: Tokens,
        classifier: &'r Classifier,
    ) -> Self {
        Self {
            request,
            sender,
            prompt,
            classifier,
            tools: OnceCell::new(),
            instructions: OnceCell::new(),
            turn: OnceCell::new(),
            question: OnceCell::new(),
            turn_chars: OnceCell::new(),
        }
    }

    /// True if every condition holds; cheap ones are tested first.
    pub(super) fn fulfils(&self, when: &Conditions) -> bool {
        let operation = self.request.operation();
        (when.operations.is_empty() || when.operations.contains(&operation))
            && self.has_key(&when.keys)
            && when.header.as_ref().is_none_or(|header| self.has_header(header))
            && when.prompt_tokens.contains(self.prompt.0)
            && self.is_long(when.turn_chars)
            && self.has_hash(&when.instructions_hash)
            && self.offers(&when.tools)
            && (when.instructions_words.is_empty()
                || self.instructions().has_any(&when.instructions_words))
            && (when.turn_words.is_empty() || self.turn().has_any(&when.turn_words))
            && self.asks(&when.question_words)
    }

    fn has_key(&self, keys: &[Box<str>]) -> bool {
        let own = |key: &str| keys.iter().any(|name| &**name == key);
        keys.is_empty() || self.sender.key.is_some_and(own)
    }

    /// If a header is repeated, one matching value suffices.
    fn has_header(&self, wanted: &HeaderCondition) -> bool {
        let Some(headers) = self.sender.headers else { return false };
        headers.get_all(&wanted.name).iter().any(|value| match &wanted.value {
            HeaderMatch::Present => true,
            HeaderMatch::Is(text) => value.as_bytes() == text.as_bytes(),
            HeaderMatch::StartsWith(text) => value.as_bytes().starts_with(text.as_bytes()),
        })
    }

    fn has_hash(&self, wanted: &[PrefixHash]) -> bool {
        if wanted.is_empty() {
            return true;
        }
        let Some(message) = instructions(self.request) else { return false };
        wanted.iter().any(|hash| PrefixHash::of(message.texts(), hash.characters()) == Some(*hash))
    }

    fn offers(&self, wanted: &[Box<str>]) -> bool {
        let offered = || self.tools.get_or_init(|| self.request.tool_names());
        wanted.is_empty()
            || (self.request.offers_tools()
                && offered().iter().any(|name| wanted.iter().any(|tool| **tool == **name)))
    }

    fn is_long(&self, wanted: Span) -> bool {
        if wanted.is_all() {
            return true;
        }
        let count = || {
            let turn = self.last_turn().into_iter();
            let count: usize = turn.flat_map(Message::texts).map(|text| text.chars().count()).sum();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        wanted.contains(*self.turn_chars.get_or_init(count))
    }

    fn asks(&self, words: &[Literal]) -> bool {
        let located = || match self.classifier.question(self.request) {
            Some(question) => Searched::text(&question),
            // A scorer that locates no question: the turn is all there is.
            None => self.last_turn().map(Searched::message).unwrap_or_default(),
        };
        words.is_empty() || self.question.get_or_init(located).has_any(words)
    }

    fn instructions(&self) -> &Searched {
        let found = || instructions(self.request).map(Searched::message).unwrap_or_default();
        self.instructions.get_or_init(found)
    }

    fn turn(&self) -> &Searched {
        self.turn.get_or_init(|| self.last_turn().map(Searched::message).unwrap_or_default())
    }

    fn last_turn(&self) -> Option<&'r Message<'a>> {
        self.request.messages().iter().rev().find(|message| message.role == Role::User)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::chat::Operation;
    use crate::policy::routing_rule::{Effects, RoutingRule, RuleTable};
    use crate::task::{LinearScorer, Signals};

    const BODY: &str = r#"{"messages":[
        {"role":"system","content":"You are a translator for Contoso."},
        {"role":"user","content":"earlier words"},
        {"role":"assistant","content":"fine"},
        {"role":"user","content":"Please translate this sentence."}],
        "tools":[{"type":"function","function":{"name":"run_sql"}}]}"#;

    fn rule(name: &str, order: u32, when: Conditions) -> RoutingRule {
        RoutingRule { name: name.into(), order, when, set: Effects::default() }
    }

    fn first(body: &str, sender: Sender<'_>, rules: &[RoutingRule]) -> Option<String> {
        let scorer = Arc::new(LinearScorer::shipped().unwrap());
        let classifier = Classifier::new(scorer, Signals::default());
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let table = RuleTable::new(rules.to_vec());
        let found = table.matching(&request, sender, Tokens(40), &classifier);
        found.map(|rule| rule.name.to_string())
    }

    fn words(words: &[&str]) -> Vec<Literal> {
        words.iter().map(|word| Literal::new(word)).collect()
    }

    /// Checks whether a rule with this condition matches the request.
    #[track_caller]
    fn check(when: Conditions, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.append("x-app", HeaderValue::from_static("other"));
        headers.append("x-app", HeaderValue::from_static("shop-web/1.2"));
        let sender = Sender { key: Some("web"), headers: Some(&headers) };
        let shown = format!("{when:?}");
        assert_eq!(first(BODY, sender, &[rule("one", 1, when)]).is_some(), expected, "{shown}");
    }

    #[test]
    fn each_condition_matches_what_it_says_and_nothing_else() {
        let none = Conditions::default;
        let hash = |text: &str| PrefixHash::of([text].into_iter(), 20).unwrap();
        let header = |name: &'static str, value| Conditions {
            header: Some(HeaderCondition { name: HeaderName::from_static(name), value }),
            ..none()
        };
        let span = |min, max| Span { min, max };
        for (when, expected) in [
            (none(), true),
            (Conditions { keys: vec!["batch".into(), "web".into()], ..none() }, true),
            (Conditions { keys: vec!["batch".into()], ..none() }, false),
            (Conditions { operations: vec![Operation::Chat], ..none() }, true),
            (Conditions { operations: vec![Operation::Responses], ..none() }, false),
            (header("x-app", HeaderMatch::Present), true),
            (header("x-none", HeaderMatch::Present), false),
            (header("x-app", HeaderMatch::Is("other".into())), true),
            (header("x-app", HeaderMatch::Is("shop-web".into())), false),
            (header("x-app", HeaderMatch::StartsWith("shop-web/".into())), true),
            (header("x-app", HeaderMatch::StartsWith("hop".into())), false),
            (Conditions { tools: vec!["run_sql".into()], ..none() }, true),
            (Conditions { tools: vec!["run".into()], ..none() }, false),
            (
                Conditions {
                    instructions_hash: vec![hash("You are a translator for somebody")],
                    ..none()
                },
                true,
            ),
            (
                Conditions {
                    instructions_hash: vec![hash("You are a tutor of mathematics")],
                    ..none()
                },
                false,
            ),
            (Conditions { instructions_words: words(&["poet", "contoso"]), ..none() }, true),
            (Conditions { instructions_words: words(&["sentence"]), ..none() }, false),
            (Conditions { turn_words: words(&["sentence"]), ..none() }, true),
            (Conditions { turn_words: words(&["earlier"]), ..none() }, false),
            (Conditions { question_words: words(&["translate"]), ..none() }, true),
            (Conditions { question_words: words(&["contoso"]), ..none() }, false),
            (Conditions { turn_chars: span(31, 31), ..none() }, true),
            (Conditions { turn_chars: span(32, 100), ..none() }, false),
            (Conditions { prompt_tokens: span(0, 40), ..none() }, true),
            (Conditions { prompt_tokens: span(41, 100), ..none() }, false),
            (
                Conditions { keys: vec!["web".into()], turn_words: words(&["poem"]), ..none() },
                false,
            ),
        ] {
            check(when, expected);
        }
    }

    #[test]
    fn the_first_in_order_counts_and_nothing_matches_what_is_not_there() {
        let all = Conditions::default;
        let rules = [rule("late", 9, all()), rule("early", 2, all())];
        assert_eq!(first(BODY, Sender::default(), &rules).as_deref(), Some("early"));
        let keyed = Conditions { keys: vec!["web".into()], ..all() };
        assert_eq!(first(BODY, Sender::default(), &[rule("one", 1, keyed)]), None);
        let bare = r#"{"messages":[{"role":"assistant","content":"x"}]}"#;
        for when in [
            Conditions { turn_words: words(&["x"]), ..all() },
            Conditions { instructions_words: words(&["x"]), ..all() },
            Conditions { question_words: words(&["x"]), ..all() },
            Conditions { tools: vec!["x".into()], ..all() },
        ] {
            assert_eq!(first(bare, Sender::default(), &[rule("one", 1, when)]), None);
        }
    }

    #[test]
    fn the_question_is_what_the_scorer_locates_and_the_turn_is_all_of_it() {
        let document = "The committee asks readers to translate poems. ".repeat(12);
        let text = format!("Context:\n{document}\n\nQuestion: How many members are there?");
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let when = |of: fn(Vec<Literal>) -> Conditions, word| of(words(&[word]));
        let question = |words| Conditions { question_words: words, ..Conditions::default() };
        let turn = |words| Conditions { turn_words: words, ..Conditions::default() };
        let found = |when| first(&body, Sender::default(), &[rule("one", 1, when)]).is_some();
        assert!(found(when(question, "members")) && found(when(turn, "translate")));
        assert!(!found(when(question, "translate")));
    }
}
