//! Reads on what a handler left unread of a request's body, before the response is sent.
//!
//! Many clients send the head and the body apart and read nothing before they have sent both. If the
//! connection closes under the body, they report a broken connection and never see the refusal.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Frame, SizeHint};
use tokio::time::timeout;

/// Time for which the rest is read.
const LINGER: Duration = Duration::from_secs(2);

/// The place to which a dropped body moves its unread rest.
type Rest<B> = Arc<Mutex<Option<B>>>;

/// A request's body that can still be read after its handler has dropped it.
struct Returning<B: http_body::Body> {
    body: Option<B>,
    rest: Rest<B>,
}

/// Answers a request, then reads the rest of its body: at most `most` bytes, for at most two seconds.
pub(crate) async fn answered<B, F>(
    request: Request<B>,
    most: usize,
    answer: impl FnOnce(Request<Body>) -> F,
) -> Response
where
    B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    F: Future<Output = Response>,
{
    // A caller that waits for 100 Continue sends nothing unless the body is read.
    if request.body().is_end_stream() || waits(request.headers()) {
        return answer(request.map(Body::new)).await;
    }
    let rest = Rest::<B>::default();
    let returning = |body| Body::new(Returning { body: Some(body), rest: Arc::clone(&rest) });
    let response = answer(request.map(returning)).await;
    let unread = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(body) = unread {
        drop(timeout(LINGER, discard(Body::new(body), most)).await);
    }
    response
}

/// True if the caller sends its body only when it is asked to.
fn waits(headers: &HeaderMap) -> bool {
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    headers.get(EXPECT).is_some_and(expects)
}

async fn discard(body: Body, most: usize) {
    let (mut chunks, mut seen) = (body.into_data_stream(), 0);
    while let Some(Ok(chunk)) = chunks.next().await {
        seen += chunk.len();
        if seen > most {
            return;
        }
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Returning<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.get_mut().body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

impl<B: http_body::Body> Drop for Returning<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use futures_util::stream;
    use http::StatusCode;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::Instant;

    use super::*;

    /// A body of ten parts, one each 100 ms; `read` counts those that were read.
    fn slow(read: &Arc<AtomicUsize>) -> Body {
        let read = Arc::clone(read);
        let parts = stream::iter(0..10).then(move |_| {
            let read = Arc::clone(&read);
            async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                read.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"))
            }
        });
        Body::from_stream(parts)
    }

    async fn check(most: usize, expect: Option<&'static str>, parts: usize) {
        let read = Arc::default();
        let mut request = Request::new(slow(&read));
        if let Some(expect) = expect {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static(expect));
        }
        let refuse = |_| async { StatusCode::NOT_FOUND.into_response() };
        let response = answered(request, most, refuse).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(read.load(Ordering::Relaxed), parts);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_handler_leaves_is_read_up_to_a_bound() {
        check(1_000, None, 10).await;
        check(35, None, 4).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_for_a_body_that_is_not_wanted() {
        check(1_000, Some("100-continue"), 0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_not_awaited_for_long() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refuse = |_| async { StatusCode::NOT_FOUND.into_response() };
        let began = Instant::now();
        answered(Request::new(body), 1_000, refuse).await;
        assert_eq!(began.elapsed().as_secs(), LINGER.as_secs());
    }
}
