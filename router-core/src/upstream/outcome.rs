//! Classifies a response: status, headers and body -> what it means for the deployment and for the
//! request.
//!
//! A request that is itself at fault must not close a deployment to others. A 400 or 422 is the
//! caller's fault unless it says that the deployment does not accept a field. A 403 or 404 is the
//! caller's fault if it names an object of the request, and a 429 if the request by itself exceeds
//! the quota.
//!
//! Not done here: parsing the error (`error_body`), and the consequences of an outcome
//! (`fallback`).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use crate::chat::FieldSet;

use super::error_body::ErrorBody;
use super::retry_after;

/// Meaning of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer, or the start of it.
    Served,
    /// 429: the deployment asks to be left alone.
    Throttled {
        /// Requested wait; `None` if the response states none.
        wait: Option<Duration>,
        /// The limit that was reached, as far as the response says.
        kind: Throttle,
    },
    /// 3xx, 408, 5xx, 529: the deployment failed.
    Failed {
        /// Requested wait; `None` if the response states none, as most do.
        wait: Option<Duration>,
    },
    /// 429: the request alone exceeds the whole quota, so that it can never pass here. Smaller ones may.
    ExceedsQuota {
        /// The tokens allowed in a minute; `None` if the answer does not say.
        limit: Option<u64>,
    },
    /// 401, 403, 404, 410: config or rights are wrong, or the model has retired.
    Misconfigured,
    /// 400 or 422 that names fields which this model does not take and which may be left out.
    FieldRefused(FieldSet),
    /// 400 or 422 that names a field whose value this model does not take, and which may be left out.
    ValueRefused(FieldSet),
    /// 400: the prompt is too long for this model.
    ContextLength,
    /// 400: an encrypted item of the request was made by another resource.
    Unreadable,
    /// Any other answer: the caller's own.
    Rejected,
}

/// The reason why a 429 was answered.
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

/// Facts besides the response that its judgement needs.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'c> {
    /// The name by which the router asked for the deployment.
    pub model: &'c str,
    /// The body that was sent.
    pub sent: &'c [u8],
    /// True if the deployment is provisioned.
    pub provisioned: bool,
    /// The wall clock, for waits that are given as a date.
    pub wall: SystemTime,
    /// The longest accepted wait.
    pub longest_wait: Duration,
}

/// Judges an answer. `body` matters only where the status is no success; it may be cut.
pub fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    circumstances: Circumstances<'_>,
) -> Outcome {
    let Circumstances { model, sent, provisioned, wall, longest_wait } = circumstances;
    match status.as_u16() {
        200..=299 => Outcome::Served,
        429 => {
            let error = ErrorBody::read(body);
            if error.is_too_large() {
                return Outcome::ExceedsQuota { limit: error.exceeded_limit() };
            }
            Outcome::Throttled {
                wait: retry_after::wait(headers, &error.message, wall, longest_wait),
                kind: Throttle::of(&error.message, provisioned),
            }
        }
        403 | 404 if ErrorBody::read(body).blames_request(model, sent) => Outcome::Rejected,
        401 | 403 | 404 | 410 => Outcome::Misconfigured,
        // A redirect is not followed, as it would carry the credential, nor forwarded to a caller who has none for it.
        300..=399 | 408 | 500..=599 => {
            Outcome::Failed { wait: retry_after::wait_after_fault(headers, wall, longest_wait) }
        }
        400 | 422 => refused(&ErrorBody::read(body)),
        _ => Outcome::Rejected,
    }
}

fn refused(error: &ErrorBody) -> Outcome {
    if error.code == "context_length_exceeded" {
        return Outcome::ContextLength;
    }
    if error.code == "invalid_encrypted_content" {
        return Outcome::Unreadable;
    }
    let field = error.refused_fields().map(Outcome::FieldRefused);
    let refused = field.or_else(|| error.refused_value().map(Outcome::ValueRefused));
    refused.unwrap_or(Outcome::Rejected)
}

/// The upstream's own code of an error, for logs; `None` if there is none, or if it is no short word.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 64;
    let code = ErrorBody::read(body).code;
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    (!code.is_empty() && code.len() <= LONGEST && code.chars().all(letter)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_short_word_or_nothing() {
        let code = |body: &str| error_code(body.as_bytes());
        let missing = r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment .. does not exist"}}"#;
        assert_eq!(code(missing).as_deref(), Some("DeploymentNotFound"));
        assert_eq!(code(r#"{"error":{"code":401}}"#).as_deref(), Some("401"));
        for other in
            [r#"{"error":{"code":"a prompt, quoted"}}"#, r#"{"error":{"code":null}}"#, "<html>"]
        {
            assert_eq!(code(other), None, "{other}");
        }
    }

    const CIRCUMSTANCES: Circumstances<'_> = Circumstances {
        model: "gpt-4o",
        sent: b"",
        provisioned: false,
        wall: SystemTime::UNIX_EPOCH,
        longest_wait: Duration::from_secs(60),
    };

    fn fields(name: &str) -> FieldSet {
        FieldSet::of([name]).unwrap()
    }

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
        for status in [403, 404] {
            check(status, &item_404("input"), &Outcome::Rejected);
        }
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
            &Outcome::FieldRefused(fields("max_tokens")),
        );
        check(
            400,
            &field("unsupported_value", "temperature"),
            &Outcome::ValueRefused(fields("temperature")),
        );
        let unrecognized = r#"{"error":{"message":"Unrecognized request argument supplied: seed","param":null,"code":null}}"#;
        check(400, unrecognized, &Outcome::FieldRefused(fields("seed")));
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
        let large = r#"{"error":{"message":"Request too large for m (TPM): Limit 30000, Requested 36278.","type":"tokens"}}"#;
        check(429, large, &Outcome::ExceedsQuota { limit: Some(30_000) });
    }
}
