//! Stored responses: read, deleted and cancelled at the deployment that created them, for their
//! owner only.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use router_core::error::RouteError;
use router_core::router::{Disclosure, StoredCall};
use tokio::time::Instant;

use crate::app_state::AppState;
use crate::auth;
use crate::problem::Problem;

use super::answer;
use super::intake::Occupied;

/// Answers calls of a stored response; `tail` is what the path has behind the id.
pub(crate) fn call(methods: MethodFilter, tail: &'static str) -> MethodRouter<Arc<AppState>> {
    on(
        methods,
        move |State(shared): State<Arc<AppState>>,
              path: Result<Path<String>, PathRejection>,
              request: Request| async move {
            let Ok(Path(id)) = path else { return Problem::unreadable_path().into_response() };
            let (parts, _) = request.into_parts();
            let bearer = match auth::bearer(&parts.extensions) {
                Ok(bearer) => bearer,
                Err(problem) => return problem.into_response(),
            };
            let Some(permit) = shared.admit() else {
                return Problem::overloaded().into_response();
            };
            let mut call = StoredCall {
                method: parts.method,
                id,
                rest: format!("{tail}?{}", parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                received: Instant::now(),
                caller: bearer.caller.clone(),
                rights: Arc::clone(&bearer.rights),
                allowance: bearer.allowance,
                entry: None,
                disclosure: Disclosure::default(),
            };
            let disclosure = call.disclosure.clone();
            let failed = |error: RouteError| {
                let problem = Problem::of(&error, shared.expose);
                problem.because(disclosure.causes()).into_response()
            };
            let slot = match shared.router.enter_stored(&mut call, shared.share) {
                Ok(slot) => slot,
                Err(error) => return failed(error),
            };
            let answered = shared.router.stored(call).await;
            let mut response = answered.map_or_else(failed, answer::respond);
            answer::disclose(&mut response, disclosure);
            response.extensions_mut().insert(Occupied::new(permit, slot));
            response
        },
    )
}
