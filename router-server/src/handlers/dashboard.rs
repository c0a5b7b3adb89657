//! Serves the dashboard: the page and its files, the present state and ranges of the history as JSON, and the event stream.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use router_core::clock;

use crate::app_state::AppState;
use crate::dashboard::Filter;
use crate::dashboard::Range;
use crate::dashboard::page;
use crate::dashboard::page::File;
use crate::problem::Problem;

/// The present state.
pub(crate) const STATE: &str = "/dashboard/state";

/// Sums over a range of the history, under a filter.
pub(crate) const RANGE: &str = "/dashboard/range";

/// The present state, second by second.
pub(crate) const EVENTS: &str = "/dashboard/events";

const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Answers with the page; there is nothing of the router in it.
pub(crate) async fn page() -> Response {
    let mut response = guarded(Body::from(page::PAGE), "text/html; charset=utf-8");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(SAME_ORIGIN, HeaderValue::from_static("same-origin"));
    response
}

/// Answers with a file of the page.
pub(crate) fn file(file: File) -> MethodRouter<Arc<AppState>> {
    get(async move || guarded(Body::from(file.text), file.kind))
}

/// Answers with the present state.
pub(crate) async fn state(State(shared): State<Arc<AppState>>) -> Response {
    fresh(guarded(Body::from(shared.process.dashboard.state()), "application/json"))
}

/// Answers with a range of the history: `?range=15m|1h|6h|24h|7d`, and optionally `key=`, `deployment=` and `task=`.
pub(crate) async fn range(
    State(shared): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
) -> Response {
    let (mut range, mut filter) = (Range::default(), Filter::default());
    for (name, value) in
        query.iter().flat_map(|query| query.split('&')).filter_map(|pair| pair.split_once('='))
    {
        // Names in a configuration need no escapes.
        let wanted = (!value.is_empty()).then(|| Box::from(value));
        match name {
            "range" => match Range::from_word(value) {
                Some(known) => range = known,
                None => {
                    return Problem::unknown_range(&Range::ALL.map(Range::as_str)).into_response();
                }
            },
            "key" => filter.key = wanted,
            "deployment" => filter.deployment = wanted,
            "task" => filter.task = wanted,
            _ => {}
        }
    }
    let wall = clock::wall();
    let dashboard = Arc::clone(&shared.process.dashboard);
    // Seven days of many keys take milliseconds, and this thread serves requests.
    match tokio::task::spawn_blocking(move || dashboard.range(range, filter, wall)).await {
        Ok(json) => fresh(guarded(Body::from(json), "application/json")),
        Err(_) => Problem::internal().into_response(),
    }
}

/// Answers with the present state, and then with each second, until the browser or the server goes.
pub(crate) async fn events(State(shared): State<Arc<AppState>>) -> Response {
    match shared.process.dashboard.watch() {
        Ok(feed) => fresh(guarded(Body::from_stream(feed), "text/event-stream")),
        Err(_) => Problem::overloaded().into_response(),
    }
}

/// A new version of the program brings a new page, so nothing is used without asking.
fn guarded(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Forbids caches to keep the response, and proxies to delay it.
fn fresh(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
