//! Look-ups: models, and responses stored earlier.

use super::head;
use super::inference::Dialect;
use super::inference::credential;
use super::shared::Shared;
use crate::wire::error::Refusal;
use crate::wire::listing;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

/// Some day in 2024: when all models of the emulator were made.
const MADE: u64 = 1_715_367_049;

/// Lists models (on Azure's paths too: not deployments, as in reality).
pub(crate) fn models(shared: &Shared, request: &Request, dialect: Dialect) -> Response {
    guarded(shared, request, dialect, || {
        let mut names: Vec<&str> =
            shared.deployments.iter().map(|deployed| deployed.settings.model.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let models: Vec<Value> = names.into_iter().map(|name| listed(name, dialect)).collect();
        Ok(listing::list(&models))
    })
}

/// One model, by its name or by a deployment's.
pub(crate) fn model(shared: &Shared, id: &str, request: &Request, dialect: Dialect) -> Response {
    guarded(shared, request, dialect, || match shared.deployment_or_model(id) {
        Some(_) => Ok(listed(id, dialect)),
        None => Err(Refusal::model_not_found(id)),
    })
}

/// A stored response.
pub(crate) fn response(shared: &Shared, id: &str, request: &Request, dialect: Dialect) -> Response {
    guarded(shared, request, dialect, || {
        shared.stored.find(id).ok_or_else(|| Refusal::response_not_found(id))
    })
}

/// Input of a stored response. The emulator stores only the answer, so the list is empty.
pub(crate) fn input_items(
    shared: &Shared,
    id: &str,
    request: &Request,
    dialect: Dialect,
) -> Response {
    guarded(shared, request, dialect, || match shared.stored.find(id) {
        Some(_) => Ok(json!({"object": "list", "data": [], "has_more": false})),
        None => Err(Refusal::response_not_found(id)),
    })
}

/// Forgets a stored response.
pub(crate) fn forget(shared: &Shared, id: &str, request: &Request, dialect: Dialect) -> Response {
    guarded(shared, request, dialect, || {
        if shared.stored.forget(id) {
            Ok(json!({"id": id, "object": "response", "deleted": true}))
        } else {
            Err(Refusal::response_not_found(id))
        }
    })
}

fn listed(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Dated => listing::azure_model(name, MADE, !name.contains("embedding")),
        Dialect::V1 | Dialect::OpenAi => listing::openai_model(name, MADE),
    }
}

fn guarded(
    shared: &Shared,
    request: &Request,
    dialect: Dialect,
    look_up: impl FnOnce() -> Result<Value, Refusal>,
) -> Response {
    let refusal = credential(shared, request.headers(), dialect);
    match refusal.map_or_else(look_up, Err) {
        Ok(body) => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(head::JSON));
            head::respond(200, headers, Body::from(body.to_string()))
        }
        Err(refusal) => head::refused(&refusal),
    }
}
