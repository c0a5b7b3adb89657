//! The published description: sound in itself, and true of the server that publishes it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use http::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use router_core::units::Day;
use router_server::Config;
use router_server::operations::{OPERATIONS, Support};
use router_server::{Running, start};
use serde_json::Value;

/// A server without an upstream: these tests only check whether a path is known.
async fn server(more: &str) -> Running {
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        {more}
        [roles]
        reasoning.models = ["gpt-4o"]
        chat.models = ["gpt-4o"]
        [endpoints.azure]
        url = "http://127.0.0.1:9"
        api = "azure_v1"
        anonymous = true
        [deployments.payg]
        endpoint = "azure"
        model = "gpt-4o"
        billing = "pay_as_you_go"
        area = "global"
        [stored]
        unknown = "refuse" # nothing answers at the endpoint
        "#
    );
    let config = Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap();
    start(&config).await.unwrap()
}

async fn ask(running: &Running, method: Method, path: &str) -> (u16, String, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let request = Request::builder().method(method).uri(format!("{}{path}", running.url()));
    let (head, body) =
        client.request(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let kind = head.headers["content-type"].to_str().unwrap().to_owned();
    let bytes = to_bytes(Body::new(body), 1 << 20).await.unwrap();
    (head.status.as_u16(), kind, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn document(running: &Running) -> Value {
    let (status, kind, document) = ask(running, Method::GET, "/openapi.json").await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    document
}

/// Each path with each of its operations.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        found.extend(methods.iter().map(|(method, operation)| (path, method, operation)));
    }
    found
}

/// All texts under `$ref`.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_path_in_it_is_served() {
    let running = server("").await;
    let document = document(&running).await;
    for (path, method, _) in operations(&document) {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let (status, kind, body) = ask(
            &running,
            method,
            &path
                .replace("{model}", "auto")
                .replace("{response_id}", "resp_1")
                .replace("{id}", "x_1"),
        )
        .await;
        let code = body["error"]["code"].as_str().unwrap_or_default();
        assert!(!["unknown_path", "method_not_allowed"].contains(&code), "{path}: {body}");
        // A list of stored objects comes from an upstream, and none runs here.
        assert!(status < 500 || code == "upstream_failed", "{path}: {status}");
        let json = kind.starts_with("application/json");
        assert!(json || path == "/metrics", "{path}: {kind}");
    }
}

#[tokio::test]
async fn it_describes_every_family_of_paths_and_the_tables_of_the_code() {
    let running = server("").await;
    let document = document(&running).await;
    for path in [
        "/v1/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/{name}/chat/completions",
        "/openai/deployments/{name}/embeddings",
        "/openai/responses",
        "/openai/v1/responses/{response_id}/cancel",
        "/v1/images/generations",
        "/openai/deployments/{name}/images/generations",
        "/openai/models",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let headers = document["components"]["headers"].as_object().unwrap();
    for header in router_core::response::RESPONSE_HEADERS {
        assert!(headers.contains_key(header.name), "{}", header.name);
    }
    let parameters = document["components"]["parameters"].as_object().unwrap();
    let named = |name: &str| parameters.values().any(|parameter| parameter["name"] == name);
    for header in router_core::policy::REQUEST_HEADERS {
        assert!(named(header.name) || !header.name.starts_with("x-router-"), "{}", header.name);
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let stored = include_str!("../../docs/reference.md");
    let how = "cargo run -p router-server --example reference > docs/reference.md";
    assert!(router_server::reference::page() == stored, "docs/reference.md is out of date: {how}");
}

#[tokio::test]
async fn what_is_not_served_is_not_in_it() {
    let running = server("expose = \"minimal\"").await;
    assert!(document(&running).await["paths"]["/v1/route"].is_null());
    let (status, ..) = ask(&running, Method::POST, "/v1/route").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn with_keys_it_says_where_one_must_be_shown() {
    let open = document(&server("").await).await;
    assert!(open["security"].as_array().unwrap().contains(&serde_json::json!({})));
    let hash = router_server::key_hash("mr_0123456789abcdefghijklmn");
    let keyed = server(&format!("[keys.team]\nhashes = [\"{hash}\"]")).await;
    let document = document(&keyed).await;
    assert!(!document["security"].as_array().unwrap().contains(&serde_json::json!({})));
    for (path, method, operation) in operations(&document) {
        let free = operation["security"].as_array().is_some_and(Vec::is_empty);
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let (status, ..) = ask(&keyed, method, path).await;
        assert_eq!(status != 401, free, "{path}");
    }
}

#[tokio::test]
async fn it_is_sound_in_itself() {
    let document = document(&server("").await).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (kind, named) in document["components"].as_object().unwrap() {
        for name in named.as_object().unwrap().keys() {
            let used = found.contains(format!("#/components/{kind}/{name}").as_str());
            assert!(used || kind == "securitySchemes", "{kind}.{name} is used nowhere");
        }
    }
    let mut names = BTreeSet::new();
    for (path, _, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} stands for two operations");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("200") && responses.contains_key("default"), "{path}");
    }
}

#[tokio::test]
async fn the_table_of_operations_says_what_is_served() {
    let objects =
        "[passthrough]\nobjects = [\"files\", \"uploads\", \"vector_stores\", \"containers\"]\n";
    let (with, without) = (server(objects).await, server("").await);
    for operation in OPERATIONS {
        let path = operation.path.replace("{id}", "gpt-4o").replace("{item}", "msg_1");
        for method in operation.methods.split(' ') {
            let served = async |running: &Running| {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let (_, _, body) = ask(running, method, &path).await;
                let code = body["error"]["code"].as_str().unwrap_or_default();
                !["unknown_path", "method_not_allowed"].contains(&code)
            };
            let expected = operation.support != Support::Refused;
            assert_eq!(served(&with).await, expected, "{method} {path}");
            let unconfigured = expected && operation.support != Support::PassedByConfig;
            assert_eq!(served(&without).await, unconfigured, "{method} {path}");
        }
    }
}
