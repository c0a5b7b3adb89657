//! Stored responses: read, deleted and cancelled at the deployment that made them, for the caller they were made for.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use router_core::router::StoredCall;
use tokio::time::Instant;

use crate::gate;
use crate::problem::Problem;
use crate::shared::Shared;

use super::answer;

/// Answers calls of a stored response; `tail` is what the path has behind the id.
pub(crate) fn call(methods: MethodFilter, tail: &'static str) -> MethodRouter<Arc<Shared>> {
    on(
        methods,
        move |State(shared): State<Arc<Shared>>,
              path: Result<Path<String>, PathRejection>,
              request: Request| async move {
            let Ok(Path(id)) = path else { return Problem::unreadable_path().into_response() };
            let (parts, _) = request.into_parts();
            let bearer = match gate::bearer(&parts.extensions) {
                Ok(bearer) => bearer,
                Err(problem) => return problem.into_response(),
            };
            let call = StoredCall {
                method: parts.method,
                id,
                rest: format!("{tail}?{}", parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                received: Instant::now(),
                caller: bearer.caller.clone(),
                rights: Arc::clone(&bearer.rights),
            };
            let answered = shared.router.stored(call).await;
            answered
                .map_or_else(|e| Problem::of(&e, shared.expose).into_response(), answer::respond)
        },
    )
}
