//! Common handling of every request: it is read, journaled, checked for too many headers, and
//! watched until the last byte of its answer is sent.

use super::shared::Shared;
use crate::journal::End;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Ticket;
use crate::wire::error::Refusal;
use axum::body::Body;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use http_body::SizeHint;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use tokio::time::Instant;

/// The largest body that is read.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// More custom headers than this are refused. **Source:** Azure OpenAI docs, "quotas and limits".
const MOST_CUSTOM_HEADERS: usize = 10;

/// Headers that are not custom: what HTTP itself and every client send, and the credential.
const STANDARD: [&str; 20] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "api-key",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "origin",
    "pragma",
    "te",
    "transfer-encoding",
    "user-agent",
];

/// Request extension: the request's place in the journal.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    journal: Arc<Journal>,
    number: u64,
}

impl Page {
    /// Notes which deployment the request reached.
    pub(crate) fn reached(&self, deployment: &str) {
        self.journal.change(self.number, |entry| entry.deployment = Some(deployment.to_owned()));
    }
}

/// The middleware around every handler of the doubles.
pub(crate) async fn watch(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, MOST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut ticket = shared.journal.open(entry(&parts, bytes.clone()));
    let too_many = custom_headers(&parts.headers) > MOST_CUSTOM_HEADERS;
    let response = if too_many {
        super::head::refused(&Refusal::too_many_headers())
    } else {
        let mut request = Request::from_parts(parts, Body::from(bytes));
        let page = Page { journal: Arc::clone(&shared.journal), number: ticket.number() };
        request.extensions_mut().insert(page);
        next.run(request).await
    };
    if response.extensions().get::<super::connection::Reset>().is_some() {
        ticket.finish(End::Cut);
        return response;
    }
    ticket.answered(response.status().as_u16());
    response.map(|body| Body::new(Watched::new(body, ticket)))
}

fn entry(parts: &Parts, body: Bytes) -> Entry {
    Entry {
        number: 0,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        deployment: None,
        received: Instant::now(),
        headers: parts.headers.clone(),
        body,
        status: None,
        end: End::InFlight,
        ended: None,
    }
}

fn custom_headers(headers: &HeaderMap) -> usize {
    let custom = |name: &&str| !STANDARD.contains(name) && !name.starts_with("x-emulator-");
    headers.keys().map(axum::http::HeaderName::as_str).filter(custom).count()
}

/// A body that tells the journal how it ended.
struct Watched {
    body: Body,
    ticket: Ticket,
}

impl Watched {
    fn new(body: Body, mut ticket: Ticket) -> Self {
        if body.is_end_stream() {
            ticket.finish(End::Complete);
        }
        Self { body, ticket }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.ticket.finish(End::Complete),
            Poll::Ready(Some(Err(_))) => self.ticket.finish(End::Cut),
            // The server does not ask again once the body says that it has ended.
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => {
                self.ticket.finish(End::Complete);
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
