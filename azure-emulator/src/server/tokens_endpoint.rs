//! The token endpoints: instance metadata, App Service, OAuth.
//!
//! **Source:** the request and response forms of Microsoft's SDKs. `expires_on` is a string of
//! seconds since 1970 for managed identities; OAuth uses `expires_in` instead.

use super::head;
use super::shared::Shared;
use crate::wall;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Instance metadata: wants the header `metadata: true` and a resource.
pub(crate) async fn instance_metadata(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !headers.get("metadata").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
    {
        return oauth_error("invalid_request", "Required metadata header not specified");
    }
    managed(&shared, query.as_deref())
}

/// App Service: wants the header `x-identity-header` and a resource.
pub(crate) async fn app_service(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key("x-identity-header") {
        return oauth_error("invalid_request", "Required header x-identity-header not specified");
    }
    managed(&shared, query.as_deref())
}

/// OAuth: a form with a secret or a client assertion.
pub(crate) async fn oauth(State(shared): State<Arc<Shared>>, form: Bytes) -> Response {
    let form = String::from_utf8_lossy(&form).into_owned();
    let has = |name: &str| field(&form, name).is_some_and(|value| !value.is_empty());
    if field(&form, "grant_type") != Some("client_credentials") {
        return oauth_error("unsupported_grant_type", "grant_type must be client_credentials");
    }
    if !(has("client_id") && has("scope")) || !(has("client_secret") || has("client_assertion")) {
        return oauth_error("invalid_request", "client_id, scope and a credential are required");
    }
    let Some((token, lifetime)) = shared.identity.issue(Instant::now()) else {
        return failed();
    };
    json_response(
        200,
        &json!({
            "token_type": "Bearer", "expires_in": lifetime.as_secs(),
            "ext_expires_in": lifetime.as_secs(), "access_token": token,
        }),
    )
}

fn managed(shared: &Shared, query: Option<&str>) -> Response {
    let query = query.unwrap_or_default();
    let Some(resource) = field(query, "resource").filter(|resource| !resource.is_empty()) else {
        return oauth_error("invalid_resource", "a resource is required");
    };
    let Some((token, lifetime)) = shared.identity.issue(Instant::now()) else {
        return failed();
    };
    let now = Duration::from_secs(wall::unix_seconds());
    let expires_on = now.saturating_add(lifetime).as_secs();
    json_response(
        200,
        &json!({
            "access_token": token, "client_id": field(query, "client_id").unwrap_or_default(),
            "expires_in": lifetime.as_secs().to_string(), "expires_on": expires_on.to_string(),
            "resource": resource, "token_type": "Bearer",
        }),
    )
}

/// A field of a query or form, still percent-encoded: only its presence matters here.
fn field<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

fn oauth_error(error: &str, description: &str) -> Response {
    json_response(400, &json!({"error": error, "error_description": description}))
}

fn failed() -> Response {
    json_response(500, &json!({"error": "temporarily_unavailable"}))
}

fn json_response(status: u16, body: &Value) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(head::JSON));
    head::respond(status, headers, Body::from(body.to_string()))
}
