//! The emulator's own paths, under `/emulator`: scripts in, journal and state out.
//!
//! They need no credential and are not journaled. The journal shown here omits credentials and
//! bodies; the Rust API has everything.

use super::deployed::Gauge;
use super::head;
use super::shared::Shared;
use crate::journal::Entry;
use crate::script::written;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

/// `POST /emulator/script {"deployment": "...", "steps": [..]}`
pub(crate) async fn add_script(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return fault("the body is no JSON");
    };
    let name = body.get("deployment").and_then(Value::as_str).unwrap_or_default();
    let Some(deployed) = shared.deployment(name) else {
        return fault("deployment: no deployment of that name");
    };
    match written::steps(body.get("steps").unwrap_or(&Value::Null)) {
        Ok(steps) => {
            let count = steps.len();
            for step in steps {
                deployed.add_step(step);
            }
            answer(200, &json!({"added": count}))
        }
        Err(what) => fault(&what),
    }
}

/// `DELETE /emulator/script`: all of them.
pub(crate) async fn clear_scripts(State(shared): State<Arc<Shared>>) -> Response {
    shared.deployments.iter().for_each(|deployed| deployed.clear_script());
    answer(200, &json!({"cleared": true}))
}

/// `GET /emulator/journal`
pub(crate) async fn journal(State(shared): State<Arc<Shared>>) -> Response {
    let entries: Vec<Value> = shared.journal.entries().iter().map(shown).collect();
    answer(200, &json!({"requests": entries}))
}

/// `DELETE /emulator/journal`
pub(crate) async fn clear_journal(State(shared): State<Arc<Shared>>) -> Response {
    shared.journal.clear();
    answer(200, &json!({"cleared": true}))
}

/// `GET /emulator/state`: counters and limits of every deployment.
pub(crate) async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let now = Instant::now();
    let mut all = serde_json::Map::new();
    for deployed in &shared.deployments {
        let counters = deployed.counters();
        let mut shown = json!({
            "model": deployed.settings.model,
            "requests": counters.requests, "ok": counters.ok, "throttled": counters.throttled,
            "other": counters.other, "in_flight": counters.in_flight,
            "hung_up": counters.hung_up, "admitted_tokens": counters.admitted_tokens,
            "prompt_tokens": counters.prompt_tokens, "cached_tokens": counters.cached_tokens,
            "completion_tokens": counters.completion_tokens,
            "billed_usd": counters.billed_usd,
        });
        let (name, value) = match deployed.gauge(now) {
            Gauge::Utilization(share) => ("utilization_ratio", json!(share)),
            Gauge::Quota(reading) => (
                "remaining",
                json!({"requests": reading.remaining_requests, "tokens": reading.remaining_tokens}),
            ),
        };
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(name.to_owned(), value);
        }
        all.insert(deployed.settings.name.clone(), shown);
    }
    answer(200, &json!({"deployments": all, "tokens_issued": shared.identity.issued()}))
}

fn shown(entry: &Entry) -> Value {
    let secret = |name: &str| matches!(name, "authorization" | "api-key" | "cookie");
    let headers: serde_json::Map<String, Value> = entry
        .headers
        .iter()
        .map(|(name, value)| {
            let value = if secret(name.as_str()) { "***" } else { value.to_str().unwrap_or("?") };
            (name.to_string(), json!(value))
        })
        .collect();
    let took = entry.ended.map(|ended| (ended - entry.received).as_secs_f64() * 1_000.0);
    json!({
        "number": entry.number, "method": entry.method, "path": entry.path,
        "query": entry.query, "deployment": entry.deployment, "headers": headers,
        "body_bytes": entry.body.len(), "status": entry.status, "end": entry.end.as_str(),
        "took_ms": took,
    })
}

fn fault(message: &str) -> Response {
    answer(400, &json!({"error": {"message": message, "code": "invalid_script"}}))
}

fn answer(status: u16, body: &Value) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(head::JSON));
    head::respond(status, headers, Body::from(body.to_string()))
}
