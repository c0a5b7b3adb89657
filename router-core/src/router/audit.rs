//! Writes one log line, with the target `audit`, for each request refused for its residency. It
//! contains no content.

use http::HeaderMap;
use tracing::warn;

use crate::decision::Refusal;
use crate::deployment::Area;
use crate::error::RouteError;
use crate::metrics::Metrics;
use crate::policy::Rights;
use crate::stored::Caller;

/// Writes the line and counts it, where a request was refused for its residency.
pub(super) fn refused(
    metrics: &Metrics,
    error: &RouteError,
    caller: &Caller,
    rights: &Rights,
    headers: &HeaderMap,
) {
    let residency = match error {
        RouteError::Overreach(over) => over.is_residency(),
        RouteError::Refused(Refusal::Residency { .. } | Refusal::HostedTool { .. }) => true,
        RouteError::Request(_)
        | RouteError::Hint(_)
        | RouteError::Field(_)
        | RouteError::Limit(_)
        | RouteError::Memory(_)
        | RouteError::Model(_)
        | RouteError::Stored(_)
        | RouteError::Refused(_)
        | RouteError::Sending { .. } => false,
    };
    if !residency {
        return;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Only what is an area is told: anything else a caller wrote there has no place in a log.
    let asked = text("x-router-residency").and_then(|asked| Area::try_from(asked).ok());
    let told = |area: Option<Area>| area.map(|area| area.to_string());
    let key = caller.name();
    metrics.residency_refused(key);
    warn!(
        target: "audit",
        event = "residency_refused",
        key,
        asked = told(asked),
        key_residency = told(rights.residency),
        error = error.kind().as_str(),
        request_id = text("x-request-id"),
        "a request was refused for its residency"
    );
}
