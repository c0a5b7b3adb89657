//! Edits a Responses API request so that the chosen model accepts it.
//!
//! Less differs than in chat completions: all models have the same cap field, and instructions work
//! in any role. Models differ in effort, sampling, parallel tools, and whether there is hidden
//! reasoning to include.
//!
//! **Source:** Microsoft, "Azure OpenAI reasoning models" and "Azure OpenAI Responses API".

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Effort;
use crate::model::ModelRecord;
use crate::model::Sampling;
use crate::units::Tokens;

use super::adapt::{Edit, Fitted, Target};
use super::adapt_cap::reasoning_room;
use super::encrypted::{ContentHash, leave_out};

/// Disclosure of removed hidden reasoning: the model does not reason, or cannot decrypt it.
pub(super) const LEFT_OUT_ITEMS: [&str; 2] = [REASONING_ITEMS, UNREADABLE];
const REASONING_ITEMS: &str = "input.reasoning";
const UNREADABLE: &str = "input.encrypted_content";

impl<'r, 'a> Edit<'r, 'a> {
    /// Fits a request of the Responses API.
    pub(super) fn responses(mut self, target: Target<'_>) -> Fitted<'r, 'a> {
        let record = target.record;
        let effort = self.nested_effort(record, target.effort);
        self.output_cap(record, if target.chosen { effort } else { Effort::None });
        self.sampling(record, effort);
        self.text_verbosity(record);
        self.parallel_tools(record, effort);
        if self.request.previous_response().is_none() {
            // An empty id names nothing, and the service would look for it.
            self.leave_out("previous_response_id");
        }
        let logprobs = match record.sampling {
            Sampling::Free => true,
            Sampling::FreeWithoutEffort => effort == Effort::None,
            Sampling::Fixed => false,
        };
        self.included(record.reasons(), logprobs);
        self.reasoning_items(record, target.unreadable);
        // Without `store` the answer would be kept: who said `false` must hear of the refusal instead.
        for name in target.all_refused().filter(|name| *name != "store") {
            self.leave_out_once(name);
        }
        let restream = self.request.stream() && !record.abilities.streaming;
        if restream {
            self.splice.remove("stream");
            self.splice.remove("stream_options");
        }
        self.fitted(restream, false)
    }

    /// Fits `reasoning.effort`; returns the one that the model will use.
    fn nested_effort(&mut self, record: &ModelRecord, wished: Option<Effort>) -> Effort {
        const FIELD: &str = "reasoning";
        let Some(efforts) = &record.efforts else {
            self.leave_out(FIELD);
            return Effort::None;
        };
        let asked = self.request.reasoning_effort().map(Effort::from_word);
        let fitting = match asked {
            Some(Some(Effort::Max)) if efforts.max_by_responses => Some(Effort::Max),
            Some(Some(effort)) => efforts.nearest(effort),
            None => match efforts.in_place_of_default(wished) {
                Some(effort) => Some(effort),
                None => return efforts.default,
            },
            // A word we do not know may be newer than we are: the upstream judges it.
            Some(None) => return efforts.default,
        };
        if let Some(effort) = fitting.filter(|effort| asked != Some(Some(*effort))) {
            self.set_effort(Some(effort));
        } else if fitting.is_none() && asked.is_some() {
            self.set_effort(None);
        }
        fitting.unwrap_or(efforts.default)
    }

    fn set_effort(&mut self, effort: Option<Effort>) {
        let given = self.splice.current("reasoning");
        let mut reasoning: Map<String, Value> =
            given.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        match effort {
            Some(effort) => drop(reasoning.insert("effort".to_owned(), effort.as_str().into())),
            None => drop(reasoning.remove("effort")),
        }
        self.splice.set("reasoning", Value::Object(reasoning).to_string());
        self.note("reasoning.effort");
    }

    /// The cap counts hidden reasoning: room for the `unforeseen` one is added, and the whole must fit the model.
    fn output_cap(&mut self, record: &ModelRecord, unforeseen: Effort) {
        let given = self.request.raw("max_output_tokens").and_then(|raw| raw.parse::<u64>().ok());
        let Some(given) = given.map(Tokens) else { return };
        let fitting = (given + reasoning_room(unforeseen)).min(record.max_output);
        if fitting != given {
            self.set("max_output_tokens", fitting.to_string());
        }
    }

    /// Leaves out hidden reasoning that the model does not take, or that cannot be decrypted there.
    fn reasoning_items(&mut self, record: &ModelRecord, unreadable: &[ContentHash]) {
        if !self.request.holds_reasoning() {
            return;
        }
        let body = self.request.body();
        if !record.reasons() && leave_out(&mut self.splice, body, |_| true) {
            self.note(REASONING_ITEMS);
        } else if !unreadable.is_empty() {
            let unwanted =
                |hash: Option<ContentHash>| hash.is_some_and(|hash| unreadable.contains(&hash));
            if leave_out(&mut self.splice, body, unwanted) {
                self.note(UNREADABLE);
            }
        }
    }

    /// A model without the choice has one verbosity, `medium`, and takes its name alone.
    fn text_verbosity(&mut self, record: &ModelRecord) {
        #[derive(Deserialize)]
        struct Text<'a> {
            #[serde(borrow)]
            verbosity: Option<Cow<'a, str>>,
        }
        let text = self.request.raw("text").and_then(|raw| serde_json::from_str(raw).ok());
        let asked = text.and_then(|Text { verbosity }| verbosity);
        if !record.verbosity && asked.is_some_and(|asked| asked != "medium") {
            self.leave_out("text.verbosity");
        }
    }

    /// A model refuses to include what it has not: hidden reasoning, or log probabilities.
    fn included(&mut self, reasoning: bool, logprobs: bool) {
        const ENCRYPTED: &str = "reasoning.encrypted_content";
        const LOGPROBS: &str = "message.output_text.logprobs";
        let given = self.request.raw("include").filter(|_| !(reasoning && logprobs));
        let given = given.and_then(|raw| serde_json::from_str(raw).ok());
        let Some(Value::Array(mut included)) = given else { return };
        let before = included.len();
        included.retain(|name| (reasoning || name != ENCRYPTED) && (logprobs || name != LOGPROBS));
        if included.len() < before {
            self.set("include", Value::Array(included).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::operation::Operation;
    use super::super::request::ChatRequest;
    use super::*;
    use crate::chat::adapt::{Adapted, adapt};
    use crate::model::Efforts;
    use crate::model::Sampling;
    use crate::model::sample;

    #[track_caller]
    fn check(record: &ModelRecord, fields: &Value, expected: &Value, changed: &[&str]) -> Adapted {
        let mut body = fields.clone();
        body["input"] = json!("hi");
        let body = body.to_string();
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        let target = Target {
            record,
            model_field: None,
            stream_options: true,
            effort: Some(Effort::Medium),
            chosen: false,
            refused: &["truncation"],
            tight: None,
            unreadable: &[],
            cache_key: None,
            service_tier: None,
        };
        let adapted = adapt(&request, target);
        let mut expected = expected.clone();
        expected["input"] = json!("hi");
        assert_eq!(serde_json::from_slice::<Value>(&adapted.body).unwrap(), expected);
        assert_eq!(adapted.changed, changed);
        adapted
    }

    #[test]
    fn a_chat_model_gets_no_reasoning() {
        let fields = json!({"reasoning": {"effort": "high", "summary": "auto"}, "temperature": 0.2,
            "include": ["reasoning.encrypted_content", "x"], "max_output_tokens": 1_000_000, "truncation": "auto"});
        let expected = json!({"temperature": 0.2, "include": ["x"], "max_output_tokens": 16_384});
        let changed = ["reasoning", "max_output_tokens", "include", "truncation"];
        check(&sample::record("gpt-4o"), &fields, &expected, &changed);
    }

    #[test]
    fn a_reasoning_model_gets_what_it_knows() {
        let record = sample::record("o1");
        let fields = json!({"reasoning": {"effort": "minimal", "summary": "auto"}, "temperature": 0.2, "top_p": 0.5,
            "parallel_tool_calls": true, "max_output_tokens": 500, "stream": true});
        let expected =
            json!({"reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 500});
        let changed = ["reasoning.effort", "temperature", "top_p", "parallel_tool_calls"];
        let adapted = check(&record, &fields, &expected, &changed);
        assert!(adapted.restream);
        let fits = json!({"reasoning": {"effort": "high"}, "temperature": 1});
        check(&record, &fits, &fits, &[]);
        check(&record, &json!({"reasoning": null}), &json!({"reasoning": null}), &[]);
    }

    #[test]
    fn a_model_that_the_router_chose_gets_room_to_reason() {
        for (model, effort, cap, fitting) in [
            ("o1", "high", 500, 26_100),
            ("o1", "medium", 99_000, 100_000),
            ("gpt-4o", "high", 500, 500),
        ] {
            let record = sample::record(model);
            let body =
                json!({"input": "hi", "reasoning": {"effort": effort}, "max_output_tokens": cap});
            let body = body.to_string();
            let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
            let target = Target {
                record: &record,
                model_field: None,
                stream_options: true,
                effort: None,
                chosen: true,
                refused: &[],
                tight: None,
                unreadable: &[],
                cache_key: None,
                service_tier: None,
            };
            let adapted = adapt(&request, target);
            let sent: Value = serde_json::from_slice(&adapted.body).unwrap();
            assert_eq!(sent["max_output_tokens"], fitting, "{model}");
            assert_eq!(adapted.changed.contains(&"max_output_tokens"), fitting != cap, "{model}");
        }
    }

    #[test]
    fn a_model_that_would_not_reason_by_itself_is_told_to() {
        let mut record = sample::record("o1");
        record.sampling = Sampling::FreeWithoutEffort;
        record.efforts = Some(Efforts {
            accepted: vec![Effort::None, Effort::Medium, Effort::ExtraHigh],
            default: Effort::None,
            max_by_responses: true,
        });
        let summary = json!({"reasoning": {"summary": "auto"}});
        let told = json!({"reasoning": {"summary": "auto", "effort": "medium"}});
        check(&record, &summary, &told, &["reasoning.effort"]);
        check(
            &record,
            &json!({}),
            &json!({"reasoning": {"effort": "medium"}}),
            &["reasoning.effort"],
        );
        let hardest = json!({"reasoning": {"effort": "max"}});
        check(&record, &hardest, &hardest, &[]);
        if let Some(efforts) = &mut record.efforts {
            efforts.max_by_responses = false;
        }
        let harder = json!({"reasoning": {"effort": "xhigh"}});
        check(&record, &hardest, &harder, &["reasoning.effort"]);
    }

    #[test]
    fn verbosity_and_log_probabilities_go_by_the_record() {
        let low = json!({"text": {"format": {"type": "text"}, "verbosity": "low"}});
        let without = json!({"text": {"format": {"type": "text"}}});
        check(&sample::record("gpt-4o"), &low, &without, &["text.verbosity"]);
        let medium = json!({"text": {"verbosity": "medium"}});
        check(&sample::record("gpt-4o"), &medium, &medium, &[]);
        let mut thinker = sample::record("o1");
        thinker.verbosity = true;
        check(&thinker, &low, &low, &[]);
        let both =
            json!({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]});
        let hidden = json!({"include": ["reasoning.encrypted_content"]});
        check(&thinker, &both, &hidden, &["include"]);
        let shown = json!({"include": ["message.output_text.logprobs"]});
        check(&sample::record("gpt-4o"), &both, &shown, &["include"]);
    }

    #[test]
    fn what_the_record_refuses_is_left_out() {
        let mut record = sample::record("o1");
        record.refuses = ["prompt_cache_retention", "reasoning.summary", "max_tool_calls"].into();
        let given = json!({"prompt_cache_retention": "24h", "max_tool_calls": 3, "prompt_cache_key": "k",
            "reasoning": {"effort": "low", "summary": "auto"}});
        let expected = json!({"prompt_cache_key": "k", "reasoning": {"effort": "low"}});
        let changed = ["prompt_cache_retention", "reasoning.summary", "max_tool_calls"];
        check(&record, &given, &expected, &changed);
    }

    #[test]
    fn a_part_that_was_refused_leaves_the_rest_of_its_field() {
        let body = json!({"input": "hi", "reasoning": {"effort": "minimal", "summary": "auto"},
            "text": {"verbosity": "low", "format": {"type": "text"}}});
        let body = body.to_string();
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        let mut record = sample::record("o1");
        record.verbosity = true;
        let target = Target {
            record: &record,
            model_field: None,
            stream_options: true,
            effort: None,
            chosen: false,
            refused: &["reasoning.summary", "text.verbosity", "reasoning.context"],
            tight: None,
            unreadable: &[],
            cache_key: None,
            service_tier: None,
        };
        let adapted = adapt(&request, target);
        let sent: Value = serde_json::from_slice(&adapted.body).unwrap();
        assert_eq!(sent["reasoning"], json!({"effort": "low"}));
        assert_eq!(sent["text"], json!({"format": {"type": "text"}}));
        assert_eq!(adapted.changed, ["reasoning.effort", "reasoning.summary", "text.verbosity"]);
    }
}
