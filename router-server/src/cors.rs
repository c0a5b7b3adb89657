//! Allows web pages of other origins to call the router (`server.cors_origins`).
//!
//! A preflight request carries no key, so it is answered before the key is checked. Cookies and
//! HTTP logins of the browser are never accepted: a page sends its own key in a header.

use std::time::Duration;

use http::Method;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::config::CorsOrigins;

/// The time for which browsers may cache a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The layer for these origins; `None` if no page of another site may call.
pub(crate) fn layer(origins: &CorsOrigins) -> Option<CorsLayer> {
    let origins = match origins {
        CorsOrigins::None => return None,
        CorsOrigins::Listed(origins) => AllowOrigin::list(origins.iter().cloned()),
        CorsOrigins::Any => AllowOrigin::any(),
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        // `*` would not cover `authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(MAX_AGE);
    Some(layer)
}
