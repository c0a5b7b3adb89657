//! The status and code with which an upstream failed an attempt, as far as they may be shown.
//!
//! A code is shown only if it is a short word, because an upstream may put any text there,
//! including a prompt or an address. The message is never kept.

use serde::Deserialize;
use serde_json::Value;

/// An upstream's status and error code for an attempt that it did not serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The status of its answer; `None` if it gave none.
    pub status: Option<u16>,
    /// Its code of the error, else its type; `None` if neither is a word that may be shown.
    pub code: Option<Box<str>>,
}

/// The longest word that is shown.
const LONGEST: usize = 64;

/// A text that may stand in logs and errors whatever its source: `[A-Za-z0-9_.-]{1,64}`.
///
/// ```
/// use router_core::upstream::said::token;
/// assert_eq!(token("context_length_exceeded"), Some("context_length_exceeded"));
/// assert_eq!(token("see http://10.0.0.7/"), None);
/// ```
pub fn token(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Words {
    code: Value,
    #[serde(rename = "type")]
    kind: Value,
}

#[derive(Deserialize)]
struct Body {
    error: Words,
}

impl Said {
    /// Reads the body of an answer that is no success.
    pub fn read(status: u16, body: &[u8]) -> Self {
        // Some gateways leave the wrapping object out.
        let wrapped = serde_json::from_slice::<Body>(body).map(|body| body.error);
        let words = wrapped.or_else(|_| serde_json::from_slice::<Words>(body)).unwrap_or_default();
        let word = |value: &Value| match value {
            Value::String(text) => token(text).map(Box::from),
            Value::Number(number) => token(&number.to_string()).map(Box::from),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        Self { status: Some(status), code: word(&words.code).or_else(|| word(&words.kind)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, code: Option<&str>) {
        let said = Said::read(503, body.as_bytes());
        assert_eq!((said.status, said.code.as_deref()), (Some(503), code), "{body}");
    }

    #[test]
    fn a_code_is_shown_only_as_a_bounded_word() {
        check(
            r#"{"error":{"code":"InternalServerError","type":"x"}}"#,
            Some("InternalServerError"),
        );
        check(r#"{"error":{"code":503}}"#, Some("503"));
        check(r#"{"error":{"code":null,"type":"server_error"}}"#, Some("server_error"));
        check(r#"{"code":"DeploymentNotFound"}"#, Some("DeploymentNotFound"));
        check(r#"{"error":{"code":"my prompt was: secret"}}"#, None);
        check(
            r#"{"error":{"code":"https://upstream/","type":"server_error"}}"#,
            Some("server_error"),
        );
        check(
            &format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(LONGEST)),
            Some(&"x".repeat(LONGEST)),
        );
        check(&format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(LONGEST + 1)), None);
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"error":"text"}"#,
            r#"{"error":{"code":{}}}"#,
            r#"{"error":{"code":""}}"#,
        ] {
            check(body, None);
        }
    }
}
