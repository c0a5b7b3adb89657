//! The bodies of 429, of which Azure has several and OpenAI its own.
//!
//! A router tells them apart by their words, so the words are the real ones.
//! **Source:** Azure OpenAI docs, "manage quota" and "troubleshoot errors", and public reports.

use super::error::Refusal;
use crate::quota::Limit;
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// A provisioned deployment above 100 %.
pub fn provisioned_full() -> Refusal {
    azure(
        "The provisioned deployment has exceeded its capacity. Please retry after the time given \
         in the retry-after headers. See https://aka.ms/oai/docs/provisioned for more.",
    )
}

/// A pay-as-you-go deployment over its quota.
pub fn over_quota(limit: Limit, operation: &str, wait: Duration) -> Refusal {
    let limit = match limit {
        Limit::Requests => "call rate limit",
        Limit::Tokens => "token rate limit",
    };
    let seconds = whole_seconds(wait);
    azure(&format!(
        "Requests to the {operation} Operation under Azure OpenAI API have exceeded {limit} of \
         your current OpenAI S0 pricing tier. Please retry after {seconds} seconds. Please go \
         here: https://aka.ms/oai/quotaincrease if you would like to further increase the default \
         rate limit."
    ))
}

/// The flex tier has no capacity left.
pub fn flex_capacity() -> Refusal {
    azure(
        "Flex processing has no capacity available to process your request at this time. Please \
         retry later, or use the default service tier.",
    )
}

/// The shared pool of model and region is busy; not about this deployment's quota.
pub fn system_capacity() -> Refusal {
    azure(
        "The service is temporarily unable to process your request. System is experiencing high \
         demand. Please try again later.",
    )
}

/// Only large requests are refused for a while.
pub fn peak_load(seconds: u64) -> Refusal {
    azure(&format!(
        "The request exceeds the maximum usage size allowed during peak load. Please retry after \
         {seconds} seconds, or reduce the size of the request."
    ))
}

/// OpenAI's own form of a quota 429.
pub fn openai(model: &str, limit: Limit, most: u64, requested: u64, wait: Duration) -> Refusal {
    let (kind, unit) = match limit {
        Limit::Requests => ("requests", "requests per min (RPM)"),
        Limit::Tokens => ("tokens", "tokens per min (TPM)"),
    };
    let message = format!(
        "Rate limit reached for {model} on {unit}: Limit {most}, Used {most}, Requested \
         {requested}. Please try again in {}.",
        openai_duration(wait)
    );
    let body = json!({"error": {
        "message": message, "type": kind, "param": null, "code": "rate_limit_exceeded",
    }});
    Refusal { status: StatusCode::TOO_MANY_REQUESTS, body }
}

/// Whole seconds, rounded up, as `retry-after` carries them.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Whole milliseconds, rounded up, as `retry-after-ms` carries them.
pub fn whole_milliseconds(wait: Duration) -> u128 {
    wait.as_nanos().div_ceil(1_000_000)
}

/// OpenAI writes waits as `120ms`, `1.5s` or `6m0s`.
pub fn openai_duration(wait: Duration) -> String {
    let millis = whole_milliseconds(wait);
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        1_000..60_000 => format!("{}.{:03}s", millis / 1_000, millis % 1_000),
        _ => format!("{}m{}s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

fn azure(message: &str) -> Refusal {
    Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        body: json!({"error": {"code": "429", "message": message}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_milliseconds(Duration::from_micros(1_001)), 2);
    }

    #[test]
    fn openai_writes_durations_its_own_way() {
        let check = |millis, text| {
            assert_eq!(openai_duration(Duration::from_millis(millis)), text);
        };
        check(120, "120ms");
        check(1_000, "1s");
        check(1_250, "1.250s");
        check(360_000, "6m0s");
    }
}
