//! Is the process alive, and may it be sent requests? Two questions, two paths.
//!
//! Liveness must not depend on upstreams: restarting the router cures none of their faults. Readiness is false while the
//! process drains and while no deployment may be used.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use router_core::config::Expose;
use serde_json::{Value, json};

use crate::gate;
use crate::shared::Shared;

use super::json;

/// 200 while the process runs.
pub(crate) async fn alive() -> Response {
    json::respond(&json!({"status": "ok"}))
}

/// 200 where requests are welcome, else 503 with the cause; `?verbose` adds the deployments.
pub(crate) async fn ready(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Response {
    let status = if shared.draining() {
        "draining"
    } else if shared.router.ready() {
        "ready"
    } else {
        "no_deployment_usable"
    };
    let mut body = json!({"status": status});
    let verbose = gate::verbose(query.as_deref());
    if let (true, Expose::All, Some(fields)) = (verbose, shared.expose, body.as_object_mut()) {
        fields.insert("deployments".to_owned(), deployments(&shared));
    }
    let mut response = json::respond(&body);
    if status != "ready" {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn deployments(shared: &Shared) -> Value {
    let catalog = &shared.router.rules().catalog;
    let each = catalog.deployments().iter().map(|deployment| {
        json!({
            "deployment": deployment.name.as_str(),
            "model": deployment.model.name.as_str(),
            "billing": deployment.billing.as_str(),
            "area": deployment.area.to_string(),
        })
    });
    each.collect()
}
