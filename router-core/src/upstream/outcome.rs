//! What came back? Status, headers and body of an answer -> what it means for the deployment and for the request.
//!
//! Bodies are read loosely: a code may be a string, a number or null. A 400 is the caller's own unless it says that the
//! deployment, not the request, is what does not fit.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::chat::adapt::dispensable;

use super::retry_after;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer, or the start of it.
    Served,
    /// 429: the deployment asks to be left alone.
    Throttled {
        /// For how long; `None` where it names no time.
        wait: Option<Duration>,
        /// Why, as far as it says.
        kind: Throttle,
    },
    /// 3xx, 408, 5xx, 529: the deployment failed.
    Failed {
        /// How long it asks to be left alone; `None` where it says nothing, as most do.
        wait: Option<Duration>,
    },
    /// 401, 403, 404, 410: config or rights are wrong, or the model has retired.
    Misconfigured,
    /// 400 that names a field which this model does not take and which may be left out.
    FieldRefused(&'static str),
    /// 400 that names a field whose value this model does not take, and which may be left out.
    ValueRefused(&'static str),
    /// 400: the prompt is too long for this model.
    ContextLength,
    /// 400: an encrypted item of the request was made by another resource.
    Unreadable,
    /// Any other answer: the caller's own.
    Rejected,
}

/// Why a 429 was answered.
///
/// **Source:** Microsoft, "Manage Azure OpenAI quota", "Provisioned throughput", "Flex processing".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// Provisioned throughput is full.
    ProvisionedFull,
    /// The deployment's quota of tokens or calls is used up.
    Quota,
    /// The region has no capacity for the model.
    SystemCapacity,
    /// This request is too large at the moment; smaller ones may pass.
    Size,
    /// The flex tier has no capacity.
    Flex,
}

impl Throttle {
    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProvisionedFull => "provisioned_full",
            Self::Quota => "quota",
            Self::SystemCapacity => "system_capacity",
            Self::Size => "size",
            Self::Flex => "flex",
        }
    }

    /// The kind, by the error's message and the deployment's billing.
    pub fn of(message: &str, provisioned: bool) -> Self {
        let message = message.to_ascii_lowercase();
        let says = |part: &str| message.contains(part);
        if says("maximum usage size") {
            Self::Size
        } else if says("flex") {
            Self::Flex
        } else if says("temporarily unable to process") || says("high demand") {
            Self::SystemCapacity
        } else if provisioned {
            Self::ProvisionedFull
        } else {
            Self::Quota
        }
    }
}

/// What judging needs to know beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// True where the deployment is provisioned.
    pub provisioned: bool,
    /// The wall clock, for waits that are given as a date.
    pub wall: SystemTime,
    /// No wait is believed beyond this.
    pub longest_wait: Duration,
}

/// Judges an answer. `body` matters only where the status is no success; it may be cut.
pub fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    circumstances: Circumstances,
) -> Outcome {
    let Circumstances { provisioned, wall, longest_wait } = circumstances;
    match status.as_u16() {
        200..=299 => Outcome::Served,
        429 => {
            let message = Fault::read(body).message;
            Outcome::Throttled {
                wait: retry_after::wait(headers, &message, wall, longest_wait),
                kind: Throttle::of(&message, provisioned),
            }
        }
        404 if Fault::read(body).is_of_the_request() => Outcome::Rejected,
        401 | 403 | 404 | 410 => Outcome::Misconfigured,
        // A redirect is not followed, as it would carry the credential, nor passed on to a caller who has none for it.
        300..=399 | 408 | 500..=599 => {
            Outcome::Failed { wait: retry_after::wait_after_fault(headers, wall, longest_wait) }
        }
        400 => refused(&Fault::read(body)),
        _ => Outcome::Rejected,
    }
}

fn refused(fault: &Fault) -> Outcome {
    if fault.code == "context_length_exceeded" {
        return Outcome::ContextLength;
    }
    if fault.code == "invalid_encrypted_content" {
        return Outcome::Unreadable;
    }
    let unknown = matches!(fault.code.as_str(), "unsupported_parameter" | "unknown_parameter")
        || fault.message.starts_with(UNRECOGNIZED);
    let outcome = if unknown {
        Outcome::FieldRefused
    } else if fault.code == "unsupported_value" {
        Outcome::ValueRefused
    } else {
        return Outcome::Rejected;
    };
    dispensable(fault.field()).map_or(Outcome::Rejected, outcome)
}

/// How a message starts that names an unknown field, where no code does.
const UNRECOGNIZED: &str = "Unrecognized request argument";

/// What an error body says, as far as it can be read.
#[derive(Debug, Default)]
struct Fault {
    code: String,
    param: String,
    message: String,
}

impl Fault {
    fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        // Some gateways leave the wrapping object out.
        let error = body.get("error").unwrap_or(&body);
        let text = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => String::new(),
        };
        let message = error.as_str().map_or_else(|| text("message"), str::to_owned);
        Self { code: text("code"), param: text("param"), message }
    }

    /// The field that it is about; some messages name it where `param` is null: "Unrecognized request argument supplied: x".
    fn field(&self) -> &str {
        let named = || self.message.strip_prefix(UNRECOGNIZED)?.split_once(": ");
        if self.param.is_empty() {
            named().map_or("", |(_, name)| name.trim_end_matches('.'))
        } else {
            &self.param
        }
    }

    /// True of a 404 for something that the request names, such as a file or an item: the deployment itself is there.
    fn is_of_the_request(&self) -> bool {
        !self.param.is_empty() && self.param != "model"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIRCUMSTANCES: Circumstances = Circumstances {
        provisioned: false,
        wall: SystemTime::UNIX_EPOCH,
        longest_wait: Duration::from_secs(60),
    };

    #[track_caller]
    fn check(status: u16, body: &str, expected: &Outcome) {
        let status = StatusCode::from_u16(status).unwrap();
        let outcome = judge(status, &HeaderMap::new(), body.as_bytes(), CIRCUMSTANCES);
        assert_eq!(&outcome, expected, "{status} {body}");
    }

    #[test]
    fn a_fault_may_ask_for_a_wait_and_its_quotas_are_none() {
        for (name, value, seconds) in [
            ("retry-after", "7", Some(7)),
            ("retry-after-ms", "2000", Some(2)),
            ("retry-after", "86400", Some(60)),
            ("x-ratelimit-reset-tokens", "7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let outcome = judge(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", CIRCUMSTANCES);
            assert_eq!(outcome, Outcome::Failed { wait: seconds.map(Duration::from_secs) });
        }
    }

    fn item_404(param: &str) -> String {
        format!(r#"{{"error":{{"message":"Item with id 'rs_1' not found.","param":"{param}"}}}}"#)
    }

    #[test]
    fn statuses_mean_what_the_table_says() {
        for status in [200, 201] {
            check(status, "", &Outcome::Served);
        }
        for status in [302, 307, 408, 500, 502, 503, 504, 529] {
            check(status, "<html>", &Outcome::Failed { wait: None });
        }
        for status in [401, 403, 404, 410] {
            check(status, r#"{"error":{"code":"DeploymentNotFound"}}"#, &Outcome::Misconfigured);
        }
        check(404, &item_404("input"), &Outcome::Rejected);
        check(404, &item_404("model"), &Outcome::Misconfigured);
        check(404, "", &Outcome::Misconfigured);
        for status in [400, 413, 422] {
            check(
                status,
                r#"{"error":{"code":"content_filter","param":"prompt"}}"#,
                &Outcome::Rejected,
            );
        }
    }

    #[test]
    fn a_400_may_be_the_deployments_own() {
        let field = |code: &str, param: &str| {
            format!(r#"{{"error":{{"code":"{code}","param":"{param}"}}}}"#)
        };
        check(
            400,
            &field("unsupported_parameter", "max_tokens"),
            &Outcome::FieldRefused("max_tokens"),
        );
        check(
            400,
            &field("unsupported_value", "temperature"),
            &Outcome::ValueRefused("temperature"),
        );
        let unrecognized = r#"{"error":{"message":"Unrecognized request argument supplied: seed","param":null,"code":null}}"#;
        check(400, unrecognized, &Outcome::FieldRefused("seed"));
        check(400, &field("unsupported_value", "messages[0].role"), &Outcome::Rejected);
        check(400, &field("invalid_value", "temperature"), &Outcome::Rejected);
        check(400, &field("context_length_exceeded", "messages"), &Outcome::ContextLength);
        check(400, &field("invalid_encrypted_content", ""), &Outcome::Unreadable);
        check(400, r#"{"error":{"code":null,"type":null}}"#, &Outcome::Rejected);
        check(400, "not json", &Outcome::Rejected);
    }

    #[test]
    fn kinds_of_429_are_told_apart() {
        let quota = "Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds.";
        let peak = "exceeds the maximum usage size allowed during peak load. Please retry after 20 seconds";
        let system =
            "The service is temporarily unable to process your request. Please try again later.";
        for (message, kind, seconds) in [
            (quota, Throttle::Quota, Some(7)),
            (peak, Throttle::Size, Some(20)),
            (system, Throttle::SystemCapacity, None),
            ("", Throttle::Quota, None),
        ] {
            let body =
                serde_json::json!({"error": {"code": "429", "message": message}}).to_string();
            let wait = seconds.map(Duration::from_secs);
            check(429, &body, &Outcome::Throttled { wait, kind });
        }
        assert_eq!(Throttle::of("", true), Throttle::ProvisionedFull);
    }
}
