//! Edits a request so that the chosen model accepts it, although it was written for another model.
//!
//! Every edit follows from the model's record, never from its name, and every changed field is
//! reported, so that the caller can see it. Capabilities that a model lacks (images, tools,
//! schemas) are not stripped here: such a model was excluded before.
//!
//! **Source:** Microsoft, "Azure OpenAI reasoning models", the tables of API and feature support and of parameters that
//! are not supported.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::Effort;
use crate::model::ModelRecord;
use crate::model::ServiceTier;
use crate::units::Tokens;

use super::encrypted::ContentHash;
use super::form::Form;
use super::operation::Operation;
use super::request::ChatRequest;
use super::splice::Splice;

/// Properties of the deployment to which a request is adapted.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// The record of its model.
    pub record: &'t ModelRecord,
    /// The name that the body must carry as `model`; `None` if the address names the deployment.
    pub model_field: Option<&'t str>,
    /// True if `stream_options` is known there.
    pub stream_options: bool,
    /// The effort of the role, for a request that sets none.
    pub effort: Option<Effort>,
    /// True if the router chose the model: a cap that the caller set was then meant for the answer alone, not for hidden
    /// reasoning that it could not foresee.
    pub chosen: bool,
    /// Fields that the deployment refused before, against its record.
    pub refused: &'t [&'static str],
    /// A tighter cap to send in place of the caller's; it is no change that the caller sees, because an answer that it
    /// cuts off is asked again.
    pub tight: Option<Tokens>,
    /// The service tier that the router chose; `None` if the caller's own field goes on unchanged.
    pub service_tier: Option<ServiceTier>,
    /// Encrypted contents that it cannot read.
    pub unreadable: &'t [ContentHash],
    /// The `prompt_cache_key` of a request that has none; it changes nothing that the caller asked for, so it is no change.
    pub cache_key: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// All fields to leave out: those that the model refuses by its record, and those that the deployment refused.
    pub(super) fn all_refused(self) -> impl Iterator<Item = &'static str> + 't {
        self.record.refuses.iter().chain(self.refused).copied()
    }
}

/// A body fit for a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// The body to send.
    pub body: Bytes,
    /// The fields that were changed or left out, in the caller's words.
    pub changed: Vec<&'static str>,
    /// True if the caller wants a stream and the model cannot: we stream its complete answer.
    pub restream: bool,
    /// True if we requested usage for a stream whose caller did not: that chunk is removed.
    pub withhold_usage: bool,
}

/// The field that names the service tier.
pub const SERVICE_TIER: &str = "service_tier";

/// Fits a request to a deployment; without need of change the body is the caller's own, byte for byte.
pub fn adapt(request: &ChatRequest<'_>, target: Target<'_>) -> Adapted {
    match request.form() {
        Some(form) => of_form(request, form, target),
        None => fit(request, target).written(),
    }
}

/// Changes that [`adapt`] would make, and whether it would restream; the body is not written.
pub fn changes(request: &ChatRequest<'_>, target: Target<'_>) -> (Vec<&'static str>, bool) {
    if request.is_form() {
        return (Vec::new(), false);
    }
    let Fitted { changed, restream, .. } = fit(request, target);
    (changed, restream)
}

/// A request with the edits that a deployment needs.
pub(super) struct Fitted<'r, 'a> {
    splice: Splice<'r, 'a>,
    changed: Vec<&'static str>,
    request: &'r ChatRequest<'a>,
    restream: bool,
    withhold_usage: bool,
}

impl Fitted<'_, '_> {
    fn written(self) -> Adapted {
        let Self { splice, changed, request, restream, withhold_usage } = self;
        let body = if splice.is_empty() { request.whole() } else { splice.apply() };
        Adapted { body, changed, restream, withhold_usage }
    }
}

fn fit<'r, 'a>(request: &'r ChatRequest<'a>, target: Target<'_>) -> Fitted<'r, 'a> {
    let mut edit = Edit { splice: Splice::of(request), changed: Vec::new(), request };
    if let Some(name) = target.model_field.filter(|name| request.model() != Some(name)) {
        edit.splice.set("model", quoted(name));
    }
    edit.cache_key(target);
    if let Some(tier) = target.service_tier {
        edit.service_tier(tier);
    }
    match request.operation() {
        Operation::Chat => edit.chat(target),
        Operation::Responses | Operation::InputTokens => edit.responses(target),
        Operation::Completions => edit.completions(target),
        Operation::Compact | Operation::Embeddings | Operation::Passed(_) => {
            target.all_refused().for_each(|name| edit.leave_out(name));
            edit.unchanged()
        }
    }
}

/// A form, written again from its fields, with the name that the deployment must be called by.
fn of_form(request: &ChatRequest<'_>, form: &Form, target: Target<'_>) -> Adapted {
    let body = form.written(request.body(), target.model_field);
    Adapted { body, changed: vec![], restream: false, withhold_usage: false }
}

/// The words for items that were left out of an `input`.
pub const LEFT_OUT_ITEMS: [&str; 2] = super::adapt_responses::LEFT_OUT_ITEMS;

/// The fields of which parts may be left out.
const PARTED: [&str; 2] = ["reasoning", "text"];

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) struct Edit<'r, 'a> {
    pub(super) splice: Splice<'r, 'a>,
    pub(super) changed: Vec<&'static str>,
    pub(super) request: &'r ChatRequest<'a>,
}

impl<'r, 'a> Edit<'r, 'a> {
    /// Fits a request for legacy completions.
    fn completions(mut self, target: Target<'_>) -> Fitted<'r, 'a> {
        target.all_refused().for_each(|name| self.leave_out(name));
        let stream_options = target.stream_options && !target.refused.contains(&"stream_options");
        let withhold_usage = self.stream(false, stream_options);
        self.fitted(false, withhold_usage)
    }

    /// The body as received, except for the edits so far.
    fn unchanged(self) -> Fitted<'r, 'a> {
        self.fitted(false, false)
    }

    /// Adds the key by which the service finds the cache of the conversation.
    fn cache_key(&mut self, target: Target<'_>) {
        const FIELD: &str = "prompt_cache_key";
        let takes = matches!(self.request.operation(), Operation::Chat | Operation::Responses);
        if let Some(key) = target.cache_key
            && takes
            && !self.given(FIELD)
            && !target.refused.contains(&FIELD)
        {
            self.splice.set(FIELD, quoted(key));
        }
    }

    pub(super) fn fitted(self, restream: bool, withhold_usage: bool) -> Fitted<'r, 'a> {
        let Self { splice, changed, request } = self;
        Fitted { splice, changed, request, restream, withhold_usage }
    }

    /// True if the caller gave the field a value; null counts as none.
    pub(super) fn given(&self, name: &str) -> bool {
        self.request.raw(name).is_some_and(|raw| raw != "null")
    }

    pub(super) fn leave_out(&mut self, name: &'static str) {
        if let Some((outer, inner)) = name.split_once('.') {
            self.leave_out_part(name, outer, inner);
        } else if self.given(name) && self.splice.remove(name) {
            self.changed.push(name);
        }
    }

    /// Leaves out a part of a field; what else the field says stays.
    fn leave_out_part(&mut self, name: &'static str, outer: &str, inner: &str) {
        let Some(outer) = PARTED.into_iter().find(|known| *known == outer) else { return };
        let current = self.splice.current(outer);
        let parsed = current.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let Some(mut fields) = parsed else { return };
        if fields.remove(inner).is_some_and(|value| !value.is_null()) {
            self.splice.set(outer, Value::Object(fields).to_string());
            self.changed.push(name);
        }
    }

    pub(super) fn set(&mut self, name: &'static str, json: String) {
        self.splice.set(name, json);
        self.changed.push(name);
    }

    /// Tells that a part of a field was changed.
    pub(super) fn note(&mut self, name: &'static str) {
        self.changed.push(name);
    }

    /// Leaves a field out unless it has been changed already.
    pub(super) fn leave_out_once(&mut self, name: &'static str) {
        if !self.changed.contains(&name) {
            self.leave_out(name);
        }
    }

    /// Asks for a service tier. It is reported with the answer, not as a change: it changes the price and the speed alone. A
    /// request that names none goes in the standard tier as it came.
    fn service_tier(&mut self, tier: ServiceTier) {
        let named = self.request.raw(SERVICE_TIER).and_then(|raw| serde_json::from_str(raw).ok());
        let named = named.and_then(|word: String| ServiceTier::named(&word));
        let online = named.is_none_or(|named| ServiceTier::ONLINE.contains(&named));
        if online && named.unwrap_or_default() != tier {
            self.splice.set(SERVICE_TIER, quoted(tier.as_str()));
        }
    }

    /// Fits the stream fields; true where usage is asked for on our own account.
    pub(super) fn stream(&mut self, restream: bool, stream_options: bool) -> bool {
        if restream {
            self.splice.remove("stream");
            self.splice.remove("stream_options");
            return false;
        }
        if !stream_options {
            self.leave_out("stream_options");
            return false;
        }
        if !self.request.stream() || self.request.include_usage() {
            return false;
        }
        let mut options = self
            .request
            .raw("stream_options")
            .and_then(|raw| serde_json::from_str::<serde_json::Map<_, _>>(raw).ok())
            .unwrap_or_default();
        options.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
        self.splice.set("stream_options", serde_json::Value::Object(options).to_string());
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Efforts;
    use crate::model::InstructionRole;
    use crate::model::Sampling;
    use crate::model::sample;

    const SAID: &str =
        r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]"#;

    /// A deployment that changes nothing beyond the record.
    fn target(record: &ModelRecord) -> Target<'_> {
        Target {
            record,
            model_field: None,
            stream_options: true,
            effort: None,
            chosen: false,
            refused: &[],
            tight: None,
            service_tier: None,
            unreadable: &[],
            cache_key: None,
        }
    }

    #[track_caller]
    fn check(record: &ModelRecord, fields: &str, expected: &Value, changed: &[&str]) -> Adapted {
        let body = format!("{{{SAID}{}{fields}}}", if fields.is_empty() { "" } else { "," });
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let target = Target { effort: Some(Effort::Medium), ..target(record) };
        let adapted = adapt(&request, target);
        let mut actual: Value = serde_json::from_slice(&adapted.body).unwrap();
        actual.as_object_mut().unwrap().remove("messages");
        assert_eq!(&actual, expected);
        assert_eq!(adapted.changed, changed);
        adapted
    }

    #[test]
    fn a_request_that_fits_stays_byte_for_byte() {
        let body = r#"{ "model":"gpt-4o" , "messages":[{"role":"user","content":"x"}],"temperature":0.20}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let record = sample::record("gpt-4o");
        let target = Target { model_field: Some("gpt-4o"), ..target(&record) };
        assert_eq!(adapt(&request, target).body, body);
    }

    #[test]
    fn a_chat_request_fits_a_reasoning_model() {
        let o1 = sample::record("o1");
        let wide = r#""max_tokens":100,"temperature":0.2,"top_p":1,"presence_penalty":0,"logit_bias":{"1":2},
            "stop":["x"],"parallel_tool_calls":true,"x_own":{"a":1.0}"#;
        let expected = json!({"max_completion_tokens":10_340,"x_own":{"a":1.0}});
        let changed = [
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "presence_penalty",
            "logit_bias",
            "stop",
            "parallel_tool_calls",
        ];
        check(&o1, wide, &expected, &changed);
        check(&o1, r#""temperature":1.0"#, &json!({"temperature":1.0}), &[]);
        check(
            &o1,
            r#""temperature":null,"max_tokens":null"#,
            &json!({"temperature":null,"max_tokens":null}),
            &[],
        );
        check(&o1, r#""max_completion_tokens":300"#, &json!({"max_completion_tokens":300}), &[]);
        let most = r#""max_tokens":99000,"reasoning_effort":"high""#;
        let bounded = json!({"max_completion_tokens":100_000,"reasoning_effort":"high"});
        check(&o1, most, &bounded, &["max_tokens", "max_completion_tokens"]);
        check(
            &o1,
            r#""reasoning_effort":"xhigh""#,
            &json!({"reasoning_effort":"high"}),
            &["reasoning_effort"],
        );
        check(&o1, r#""reasoning_effort":"newest""#, &json!({"reasoning_effort":"newest"}), &[]);
    }

    #[test]
    fn a_cap_that_was_meant_without_reasoning_gets_room_for_it() {
        let body = format!(r#"{{{SAID},"max_completion_tokens":300}}"#);
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        for (model, chosen, cap) in
            [("o1", true, 10_540), ("o1", false, 300), ("gpt-4o", true, 300)]
        {
            let record = sample::record(model);
            let target = Target { chosen, ..target(&record) };
            let adapted = adapt(&request, target);
            let sent: Value = serde_json::from_slice(&adapted.body).unwrap();
            assert_eq!(sent["max_completion_tokens"], cap, "{model} {chosen}");
            let told: &[&str] = if cap == 300 { &[] } else { &["max_completion_tokens"] };
            assert_eq!(adapted.changed, told, "{model} {chosen}");
            assert_eq!(changes(&request, target), (adapted.changed, false));
        }
    }

    #[test]
    fn what_a_deployment_refused_before_is_left_out() {
        let gpt = sample::record("gpt-4o");
        let body = format!(r#"{{{SAID},"max_tokens":9,"seed":1,"stop":"x"}}"#);
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let refused = &["max_tokens", "seed"];
        let target = Target { refused, ..target(&gpt) };
        let adapted = adapt(&request, target);
        let value: Value = serde_json::from_slice(&adapted.body).unwrap();
        assert_eq!((&value["max_completion_tokens"], &value["stop"]), (&json!(9), &json!("x")));
        assert!(value.get("max_tokens").is_none() && value.get("seed").is_none());
        assert_eq!(adapted.changed, ["max_tokens", "max_completion_tokens", "seed"]);
    }

    #[test]
    fn a_tighter_cap_takes_the_callers_place_and_is_no_change() {
        for (model, given, expected, changed) in [
            ("gpt-4o", "", json!({"max_tokens":700}), 0),
            ("gpt-4o", r#","max_tokens":4096"#, json!({"max_tokens":700}), 0),
            ("gpt-4o", r#","max_completion_tokens":9"#, json!({"max_completion_tokens":700}), 0),
            ("o1", "", json!({"max_completion_tokens":700}), 0),
            ("o1", r#","max_tokens":4096"#, json!({"max_completion_tokens":700}), 2),
        ] {
            let record = sample::record(model);
            let body = format!("{{{SAID}{given}}}");
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let tight = Some(Tokens(700));
            let target = Target { tight, ..target(&record) };
            let adapted = adapt(&request, target);
            let mut value: Value = serde_json::from_slice(&adapted.body).unwrap();
            value.as_object_mut().unwrap().remove("messages");
            assert_eq!(value, expected, "{model} {given}");
            assert_eq!(adapted.changed.len(), changed, "{model} {given}");
        }
    }

    #[test]
    fn a_reasoning_request_fits_a_chat_model() {
        let gpt = sample::record("gpt-4o");
        check(&gpt, r#""reasoning_effort":"low""#, &json!({}), &["reasoning_effort"]);
        let capped = r#""max_completion_tokens":99999"#;
        check(&gpt, capped, &json!({"max_completion_tokens":16_384}), &["max_completion_tokens"]);
    }

    #[test]
    fn a_model_whose_default_is_no_effort_gets_one() {
        let mut record = sample::record("o1");
        record.efforts = Some(Efforts {
            accepted: vec![Effort::None, Effort::Low, Effort::High],
            default: Effort::None,
            max_by_responses: false,
        });
        record.sampling = Sampling::FreeWithoutEffort;
        let changed = ["reasoning_effort", "temperature"];
        check(&record, r#""temperature":0.5"#, &json!({"reasoning_effort":"high"}), &changed);
        let none = r#""temperature":0.5,"reasoning_effort":"none""#;
        check(&record, none, &json!({"temperature":0.5,"reasoning_effort":"none"}), &[]);
    }

    #[test]
    fn at_minimal_effort_there_are_no_parallel_tool_calls() {
        let mut record = sample::record("o1");
        record.abilities.parallel_tools = true;
        record.efforts = Some(Efforts {
            accepted: vec![Effort::Minimal, Effort::Low],
            default: Effort::Low,
            max_by_responses: false,
        });
        let low = r#""reasoning_effort":"low","parallel_tool_calls":false"#;
        let kept = json!({"reasoning_effort":"low","parallel_tool_calls":false});
        check(&record, low, &kept, &[]);
        let minimal = low.replace("low", "minimal");
        let expected = json!({"reasoning_effort":"minimal"});
        check(&record, &minimal, &expected, &["parallel_tool_calls"]);
    }

    #[test]
    fn streams_ask_for_usage_or_are_streamed_on() {
        let gpt = sample::record("gpt-4o");
        let asked = json!({"stream":true,"stream_options":{"include_usage":true}});
        assert!(check(&gpt, r#""stream":true"#, &asked, &[]).withhold_usage);
        assert!(
            check(&gpt, r#""stream":true,"stream_options":{"include_usage":false}"#, &asked, &[])
                .withhold_usage
        );
        assert!(
            !check(&gpt, r#""stream":true,"stream_options":{"include_usage":true}"#, &asked, &[])
                .withhold_usage
        );
        let o1 = sample::record("o1");
        assert!(
            check(&o1, r#""stream":true,"stream_options":{"include_usage":true}"#, &json!({}), &[])
                .restream
        );
    }

    #[test]
    fn roles_become_those_that_the_model_knows() {
        let roles = |instructions, body: &str| -> (String, usize) {
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let record = ModelRecord { instructions, ..sample::record("gpt-4o") };
            let target = Target { stream_options: false, ..target(&record) };
            let adapted = adapt(&request, target);
            let value: Value = serde_json::from_slice(&adapted.body).unwrap();
            let words = value["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|said| said["role"].as_str().unwrap());
            (words.collect::<Vec<_>>().join(" "), adapted.changed.len())
        };
        let mixed = r#"{"messages":[{"role":"system"},{"role":"developer"},{"role":"user"}]}"#;
        let system = r#"{"messages":[{"role":"system"},{"role":"user"}]}"#;
        assert_eq!(roles(InstructionRole::System, mixed), ("system system user".into(), 1));
        assert_eq!(roles(InstructionRole::Either, mixed), ("developer developer user".into(), 1));
        assert_eq!(roles(InstructionRole::User, mixed), ("user user user".into(), 1));
        assert_eq!(roles(InstructionRole::Either, system), ("system user".into(), 0));
    }
}
