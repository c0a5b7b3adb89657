//! Adds up a request log: tokens, cost and savings of each group of requests.
//!
//! Two savings are kept apart. *By choice*: a request that the router gave to the chat model costs less than the same tokens
//! at the reasoning model; the hidden reasoning that the latter would add is not counted, so this is a lower bound. *By PTU*: a
//! provisioned answer costs nothing by the token. What the PTUs cost by the hour is not in a log.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use router_core::clock;
use router_core::log_line::LoggedRequest;
use router_core::task::Task;
use serde::Serialize;

use crate::report_args::By;

/// Usage of a group of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Spending {
    /// All requests.
    pub(crate) requests: u64,
    /// Requests that ended without an answer, or with a refusal.
    pub(crate) failed: u64,
    /// Requests answered by provisioned throughput.
    pub(crate) provisioned: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) reasoning_tokens: u64,
    pub(crate) cost_usd: f64,
    /// Answers whose price is not known; the cost does not contain them.
    pub(crate) unpriced: u64,
    pub(crate) saved_by_choice_usd: f64,
    pub(crate) saved_by_ptu_usd: f64,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// The values of the columns that were added up by.
    pub(crate) names: Vec<String>,
    pub(crate) spending: Spending,
}

/// Entry of a column for a request without a value.
const NONE: &str = "-";

/// Adds up by these columns; the groups that cost most come first, days in their order.
pub(crate) fn by(requests: &[LoggedRequest], columns: &[By]) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<String>, Spending> = BTreeMap::new();
    for request in requests {
        let names = columns.iter().map(|by| value(request, *by)).collect();
        groups.entry(names).or_default().add(request);
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(names, spending)| Group { names, spending }).collect();
    if !columns.contains(&By::Day) {
        groups.sort_by(|one, other| other.spending.cost_usd.total_cmp(&one.spending.cost_usd));
    }
    groups
}

/// All groups together.
pub(crate) fn total(requests: &[LoggedRequest]) -> Spending {
    let mut total = Spending::default();
    for request in requests {
        total.add(request);
    }
    total
}

/// The day of a request, in UTC.
pub(crate) fn day(request: &LoggedRequest) -> router_core::units::Day {
    clock::day(UNIX_EPOCH + Duration::from_millis(request.at_unix_ms))
}

fn value(request: &LoggedRequest, by: By) -> String {
    let known = match by {
        By::Key => request.key.as_deref(),
        By::Team => request.team.as_deref(),
        By::Model => request.outcome.model.as_deref(),
        By::Deployment => request.outcome.deployment.as_deref(),
        By::Task => request.decision.task.as_deref(),
        By::Day => return day(request).to_string(),
    };
    known.unwrap_or(NONE).to_owned()
}

impl Spending {
    fn add(&mut self, request: &LoggedRequest) {
        let outcome = &request.outcome;
        let provisioned = outcome.billing.as_deref() == Some("provisioned");
        let answered = request.tokens().is_some();
        // A line that reports what an answer made in the background used; its request has a line of its own.
        if !request.is_settlement() {
            self.requests += 1;
            self.failed += u64::from(request.error.is_some() || outcome.status.is_none());
            self.provisioned += u64::from(provisioned);
        }
        self.prompt_tokens += outcome.prompt_tokens.unwrap_or_default();
        self.cached_tokens += outcome.cached_tokens.unwrap_or_default();
        self.completion_tokens += outcome.completion_tokens.unwrap_or_default();
        self.reasoning_tokens += outcome.reasoning_tokens.unwrap_or_default();
        self.cost_usd += outcome.cost_usd.unwrap_or_default();
        self.unpriced += u64::from(answered && outcome.cost_usd.is_none());
        if let Some(by_token) = outcome.pay_as_you_go_usd {
            if provisioned {
                self.saved_by_ptu_usd += by_token - outcome.cost_usd.unwrap_or_default();
            }
            let chosen = request.task() == Some(Task::Chat);
            if let Some(reasoning) = outcome.reasoning_usd.filter(|_| chosen) {
                self.saved_by_choice_usd += reasoning - by_token;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use router_core::log_line::Log;

    use super::*;

    const LOG: &str = r#"{"at_unix_ms":1795046400000,"key":"app","team":"search","task":"chat","status":200,"model":"gpt-5.4","deployment":"ptu","billing":"provisioned","prompt_tokens":1000,"completion_tokens":100,"cost_usd":0.0,"pay_as_you_go_usd":0.004,"reasoning_usd":0.01,"chat_usd":0.004}
{"at_unix_ms":1795132800000,"key":"app","team":"search","task":"reasoning","status":200,"model":"gpt-5.6-sol","deployment":"payg","billing":"pay_as_you_go","prompt_tokens":500,"completion_tokens":400,"reasoning_tokens":300,"cost_usd":0.02,"pay_as_you_go_usd":0.02,"reasoning_usd":0.02,"chat_usd":0.005}
{"at_unix_ms":1795132800001,"key":"batch","task":"chat","status":200,"model":"mystery","deployment":"payg2","billing":"pay_as_you_go","prompt_tokens":5,"completion_tokens":4}
{"at_unix_ms":1795132800002,"error":"capacity_exhausted"}
"#;

    #[test]
    fn groups_add_up_and_savings_are_kept_apart() {
        let requests = Log::parse(LOG).unwrap().requests;
        let by_key = by(&requests, &[By::Key]);
        let names: Vec<&str> = by_key.iter().map(|group| group.names[0].as_str()).collect();
        assert_eq!(names, ["app", "-", "batch"], "the dearest first");
        let app = &by_key[0].spending;
        assert_eq!((app.requests, app.provisioned, app.prompt_tokens), (2, 1, 1_500));
        assert_eq!(app.reasoning_tokens, 300);
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(near(app.cost_usd, 0.02) && near(app.saved_by_ptu_usd, 0.004), "{app:?}");
        assert!(near(app.saved_by_choice_usd, 0.006), "the reasoning request saved nothing");
        assert_eq!(by_key[1].spending.failed, 1);
        assert_eq!(by_key[2].spending.unpriced, 1);
        let all = total(&requests);
        assert_eq!((all.requests, all.failed, all.unpriced), (4, 1, 1));
    }

    #[test]
    fn what_an_answer_made_in_the_background_cost_counts_once_and_is_no_request() {
        let log = Log::parse(
            r#"{"at_unix_ms":1,"key":"app","background":"open","status":200,"model":"gpt-5.4","deployment":"payg"}
{"at_unix_ms":2,"key":"app","background":"settled","model":"gpt-5.4","deployment":"payg","prompt_tokens":10,"completion_tokens":20,"cost_usd":0.5}
"#,
        );
        let Log { requests, settlements, .. } = log.unwrap();
        assert_eq!((requests.len(), settlements.len()), (1, 1));
        let all: Vec<LoggedRequest> = requests.into_iter().chain(settlements).collect();
        let all = total(&all);
        assert_eq!((all.requests, all.failed, all.unpriced, all.completion_tokens), (1, 0, 0, 20));
        assert!((all.cost_usd - 0.5).abs() < 1e-12);
    }

    #[test]
    fn days_come_in_order_and_teams_may_be_missing() {
        let requests = Log::parse(LOG).unwrap().requests;
        let names: Vec<Vec<String>> =
            by(&requests, &[By::Day, By::Team]).into_iter().map(|group| group.names).collect();
        assert_eq!(
            names,
            [["2026-11-19", "search"], ["2026-11-20", "-"], ["2026-11-20", "search"]]
        );
    }
}
