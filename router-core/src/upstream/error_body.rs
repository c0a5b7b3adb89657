//! Parses the body of an upstream's error: code, parameter, message, and which part of the request
//! they blame.
//!
//! Upstreams and gateways word the same fault in many ways. A code may be a string, a number or
//! null; the wrapping object may be missing or named `detail`; a field may be named by `param`, by
//! a location or only in the message. Parsing is lenient, and an unreadable body blames nothing.
//!
//! Not done here: the meaning of a status (`outcome`).

use serde_json::Value;

use crate::chat::FieldSet;

/// The readable part of an error body.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) param: String,
    pub(super) message: String,
    /// The fields that a validator reports as unknown by their location.
    extra: Vec<String>,
}

/// Starts of messages that reject a field.
///
/// **Source:** error bodies of `OpenAI`, Azure `OpenAI` and vLLM.
const REFUSED_FIELD: [&str; 3] =
    ["unrecognized request argument", "unsupported parameter", "unknown parameter"];

/// Starts of messages that reject the value of a field.
const REFUSED_VALUE: &str = "unsupported value";

/// The types of a validator's fault for a field that it does not know.
///
/// **Source:** Pydantic, "Validation Errors": version 2 and version 1.
const EXTRA: [&str; 2] = ["extra_forbidden", "value_error.extra"];

/// Codes of errors that concern the deployment or the rights of the router's credential.
const OF_THE_DEPLOYMENT: [&str; 5] = [
    "DeploymentNotFound",
    "PermissionDenied",
    "AuthorizationFailed",
    "invalid_api_key",
    "unsupported_country_region_territory",
];

/// Objects that a request refers to by an id. A 403 or 404 that mentions one concerns the request.
const OBJECTS: [&str; 15] = [
    "file",
    "files",
    "upload",
    "prompt",
    "conversation",
    "item",
    "container",
    "assistant",
    "thread",
    "skill",
    "connector",
    "batch",
    "vector_store",
    "vector_stores",
    "previous_response",
];

/// The field that names a service tier.
const SERVICE_TIER: &str = "service_tier";

/// The words of a message that are compared with the request, at most.
const WORDS: usize = 64;

/// The shortest word that counts as an id.
const ID_BYTES: usize = 8;

impl ErrorBody {
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let detail = body.get("detail");
        let list = detail.and_then(Value::as_array).or_else(|| body.get("error")?.as_array());
        let error = body.get("error").or(detail).unwrap_or(&body);
        let text = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => String::new(),
        };
        let message = error.as_str().map_or_else(|| text("message"), str::to_owned);
        let mut extra: Vec<String> = list.into_iter().flatten().filter_map(unknown_field).collect();
        extra.extend(quoted_locations(&message));
        Self { code: text("code"), param: text("param"), message, extra }
    }

    /// The fields that are refused whatever their values; `None` if the error refuses none, or one that the request needs.
    pub(super) fn refused_fields(&self) -> Option<FieldSet> {
        if !self.extra.is_empty() {
            return FieldSet::of(self.extra.iter().map(String::as_str));
        }
        let named = REFUSED_FIELD.iter().find_map(|start| after(&self.message, start));
        let coded = matches!(self.code.as_str(), "unsupported_parameter" | "unknown_parameter");
        (coded || named.is_some()).then(|| self.fields(named)).flatten()
    }

    /// The field whose value is refused; `None` as for [`Self::refused_fields`].
    pub(super) fn refused_value(&self) -> Option<FieldSet> {
        // A model that a service tier is not offered for: the codes of these errors differ, their field does not.
        if self.param == SERVICE_TIER || self.message.contains(SERVICE_TIER) {
            return FieldSet::of([SERVICE_TIER]);
        }
        let named = after(&self.message, REFUSED_VALUE);
        let coded = self.code == "unsupported_value";
        (coded || named.is_some()).then(|| self.fields(named)).flatten()
    }

    /// The fields that the error is about: `param`, otherwise what the rest of the message names.
    fn fields(&self, named: Option<&str>) -> Option<FieldSet> {
        if self.param.is_empty() {
            FieldSet::of(names(named.unwrap_or_default()))
        } else {
            FieldSet::of([self.param.as_str()])
        }
    }

    /// True if the request, not the deployment or the router's rights, is responsible for a 403 or a 404: it refers to an
    /// object that does not exist or that it may not use. `model` is the name that the router sent for the deployment, and
    /// `sent` the body that it sent.
    pub(super) fn blames_request(&self, model: &str, sent: &[u8]) -> bool {
        if OF_THE_DEPLOYMENT.contains(&self.code.as_str()) {
            return false;
        }
        let stands_in_request = |word: &str| memchr::memmem::find(sent, word.as_bytes()).is_some();
        let message = self.message.to_ascii_lowercase();
        if self.code == "model_not_found" || self.param == "model" || message.contains("the model ")
        {
            // A tool or a prompt may name a model of its own.
            let mut names = quoted(&self.message).filter(|name| !name.is_empty());
            return !quoted(&self.message).any(|name| name.eq_ignore_ascii_case(model))
                && names.any(stands_in_request);
        }
        let of_object = message
            .replace("vector store", "vector_store")
            .replace("previous response", "previous_response")
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .any(|word| OBJECTS.contains(&word));
        !self.param.is_empty()
            || of_object
            || ids(&self.message).filter(|id| *id != model).any(stands_in_request)
    }

    /// The limit that the request alone exceeds: `Limit 30000, Requested 36278`. `None` if the message states none, or one
    /// that the request keeps.
    pub(super) fn exceeded_limit(&self) -> Option<u64> {
        let message = self.message.to_ascii_lowercase();
        let (limit, requested) = (number(&message, "limit")?, number(&message, "requested")?);
        (requested > limit).then_some(limit)
    }

    /// True if the message says that the request is too large by itself.
    pub(super) fn is_too_large(&self) -> bool {
        after(&self.message, "request too large").is_some() || self.exceeded_limit().is_some()
    }
}

/// The part of the text after a start, whatever its case.
fn after<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let (head, rest) = text.trim_start().split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

/// The names behind the colon of a refusal: `s supplied: seed, user`, `: 'temperature' is not supported with this model.`
fn names(rest: &str) -> Vec<&str> {
    let Some((_, list)) = rest.split_once(':') else { return Vec::new() };
    let list = list.trim_start();
    if list.starts_with(['\'', '"', '`']) {
        // A sentence may follow in which other fields are quoted as the better choice.
        return quoted(list).take(1).collect();
    }
    let mut names = Vec::new();
    for part in list.split(',') {
        let mut words = part.split_whitespace();
        names.extend(words.next().map(|name| name.trim_end_matches('.')));
        if words.next().is_some() {
            break;
        }
    }
    names
}

/// Text between two quotation marks of a kind.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(['\'', '"', '`'])?;
        let mark = rest.chars().find(|letter| matches!(letter, '\'' | '"' | '`'))?;
        let (inside, behind) = behind.split_once(mark)?;
        rest = behind;
        Some(inside)
    })
}

/// The words of a message that can be ids: long, and with a digit in them.
fn ids(message: &str) -> impl Iterator<Item = &str> {
    let split = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-';
    message
        .split(split)
        .take(WORDS)
        .filter(|word| word.len() >= ID_BYTES && word.bytes().any(|letter| letter.is_ascii_digit()))
}

/// The number that follows a word.
fn number(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).find_map(|(at, _)| {
        let rest = text.get(at + word.len()..)?.trim_start_matches([':', ' ']);
        let digits: String =
            rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',').collect();
        digits.replace(',', "").parse().ok()
    })
}

/// The field of a validator's fault that it reports as unknown: `{"type": "extra_forbidden", "loc": ["body", "seed"]}`.
fn unknown_field(fault: &Value) -> Option<String> {
    let kind = fault.get("type")?.as_str()?;
    let path = fault.get("loc")?.as_array()?;
    let field = path.iter().filter_map(Value::as_str).find(|step| *step != "body")?;
    EXTRA.contains(&kind).then(|| field.to_owned())
}

/// The same in a message that holds the faults as Python prints them.
fn quoted_locations(message: &str) -> Vec<String> {
    let mut faults = message.split("'loc': ('body', '");
    let mut kind = faults.next().unwrap_or_default();
    let mut fields = Vec::new();
    for fault in faults {
        if EXTRA.iter().any(|extra| kind.contains(extra))
            && let Some((field, _)) = fault.split_once('\'')
        {
            fields.push(field.to_owned());
        }
        kind = fault;
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPERATURE: &str = "Unsupported parameter: 'temperature' is not supported with this model. Use 'top_p' instead.";

    fn error(message: &str, code: &Value, param: &Value) -> Value {
        json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})
    }

    #[track_caller]
    fn check(body: &Value, expected: &[&str]) {
        let read = ErrorBody::read(body.to_string().as_bytes());
        let fields = read.refused_fields().unwrap_or_default();
        assert_eq!(fields.iter().collect::<Vec<_>>(), expected, "{body}");
    }

    #[test]
    fn a_refused_field_is_found_in_every_form() {
        let null = Value::Null;
        for (code, param) in [
            (json!("unsupported_parameter"), json!("temperature")),
            (null.clone(), json!("temperature")),
            (json!(400), json!("temperature")),
            (json!("invalid_request_error"), null.clone()),
            (null.clone(), null.clone()),
        ] {
            check(&error(TEMPERATURE, &code, &param), &["temperature"]);
        }
        for (message, expected) in [
            ("Unknown parameter: 'service_tier'.", &["service_tier"][..]),
            ("Unknown parameter: 'reasoning.summary'.", &["reasoning.summary"]),
            ("Unrecognized request argument supplied: seed", &["seed"]),
            ("Unrecognized request arguments supplied: seed, user", &["seed", "user"]),
            ("Unrecognized request arguments supplied: seed, messages", &[]),
            ("unsupported parameter: temperature", &["temperature"]),
            ("Unsupported parameter: 'messages'", &[]),
            ("Unsupported parameter", &[]),
            ("The parameter seed is fine", &[]),
        ] {
            check(&error(message, &null, &null), expected);
            check(&json!({"detail": message}), expected);
            check(&json!({"error": message}), expected);
            check(&json!({"message": message}), expected);
        }
        let fault = |kind: &str, field: &str| json!({"type": kind, "loc": ["body", field], "msg": "Extra inputs are not permitted"});
        check(&json!({"detail": [fault("extra_forbidden", "seed")]}), &["seed"]);
        check(
            &json!({"detail": [fault("value_error.extra", "seed"), fault("value_error.extra", "user")]}),
            &["seed", "user"],
        );
        check(&json!({"detail": [fault("missing", "seed")]}), &[]);
        check(&json!({"detail": [fault("extra_forbidden", "messages")]}), &[]);
        let printed = "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 1}]";
        check(&error(printed, &json!(400), &null), &["seed"]);
    }

    #[test]
    fn a_refused_value_is_found_by_its_code_or_its_message() {
        let message = "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.";
        for (code, param) in [
            (json!("unsupported_value"), json!("temperature")),
            (Value::Null, json!("temperature")),
            (Value::Null, Value::Null),
        ] {
            let read = ErrorBody::read(error(message, &code, &param).to_string().as_bytes());
            assert_eq!(read.refused_fields(), None);
            assert_eq!(read.refused_value(), FieldSet::of(["temperature"]));
        }
    }

    #[test]
    fn a_request_is_blamed_for_the_objects_that_it_names() {
        let sent = br#"{"model":"gpt-4o","input":"x","tools":[{"model":"gpt-image-9"}],"own_id":"zz_41aef0"}"#;
        for (message, code, param, expected) in [
            ("No such File object: file-abc123", Value::Null, "", true),
            ("Vector store with id 'vs_1' not found", Value::Null, "", true),
            ("Prompt with id 'pmpt_1' not found.", Value::Null, "prompt", true),
            ("Conversation with id 'conv_1' not found.", Value::Null, "", true),
            ("You may not read this container.", Value::Null, "", true),
            ("zz_41aef0: gone", Value::Null, "", true),
            ("yy_41aef0: gone", Value::Null, "", false),
            ("The model `gpt-image-9` does not exist", json!("model_not_found"), "", true),
            (
                "The model `gpt-4o` does not exist or you do not have access to it.",
                json!("model_not_found"),
                "",
                false,
            ),
            (
                "Project `proj_1` does not have access to model `gpt-4o`",
                json!("model_not_found"),
                "",
                false,
            ),
            ("The model `gpt-4o-2024` does not exist", Value::Null, "", false),
            (
                "The API deployment for this resource does not exist.",
                json!("DeploymentNotFound"),
                "",
                false,
            ),
            ("Resource not found", json!("404"), "", false),
            (
                "The principal `00` lacks the action `../files/read`",
                json!("PermissionDenied"),
                "",
                false,
            ),
            ("Access denied due to Virtual Network/Firewall rules.", json!("403"), "", false),
            ("Invalid URL (POST /v1/profile)", Value::Null, "", false),
        ] {
            let body = error(message, &code, &json!(param)).to_string();
            let read = ErrorBody::read(body.as_bytes());
            assert_eq!(read.blames_request("gpt-4o", sent), expected, "{body}");
        }
        for body in ["", "<html>no file</html>", r#"{"detail":"Not Found"}"#, "{}"] {
            assert!(!ErrorBody::read(body.as_bytes()).blames_request("gpt-4o", sent), "{body}");
        }
    }

    #[test]
    fn a_request_that_is_too_large_by_itself_is_found_by_the_numbers() {
        for (message, large, limit) in [
            (
                "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 36278. The input or output tokens must be reduced.",
                true,
                Some(30_000),
            ),
            ("Request too large.", true, None),
            (
                "Rate limit reached for m on tokens per min (TPM): Limit 30,000, Used 29,000, Requested 40,000.",
                true,
                Some(30_000),
            ),
            (
                "Rate limit reached for m (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
                false,
                None,
            ),
            ("exceeded token rate limit of your tier. Please retry after 60 seconds.", false, None),
            ("", false, None),
        ] {
            let read =
                ErrorBody::read(error(message, &Value::Null, &Value::Null).to_string().as_bytes());
            assert_eq!((read.is_too_large(), read.exceeded_limit()), (large, limit), "{message}");
        }
    }
}
