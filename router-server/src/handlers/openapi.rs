//! The description of this server for programs, in the form of `OpenAPI` 3.1.
//!
//! Kept by hand in `openapi.json`: the bodies belong to a wire format that is not ours and of which only what routing reads
//! is told, so there are no types to derive it from. A test asks the server for each path that stands there.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use router_core::config::Expose;
use serde_json::{Value, json};

use crate::gate;
use crate::keyring::Door;
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
    if shared.keyring.asks() {
        ask_for_keys(&mut document);
    }
    json::respond(&document)
}

/// Without keys the document says that one may be shown; with them it must be, but where the gate asks for none.
fn ask_for_keys(document: &mut Value) {
    let anonymous = json!({});
    if let Some(ways) = document.get_mut("security").and_then(Value::as_array_mut) {
        ways.retain(|way| *way != anonymous);
    }
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, methods) in paths {
        if gate::door(path, None) != Door::Open {
            continue;
        }
        for operation in methods.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.1.as_object_mut() {
                operation.insert("security".to_owned(), json!([]));
            }
        }
    }
}
