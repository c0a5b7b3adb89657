//! Liveness and readiness, on separate paths.
//!
//! Liveness does not depend on upstreams: restarting the router cures none of their faults.
//! Readiness is false while the process drains and while no deployment is usable.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use router_core::clock;
use router_core::deployment::Deployment;
use router_core::fallback::LastRefusal;
use router_core::replicas::ReplicaStatus;
use router_core::router::ModelRouter;
use router_core::task::Task;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app_state::AppState;
use crate::auth;
use crate::config::Expose;
use crate::server_state::Reloads;

use super::json;

/// 200 while the process runs.
pub(crate) async fn alive() -> Response {
    json::respond(&json!({"status": "ok"}))
}

/// 200 where requests are welcome, else 503 with the cause; `?verbose` adds the configuration that runs, how its last
/// reload went, and how each deployment stands.
pub(crate) async fn ready(
    State(shared): State<Arc<AppState>>,
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
    let verbose = auth::verbose(query.as_deref());
    if let (true, Expose::All, Some(fields)) = (verbose, shared.expose, body.as_object_mut()) {
        let forced = shared.router.rules().policy.forced.map(Task::as_str);
        fields.insert("config".to_owned(), configuration(&shared.process.reloads()));
        fields.insert("forced_role".to_owned(), forced.into());
        fields.insert("deployments".to_owned(), deployments(&shared));
        if let Some(replicas) = shared.router.replicas() {
            fields.insert("replicas".to_owned(), touch(&replicas.status(Instant::now())));
        }
    }
    let mut response = json::respond(&body);
    if status != "ready" {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// The loss of other replicas does not make this one unready: each can continue alone.
fn touch(status: &ReplicaStatus) -> Value {
    let ReplicaStatus { connected, replicas, age, syncs, failures, .. } = status;
    let age = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    json!({
        "connected": connected,
        "known": replicas,
        "sync_age_ms": age,
        "syncs": syncs,
        "failures": failures,
        "summary": status.to_string(),
    })
}

/// The running configuration, its age, and the result of the last reload. Faults name files, keys and places of secrets,
/// never a secret.
fn configuration(reloads: &Reloads) -> Value {
    let last = reloads.last.as_ref().map(|last| {
        json!({
            "at": rfc_3339(last.at),
            "successful": last.faults.is_empty(),
            "faults": last.faults,
            "needs_restart": last.needs_restart,
        })
    });
    json!({
        "version": reloads.version,
        "loaded_at": rfc_3339(reloads.loaded),
        "last_reload": last,
    })
}

fn deployments(shared: &AppState) -> Value {
    let (router, now) = (&shared.router, Instant::now());
    let catalog = &router.rules().catalog;
    catalog.deployments().iter().map(|known| deployment(known, router, now)).collect()
}

/// A deployment and its state: its cooldown and the cause, its running requests, its utilization.
fn deployment(known: &Deployment, router: &ModelRouter, now: Instant) -> Value {
    let standing = router.standing(&known.name);
    let cooling = standing.cooling(now).map(
        |(cause, until)| json!({"cause": cause.as_str(), "wait_ms": milliseconds(until - now)}),
    );
    let refused = router.last_refusal(&known.name).map(|refusal| {
        let LastRefusal { at, status, code, sent } = refusal;
        json!({"status": status, "code": code, "sent": sent, "since_ms": milliseconds(now - at)})
    });
    let queue = router.queue(&known.name);
    let rounded = |ratio: f64| (ratio * 1_000.0).round() / 1_000.0;
    let utilization = standing.twin.map(|twin| rounded(twin.utilization(now)));
    json!({
        "deployment": known.name.as_str(),
        "model": known.model.name.as_str(),
        "azure_deployment": &*known.azure_deployment,
        "billing": known.billing.as_str(),
        "area": known.area.to_string(),
        "enabled": known.enabled,
        "cooling": cooling,
        "refused": refused,
        "in_flight": standing.in_flight,
        "max_in_flight": known.max_in_flight,
        "utilization_ratio": utilization,
        "waiting": queue.map(|queue| queue.waiting),
        "longest_wait_ms": queue.map(|queue| milliseconds(queue.longest_wait)),
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-23T19:45:00Z`.
fn rfc_3339(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (day, of_day) = (clock::day(moment), seconds % 86_400);
    let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        let moment = UNIX_EPOCH + Duration::from_secs(1_795_046_400 + 3_661);
        assert_eq!(rfc_3339(moment), "2026-11-19T01:01:01Z");
    }
}
