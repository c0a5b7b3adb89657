//! The decision alone: what would be done with a request, and why. Nothing is sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use router_core::chat::{ChatRequest, Operation};

use crate::app_state::AppState;
use crate::explanation;
use crate::explanation::MOST_REASONS;
use crate::problem::Problem;

use super::{intake, json};

/// Answers with the decision for a chat request, or for one of the Responses API.
pub(crate) async fn explain(State(shared): State<Arc<AppState>>, request: Request) -> Response {
    decide(&shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn decide(shared: &AppState, request: Request) -> Result<Response, Problem> {
    let (mut call, _occupied) = intake::call(shared, request, intake::Asked::default()).await?;
    let router = &shared.router;
    let mut decision = router.route(&call);
    // One path serves both: what has no messages may have an input.
    if decision.is_err() && has_input(&call.body) {
        call.operation = Operation::Responses;
        decision = router.route(&call);
    }
    let decision = decision.map_err(|error| Problem::of(&error, shared.expose))?;
    let reasons = router.reasons(&call, MOST_REASONS);
    Ok(json::respond(&explanation::to_json(&decision, &reasons)))
}

fn has_input(body: &[u8]) -> bool {
    let request = ChatRequest::read(Operation::Responses, body);
    request.is_ok_and(|request| !request.messages().is_empty())
}
