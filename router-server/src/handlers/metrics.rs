//! Serves the metrics in the Prometheus text format; they are defined where they are recorded.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use prometheus::{TEXT_FORMAT, TextEncoder};
use router_core::clock;
use router_core::decision::Moment;
use tokio::time::Instant;

use crate::app_state::AppState;
use crate::problem::Problem;

/// Answers with all metrics of the registry.
pub(crate) async fn expose(State(shared): State<Arc<AppState>>) -> Response {
    let moment = Moment::new(Instant::now(), clock::day(clock::wall()));
    let budgets = shared.budgets.spent(shared.router.ledger(), moment);
    shared.process.budget_gauges.show(&budgets);
    let Ok(text) = TextEncoder::new().encode_to_string(&shared.registry.gather()) else {
        return Problem::internal().into_response();
    };
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    response
}
