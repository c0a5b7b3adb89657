//! Returns the decision for a request with its reasons, and sends nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use router_core::chat::{ChatRequest, Operation};
use router_core::router::{ChatCall, ModelRouter};

use crate::app_state::AppState;
use crate::config::Expose;
use crate::explanation;
use crate::explanation::Judged;
use crate::problem::Problem;

use super::{intake, json};

/// Answers with the decision for a chat request, or for one of the Responses API.
pub(crate) async fn explain(State(shared): State<Arc<AppState>>, request: Request) -> Response {
    decide(&shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn decide(shared: &AppState, request: Request) -> Result<Response, Problem> {
    let (call, _occupied) = intake::call(shared, request, intake::Asked::default()).await?;
    let (router, expose) = (shared.router.clone(), shared.expose);
    // Operators may ask about large requests, and this thread serves others.
    let explained = tokio::task::spawn_blocking(move || explained(&router, call, expose)).await;
    explained.unwrap_or_else(|_| Err(Problem::internal()))
}

fn explained(
    router: &ModelRouter,
    mut call: ChatCall,
    expose: Expose,
) -> Result<Response, Problem> {
    let mut decision = router.route(&call);
    // One path serves both: what has no messages may have an input.
    if decision.is_err() && has_input(&call.body) {
        call.operation = Operation::Responses;
        decision = router.route(&call);
    }
    let decision = decision.map_err(|error| Problem::of(&error, expose))?;
    let judged = Judged::of(router, &call);
    Ok(json::respond(&explanation::to_json(&decision, &judged)))
}

fn has_input(body: &[u8]) -> bool {
    let request = ChatRequest::read(Operation::Responses, body);
    request.is_ok_and(|request| !request.messages().is_empty())
}
