//! `GET /v1/usage`: what the caller's own key has used and may use, and the budgets of its team.
//!
//! It names no other key. Without keys no usage is counted, and the answer has `"key": null`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use router_core::clock;
use router_core::decision::Moment;
use router_core::ledger::{Allowance, Ledger, Used};
use router_core::units::Usd;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app_state::AppState;
use crate::budgets::limits;
use crate::keyring::Bearer;

use super::json;

/// Answers with the usage of the key that asks.
pub(crate) async fn own(
    State(shared): State<Arc<AppState>>,
    Extension(bearer): Extension<Arc<Bearer>>,
) -> Response {
    let moment = Moment::new(Instant::now(), clock::day(clock::wall()));
    let ledger = shared.router.ledger();
    let Some(key) = bearer.caller.name() else {
        return json::respond(&json!({"object": "usage", "key": null}));
    };
    let used = ledger.used(key, moment);
    let rates = ledger.left(key, &bearer.allowance, moment);
    let minute = |used: u64, left: Option<router_core::ledger::Left>| {
        let (limit, remaining) = (left.map(|left| left.limit), left.map(|left| left.remaining));
        json!({"used": used, "limit": limit, "remaining": remaining})
    };
    let team = bearer.caller.team().map(|team| {
        let spans = spans(ledger, team.account(), &team.allowance, moment);
        json!({"name": team.name.as_str(), "budgets": spans})
    });
    json::respond(&json!({
        "object": "usage",
        "key": key,
        "tags": bearer.tags,
        "day": moment.today.to_string(),
        "requests_in_flight": used.in_flight,
        "requests_per_minute": minute(used.requests, rates.requests),
        "tokens_per_minute": minute(used.tokens, rates.tokens),
        "budgets": spans(ledger, key, &bearer.allowance, moment),
        "team": team,
    }))
}

/// The spending in the day and in the month, with the budgets if there are any.
fn spans(ledger: &Ledger, account: &str, allowance: &Allowance, moment: Moment) -> Value {
    let used: Used = ledger.used(account, moment);
    let spans = limits(allowance).map(|(span, limit)| {
        let spent = used.spent(span);
        let value = json!({
            "spent_usd": spent.as_f64(),
            "budget_usd": limit.map(Usd::as_f64),
            "remaining_usd": limit.map(|limit| limit.saturating_sub(spent).as_f64()),
            "renews": span.renews(moment.today).to_string(),
        });
        (span.as_str().to_owned(), value)
    });
    Value::Object(spans.into_iter().collect())
}
