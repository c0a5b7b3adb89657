//! A backend that serves the router beside its own paths: axum, tower layers around it, and a metrics registry of its own.
//!
//! `cargo run -p router-core --example axum_backend -- http://127.0.0.1:8900`: the address is that of an upstream, for example the
//! emulator's. It prints the address that it listens at. Any OpenAI client then uses `http://ADDRESS/v1` with the key `a-key`.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use router_core::{Caller, Config, Day, ModelRouter, Observer, RequestRecord, Rights};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;

/// The configuration is the server's; a program usually loads it with `Config::load`.
fn config(upstream: &str) -> String {
    format!(
        r#"
[roles.reasoning]
models = ["gpt-4o"]
[roles.chat]
models = ["gpt-4o"]
[endpoints.main]
url = "{upstream}"
api = "azure_v1"
anonymous = true
[deployments.chat_payg]
endpoint = "main"
model = "gpt-4o"
azure_deployment = "chat-payg"
billing = "pay_as_you_go"
area = "global"
"#
    )
}

/// Sees every request, however it ends.
#[derive(Debug)]
struct Costs;

impl Observer for Costs {
    #[expect(clippy::print_stdout, reason = "an example prints its result")]
    fn closed(&self, record: &RequestRecord) {
        let cost = record.answer.as_ref().and_then(|answer| answer.cost);
        let cost = cost.map_or("unknown".to_owned(), |cost| cost.to_string());
        let caller = record.caller.name().unwrap_or("nobody");
        println!("{caller}: {} attempts, {cost} USD", record.attempts.len());
    }
}

/// The program's own authentication defines who asks, and what that caller may ask for.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let key = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if key != Some("Bearer a-key") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    request.extensions_mut().insert(Caller::named("billing"));
    request.extensions_mut().insert(Arc::new(Rights::default()));
    next.run(request).await
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let upstream = std::env::args().nth(1).unwrap_or("http://127.0.0.1:8900".to_owned());
    let config = Config::from_toml(&config(&upstream), Day::try_from("2026-11-23")?)?;
    let registry = Registry::new();
    let router = ModelRouter::new(&config, &registry)?;
    router.observe(Arc::new(Costs));

    let layers =
        ServiceBuilder::new().layer(from_fn(authenticate)).layer(ConcurrencyLimitLayer::new(64));
    let service = layers.service(router.http_service().max_body_bytes(4 << 20));
    let metrics = move || async move {
        let text = TextEncoder::new().encode_to_string(&registry.gather());
        text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    };
    let app = axum::Router::new()
        .route("/", get(|| async { "the program's own page" }))
        .route("/metrics", get(metrics))
        .nest_service("/v1", service);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
