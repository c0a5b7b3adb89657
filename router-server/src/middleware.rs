//! The middleware of every request: request id, capacity of the server, log line, and which headers
//! the caller may see.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, UPGRADE};
use router_core::response::RESPONSE_HEADERS;
use router_core::router::Disclosure;
use tokio::time::Instant;
use tracing::error;

use crate::app_state::AppState;
use crate::auth;
use crate::config::Expose;
use crate::dashboard::page;
use crate::problem::Problem;
use crate::request_log::Begun;
use crate::request_log::Line;

/// The header that names a request, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The upstream's id of the same request, if it names one in the same header.
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");

/// Paths that machines ask every few seconds; a line for each would bury the others.
const PROBES: [&str; 4] = ["/healthz", "/health", "/readyz", "/metrics"];

/// The dashboard takes no slot from requests, and an open page does not count as a request.
fn is_dashboard(path: &str) -> bool {
    path == page::PATH || path.starts_with("/dashboard/")
}

/// Takes a request in and its answer out.
pub(crate) async fn pass(
    State(shared): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or("unknown", MatchedPath::as_str).to_owned();
    if PROBES.contains(&path.as_str()) || is_dashboard(&path) {
        return match auth::enter(&shared, &path, request).await {
            Ok((request, _)) => caught(next.run(request)).await,
            Err(refused) => refused,
        };
    }
    answered(&shared, &path, request, |request| next.run(request)).await
}

/// Takes a request for a path of ours in, and what `handle` answers out.
pub(crate) async fn answered<F: Future<Output = Response>>(
    shared: &AppState,
    path: &str,
    request: Request,
    handle: impl FnOnce(Request) -> F,
) -> Response {
    let received = Instant::now();
    let id = request_id(request.headers());
    let begun = Begun {
        method: request.method(),
        path,
        request_id: id.to_str().unwrap_or_default(),
        received,
    };
    let disclosure = match shared.expose {
        Expose::All => Disclosure::exposed(),
        Expose::Minimal => Disclosure::default(),
    };
    let mut line = Line::new(shared.request_lines, &begun, &disclosure);
    let mut response = match auth::enter(shared, path, request).await {
        Err(refused) => line.follow(refused),
        Ok((mut request, bearer)) => {
            line.asked_by(&bearer.caller);
            request.headers_mut().insert(REQUEST_ID, id.clone());
            request.extensions_mut().insert(disclosure);
            let response = if wants_websocket(request.headers()) {
                Problem::no_websocket().into_response()
            } else {
                caught(handle(request)).await
            };
            line.follow(response)
        }
    };
    let headers = response.headers_mut();
    if shared.expose == Expose::Minimal {
        // Deployment, billing, attempts and cost. Headers that the caller needs stay.
        for header in RESPONSE_HEADERS.iter().filter(|header| header.internal) {
            headers.remove(header.name);
        }
    }
    // The upstream's own id stays readable: its support asks for it.
    if let Some(upstream) = headers.insert(REQUEST_ID, id.clone()).filter(|other| *other != id) {
        headers.insert(UPSTREAM_REQUEST_ID, upstream);
    }
    response
}

/// A panic in a handler is a bug of ours, and for the caller a 500 like any other. An `async fn` would hold the handler's future
/// twice: as its argument and while it waits for it.
fn caught(answer: impl Future<Output = Response>) -> impl Future<Output = Response> {
    AssertUnwindSafe(answer).catch_unwind().map(|answer| {
        answer.unwrap_or_else(|_| {
            error!("a handler panicked");
            Problem::internal().into_response()
        })
    })
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The caller's own id where it sent one that fits on a log line, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(REQUEST_ID).filter(|value| {
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(new_id)
}

/// An id that no other request of this process has, and hardly one of another.
fn new_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut text = Vec::with_capacity(40);
    text.extend_from_slice(b"req_");
    hex(&mut text, *PROCESS, 16);
    hex(&mut text, number, 8);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from(number))
}

/// Writes a number with at least so many digits.
fn hex(to: &mut Vec<u8>, number: u64, width: u32) {
    let digits = width.max(16 - number.leading_zeros() / 4);
    for at in (0..digits).rev() {
        let digit = u8::try_from(number >> (4 * at) & 0xf).unwrap_or_default();
        to.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_caller_is_kept_if_it_fits_on_a_line() {
        for (sent, kept) in
            [("abc-1", true), ("", false), ("a b", false), ("\u{e9}", false), ("x\u{7f}", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(
                REQUEST_ID,
                HeaderValue::from_bytes(sent.as_bytes())
                    .unwrap_or_else(|_| HeaderValue::from_static("")),
            );
            let id = request_id(&headers);
            assert_eq!(id.as_bytes() == sent.as_bytes() && !sent.is_empty(), kept, "{sent:?}");
        }
        assert_ne!(new_id(), new_id());
    }

    #[test]
    fn numbers_are_written_in_hex() {
        for (number, width) in
            [(0, 1), (0xf, 8), (0x0012_3abc, 8), (0x9_8765_4321, 8), (u64::MAX, 16)]
        {
            let mut written = Vec::new();
            hex(&mut written, number, width);
            let expected = format!("{number:0width$x}", width = width as usize);
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
