//! Replays a request log under a configuration: the router itself, in virtual time, with the logged
//! scores.
//!
//! The log has no text, so nothing is scored again: each request keeps its score, and the
//! configuration's threshold, mode and roles decide again. A request that named a role, a model or
//! a task names it again. Tokens are the log's. A request that moves to a reasoning model gets the
//! mean hidden reasoning of such answers; one that leaves a reasoning model loses its own.
//!
//! Not modelled: conversations (each request stands alone, so prompt caches are as logged), pinned
//! deployments (their model is requested), faults of upstreams, and differences in speed between
//! models.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use prometheus::Registry;
use router_core::chat::{ChatRequest, Message};
use router_core::config::Config;
use router_core::policy::Rights;
use router_core::record::{Observer, RequestRecord};
use router_core::response::Body;
use router_core::router::{BuildFault, ChatCall, ModelRouter};
use router_core::task::{Classifier, OtherLanguages, Reason, Score, Scorer, Signals, Task};
use tokio::time::Instant;

use crate::calibration::hidden_reasoning;
use router_core::log_line::LoggedRequest;

use super::cloud::Cloud;
use super::routed::{PlayFault, at_their_times, body_for, in_virtual_time, number_in};
use super::stage::Stage;
use super::workload::Call;

/// Result of a log under a configuration.
#[derive(Debug)]
pub struct Replayed {
    /// The stage on which it was played.
    pub stage: Stage,
    /// Record of each request, in the order of the log.
    pub records: Vec<RequestRecord>,
    /// Pay-as-you-go cost in dollars, discarded answers included.
    pub usd: f64,
    /// Normalized tokens that provisioned deployments served.
    pub provisioned_tokens: f64,
    /// Number of 429 responses from deployments.
    pub refusals: u64,
}

/// A request of the log, as it is sent again.
#[derive(Debug, Clone)]
struct Again {
    call: Call,
    /// Model name of the requests: `auto`, a role, a model.
    model: Box<str>,
    /// The caller's own word for the task, if it had one.
    hint: Option<Task>,
    headers: HeaderMap,
    rights: Arc<Rights>,
}

/// The requests of a log that can be played: those with words for an answer whose tokens are known.
pub fn playable(requests: &[LoggedRequest]) -> Vec<&LoggedRequest> {
    let known = |request: &&LoggedRequest| request.is_conversation() && request.tokens().is_some();
    requests.iter().filter(known).collect()
}

/// Plays requests under a configuration, which must be in the order of time. `progress` hears how many have come.
///
/// # Errors
/// The router cannot be built of the configuration.
pub fn replay(
    requests: &[&LoggedRequest],
    config: Config,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Replayed, PlayFault> {
    let hidden = hidden_reasoning(requests.iter().copied());
    let first = requests.first().map_or(0, |request| request.at_unix_ms);
    let again: Vec<Again> =
        requests.iter().map(|request| again(request, first, hidden, &config)).collect();
    let scores: Vec<Score> = requests.iter().map(|request| score(request)).collect();
    let stage = Stage::as_configured(config, again.iter().map(|again| again.call).collect());
    in_virtual_time(|| play(stage, again, Logged(scores.into()), progress))
}

async fn play(
    stage: Stage,
    again: Vec<Again>,
    scores: Logged,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Replayed, PlayFault> {
    let cloud = Cloud::new(stage.clone(), Instant::now())?;
    let mut rules = stage.config.rules().map_err(BuildFault::from)?;
    // The score has heard every signal already.
    let signals = Signals {
        threshold: rules.classifier.threshold(),
        follow_up: 0.0,
        hysteresis: 0.0,
        instructions: 0.0,
        tools: 0.0,
        tool_result: 0.0,
        image: 0.0,
        json_schema: 0.0,
        json_object: 0.0,
        short_answer: 0.0,
        reasoning_effort: 0.0,
        step_by_step: 0.0,
        helper_call: 0.0,
        other_languages: OtherLanguages::Caller,
    };
    rules.classifier = Classifier::new(Arc::new(scores), signals);
    let (limits, registry) = (stage.config.limits.clone(), Registry::new());
    let router = ModelRouter::with_upstream(rules, limits, cloud.clone(), &registry);
    let router = router.map_err(router_core::router::BuildFault::from)?;
    let told = Arc::new(Told::default());
    router.observe(Arc::<Told>::clone(&told));
    let work = again.into_iter().enumerate();
    let work = work.map(|(index, again)| (again.call.at, one(router.clone(), index, again)));
    at_their_times(work, progress, |()| {}).await;
    drop(router);
    let mut records = std::mem::take(&mut *told.0.lock().unwrap_or_else(PoisonError::into_inner));
    records.sort_by_key(|(index, _)| *index);
    let meter = cloud.meter();
    Ok(Replayed {
        records: records.into_iter().map(|(_, record)| record).collect(),
        usd: meter.spent.iter().map(|spent| spent.usd).sum(),
        provisioned_tokens: meter.spent.iter().map(|spent| spent.provisioned_tokens).sum(),
        refusals: meter.refusals,
        stage,
    })
}

async fn one(router: ModelRouter<Cloud>, index: usize, again: Again) {
    let mut call = ChatCall::of_body(body_for(&again.model, index, &again.call));
    call.headers = again.headers;
    call.headers.insert("x-request-id", HeaderValue::from(index));
    if let Some(task) = again.hint {
        call.headers.insert("x-router-task", HeaderValue::from_static(task.as_str()));
    }
    call.rights = again.rights;
    // The record holds the cause of a failure.
    if let Ok(response) = router.chat(call).await
        && let Body::Stream(mut stream) = response.body
    {
        while stream.next().await.is_some() {}
    }
}

/// Request that repeats one of the log.
fn again(request: &LoggedRequest, first: u64, hidden: u64, config: &Config) -> Again {
    let (decision, outcome) = (&request.decision, &request.outcome);
    let (prompt, completion) = request.tokens().unwrap_or_default();
    let own = outcome.reasoning_tokens.unwrap_or(0).min(completion);
    let record = outcome.model.as_deref().and_then(|name| config.catalog.model(name));
    let reasoned = own > 0 || record.is_some_and(|record| record.reasons());
    // A caller's task hint was followed unless no model could serve it.
    let named = decision.downgraded.map_or_else(|| request.task(), |_| Some(Task::Reasoning));
    // The log holds no text in which a rule could find its words.
    let hinted = matches!(decision.decided_by.as_deref(), Some("hint" | "rule"));
    let model = match (decision.score, named) {
        (Some(_), _) => Box::from("auto"),
        (None, Some(role)) => Box::from(role.as_str()),
        // The deployment that was named may have fallen back, but its model is the one wished first.
        (None, None) => decision.first_model.clone().or(outcome.model.clone()).unwrap_or_default(),
    };
    let keys = config.keys.iter();
    let key = keys.into_iter().find(|key| Some(key.name.as_str()) == request.key.as_deref());
    Again {
        call: Call {
            at: Duration::from_millis(request.at_unix_ms.saturating_sub(first)),
            prompt,
            cached: outcome.cached_tokens.unwrap_or(0).min(prompt),
            estimate: decision.estimated_prompt_tokens.unwrap_or(prompt),
            output: completion - own,
            reasoning_output: if reasoned { completion } else { completion + hidden },
            cap: request.max_tokens,
            streamed: request.streamed.unwrap_or(false),
            task: named.unwrap_or(Task::Chat),
        },
        model,
        hint: named.filter(|_| hinted),
        headers: headers(request),
        rights: key.map(|key| Arc::clone(&key.rights)).unwrap_or_default(),
    }
}

/// The logged residency applies again.
fn headers(request: &LoggedRequest) -> HeaderMap {
    let decision = &request.decision;
    // The last of several areas is the narrowest.
    let residency = decision.residency.as_deref().and_then(|areas| areas.rsplit(',').next());
    let residency = residency.filter(|area| *area != "global");
    let said =
        [("x-router-residency", residency), ("x-router-priority", decision.priority.as_deref())];
    let header = |(name, value): (&'static str, Option<&str>)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value?).ok()?))
    };
    said.into_iter().filter_map(header).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a score has no more than 7 digits")]
fn score(request: &LoggedRequest) -> Score {
    Score::nearest(request.decision.score.unwrap_or(0.0) as f32)
}

/// Gives each call the score that it had.
#[derive(Debug)]
struct Logged(Arc<[Score]>);

impl Scorer for Logged {
    fn score_turn(&self, turn: &Message<'_>) -> Score {
        let number = turn.texts().find_map(number_in);
        let score = number.and_then(|number| self.0.get(number).copied());
        score.unwrap_or(Score::nearest(0.0))
    }

    fn reasons(&self, _: &ChatRequest<'_>, _: usize) -> Vec<Reason> {
        Vec::new()
    }
}

/// Keeps what the router tells of each call, with the call's number.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(usize, RequestRecord)>>);

impl Observer for Told {
    fn closed(&self, record: &RequestRecord) {
        let index = record.request_id.as_deref().and_then(|id| id.parse().ok());
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push((index.unwrap_or(usize::MAX), record.clone()));
    }
}
