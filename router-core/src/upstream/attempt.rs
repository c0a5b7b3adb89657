//! One attempt at one deployment: what goes out, what comes back, and the trait that sends it.
//!
//! The trait makes fallback testable: the same code walks a plan over HTTP, over an in-memory
//! upstream and over the simulator, with tokio's time in all three.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::deployment::Deployment;
use crate::stored::Collection;

use super::endpoint::Call;

/// Request to an upstream.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Deployment to call.
    pub deployment: Arc<Deployment>,
    /// Operation to call.
    pub call: Call,
    /// The body, fit for the deployment.
    pub body: Bytes,
    /// True if an event stream is awaited.
    pub streamed: bool,
    /// Headers that pass from the caller: those of tracing (`traceparent`, `tracestate`, `x-request-id`) and of Azure's features.
    pub trace: Vec<(HeaderName, HeaderValue)>,
}

/// Method and types of a call.
pub(super) struct Manner {
    pub(super) method: Method,
    /// Content type of the body; `None` if there is no body.
    pub(super) content_type: Option<HeaderValue>,
    /// Accepted content type.
    pub(super) accept: &'static str,
}

impl Attempt {
    /// The method of the call, what its body is, and what it wants back.
    pub(super) fn manner(&self) -> Manner {
        let awaited = if self.streamed { "text/event-stream" } else { JSON };
        match &self.call {
            Call::Operation(_) => Manner {
                method: Method::POST,
                content_type: Some(HeaderValue::from_static(JSON)),
                accept: awaited,
            },
            Call::Passed { content_type, .. } => Manner {
                method: Method::POST,
                content_type: Some(content_type.clone()),
                accept: "*/*",
            },
            Call::Stored { method, collection, content_type, .. } => Manner {
                method: method.clone(),
                content_type: content_type.clone(),
                // The content of a file may be anything.
                accept: match collection {
                    Collection::PassedThrough(_) => "*/*",
                    Collection::Responses
                    | Collection::ChatCompletions
                    | Collection::Conversations => awaited,
                },
            },
        }
    }
}

pub(super) const JSON: &str = "application/json";

/// Response of an upstream: its head, and the bytes that follow.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it arrives. Dropping it cancels the call.
    pub body: ReplyBody,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The bytes of an answer as they arrive.
pub type ReplyBody = Pin<Box<dyn Stream<Item = Result<Bytes, Unreachable>> + Send>>;

/// The upstream could not be reached or broke off. It holds no address and no text of the library below, in which a key
/// or a prompt could hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No connection came about.
    #[error("no connection")]
    Connect,
    /// The connection took too long.
    #[error("timed out")]
    Timeout,
    /// The connection broke.
    #[error("connection broke off")]
    Broken,
}

/// Sends an attempt.
pub trait Upstream: Send + Sync + 'static {
    /// Sends it and waits for the head of the answer. Dropping the future cancels the call.
    ///
    /// # Errors
    /// There was no answer: [`Unreachable`] says how.
    fn send(&self, attempt: Attempt) -> impl Future<Output = Result<Reply, Unreachable>> + Send;

    /// An attempt that began at `began` was given up because nothing came: its connection may be dead, and later attempts
    /// must not use it. An upstream without connections has nothing to do.
    fn fell_silent(&self, deployment: &Deployment, began: Instant) {
        let _ = (deployment, began);
    }
}

/// Limits on reading a complete body.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The most bytes.
    pub most: usize,
    /// The longest silence once `quiet_until` has passed.
    pub idle: Duration,
    /// Until this moment a silence is not held against it: some upstreams send the head at once and the body when it is made.
    pub quiet_until: Instant,
}

/// Reads a whole body.
///
/// # Errors
/// It broke off, fell silent, or is longer.
pub async fn read(mut body: ReplyBody, bounds: Reading) -> Result<Bytes, Unreachable> {
    let mut whole = BytesMut::new();
    loop {
        let by = bounds.quiet_until.max(Instant::now() + bounds.idle);
        let next = tokio::time::timeout_at(by, body.next()).await;
        match next.map_err(|_| Unreachable::Timeout)? {
            None => return Ok(whole.freeze()),
            Some(bytes) => whole.extend_from_slice(&bytes?),
        }
        if whole.len() > bounds.most {
            return Err(Unreachable::Broken);
        }
    }
}
