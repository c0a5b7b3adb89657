//! Lists the names that may be requested, in the two forms in which clients read lists of models.
//!
//! Azure's dated form has `created_at`, `capabilities` and more where OpenAI's has `created` and `owned_by`; the official
//! clients parse both into one type, and others insist on OpenAI's fields, so the dated form carries all of them.
//!
//! **Source:** OpenAI API reference, "The model object"; Azure OpenAI data plane 2024-10-21, `Models - List`.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use router_core::decision::Rules;
use router_core::error::RouteError;
use router_core::model::{Abilities, ModelRecord};
use router_core::policy::RequestedModel;
use serde_json::{Value, json};

use crate::app_state::AppState;
use crate::config::Expose;
use crate::keyring::Bearer;
use crate::problem::Problem;

use super::json;

/// The form of a list or a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenAI's, and that of Azure v1.
    OpenAi,
    /// That of Azure's dated URLs.
    AzureDated,
}

/// Lists all names that the caller may ask for, `auto` first.
pub(crate) fn list(shared: &AppState, bearer: &Bearer, form: Form) -> Response {
    let names = shared.router.names(&bearer.rights);
    let shown = names.iter().filter(|name| shows(shared, name));
    let models: Vec<Value> = shown.map(|name| model(shared, name, form)).collect();
    json::respond(&json!({"object": "list", "data": models}))
}

/// Answers a client of Azure AI Inference that asks for the endpoint's model. Requests may name any, and `auto` is one.
///
/// **Source:** Microsoft, "Azure AI Model Inference REST API", `Get Model Info`.
pub(crate) async fn info() -> Response {
    json::respond(&json!({
        "model_name": "auto",
        "model_type": "chat-completion",
        "model_provider_name": "model-router",
    }))
}

/// One name, or 404 in the words of a chat request that asked for it.
pub(crate) fn one(
    shared: &AppState,
    bearer: &Bearer,
    path: Result<Path<String>, PathRejection>,
    form: Form,
) -> Response {
    let Ok(Path(name)) = path else { return Problem::unreadable_path().into_response() };
    let name = name.trim_end_matches('/');
    let rules = shared.router.rules();
    match bearer.rights.look_up(Some(name), &rules.policy.aliases, &rules.catalog) {
        Ok(_) => json::respond(&model(shared, name, form)),
        Err(unknown) => Problem::of(&RouteError::Model(unknown), shared.expose).into_response(),
    }
}

/// With `expose = "minimal"` deployments are not listed; asking for one still works.
fn shows(shared: &AppState, name: &str) -> bool {
    let catalog = &shared.router.rules().catalog;
    shared.expose == Expose::All
        || catalog.deployment(name).is_none()
        || catalog.model(name).is_some()
}

fn model(shared: &AppState, name: &str, form: Form) -> Value {
    let record = record(shared, name);
    let owner = if is_model(shared, name) { "openai" } else { "model-router" };
    let made = shared.since;
    let can = |ability: fn(&Abilities) -> bool| record.map(|record| ability(&record.abilities));
    match form {
        Form::OpenAi => json!({"id": name, "object": "model", "created": made, "owned_by": owner}),
        Form::AzureDated => json!({
            "id": name, "object": "model", "created": made, "owned_by": owner,
            "created_at": made, "status": "succeeded",
            "lifecycle_status": "generally-available",
            "capabilities": {
                "fine_tune": false, "inference": true,
                "completion": can(|able| able.completions).unwrap_or(false),
                "chat_completion": can(|able| able.chat_completions).unwrap_or(true),
                "embeddings": can(|able| able.embeddings).unwrap_or(false),
            },
            "deprecation": {},
        }),
    }
}

/// True for a model's own name, also with a provider before it or a date after it; false for our names for models.
fn is_model(shared: &AppState, name: &str) -> bool {
    let Rules { policy, catalog, .. } = shared.router.rules();
    let ours = policy.aliases.contains_key(name);
    !ours
        && matches!(
            RequestedModel::look_up(Some(name), &policy.aliases, catalog),
            Ok(RequestedModel::Model(_))
        )
}

/// The record of the model that a name means; `None` for `auto` and roles, which mean several.
fn record<'s>(shared: &'s AppState, name: &str) -> Option<&'s ModelRecord> {
    let Rules { policy, catalog, .. } = shared.router.rules();
    match RequestedModel::look_up(Some(name), &policy.aliases, catalog).ok()? {
        RequestedModel::Auto(_) | RequestedModel::Role(_) => None,
        RequestedModel::Model(name) => catalog.model(name.as_str()).map(AsRef::as_ref),
        RequestedModel::Deployment(name) | RequestedModel::Pinned(name) => {
            catalog.deployment(name.as_str()).map(|deployment| deployment.model.as_ref())
        }
    }
}
