//! Maps paths to handlers.
//!
//! The paths of each dialect are listed, with and without a trailing slash, because clients send
//! both. Any other path is a 404.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, post};
use http::{Method, Uri};
use router_core::chat::Operation;
use router_core::config::Expose;

use crate::app_state::AppState;
use crate::cors;
use crate::dashboard::page;
use crate::handlers::answer;
use crate::handlers::dashboard;
use crate::handlers::health;
use crate::handlers::metrics;
use crate::handlers::models;
use crate::handlers::models::Form;
use crate::handlers::openapi;
use crate::handlers::route;
use crate::handlers::stored;
use crate::handlers::usage;
use crate::keyring::Bearer;
use crate::middleware;
use crate::problem::Problem;

type Paths = axum::Router<Arc<AppState>>;

/// All paths of a server.
pub(crate) fn app(shared: Arc<AppState>) -> axum::Router {
    let mut paths = operations(Paths::new());
    for base in ["/v1", "/openai/v1", "/openai", ""] {
        paths = stored_responses(paths, &format!("{base}/responses"));
    }
    for path in &shared.passthrough {
        paths = passed(paths, path);
    }
    for (path, form) in [
        ("/v1/models", Form::OpenAi),
        ("/models", Form::OpenAi),
        ("/openai/v1/models", Form::OpenAi),
        ("/openai/models", Form::AzureDated),
        ("/openai/deployments/{name}/models", Form::AzureDated),
    ] {
        paths = both(paths, path, list(form));
    }
    for (path, form) in [
        ("/v1/models/{*id}", Form::OpenAi),
        ("/models/{*id}", Form::OpenAi),
        ("/openai/v1/models/{*id}", Form::OpenAi),
        ("/openai/models/{*id}", Form::AzureDated),
    ] {
        paths = paths.route(path, one(form));
    }
    paths = both(paths, "/v1/usage", get(usage::own));
    // The decision tells all that answer headers do, so it is served only where those are.
    if shared.expose == Expose::All {
        paths = both(paths, "/v1/route", post(route::explain));
    }
    // Callers shall see little then; where keys tell operators from callers, operators still see everything.
    if shared.expose == Expose::All || shared.keyring.asks() {
        paths = dashboard(paths);
    }
    let cors = cors::layer(&shared.cors);
    let app = paths
        .route("/healthz", get(health::alive))
        .route("/health", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::expose))
        .route("/openapi.json", get(openapi::document))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&shared), middleware::pass))
        .with_state(shared);
    // Outside authentication: a preflight request has no key.
    match cors {
        Some(cors) => app.layer(cors),
        None => app,
    }
}

/// The page, its files, and what it shows.
fn dashboard(mut paths: Paths) -> Paths {
    for file in page::FILES {
        paths = paths.route(file.path, dashboard::file(file));
    }
    paths
        .route(page::PATH, get(dashboard::page))
        .route(dashboard::STATE, get(dashboard::state))
        .route(dashboard::EVENTS, get(dashboard::events))
}

/// What is asked of models, in each dialect.
fn operations(mut paths: Paths) -> Paths {
    for (operation, path) in [
        (Operation::Chat, "chat/completions"),
        (Operation::Responses, "responses"),
        (Operation::Completions, "completions"),
        (Operation::Embeddings, "embeddings"),
    ] {
        for base in BASES {
            paths = both(paths, &format!("{base}/{path}"), answer::by_body(operation));
        }
        let dated = format!("/openai/deployments/{{name}}/{path}");
        paths = both(paths, &dated, answer::by_deployment(operation));
    }
    // Azure's dated form of the Responses API names no deployment.
    both(paths, "/openai/responses", answer::by_body(Operation::Responses))
}

/// Where the undated paths begin: OpenAI's, Azure's, and without a version, as some clients are configured.
const BASES: [&str; 3] = ["/v1", "/openai/v1", ""];

fn stored_responses(paths: Paths, responses: &str) -> Paths {
    let one = format!("{responses}/{{id}}");
    let own = MethodFilter::GET.or(MethodFilter::DELETE);
    let paths = both(paths, &one, stored::call(own, ""));
    let items = stored::call(MethodFilter::GET, "/input_items");
    let paths = both(paths, &format!("{one}/input_items"), items);
    let mut paths =
        both(paths, &format!("{one}/cancel"), stored::call(MethodFilter::POST, "/cancel"));
    // Operations that are not served are no ids.
    for operation in ["input_tokens", "compact"] {
        paths = both(paths, &format!("{responses}/{operation}"), any(unknown_path));
    }
    paths
}

/// A path that config lets pass through, in each dialect.
fn passed(mut paths: Paths, path: &Arc<str>) -> Paths {
    for base in BASES {
        paths = both(paths, &format!("{base}/{path}"), answer::passed(Arc::clone(path)));
    }
    let dated = format!("/openai/deployments/{{name}}/{path}");
    both(paths, &dated, answer::passed_by_deployment(Arc::clone(path)))
}

/// The path as it is written here, and with a slash at the end.
fn both(paths: Paths, path: &str, method: MethodRouter<Arc<AppState>>) -> Paths {
    paths.route(path, method.clone()).route(&format!("{path}/"), method)
}

fn list(form: Form) -> MethodRouter<Arc<AppState>> {
    get(
        move |State(shared): State<Arc<AppState>>, Extension(bearer): Extension<Arc<Bearer>>| async move {
            models::list(&shared, &bearer, form)
        },
    )
}

fn one(form: Form) -> MethodRouter<Arc<AppState>> {
    get(
        move |State(shared): State<Arc<AppState>>,
              Extension(bearer): Extension<Arc<Bearer>>,
              path: Result<Path<String>, PathRejection>| async move {
            models::one(&shared, &bearer, path, form)
        },
    )
}

async fn unknown_path(request: Request) -> Response {
    Problem::unknown_path(request.method(), request.uri().path()).into_response()
}

async fn method_not_allowed(method: Method, _: Uri) -> Response {
    Problem::method_not_allowed(&method).into_response()
}
