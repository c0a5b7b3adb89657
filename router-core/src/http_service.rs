//! The router as a `tower::Service` over HTTP requests, for programs that have an HTTP server.
//!
//! It reads the path and the body, and passes both to the router. Not done here, because the program or its tower layers do it:
//! authentication, timeouts for slow bodies, limits of concurrent requests, web pages of other origins. Stored objects and
//! passed-through paths are served by `router-server` only.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, Request};

use crate::chat::Operation;
use crate::error::error_body;
use crate::error::error_headers;
use crate::error_kind::Kind;
use crate::ledger::Allowance;
use crate::policy::Rights;
use crate::response::Body;
use crate::router::ChatCall;
use crate::router::ModelRouter;
use crate::stored::Caller;
use crate::upstream::HttpUpstream;
use crate::upstream::Upstream;

/// The longest body unless the program sets another limit.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Time for which the rest of a refused body is read.
const LINGER: Duration = Duration::from_secs(2);

/// Answers HTTP requests: `POST` of chat completions, responses, legacy completions and embeddings, in OpenAI's and Azure's paths,
/// with or without the prefix `/v1`. Every other path is answered with 404.
///
/// The request's extensions may hold who asks ([`Caller`]), what that caller may ask for (`Arc<Rights>`) and how much
/// ([`Allowance`]); a layer in front adds them. Without them every caller may use every deployment.
///
/// Dropping the future, or the body of the response, cancels the call upstream.
#[derive(Debug)]
pub struct HttpService<U = HttpUpstream> {
    router: ModelRouter<U>,
    max_body_bytes: usize,
}

impl<U> Clone for HttpService<U> {
    fn clone(&self) -> Self {
        Self { router: self.router.clone(), max_body_bytes: self.max_body_bytes }
    }
}

impl<U: Upstream> ModelRouter<U> {
    /// This router as a service over HTTP requests.
    pub fn http_service(&self) -> HttpService<U> {
        HttpService { router: self.clone(), max_body_bytes: MAX_BODY_BYTES }
    }
}

impl<U: Upstream> HttpService<U> {
    /// The same with another limit for the length of a body, in bytes; the default is 32 MiB. A longer body is refused with 413.
    #[must_use]
    pub fn max_body_bytes(self, most: usize) -> Self {
        Self { max_body_bytes: most, ..self }
    }

    async fn answer<B>(self, request: Request<B>) -> http::Response<Body>
    where
        B: http_body::Body,
    {
        let (parts, body) = request.into_parts();
        let mut body = pin!(body);
        let (Target { operation, deployment }, body) =
            match self.received(&parts, body.as_mut()).await {
                Ok(received) => received,
                Err(refused) => {
                    linger(body, self.max_body_bytes).await;
                    return *refused;
                }
            };
        let mut call = ChatCall::of(operation, body);
        call.headers = parts.headers;
        call.path_model = deployment;
        if let Some(caller) = parts.extensions.get::<Caller>() {
            call.caller = caller.clone();
        }
        if let Some(rights) = parts.extensions.get::<Arc<Rights>>() {
            call.rights = Arc::clone(rights);
        }
        if let Some(allowance) = parts.extensions.get::<Allowance>() {
            call.allowance = *allowance;
        }
        match self.router.chat(call).await {
            Ok(response) => response.into_http(),
            Err(error) => error.into(),
        }
    }

    /// Receives the whole body and returns it with the request's target.
    async fn received<B: http_body::Body>(
        &self,
        parts: &Parts,
        body: Pin<&mut B>,
    ) -> Result<(Target, Bytes), Box<http::Response<Body>>> {
        let Some(target) = target(parts.uri.path()) else {
            return Err(Box::new(refusal(Kind::UnknownPath, "no such path")));
        };
        if parts.method != Method::POST {
            let mut response = refusal(Kind::MethodNotAllowed, "expected the method POST");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Err(Box::new(response));
        }
        let refused = match receive(body, self.max_body_bytes).await {
            Ok(body) => return Ok((target, body)),
            Err(NotReceived::TooLong) => {
                let message = format!("the body is longer than {} bytes", self.max_body_bytes);
                refusal(Kind::RequestTooLarge, &message)
            }
            Err(NotReceived::BrokenOff) => {
                refusal(Kind::RequestTimeout, "the body did not arrive completely")
            }
        };
        Err(Box::new(refused))
    }
}

impl<B, U> tower::Service<Request<B>> for HttpService<U>
where
    B: http_body::Body<Data: Send> + Send + 'static,
    U: Upstream,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

/// The operation and the model that a path names.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    operation: Operation,
    /// The deployment that an Azure path names.
    deployment: Option<String>,
}

const OPERATIONS: [(&str, Operation); 6] = [
    ("chat/completions", Operation::Chat),
    ("responses", Operation::Responses),
    ("responses/input_tokens", Operation::InputTokens),
    ("responses/compact", Operation::Compact),
    ("completions", Operation::Completions),
    ("embeddings", Operation::Embeddings),
];

/// Resolves a path; `None` for an unknown one.
fn target(path: &str) -> Option<Target> {
    let path = path.trim_matches('/');
    let azure = path.strip_prefix("openai/").unwrap_or(path);
    let (deployment, rest) = match azure.strip_prefix("deployments/") {
        Some(named) => named.split_once('/').map(|(name, rest)| (Some(name.to_owned()), rest))?,
        None => (None, azure.strip_prefix("v1/").unwrap_or(azure)),
    };
    let known = OPERATIONS.iter().find(|(operation, _)| *operation == rest);
    known.map(|(_, operation)| Target { operation: *operation, deployment })
}

enum NotReceived {
    TooLong,
    BrokenOff,
}

/// The whole body. Memory grows with the bytes that have arrived; an announced length reserves none.
async fn receive<B: http_body::Body>(
    mut body: Pin<&mut B>,
    most: usize,
) -> Result<Bytes, NotReceived> {
    let mut whole = BytesMut::new();
    loop {
        let next = std::future::poll_fn(|context| Pin::as_mut(&mut body).poll_frame(context)).await;
        let Some(frame) = next else { return Ok(whole.freeze()) };
        let Ok(frame) = frame else { return Err(NotReceived::BrokenOff) };
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > most.saturating_sub(whole.len()) {
            return Err(NotReceived::TooLong);
        }
        let length = data.remaining();
        let bytes = data.copy_to_bytes(length);
        if whole.is_empty() && body.is_end_stream() {
            return Ok(bytes);
        }
        whole.extend_from_slice(&bytes);
    }
}

/// Reads on what a refused request still sends: at most `most` bytes, for at most two seconds. A client that sends its body after
/// its head would otherwise find the connection closed, and never see the refusal.
async fn linger<B: http_body::Body>(mut body: Pin<&mut B>, most: usize) {
    let read = async {
        let mut seen = 0;
        while seen <= most {
            let next = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await;
            let Some(Ok(frame)) = next else { return };
            seen += frame.data_ref().map_or(0, Buf::remaining);
        }
    };
    drop(tokio::time::timeout(LINGER, read).await);
}

/// A request that never reaches the router.
fn refusal(kind: Kind, message: &str) -> http::Response<Body> {
    let body = error_body(kind, message, None).to_string();
    let mut response = http::Response::new(Body::Full(body.into()));
    *response.status_mut() = kind.status();
    *response.headers_mut() = error_headers(None, None);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(Operation, Option<&str>)>) {
        let found = target(path);
        let expected = expected.map(|(operation, deployment)| Target {
            operation,
            deployment: deployment.map(str::to_owned),
        });
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn paths_of_openai_and_azure_are_known() {
        use Operation::{Chat, Embeddings, InputTokens, Responses};
        check("/v1/chat/completions", Some((Chat, None)));
        check("/chat/completions", Some((Chat, None)));
        check("/openai/v1/responses", Some((Responses, None)));
        check("/openai/responses", Some((Responses, None)));
        check("/responses/input_tokens", Some((InputTokens, None)));
        check("/openai/deployments/gpt-4o/embeddings", Some((Embeddings, Some("gpt-4o"))));
        check("/deployments/gpt-4o/chat/completions", Some((Chat, Some("gpt-4o"))));
    }

    #[test]
    fn other_paths_are_not() {
        for path in ["/", "", "/v1", "/v1/models", "/responses/resp_1", "/openai/deployments/x"] {
            check(path, None);
        }
    }
}
