//! Authentication by path: which key each path requires, and the response to callers without it.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Extensions, Method};
use router_core::clock;

use crate::app_state::AppState;
use crate::keyring::Bearer;
use crate::keyring::Denied;
use crate::keyring::Door;
use crate::origin;
use crate::problem::Problem;
use crate::tokens::TokenFault;

/// Lets a request in, with who asks among its extensions, or answers in its place.
pub(crate) async fn enter(
    shared: &AppState,
    path: &str,
    mut request: Request,
) -> Result<(Request, Arc<Bearer>), Response> {
    let door = door(path, request.uri().query());
    let browsed = door == Door::Operator && request.method() == Method::GET;
    // The dashboard's form: a page of another site could send it too, but it changes nothing and its answer stays unread.
    let form = door == Door::Operator && path.trim_end_matches('/') == "/v1/route";
    if !shared.keyring.asks() {
        let AppState { listen, hosts, cors, .. } = shared;
        let allowed = origin::Allowed { listen: *listen, hosts, cors };
        origin::check(request.uri(), request.headers(), &allowed)
            .map_err(IntoResponse::into_response)?;
    }
    let today = clock::day(clock::wall());
    let entered = match shared.keyring.enter(door, request.headers(), browsed || form, today) {
        Err(denied @ (Denied::Missing | Denied::Unknown)) => {
            // Boxed, so that requests with a key do not carry the space that it needs.
            match Box::pin(shared.identities.identify(request.headers())).await {
                None => Err(denied),
                Some(Ok(key)) => shared.keyring.enter_as(&key, door, today),
                Some(Err(fault)) => Err(Denied::Token(fault)),
            }
        }
        other => other,
    };
    match entered {
        Ok(bearer) => {
            request.extensions_mut().insert(Arc::clone(&bearer));
            Ok((request, bearer))
        }
        Err(denied) => {
            shared.router.unauthorized(denied.as_str());
            Err(refusal(denied, browsed))
        }
    }
}

/// The caller as identified by `auth`.
pub(crate) fn bearer(extensions: &Extensions) -> Result<Arc<Bearer>, Problem> {
    extensions.get::<Arc<Bearer>>().cloned().ok_or_else(Problem::internal)
}

/// Right that a path requires. Unknown paths require one too, so that nobody can find out which paths exist.
pub(crate) fn door(path: &str, query: Option<&str>) -> Door {
    match path.trim_end_matches('/') {
        "/healthz" | "/health" | "/openapi.json" => Door::Open,
        "/readyz" if !verbose(query) => Door::Open,
        "" | "/readyz" | "/metrics" | "/v1/route" => Door::Operator,
        path if path.starts_with("/dashboard") => Door::Operator,
        _ => Door::Key,
    }
}

/// True if readiness is asked for with the deployments.
pub(crate) fn verbose(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|word| word.starts_with("verbose"))
}

fn refusal(denied: Denied, browsed: bool) -> Response {
    let mut response = Problem::denied(denied).into_response();
    let ask = match denied {
        Denied::NotOperator | Denied::Token(TokenFault::NotGranted | TokenFault::Unavailable) => {
            return response;
        }
        // RFC 6750, section 3.
        Denied::Token(_) => HeaderValue::from_static("Bearer error=\"invalid_token\""),
        // The browser then asks for a name and a password.
        Denied::Missing | Denied::Unknown | Denied::Expired if browsed => {
            HeaderValue::from_static("Basic realm=\"model router, password: an operator's key\"")
        }
        Denied::Missing | Denied::Unknown | Denied::Expired => HeaderValue::from_static("Bearer"),
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, ask);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_door() {
        for (path, query, expected) in [
            ("/healthz", None, Door::Open),
            ("/readyz", None, Door::Open),
            ("/readyz", Some("verbose=1"), Door::Operator),
            ("/", None, Door::Operator),
            ("/metrics", None, Door::Operator),
            ("/v1/route/", None, Door::Operator),
            ("/v1/models", None, Door::Key),
            ("/v1/chat/completions", Some("verbose"), Door::Key),
            ("unknown", None, Door::Key),
        ] {
            assert_eq!(door(path, query), expected, "{path}");
        }
    }
}
