//! Reads an error that arrives inside a success: as an event of a stream, or in the body of a 200.
//!
//! It derives the corresponding status from the error's text, so that the error is judged like a
//! response with that status. It does not decide what the error means for the deployment.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::usage::Usage;

/// An error that an upstream reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reported {
    /// The upstream's code, or its type if it gives no code; empty if it gives neither.
    pub code: Box<str>,
    /// The status that it represents, such as 429.
    pub status: Option<u16>,
    /// Usage, if the error reports it.
    pub usage: Option<Usage>,
    /// The body that an answer of that status would have.
    pub body: Bytes,
}

impl Reported {
    /// Reads an error as it stands behind the name `error`: an object, or a text alone.
    pub fn read(error: &Value) -> Self {
        // A code may be a string, a number or null.
        let word = |name: &str| match error.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) | None => None,
        };
        let words = [word("code"), word("type"), word("status")];
        let status = words.iter().flatten().find_map(|word| stands_for(word));
        let [code, kind, _] = words;
        // A code goes into labels and logs: keep it a word, whatever the upstream put there.
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-.".contains(*letter);
        let code: String =
            code.or(kind).unwrap_or_default().chars().filter(plain).take(64).collect();
        let error = error.as_str().map_or_else(
            || error.clone(),
            |text| json!({"message": text, "type": null, "param": null, "code": null}),
        );
        let body = json!({"error": error}).to_string().into();
        Self { code: code.into(), status, usage: None, body }
    }

    /// Reads an event of the Responses API that is an error itself.
    pub(super) fn flat(data: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        let field = |name: &str| event.get(name).cloned().unwrap_or_default();
        Self::read(&json!({
            "message": field("message"), "type": null, "param": field("param"), "code": field("code"),
        }))
    }

    /// Reads a body whose status is a success; `None` if it is an answer, or nothing that is known.
    ///
    /// ```
    /// use router_core::chat::Reported;
    /// let reported = Reported::in_place_of_answer(br#"{"error":{"message":"m","code":"content_filter"}}"#);
    /// assert_eq!(reported.and_then(|error| error.status), Some(400));
    /// assert_eq!(Reported::in_place_of_answer(br#"{"error":null,"output":[]}"#), None);
    /// ```
    pub fn in_place_of_answer(body: &[u8]) -> Option<Self> {
        let read: InPlace = serde_json::from_slice(body).ok()?;
        let answers = read.choices.is_some() || read.output.is_some() || read.data.is_some();
        read.error.filter(|_| !answers).map(|error| Self::read(&error))
    }
}

#[derive(Deserialize)]
struct InPlace {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    choices: Option<IgnoredAny>,
    #[serde(default)]
    output: Option<IgnoredAny>,
    #[serde(default)]
    data: Option<IgnoredAny>,
}

/// The status that a code or a type represents.
///
/// **Source:** `OpenAI` API reference, "Error codes", and "The response object", `error.code`; Microsoft, "Content filtering".
fn stands_for(word: &str) -> Option<u16> {
    let status = match word {
        "rate_limit_exceeded"
        | "RateLimitReached"
        | "too_many_requests"
        | "insufficient_quota"
        | "tokens"
        | "requests" => 429,
        "server_error" | "internal_error" => 500,
        "invalid_api_key" => 401,
        "model_not_found" | "DeploymentNotFound" => 404,
        "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation"
        | "invalid_prompt"
        | "invalid_request"
        | "invalid_request_error"
        | "invalid_value"
        | "unknown_parameter"
        | "unsupported_parameter"
        | "unsupported_value"
        | "invalid_base64_image"
        | "unsupported_image_media_type"
        | "empty_image_file"
        | "failed_to_download_image" => 400,
        image if image.starts_with("invalid_image") || image.starts_with("image_") => 400,
        number => number.parse().ok().filter(|status| (400..600).contains(status))?,
    };
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_whatever_the_form_of_their_words() {
        for (error, code, status) in [
            (json!({"code": "server_error"}), "server_error", Some(500)),
            (json!({"code": 429}), "429", Some(429)),
            (json!({"code": "429"}), "429", Some(429)),
            (json!({"code": 7}), "7", None),
            (json!({"code": null, "type": "kind"}), "kind", None),
            (json!({"code": null, "type": "server_error"}), "server_error", Some(500)),
            (
                json!({"code": "invalid_api_key", "type": "invalid_request_error"}),
                "invalid_api_key",
                Some(401),
            ),
            (json!({"code": "own", "type": "invalid_request_error"}), "own", Some(400)),
            (json!({"code": "own", "status": 400}), "own", Some(400)),
            (json!({"code": "image_too_large"}), "image_too_large", Some(400)),
            (json!({}), "", None),
        ] {
            let reported = Reported::read(&error);
            assert_eq!((&*reported.code, reported.status), (code, status), "{error}");
            assert_eq!(serde_json::from_slice::<Value>(&reported.body).unwrap()["error"], error);
        }
    }

    #[test]
    fn a_text_alone_is_the_message() {
        let body = Reported::read(&json!("no room")).body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["message"], "no room");
    }

    #[test]
    fn an_answer_is_no_error() {
        for body in [
            r#"{"error":{"code":"server_error"},"output":[],"status":"failed"}"#,
            r#"{"error":{},"choices":[]}"#,
            r#"{"error":{},"data":[]}"#,
            r#"{"error":null}"#,
            r#"{"text":"hi"}"#,
            "[]",
            "ID3",
        ] {
            assert_eq!(Reported::in_place_of_answer(body.as_bytes()), None, "{body}");
        }
    }
}
