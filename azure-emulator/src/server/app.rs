//! Maps paths to handlers.

use super::admin;
use super::head;
use super::inference;
use super::inference::Dialect;
use super::inference::Operation;
use super::intake;
use super::listed;
use super::media::Media;
use super::shared::Shared;
use super::tokens_endpoint;
use crate::wire::error::Refusal;
use axum::Router;
use axum::extract::Path;
use axum::extract::Request;
use axum::extract::State;
use axum::middleware;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::get;
use axum::routing::post;
use std::sync::Arc;

/// All paths of an emulator.
pub(crate) fn app(shared: Arc<Shared>) -> Router {
    let deployment = with_media(Dialect::Dated)
        .route("/chat/completions", model(Operation::Chat, Dialect::Dated))
        .route("/completions", model(Operation::Completions, Dialect::Dated))
        .route("/embeddings", model(Operation::Embeddings, Dialect::Dated));
    let dated = Router::new()
        .route("/responses", model(Operation::Responses, Dialect::Dated))
        .merge(stored_and_listed(Dialect::Dated));
    let identity = Router::new()
        .route("/metadata/identity/oauth2/token", get(tokens_endpoint::instance_metadata))
        .route("/msi/token", get(tokens_endpoint::app_service))
        .route("/{tenant}/oauth2/v2.0/token", post(tokens_endpoint::oauth));
    let doubles = Router::new()
        .nest("/openai/deployments/{deployment}", deployment)
        .nest("/openai/v1", undated(Dialect::V1))
        .nest("/openai", dated)
        .nest("/v1", undated(Dialect::OpenAi))
        .merge(identity)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), intake::watch));
    Router::new()
        .route("/emulator/script", post(admin::add_script).delete(admin::clear_scripts))
        .route("/emulator/journal", get(admin::journal).delete(admin::clear_journal))
        .route("/emulator/state", get(admin::state))
        .merge(doubles)
        .with_state(shared)
}

/// Paths that carry no deployment: the body names it.
fn undated(dialect: Dialect) -> Router<Arc<Shared>> {
    with_media(dialect)
        .route("/chat/completions", model(Operation::Chat, dialect))
        .route("/completions", model(Operation::Completions, dialect))
        .route("/embeddings", model(Operation::Embeddings, dialect))
        .route("/responses", model(Operation::Responses, dialect))
        .merge(stored_and_listed(dialect))
}

fn with_media(dialect: Dialect) -> Router<Arc<Shared>> {
    Media::PATHS.into_iter().fold(Router::new(), |paths, (path, media)| {
        paths.route(path, model(Operation::Media(media), dialect))
    })
}

fn stored_and_listed(dialect: Dialect) -> Router<Arc<Shared>> {
    let find = move |State(shared): State<Arc<Shared>>, id: Path<String>, request: Request| async move {
        listed::response(&shared, &id, &request, dialect)
    };
    let items = move |State(shared): State<Arc<Shared>>, id: Path<String>, request: Request| async move {
        listed::input_items(&shared, &id, &request, dialect)
    };
    let forget = move |State(shared): State<Arc<Shared>>, id: Path<String>, request: Request| async move {
        listed::forget(&shared, &id, &request, dialect)
    };
    let models = move |State(shared): State<Arc<Shared>>, request: Request| async move {
        listed::models(&shared, &request, dialect)
    };
    let one = move |State(shared): State<Arc<Shared>>, id: Path<String>, request: Request| async move {
        listed::model(&shared, &id, &request, dialect)
    };
    Router::new()
        .route("/responses/{id}", get(find).delete(forget))
        .route("/responses/{id}/cancel", post(find))
        .route("/responses/{id}/input_items", get(items))
        .route("/models", get(models))
        .route("/models/{id}", get(one))
}

fn model(operation: Operation, dialect: Dialect) -> MethodRouter<Arc<Shared>> {
    post(move |State(shared): State<Arc<Shared>>, path: Option<Path<String>>, request: Request| {
        let deployment = path.map(|Path(deployment)| deployment);
        inference::answer(shared, deployment, request, operation, dialect)
    })
}

async fn unknown() -> Response {
    head::refused(&Refusal::resource_not_found())
}
