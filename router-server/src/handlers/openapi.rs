//! The description of this server for programs, in the form of `OpenAPI` 3.1.
//!
//! Kept by hand in `openapi.json`: the bodies belong to a wire format that is not ours and of which only what routing reads
//! is told, so there are no types to derive it from. A test asks the server for each path that stands there.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use router_core::config::Expose;
use serde_json::Value;

use crate::shared::Shared;

use super::json;

/// The document with everything in it.
const DOCUMENT: &str = include_str!("../openapi.json");

/// Answers with the document, without the paths that this server does not serve.
pub(crate) async fn document(State(shared): State<Arc<Shared>>) -> Response {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    if shared.expose == Expose::Minimal
        && let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut)
    {
        paths.remove("/v1/route");
    }
    json::respond(&document)
}
