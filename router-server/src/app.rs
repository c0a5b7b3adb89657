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
use axum::routing::{MethodFilter, MethodRouter, get, post};
use http::{Method, Uri};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use router_core::chat::Operation;
use router_core::stored::Collection;

use crate::app_state::AppState;
use crate::config::CorsOrigins;
use crate::config::Expose;
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

/// The paths that most requests are for. They are compared before all others are looked up, which spares a request the
/// layers of the framework.
const DIRECT: [(&str, Operation); 4] = [
    ("/v1/chat/completions", Operation::Chat),
    ("/v1/responses", Operation::Responses),
    ("/openai/v1/chat/completions", Operation::Chat),
    ("/openai/v1/responses", Operation::Responses),
];

/// Service that answers requests under one configuration.
#[derive(Debug, Clone)]
pub(crate) struct App {
    shared: Arc<AppState>,
    paths: axum::Router,
}

impl App {
    pub(crate) fn new(shared: Arc<AppState>) -> Self {
        Self { paths: app(Arc::clone(&shared)), shared }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let Some((path, operation)) = self.direct(&request) else {
            let Ok(response) = TowerToHyperService::new(self.paths.clone()).call(request).await;
            return response;
        };
        let shared = &*self.shared;
        let handle = |request| answer::direct(shared, request, operation);
        middleware::answered(shared, path, request, handle).await
    }

    /// The path and its operation, if a request is for one of the usual ones. Web pages of other sites need a layer that
    /// answers for all paths.
    fn direct(&self, request: &Request) -> Option<(&'static str, Operation)> {
        let usual = request.method() == Method::POST && self.shared.cors == CorsOrigins::None;
        let path = usual.then(|| request.uri().path())?;
        DIRECT.into_iter().find(|(known, _)| *known == path)
    }
}

/// All paths of a server.
fn app(shared: Arc<AppState>) -> axum::Router {
    let mut paths = operations(Paths::new());
    for base in STORED_BASES {
        paths = stored_responses(paths, &format!("{base}/responses"));
    }
    paths = inference(stored_objects(paths, &shared.objects));
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
        .route(dashboard::RANGE, get(dashboard::range))
        .route(dashboard::EVENTS, get(dashboard::events))
}

/// Paths of model operations, in each dialect.
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

/// Path prefixes of stored objects: Azure's dated form names no deployment.
const STORED_BASES: [&str; 4] = ["/v1", "/openai/v1", "/openai", ""];

/// Undated path prefixes: OpenAI's, Azure's, and the one without a version that some clients are configured with.
const BASES: [&str; 3] = ["/v1", "/openai/v1", ""];

fn stored_responses(paths: Paths, responses: &str) -> Paths {
    let one = format!("{responses}/{{id}}");
    let own = MethodFilter::GET.or(MethodFilter::DELETE);
    let paths = both(paths, &one, stored::call(own, ""));
    let items = stored::call(MethodFilter::GET, "/input_items");
    let paths = both(paths, &format!("{one}/input_items"), items);
    let mut paths =
        both(paths, &format!("{one}/cancel"), stored::call(MethodFilter::POST, "/cancel"));
    for (operation, path) in
        [(Operation::InputTokens, "input_tokens"), (Operation::Compact, "compact")]
    {
        paths = both(paths, &format!("{responses}/{path}"), answer::by_body(operation));
    }
    paths
}

/// Stored chat completions, conversations, and the collections that config passes through.
fn stored_objects(mut paths: Paths, passed: &[Arc<str>]) -> Paths {
    for base in STORED_BASES {
        paths = stored_completions(paths, &format!("{base}/chat/completions"));
        let own = [Collection::Conversations].into_iter();
        let passed_through = passed.iter().map(|name| Collection::PassedThrough(Arc::clone(name)));
        for collection in own.chain(passed_through) {
            paths = objects(paths, base, collection);
        }
    }
    paths
}

/// The paths of Azure AI Inference.
fn inference(mut paths: Paths) -> Paths {
    // Azure AI Inference's base is `/models`; a path of its own tells a client which model it talks to.
    for (operation, path) in [
        (Operation::Chat, "/models/chat/completions"),
        (Operation::Embeddings, "/models/embeddings"),
    ] {
        paths = both(paths, path, answer::by_body(operation));
    }
    for path in ["/info", "/models/info"] {
        paths = both(paths, path, get(models::info));
    }
    paths
}

/// Stored chat completions: the list, one, its messages.
fn stored_completions(paths: Paths, completions: &str) -> Paths {
    let collection = || Collection::ChatCompletions;
    let one = MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::DELETE);
    let paths = both(paths, completions, stored::collection(MethodFilter::GET, collection()));
    let paths =
        both(paths, &format!("{completions}/{{id}}"), stored::object(one, collection(), ""));
    let messages = stored::object(MethodFilter::GET, collection(), "/messages");
    both(paths, &format!("{completions}/{{id}}/messages"), messages)
}

/// A collection of stored objects: its list, creating, one object, and what lies below one.
fn objects(paths: Paths, base: &str, collection: Collection) -> Paths {
    let root = format!("{base}/{}", collection.path());
    let one = MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::DELETE);
    // OpenAI lists no conversations.
    let all = if collection == Collection::Conversations {
        MethodFilter::POST
    } else {
        MethodFilter::GET.or(MethodFilter::POST)
    };
    let paths = both(paths, &root, stored::collection(all, collection.clone()));
    let paths = both(paths, &format!("{root}/{{id}}"), stored::object(one, collection.clone(), ""));
    paths.route(&format!("{root}/{{id}}/{{*rest}}"), stored::below(one, collection))
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
