//! The description of this server for programs, in the form of `OpenAPI` 3.1.
//!
//! Kept by hand in `openapi.json`: the bodies belong to a wire format that is not ours and of which only what routing reads
//! is described, so there are no types to derive it from. Headers and codes come from the code's tables, further paths from
//! `openapi_paths.rs`. A test requests each path of the document.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use router_core::error_kind::Kind;
use router_core::response::RESPONSE_HEADERS;
use serde_json::{Map, Value, json};

use crate::app_state::AppState;
use crate::auth;
use crate::config::Expose;
use crate::keyring::Door;
use crate::reference::SERVER_HEADERS;

use super::{json, openapi_paths};

/// The document with everything in it.
const DOCUMENT: &str = include_str!("../openapi.json");

/// Answers with the document, with every path that this server serves and no other.
pub(crate) async fn document(State(shared): State<Arc<AppState>>) -> Response {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    openapi_paths::add(&mut document, &shared.passthrough);
    add_headers(&mut document);
    add_codes(&mut document);
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

/// The headers of answers and refusals, from the tables that the code uses.
fn add_headers(document: &mut Value) {
    let library = RESPONSE_HEADERS.iter().map(|header| (header.name, header.meaning));
    let all: Vec<_> = library.chain(SERVER_HEADERS.iter().copied()).collect();
    let described = |(name, meaning): &(&str, &str)| {
        ((*name).to_owned(), json!({"description": meaning, "schema": {"type": "string"}}))
    };
    let referred = |(name, _): &(&str, &str)| {
        ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))
    };
    let references: Value = all.iter().map(referred).collect::<Map<_, _>>().into();
    if let Some(components) = document.get_mut("components") {
        put(components, "headers", all.iter().map(described).collect::<Map<_, _>>().into());
        if let Some(error) = components.pointer_mut("/responses/Error") {
            put(error, "headers", references.clone());
        }
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, methods) in paths {
        if let Some(answer) = methods.pointer_mut("/post/responses/200") {
            put(answer, "headers", references.clone());
        }
    }
}

/// The codes of errors, which an upstream's own refusals add to.
fn add_codes(document: &mut Value) {
    let code = document.pointer_mut("/components/schemas/Error/properties/error/properties/code");
    if let Some(code) = code {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        put(code, "examples", json!(known));
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Without keys the document says that one may be shown; with them it must be, but where the gate asks for none.
fn ask_for_keys(document: &mut Value) {
    let anonymous = json!({});
    if let Some(ways) = document.get_mut("security").and_then(Value::as_array_mut) {
        ways.retain(|way| *way != anonymous);
    }
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, methods) in paths {
        if auth::door(path, None) != Door::Open {
            continue;
        }
        for operation in methods.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.1.as_object_mut() {
                operation.insert("security".to_owned(), json!([]));
            }
        }
    }
}
