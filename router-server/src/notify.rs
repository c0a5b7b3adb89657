//! Notices of budgets: a signed POST when a key or a team has spent 80 % and 100 % of a budget.
//!
//! The signature is that of Standard Webhooks, so receivers need no code of ours. The id of a notice says all that makes it
//! one, so it is the same from every replica and after a restart: receivers drop what they have seen. A notice that is not
//! taken is tried again a few times and then given up with a log line; no request waits for any.
//!
//! **Source:** standardwebhooks.com, specification 1.0, "Webhook signatures" and "Deliverability and reliability".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use prometheus::{IntCounterVec, Opts, Registry};
use router_core::clock;
use router_core::ledger::Span;
use router_core::units::{Day, Usd};
use router_core::upstream::{ConnectionLimits, Webhook};
use serde_json::json;
use tracing::{error, info};

use crate::budgets::Budget;
use crate::budgets::Owner;
use crate::config::NotifySettings;

/// The shares of a budget, in percent, at which a notice is due.
const THRESHOLDS: [u64; 2] = [80, 100];

/// The pauses between the tries of one notice.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Notices in flight at most; further ones wait for the next check.
pub(crate) const MOST: usize = 16;

/// Budget and period of a notice.
type Period = (Owner, Arc<str>, &'static str, Day);

/// Notices sent already.
#[derive(Debug, Default)]
pub(crate) struct Noticed(BTreeMap<Period, u64>);

impl Noticed {
    /// The notices that are due now, at most `room`; each is due once.
    pub(crate) fn due(&mut self, budgets: &[Budget], room: usize) -> Vec<Notice> {
        // Periods that are over need no notice.
        let periods: Vec<Period> = budgets.iter().map(period).collect();
        self.0.retain(|known, _| periods.contains(known));
        let mut due = Vec::new();
        for (budget, period) in budgets.iter().zip(periods) {
            let percent = percent(budget.spent, budget.limit);
            let before = self.0.get(&period).copied().unwrap_or(0);
            let reached = THRESHOLDS.into_iter().filter(|threshold| *threshold <= percent).max();
            let Some(threshold) = reached.filter(|threshold| *threshold > before) else { continue };
            if due.len() == room {
                break;
            }
            self.0.insert(period, threshold);
            due.push(Notice { budget: budget.clone(), threshold });
        }
        due
    }
}

fn period(budget: &Budget) -> Period {
    (budget.owner, Arc::clone(&budget.name), budget.span.as_str(), budget.renews)
}

fn percent(spent: Usd, limit: Usd) -> u64 {
    let hundred = u128::from(spent.picodollars()) * 100;
    let percent = hundred.checked_div(u128::from(limit.picodollars())).unwrap_or(u128::MAX);
    u64::try_from(percent).unwrap_or(u64::MAX)
}

/// A budget that has reached a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    budget: Budget,
    threshold: u64,
}

impl Notice {
    fn id(&self) -> String {
        let Budget { owner, name, span, renews, .. } = &self.budget;
        format!("budget.{}.{name}.{}.{renews}.{}", owner.as_str(), span.as_str(), self.threshold)
    }

    fn body(&self, seconds: u64) -> String {
        let Budget { owner, name, span, limit, spent, renews } = &self.budget;
        let kind = if self.threshold < 100 { "budget.nearly_spent" } else { "budget.spent" };
        json!({
            "type": kind,
            "timestamp": seconds,
            "data": {
                "owner": owner.as_str(),
                "name": &**name,
                "span": Span::as_str(*span),
                "threshold_percent": self.threshold,
                "spent_usd": spent.as_f64(),
                "limit_usd": limit.as_f64(),
                "renews": renews.to_string(),
            },
        })
        .to_string()
    }
}

/// Sends notices and counts what becomes of them.
#[derive(Debug, Clone)]
pub(crate) struct Notifier(IntCounterVec);

impl Notifier {
    /// Makes its metric known to a registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new("notices_total", "Notices of budgets to the configured address.");
        let outcomes = IntCounterVec::new(options.namespace("model_router"), &["outcome"])?;
        registry.register(Box::new(outcomes.clone()))?;
        Ok(Self(outcomes))
    }

    /// Posts a notice, again after a pause while it is not taken.
    pub(crate) async fn deliver(
        &self,
        notice: Notice,
        settings: NotifySettings,
        limits: ConnectionLimits,
    ) {
        let mut pauses = PAUSES.into_iter();
        loop {
            let fault = match post(&notice, &settings, limits).await {
                Ok(()) => {
                    info!(notice = notice.id(), "notice delivered");
                    return self.0.with_label_values(&["delivered"]).inc();
                }
                Err(fault) => fault,
            };
            let Some(pause) = pauses.next() else {
                error!(notice = notice.id(), fault, "a notice was not taken and is given up");
                return self.0.with_label_values(&["failed"]).inc();
            };
            tokio::time::sleep(pause).await;
        }
    }
}

async fn post(
    notice: &Notice,
    settings: &NotifySettings,
    limits: ConnectionLimits,
) -> Result<(), String> {
    // Read each time: a mounted secret changes while the router runs.
    let secret = settings.secret.read().map_err(|fault| fault.to_string())?;
    let webhook = Webhook::new(&settings.url, limits).map_err(|fault| fault.to_string())?;
    let now = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (id, body) = (notice.id(), notice.body(now));
    let signature = signature(secret.expose(), &id, now, &body);
    let header = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).map_err(|fault| fault.to_string())?;
        Ok::<_, String>((HeaderName::from_static(name), value))
    };
    let headers = vec![
        header("webhook-id", &id)?,
        header("webhook-timestamp", &now.to_string())?,
        header("webhook-signature", &signature)?,
    ];
    match webhook.post(headers, body).await {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(fault) => Err(fault.to_string()),
    }
}

/// `v1,` and the HMAC-SHA256 of id, time and body. A secret that begins with `whsec_` is base64, any other is taken as it is.
fn signature(secret: &str, id: &str, seconds: u64, body: &str) -> String {
    let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(spent: f64, renews: &str) -> Budget {
        Budget {
            owner: Owner::Team,
            name: "search".into(),
            span: Span::Month,
            limit: Usd::of_dollars(10.0).unwrap(),
            spent: Usd::of_dollars(spent).unwrap(),
            renews: Day::try_from(renews).unwrap(),
        }
    }

    #[test]
    fn each_threshold_is_due_once_in_a_period() {
        let mut noticed = Noticed::default();
        let mut due = |spent: f64, renews: &str| -> Vec<u64> {
            let due = noticed.due(&[budget(spent, renews)], MOST);
            due.into_iter().map(|notice| notice.threshold).collect()
        };
        let december = "2026-12-01";
        assert_eq!(due(7.99, december), [0; 0]);
        assert_eq!(due(8.0, december), [80]);
        assert_eq!(due(9.9, december), [0; 0]);
        assert_eq!(due(10.5, december), [100]);
        assert_eq!(due(11.0, december), [0; 0]);
        assert_eq!(due(12.0, "2027-01-01"), [100], "at once beyond both: only the higher");
    }

    #[test]
    fn what_finds_no_room_is_due_at_the_next_look() {
        let mut noticed = Noticed::default();
        let spent = [budget(9.0, "2026-12-01")];
        assert_eq!(noticed.due(&spent, 0), []);
        assert_eq!(noticed.due(&spent, 1).len(), 1);
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // **Source:** standardwebhooks.com, the specification's own example.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = "{\"test\": 2432232314}";
        let signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_notice_names_its_budget_and_nothing_else() {
        let notice = Notice { budget: budget(8.5, "2026-12-01"), threshold: 80 };
        assert_eq!(notice.id(), "budget.team.search.month.2026-12-01.80");
        let body: serde_json::Value = serde_json::from_str(&notice.body(1)).unwrap();
        assert_eq!(body["type"], "budget.nearly_spent");
        assert_eq!(
            (&body["data"]["spent_usd"], &body["data"]["limit_usd"]),
            (&json!(8.5), &json!(10.0))
        );
    }
}
