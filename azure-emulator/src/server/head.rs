//! Status and headers of answers.
//!
//! **Source:** Azure OpenAI docs, "provisioned throughput" and "manage quota"; names and forms of
//! the rest as observed. On OpenAI's own path resets are durations (`6m0s`), on Azure's whole
//! seconds.

use super::deployed::Gauge;
use super::deployed::Refused;
use super::inference::Dialect;
use super::inference::Reached;
use crate::quota::QuotaReading;
use crate::script::step::Changes;
use crate::wire::error::Refusal;
use crate::wire::throttled;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use std::time::Duration;

/// The kinds of body.
pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// A response of these parts. A status that is none becomes 500.
pub(crate) fn respond(status: u16, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// A refusal that no deployment is to blame for.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let mut headers = HeaderMap::new();
    set(&mut headers, CONTENT_TYPE.as_str(), JSON);
    respond(refusal.status.as_u16(), headers, Body::from(refusal.body.to_string()))
}

/// The headers every answer of a deployment has.
pub(crate) fn of(reached: &Reached, content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let deployment = &reached.deployed.settings;
    set(&mut headers, CONTENT_TYPE.as_str(), content_type);
    set(&mut headers, "x-request-id", &reached.request_id);
    if reached.dialect != Dialect::OpenAi {
        set(&mut headers, "apim-request-id", &reached.request_id);
        set(&mut headers, "x-ms-region", &deployment.region);
        set(&mut headers, "x-ms-deployment-name", &deployment.name);
        set(&mut headers, "x-ms-rai-invoked", "true");
    }
    headers
}

/// Adds what the headers of a 200 say about the limit.
pub(crate) fn gauge(headers: &mut HeaderMap, reached: &Reached, gauge: Gauge) {
    match gauge {
        Gauge::Utilization(share) if reached.deployed.settings.utilization_header => {
            set(headers, UTILIZATION, &percent(share));
        }
        Gauge::Utilization(_) => {}
        Gauge::Quota(reading) => quota(headers, reached.dialect, &reading),
    }
}

/// A 429, with its waits in both units.
pub(crate) fn throttled(reached: &Reached, why: Refused, gauge: Gauge) -> Response {
    let (refusal, wait) = match why {
        Refused::Full { wait } => (throttled::provisioned_full(), wait),
        Refused::Flex { wait } => (throttled::flex_capacity(), wait),
        Refused::OverQuota(over) if reached.dialect == Dialect::OpenAi => {
            let most = match (gauge, over.limit) {
                (Gauge::Quota(reading), crate::quota::Limit::Requests) => reading.limit_requests,
                (Gauge::Quota(reading), crate::quota::Limit::Tokens) => reading.limit_tokens,
                (Gauge::Utilization(_), _) => 0,
            };
            let model = &reached.deployed.settings.model;
            let requested = over.requested_tokens;
            (throttled::openai(model, over.limit, most, requested, over.wait), over.wait)
        }
        Refused::OverQuota(over) => (
            throttled::over_quota(over.limit, reached.operation.azure_name(), over.wait),
            over.wait,
        ),
    };
    let mut headers = of(reached, JSON);
    self::gauge(&mut headers, reached, gauge);
    waits(&mut headers, wait);
    if reached.deployed.settings.milliseconds_only {
        headers.remove("retry-after");
    }
    respond(refusal.status.as_u16(), headers, Body::from(refusal.body.to_string()))
}

/// Sets and leaves out what a script says.
pub(crate) fn changed(headers: &mut HeaderMap, changes: &Changes) {
    for name in &changes.without_headers {
        headers.remove(name);
    }
    for (name, value) in &changes.headers {
        set(headers, name, value);
    }
}

const UTILIZATION: &str = "azure-openai-deployment-utilization";

fn waits(headers: &mut HeaderMap, wait: Duration) {
    set(headers, "retry-after-ms", &throttled::whole_milliseconds(wait).to_string());
    set(headers, "retry-after", &throttled::whole_seconds(wait).to_string());
}

/// `103.2%`
fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn quota(headers: &mut HeaderMap, dialect: Dialect, reading: &QuotaReading) {
    let reset = |wait: Duration| match dialect {
        Dialect::OpenAi => throttled::openai_duration(wait),
        Dialect::Dated | Dialect::V1 => throttled::whole_seconds(wait).to_string(),
    };
    let fields = [
        ("x-ratelimit-limit-requests", reading.limit_requests.to_string()),
        ("x-ratelimit-limit-tokens", reading.limit_tokens.to_string()),
        ("x-ratelimit-remaining-requests", reading.remaining_requests.to_string()),
        ("x-ratelimit-remaining-tokens", reading.remaining_tokens.to_string()),
        ("x-ratelimit-reset-requests", reset(reading.reset_requests)),
        ("x-ratelimit-reset-tokens", reset(reading.reset_tokens)),
    ];
    for (name, value) in fields {
        set(headers, name, &value);
    }
}

/// Sets a header; a name or value that HTTP cannot carry is left out.
fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
    if let (Ok(name), Ok(value)) = parsed {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_has_one_decimal_and_a_sign() {
        assert_eq!(percent(1.0321), "103.2%");
        assert_eq!(percent(0.0), "0.0%");
    }
}
