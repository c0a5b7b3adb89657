//! Handles requests to models on all paths: passes the body to the router and its answer to the
//! caller. It makes no decision.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use router_core::chat::Operation;
use router_core::model::Medium;
use router_core::response;
use router_core::router::{ChatCall, Disclosure};

use crate::app_state::AppState;
use crate::auth;
use crate::problem::Problem;
use crate::rate_limit_headers;

use super::intake;
use super::intake::Asked;

/// Answers requests whose body names the model.
pub(crate) fn by_body(operation: Operation) -> MethodRouter<Arc<AppState>> {
    post(move |State(shared): State<Arc<AppState>>, request: Request| async move {
        direct(&shared, request, operation).await
    })
}

/// The same for who has matched the path already.
pub(crate) async fn direct(shared: &AppState, request: Request, operation: Operation) -> Response {
    let asked = Asked { operation, model: None, passed: None };
    complete(shared, request, asked).await
}

/// Answers requests whose path names the deployment, as Azure's dated URLs do.
pub(crate) fn by_deployment(operation: Operation) -> MethodRouter<Arc<AppState>> {
    named(operation, None)
}

/// Passes requests for a path on; the body names the model.
pub(crate) fn passed(path: Arc<str>) -> MethodRouter<Arc<AppState>> {
    post(move |State(shared): State<Arc<AppState>>, request: Request| async move {
        let operation = Operation::Passed(Medium::of_path(&path));
        let asked = Asked { operation, model: None, passed: Some(path) };
        complete(&shared, request, asked).await
    })
}

/// Passes requests for a path on; it names the deployment, as Azure's dated URLs do.
pub(crate) fn passed_by_deployment(path: Arc<str>) -> MethodRouter<Arc<AppState>> {
    named(Operation::Passed(Medium::of_path(&path)), Some(path))
}

fn named(operation: Operation, passed: Option<Arc<str>>) -> MethodRouter<Arc<AppState>> {
    post(
        move |State(shared): State<Arc<AppState>>,
              path: Result<Path<String>, PathRejection>,
              request: Request| async move {
            let Ok(Path(name)) = path else { return Problem::unreadable_path().into_response() };
            let asked = Asked { operation, model: Some(name), passed };
            complete(&shared, request, asked).await
        },
    )
}

async fn complete(shared: &AppState, request: Request, asked: Asked) -> Response {
    let bearer = match auth::bearer(request.extensions()) {
        Ok(bearer) => bearer,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match intake::call(shared, request, asked).await {
        Ok((call, occupied)) => {
            let mut response = routed(shared, call).await;
            response.extensions_mut().insert(occupied);
            response
        }
        Err(problem) => problem.into_response(),
    };
    let ledger = shared.router.ledger();
    rate_limit_headers::tell(response.headers_mut(), ledger, &bearer.caller, &bearer.allowance);
    response
}

async fn routed(shared: &AppState, mut call: ChatCall) -> Response {
    call.span = shared.process.tracer.as_ref().map(|tracer| tracer.begin(&call.headers));
    let disclosure = call.disclosure.clone();
    let mut response = match shared.router.chat(call).await {
        Ok(answer) => respond(answer),
        Err(error) => {
            Problem::of(&error, shared.expose).because(disclosure.causes()).into_response()
        }
    };
    disclose(&mut response, &disclosure);
    response
}

/// A refusal has the router's headers as an answer has.
pub(super) fn disclose(response: &mut Response, disclosure: &Disclosure) {
    if let Some(headers) = disclosure.headers() {
        response.headers_mut().extend(headers.clone());
    }
}

/// A stream is handed on as it is: dropping the body, as the server does when the caller hangs up, drops the stream.
pub(super) fn respond(answer: response::Response) -> Response {
    answer.into_http().map(Body::new)
}
