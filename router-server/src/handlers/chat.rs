//! Chat completions in all their paths: the body to the router, its answer to the caller. No decision is taken here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use router_core::response;

use crate::problem::Problem;
use crate::shared::Shared;

use super::intake;

/// Answers a request whose body names the model.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    complete(&shared, request, None).await.unwrap_or_else(IntoResponse::into_response)
}

/// Answers a request whose path names the deployment, as Azure's dated URLs do.
pub(crate) async fn answer_deployment(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path(name)) = path else { return Problem::unreadable_path().into_response() };
    complete(&shared, request, Some(name)).await.unwrap_or_else(IntoResponse::into_response)
}

async fn complete(
    shared: &Shared,
    request: Request,
    path_model: Option<String>,
) -> Result<Response, Problem> {
    let call = intake::call(request, path_model, shared.max_body_bytes).await?;
    let answered = shared.router.chat(call).await;
    answered.map(respond).map_err(|error| Problem::of(&error, shared.expose))
}

/// A stream is handed on as it is: dropping the body, as the server does when the caller hangs up, drops the stream.
fn respond(answer: response::Response) -> Response {
    let mut response = Response::new(match answer.body {
        response::Body::Full(bytes) => Body::from(bytes),
        response::Body::Stream(stream) => Body::from_stream(stream),
    });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
