//! Stored responses: read, deleted and cancelled at the deployment that made them, for the caller they were made for.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use router_core::router::StoredCall;
use router_core::stored::Caller;
use tokio::time::Instant;

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
            let call = StoredCall {
                method: parts.method,
                id,
                rest: format!("{tail}{}", own_query(parts.uri.query().unwrap_or_default())),
                headers: parts.headers,
                received: Instant::now(),
                caller: Caller::default(),
            };
            let answered = shared.router.stored(call).await;
            answered
                .map_or_else(|e| Problem::of(&e, shared.expose).into_response(), answer::respond)
        },
    )
}

/// The query but for its api-version, which is the deployment's own.
fn own_query(query: &str) -> String {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("api-version="))
        .collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::own_query;

    #[test]
    fn the_query_loses_its_version_and_nothing_else() {
        assert_eq!(own_query("api-version=2025-03-01-preview"), "");
        assert_eq!(own_query("limit=2&api-version=x&order=asc"), "?limit=2&order=asc");
        assert_eq!(own_query(""), "");
    }
}
