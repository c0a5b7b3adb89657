//! Stored objects: responses, chat completions, conversations, and what config passes through. Read, changed and deleted at
//! the deployment that has them, for the caller they belong to.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use http::header::CONTENT_TYPE;
use router_core::chat::Operation;
use router_core::error::RouteError;
use router_core::router::StoredCall;
use router_core::stored::Collection;

use crate::app_state::AppState;
use crate::auth;
use crate::problem::Problem;

use super::answer;
use super::intake;
use super::intake::Occupied;

/// An object as its path names it.
#[derive(Debug)]
struct Named {
    collection: Collection,
    id: String,
    /// The rest after the id.
    tail: String,
}

/// Answers calls of a stored response; `tail` is what the path has behind the id.
pub(crate) fn call(methods: MethodFilter, tail: &'static str) -> MethodRouter<Arc<AppState>> {
    object(methods, Collection::Responses, tail)
}

/// Answers calls of one object of a collection; `tail` is what the path has behind the id.
pub(crate) fn object(
    methods: MethodFilter,
    collection: Collection,
    tail: &'static str,
) -> MethodRouter<Arc<AppState>> {
    on(
        methods,
        async move |State(shared): State<Arc<AppState>>,
                    path: Result<Path<String>, PathRejection>,
                    request: Request| {
            let Ok(Path(id)) = path else { return Problem::unreadable_path().into_response() };
            answered(&shared, request, Named { collection, id, tail: tail.to_owned() }).await
        },
    )
}

/// Answers calls of what lies below an object: `/{id}/{*rest}`.
pub(crate) fn below(methods: MethodFilter, collection: Collection) -> MethodRouter<Arc<AppState>> {
    on(
        methods,
        async move |State(shared): State<Arc<AppState>>,
                    path: Result<Path<(String, String)>, PathRejection>,
                    request: Request| {
            let Ok(Path((id, rest))) = path else {
                return Problem::unreadable_path().into_response();
            };
            let rest = rest.trim_end_matches('/');
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
            let odd = rest.split('/').any(|part| part.is_empty() || part.starts_with('.'));
            if odd || !rest.bytes().all(plain) {
                return Problem::unreadable_path().into_response();
            }
            answered(&shared, request, Named { collection, id, tail: format!("/{rest}") }).await
        },
    )
}

/// Answers calls of a whole collection: its objects, or the creation of one.
pub(crate) fn collection(
    methods: MethodFilter,
    collection: Collection,
) -> MethodRouter<Arc<AppState>> {
    on(methods, async move |State(shared): State<Arc<AppState>>, request: Request| {
        let named = Named { collection, id: String::new(), tail: String::new() };
        answered(&shared, request, named).await
    })
}

async fn answered(shared: &AppState, request: Request, named: Named) -> Response {
    let (parts, body) = request.into_parts();
    let bearer = match auth::bearer(&parts.extensions) {
        Ok(bearer) => bearer,
        Err(problem) => return problem.into_response(),
    };
    let Some(permit) = shared.admit() else {
        return Problem::overloaded().into_response();
    };
    let Named { collection, id, tail } = named;
    // Only creations and changes have a body; a `cancel` has none.
    let bodied = parts.method == Method::POST && parts.headers.contains_key(CONTENT_TYPE);
    let mut call = StoredCall {
        rest: format!("{tail}?{}", parts.uri.query().unwrap_or_default()),
        content_type: parts.headers.get(CONTENT_TYPE).cloned().filter(|_| bodied),
        headers: parts.headers,
        caller: bearer.caller.clone(),
        rights: Arc::clone(&bearer.rights),
        allowance: bearer.allowance,
        disclosure: parts.extensions.get().cloned().unwrap_or_default(),
        ..StoredCall::of(collection, parts.method, id)
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
    let mut held = None;
    if bodied {
        let checked =
            intake::check_type(&call.headers, Operation::Passed(None), shared.keyring.asks())
                .and_then(|()| intake::check_length(shared, &call.headers));
        if let Err(problem) = checked {
            return problem.into_response();
        }
        let share = call.entry.as_ref().and_then(|entry| Some(&entry.memory()?.bodies));
        match intake::received(shared, &call.headers, body, share).await {
            Ok((bytes, room)) => (call.body, held) = (bytes, Some(room)),
            Err(problem) => return problem.into_response(),
        }
    }
    let answer = shared.router.stored(call).await;
    drop(held);
    let mut response = answer.map_or_else(failed, answer::respond);
    answer::disclose(&mut response, &disclosure);
    response.extensions_mut().insert(Occupied::new(permit, slot));
    response
}
