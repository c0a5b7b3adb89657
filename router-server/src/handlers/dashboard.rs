//! Serves the dashboard: the page and its files, its state as JSON, and its event stream.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::app_state::AppState;
use crate::dashboard::page;
use crate::dashboard::page::File;
use crate::problem::Problem;

/// Where the page reads what it shows.
pub(crate) const STATE: &str = "/dashboard/state";

/// The same, second by second.
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

/// Answers with everything that the page shows.
pub(crate) async fn state(State(shared): State<Arc<AppState>>) -> Response {
    fresh(guarded(Body::from(shared.process.dashboard.state()), "application/json"))
}

/// Answers with everything, and then with each second, until the browser or the server goes.
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

/// What is shown is nobody's to keep, and proxies must not hold it back.
fn fresh(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
