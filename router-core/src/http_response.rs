//! Answers and errors as `http::Response`: what axum, hyper and tower layers pass on.
//!
//! Not done here: which status and headers they have (`response`, `error`).

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

use crate::error::RouteError;
use crate::response::Body;
use crate::response::BrokenOff;
use crate::response::Response;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Self::Stream(stream) => Pin::new(stream)
                .poll_next(context)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Response {
    /// The response for an HTTP server. Dropping its body cancels the call upstream.
    pub fn into_http(self) -> http::Response<Body> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        response.into_http()
    }
}

/// The error in `OpenAI`'s shape, with the status and headers that make the official clients act correctly.
impl From<RouteError> for http::Response<Body> {
    fn from(error: RouteError) -> Self {
        http::Response::<Bytes>::from(&error).map(Body::Full)
    }
}
