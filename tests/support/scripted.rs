//! An upstream over real sockets that answers each request by a function of the test.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

/// One request, as it arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    /// `null` if it is no JSON.
    pub(crate) json: Value,
}

/// An answer of JSON, or of another content type.
#[derive(Debug)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Says {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    /// A stream of events.
    pub(crate) fn events(events: &[Value]) -> Self {
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        let body = events
            .iter()
            .flat_map(|event| ["data: ".to_owned(), event.to_string(), "\n\n".to_owned()]);
        let body = body.collect();
        Self { status: 200, headers, body }
    }
}

/// The upstream; it ends with the test.
#[derive(Debug)]
pub(crate) struct Scripted {
    url: String,
    serving: JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Says + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        let answer = move |request: Request| {
            let script = Arc::clone(&script);
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 64 << 20).await.unwrap();
                let asked = Asked {
                    method: head.method,
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    json: serde_json::from_slice(&body).unwrap_or_default(),
                };
                let Says { status, headers, body } = script(&asked);
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        #[expect(clippy::disallowed_methods, reason = "an upstream runs beside its test")]
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, serving }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
