//! Checks whether the model accepts a request, and words its 400 if not.
//!
//! The checks run in the order in which a caller would fix the faults, and the first one wins, as
//! in the real service: a body with three faults needs three attempts.
//!
//! **Source:** Azure OpenAI docs, "reasoning models"; the wording is the service's own.

use crate::profile::Feature;
use crate::profile::Profile;
use crate::profile::Sampling;
use crate::wire::error::Refusal;
use crate::wire::request::Ask;
use crate::wire::request::array;
use crate::wire::request::is_image;
use serde_json::Value;

/// Checks a body of chat completions.
///
/// # Errors
/// The 400 that the model would answer.
pub fn chat(profile: &Profile, body: &Value, ask: &Ask) -> Result<(), Refusal> {
    if profile.is_lacking(Feature::ChatCompletions) {
        return Err(Refusal::operation_unsupported());
    }
    if array(body, "messages").next().is_none() {
        return Err(Refusal::missing("messages"));
    }
    cap(profile, body)?;
    effort(profile, ask, "reasoning_effort")?;
    sampling(profile, body, ask)?;
    if ask.stream && profile.is_lacking(Feature::Streaming) {
        let supported = "Supported values are: false.";
        return Err(Refusal::unsupported_value("stream", "true", supported));
    }
    features(profile, body, ask)?;
    verbosity(profile, body.get("verbosity"), "verbosity")?;
    messages(profile, body)?;
    window(profile, ask)
}

/// Checks a body of the Responses API.
///
/// # Errors
/// The 400 that the model would answer.
pub fn responses(profile: &Profile, body: &Value, ask: &Ask) -> Result<(), Refusal> {
    if body.get("input").is_none_or(Value::is_null) {
        return Err(Refusal::missing("input"));
    }
    effort(profile, ask, "reasoning.effort")?;
    sampling(profile, body, ask)?;
    verbosity(profile, body.pointer("/text/verbosity"), "text.verbosity")?;
    let hidden = |item: &Value| item.get("type").and_then(Value::as_str) == Some("reasoning");
    if !profile.is_reasoning() && array(body, "input").any(hidden) {
        return Err(Refusal::reasoning_items());
    }
    window(profile, ask)
}

/// True if the request makes the model reason.
pub fn reasons(profile: &Profile, ask: &Ask) -> bool {
    let effort = ask.effort.as_deref().or(profile.default_effort.as_deref());
    profile.is_reasoning() && effort != Some("none")
}

fn cap(profile: &Profile, body: &Value) -> Result<(), Refusal> {
    let set = |name: &str| body.get(name).filter(|value| !value.is_null());
    let (old, new) = (set("max_tokens"), set("max_completion_tokens"));
    if old.is_some() && profile.is_lacking(Feature::MaxTokens) {
        return Err(Refusal::unsupported_parameter("max_tokens", Some("max_completion_tokens")));
    }
    if old.is_some() && new.is_some() {
        return Err(Refusal::bad_request(
            "max_tokens",
            "invalid_parameter_combination",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ));
    }
    for (name, value) in [("max_tokens", old), ("max_completion_tokens", new)] {
        let most = profile.max_output_tokens;
        if let Some(asked) = value.and_then(Value::as_u64).filter(|asked| *asked > most) {
            let message = format!(
                "{name} is too large: {asked}. This model supports at most {most} completion \
                 tokens, whereas you provided {asked}."
            );
            return Err(Refusal::bad_request(name, "invalid_value", message));
        }
        if value.is_some_and(|value| value.as_u64().is_none_or(|asked| asked == 0)) {
            let message = format!("Invalid value for '{name}': expected an integer of 1 or more.");
            return Err(Refusal::bad_request(name, "invalid_value", message));
        }
    }
    Ok(())
}

fn effort(profile: &Profile, ask: &Ask, param: &str) -> Result<(), Refusal> {
    let Some(effort) = &ask.effort else { return Ok(()) };
    if profile.efforts.is_empty() {
        return Err(Refusal::unsupported_parameter(param, None));
    }
    if profile.efforts.contains(effort) {
        return Ok(());
    }
    let all: Vec<String> = profile.efforts.iter().map(|known| format!("'{known}'")).collect();
    let supported = format!("Supported values are: {}.", all.join(", "));
    Err(Refusal::unsupported_value(param, &format!("'{effort}'"), &supported))
}

/// The parameter, the value that means "default", and whether another value makes it an unknown
/// parameter rather than an unknown value.
const SAMPLING: [(&str, Option<f64>); 7] = [
    ("temperature", Some(1.0)),
    ("top_p", Some(1.0)),
    ("presence_penalty", Some(0.0)),
    ("frequency_penalty", Some(0.0)),
    ("logprobs", None),
    ("top_logprobs", None),
    ("logit_bias", None),
];

fn sampling(profile: &Profile, body: &Value, ask: &Ask) -> Result<(), Refusal> {
    let free = match profile.sampling {
        Sampling::Free => true,
        Sampling::WithoutEffort => !reasons(profile, ask),
        Sampling::Fixed => false,
    };
    if free {
        return Ok(());
    }
    for (param, default) in SAMPLING {
        let Some(value) = body.get(param) else { continue };
        let idle = value.is_null()
            || value.as_bool() == Some(false)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || (default.is_some() && value.as_f64() == default);
        match default {
            _ if idle => {}
            Some(default) => {
                let supported = format!("Only the default ({default}) value is supported.");
                return Err(Refusal::unsupported_value(param, &value.to_string(), &supported));
            }
            None => return Err(Refusal::unsupported_parameter(param, None)),
        }
    }
    Ok(())
}

fn features(profile: &Profile, body: &Value, ask: &Ask) -> Result<(), Refusal> {
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    let minimal = ask.effort.as_deref() == Some("minimal")
        && body.get("parallel_tool_calls") == Some(&Value::Bool(true));
    let structured =
        body.pointer("/response_format/type").and_then(Value::as_str) == Some("json_schema");
    let refused = [
        ("tools", Feature::Tools, given("tools")),
        ("tool_choice", Feature::Tools, given("tool_choice")),
        ("parallel_tool_calls", Feature::ParallelTools, given("parallel_tool_calls")),
        ("stop", Feature::Stop, given("stop")),
        ("stream_options", Feature::StreamOptions, given("stream_options")),
        ("response_format", Feature::StructuredOutputs, structured),
    ];
    let lacking = refused
        .iter()
        .find(|(_, feature, given)| *given && profile.is_lacking(*feature))
        .map(|(param, ..)| *param);
    match lacking.or(minimal.then_some("parallel_tool_calls")) {
        Some(param) => Err(Refusal::unsupported_parameter(param, None)),
        None => Ok(()),
    }
}

/// Models before gpt-5 know one verbosity.
fn verbosity(profile: &Profile, given: Option<&Value>, param: &str) -> Result<(), Refusal> {
    let other = given.and_then(Value::as_str).filter(|word| *word != "medium");
    match other.filter(|_| profile.is_lacking(Feature::Verbosity)) {
        Some(word) => {
            let supported = "Supported values are: 'medium'.";
            Err(Refusal::unsupported_value(param, &format!("'{word}'"), supported))
        }
        None => Ok(()),
    }
}

fn messages(profile: &Profile, body: &Value) -> Result<(), Refusal> {
    let mut instructing: Option<&str> = None;
    for (index, message) in array(body, "messages").enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if matches!(role, "system" | "developer") {
            let param = format!("messages[{index}].role");
            let mixed = instructing.is_some_and(|before| before != role);
            if profile.is_lacking(Feature::Instructions)
                || (mixed && profile.is_lacking(Feature::MixedInstructions))
            {
                let value = format!("'{role}'");
                let why = if mixed { "Use either 'system' or 'developer', not both." } else { "" };
                return Err(Refusal::unsupported_value(&param, &value, why));
            }
            instructing = Some(role);
        }
        let image = array(message, "content").position(is_image);
        if let Some(part) = image.filter(|_| profile.is_lacking(Feature::Images)) {
            let param = format!("messages.[{index}].content.[{part}].type");
            let message = "Invalid content type. image_url is only supported by certain models.";
            return Err(Refusal::bad_request(&param, "unsupported_value", message));
        }
    }
    Ok(())
}

fn window(profile: &Profile, ask: &Ask) -> Result<(), Refusal> {
    let found = ask.prompt_tokens();
    if found > profile.context_tokens {
        return Err(Refusal::context_length(profile.context_tokens, found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The `code` and `param` of the refusal; empty when accepted.
    fn refusal(model: &str, change: &Value) -> (String, String) {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let outcome = chat(&Profile::for_model(model), &body, &Ask::of_chat(&body));
        let error = outcome.err().map(|refusal| refusal.body["error"].clone()).unwrap_or_default();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("param"))
    }

    #[test]
    fn what_each_model_refuses() {
        let check = |model: &str, change: &Value, code: &str, param: &str| {
            let found = refusal(model, change);
            assert_eq!(found, (code.to_owned(), param.to_owned()), "{model} {change}");
        };
        let parameter = "unsupported_parameter";
        let value = "unsupported_value";
        check("o1", &json!({"max_tokens": 9}), parameter, "max_tokens");
        check("o1", &json!({"max_completion_tokens": 9}), "", "");
        check("o1", &json!({"temperature": 0.2}), value, "temperature");
        check("o1", &json!({"temperature": 1}), "", "");
        check("o1", &json!({"top_p": 0.5}), value, "top_p");
        check("o1", &json!({"presence_penalty": 0.5}), value, "presence_penalty");
        check("o1", &json!({"frequency_penalty": 0}), "", "");
        check("o1", &json!({"logprobs": true}), parameter, "logprobs");
        check("o1", &json!({"logit_bias": {"5": 1}}), parameter, "logit_bias");
        check("o1", &json!({"stream": true}), value, "stream");
        check("o3-mini", &json!({"stream": true}), "", "");
        check("o1", &json!({"parallel_tool_calls": false}), parameter, "parallel_tool_calls");
        check("o1", &json!({"reasoning_effort": "minimal"}), value, "reasoning_effort");
        check("gpt-5", &json!({"reasoning_effort": "minimal"}), "", "");
        check("gpt-5", &json!({"reasoning_effort": "none"}), value, "reasoning_effort");
        check("gpt-4o", &json!({"reasoning_effort": "low"}), parameter, "reasoning_effort");
        check("gpt-5.4", &json!({"temperature": 0.2}), "", "");
        check(
            "gpt-5.4",
            &json!({"temperature": 0.2, "reasoning_effort": "low"}),
            value,
            "temperature",
        );
        check("gpt-5.6-sol", &json!({"temperature": 0.2}), value, "temperature");
        check("gpt-5", &json!({"stop": ["x"]}), parameter, "stop");
        check("o1-mini", &json!({"tools": []}), parameter, "tools");
        check(
            "gpt-5",
            &json!({"reasoning_effort": "minimal", "parallel_tool_calls": true}),
            parameter,
            "parallel_tool_calls",
        );
        check("gpt-4o", &json!({"max_tokens": 20_000}), "invalid_value", "max_tokens");
        check("gpt-4o", &json!({"max_tokens": 0}), "invalid_value", "max_tokens");
        check(
            "gpt-4o",
            &json!({"max_tokens": 1, "max_completion_tokens": 1}),
            "invalid_parameter_combination",
            "max_tokens",
        );
        check("gpt-4o", &json!({"messages": []}), "missing_required_parameter", "messages");
    }

    #[test]
    fn roles_and_images() {
        let of = |role: &str| json!({"role": role, "content": "x"});
        let image = json!({"role": "user", "content": [{"type": "image_url"}]});
        let code = |model: &str, messages: Value| refusal(model, &json!({"messages": messages})).0;
        assert_eq!(code("o1-preview", json!([of("system")])), "unsupported_value");
        assert_eq!(code("o1", json!([of("system"), of("user")])), "");
        assert_eq!(code("o1", json!([of("system"), of("developer")])), "unsupported_value");
        assert_eq!(code("gpt-4o", json!([of("system"), of("developer")])), "");
        assert_eq!(code("o3-mini", json!([image])), "unsupported_value");
        assert_eq!(code("gpt-4o", json!([image])), "");
    }

    #[test]
    fn a_prompt_longer_than_the_window() {
        let long = "word ".repeat(110_000);
        let body = json!([{"role": "user", "content": long}]);
        assert_eq!(refusal("gpt-4o", &json!({"messages": body})).0, "context_length_exceeded");
        assert_eq!(refusal("o1", &json!({"messages": body})).0, "");
    }
}
