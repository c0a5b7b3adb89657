//! The upstream of a simulation: provisioned deployments are the emulator's buckets, pay-as-you-go
//! ones its quotas, and answers arrive in virtual time. It knows the length of each answer, which
//! the router does not.
//!
//! It identifies calls by `x-request-id`, which the router forwards unread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_emulator::bucket::{Admission, Bucket, BucketFault, BucketSettings};
use azure_emulator::quota::{Limit, Quota, QuotaSettings};
use azure_emulator::wire::error::Refusal;
use azure_emulator::wire::throttled;
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use router_core::deployment::Billing;
use router_core::deployment::Budget;
use router_core::deployment::Deployment;
use router_core::deployment::pricing;
use router_core::units::DeploymentName;
use router_core::units::Usd;
use router_core::upstream::{Attempt, Reply, ReplyBody, Unreachable, Upstream};
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{self, Ending};
use super::stage::{Stage, bucket, normalized};
use super::tally::ServedBy;
use super::workload::{Call, FIRST_TOKEN, TOKENS_PER_SECOND, answer_time, as_f64};

/// Amounts spent on a call so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    /// Time of the last admitted attempt.
    pub(super) sent: Duration,
    /// Limiter that admitted it.
    pub(super) by: ServedBy,
    /// Dollars, over all attempts.
    pub(super) usd: f64,
    /// Normalized tokens of provisioned deployments, over all attempts.
    pub(super) provisioned_tokens: f64,
}

/// Totals of the simulation so far.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) spent: Vec<Spent>,
    pub(super) refusals: u64,
}

/// The deployments in play. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Cloud(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stage: Stage,
    began: Instant,
    sites: BTreeMap<DeploymentName, Site>,
    meter: Mutex<Meter>,
}

#[derive(Debug)]
enum Site {
    Provisioned(BucketSettings, Mutex<Bucket>),
    PayAsYouGo(Option<Mutex<Quota>>),
}

/// The fields of a request that the service reads.
#[derive(Deserialize)]
struct Asked {
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Cloud {
    /// All deployments empty.
    pub(super) fn new(stage: Stage, began: Instant) -> Result<Self, BucketFault> {
        let mut sites = BTreeMap::new();
        let discount = stage.config.capacity.cached_discount;
        for deployment in stage.config.catalog.deployments() {
            let site = match &deployment.billing {
                Billing::Provisioned(provisioned) => match bucket(provisioned, discount) {
                    Some(settings) => {
                        Site::Provisioned(settings, Mutex::new(Bucket::new(settings, began)?))
                    }
                    None => continue,
                },
                Billing::PayAsYouGo(budget) => Site::PayAsYouGo(quota(*budget, began)),
            };
            sites.insert(deployment.name.clone(), site);
        }
        let nothing =
            Spent { sent: Duration::ZERO, by: ServedBy::Nobody, usd: 0.0, provisioned_tokens: 0.0 };
        let meter = Mutex::new(Meter { spent: vec![nothing; stage.calls.len()], refusals: 0 });
        Ok(Self(Arc::new(Inner { stage, began, sites, meter })))
    }

    /// Totals of the simulation so far.
    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        locked(&self.0.meter)
    }

    fn admit(&self, index: usize, call: Call, cap: Option<u64>, to: &Arc<Deployment>) -> Admitted {
        let now = Instant::now();
        let whole = if to.model.reasons() { call.reasoning_output } else { call.output };
        let output = cap.map_or(whole, |cap| cap.min(whole));
        let capped = output < whole;
        let serving = |admission| {
            let mut meter = self.meter();
            if let Some(spent) = meter.spent.get_mut(index) {
                spent.sent = now - self.0.began;
                let provisioned = to.billing.is_provisioned();
                spent.by = if provisioned { ServedBy::Provisioned } else { ServedBy::PayAsYouGo };
            }
            let cloud = self.clone();
            let to = Arc::clone(to);
            let ending = Ending { prompt: call.prompt, cached: call.cached, output, capped };
            Serving { cloud, index, call, to, admission, started: now, ending, open: true }
        };
        match self.0.sites.get(&to.name) {
            Some(Site::Provisioned(_, bucket)) => {
                let mut bucket = locked(bucket);
                match bucket.admit(now, call.prompt, call.cached, cap) {
                    Ok(admission) => {
                        let utilization = bucket.utilization(now);
                        drop(bucket);
                        Admitted::Yes(Box::new(serving(Some(admission))), Some(utilization))
                    }
                    Err(full) => Admitted::No(throttled::provisioned_full(), full.wait),
                }
            }
            Some(Site::PayAsYouGo(Some(quota))) => {
                let admitted = locked(quota).admit(now, 4 * call.prompt, cap);
                match admitted {
                    Ok(_) => Admitted::Yes(Box::new(serving(None)), None),
                    Err(over) => {
                        let words = throttled::over_quota(over.limit, OPERATION, over.wait);
                        Admitted::No(words, over.wait)
                    }
                }
            }
            Some(Site::PayAsYouGo(None)) => Admitted::Yes(Box::new(serving(None)), None),
            None => {
                let wait = Duration::from_secs(60);
                Admitted::No(throttled::over_quota(Limit::Requests, OPERATION, wait), wait)
            }
        }
    }
}

/// The quota of a pay-as-you-go deployment; `None` if it has no bound.
fn quota(budget: Budget, began: Instant) -> Option<Mutex<Quota>> {
    let Budget { requests_per_minute: rpm, tokens_per_minute: tpm } = budget;
    let settings = QuotaSettings::new(rpm.unwrap_or(u64::MAX), tpm.unwrap_or(u64::MAX));
    (rpm.is_some() || tpm.is_some()).then(|| Mutex::new(Quota::new(settings, began)))
}

const OPERATION: &str = "ChatCompletions_Create";

enum Admitted {
    Yes(Box<Serving>, Option<f64>),
    No(Refusal, Duration),
}

/// An answer under way. Its account is closed when it ends, or when it is dropped: a call that is given up has used what
/// was written by then.
#[derive(Debug)]
struct Serving {
    cloud: Cloud,
    index: usize,
    call: Call,
    to: Arc<Deployment>,
    admission: Option<Admission>,
    started: Instant,
    ending: Ending,
    open: bool,
}

impl Serving {
    fn close(&mut self, output: u64) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let usage = self.call.usage(output);
        let (mut usd, mut provisioned_tokens) = (0.0, 0.0);
        if let (Some(admission), Some(Site::Provisioned(settings, bucket))) =
            (&self.admission, self.cloud.0.sites.get(&self.to.name))
        {
            let Call { prompt, cached, .. } = self.call;
            locked(bucket).settle(Instant::now(), admission, prompt, cached, output);
            provisioned_tokens =
                normalized(&usage, settings.output_ratio, settings.cached_discount);
        } else {
            usd = pricing::pay_as_you_go_cost(&self.to, &usage).map_or(0.0, Usd::as_f64);
        }
        let mut meter = self.cloud.meter();
        if let Some(spent) = meter.spent.get_mut(self.index) {
            spent.provisioned_tokens += provisioned_tokens;
            spent.usd += usd;
        }
    }

    /// Number of tokens written by now.
    fn written(&self) -> u64 {
        let writing = self.started.elapsed().saturating_sub(FIRST_TOKEN).as_secs_f64();
        let written = azure_emulator::dice::scaled(1_000, writing * TOKENS_PER_SECOND / 1_000.0);
        written.min(self.ending.output)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.close(self.written());
    }
}

impl Upstream for Cloud {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let index = index_of(&attempt).ok_or(Unreachable::Broken)?;
        let call = self.0.stage.calls.get(index).copied().ok_or(Unreachable::Broken)?;
        let asked: Asked =
            serde_json::from_slice(&attempt.body).map_err(|_| Unreachable::Broken)?;
        let cap = asked.max_completion_tokens.or(asked.max_tokens);
        let model = attempt.deployment.model.name.to_string();
        let (mut serving, utilization) = match self.admit(index, call, cap, &attempt.deployment) {
            Admitted::Yes(serving, utilization) => (serving, utilization),
            Admitted::No(refusal, wait) => {
                self.meter().refusals += 1;
                return Ok(refused(&refusal, wait));
            }
        };
        let mut headers = HeaderMap::new();
        if let Some(utilization) = utilization.filter(|_| self.0.stage.utilization_header) {
            let percent = format!("{:.1}%", utilization * 100.0);
            set(&mut headers, "azure-openai-deployment-utilization", &percent);
        }
        if attempt.streamed {
            set(&mut headers, CONTENT_TYPE.as_str(), "text/event-stream");
            tokio::time::sleep_until(serving.started + FIRST_TOKEN).await;
            let usage = asked.stream_options.is_some_and(|options| options.include_usage);
            let body = parts(serving, model, usage);
            return Ok(Reply { status: StatusCode::OK, headers, body });
        }
        set(&mut headers, CONTENT_TYPE.as_str(), "application/json");
        tokio::time::sleep_until(serving.started + answer_time(serving.ending.output)).await;
        serving.close(serving.ending.output);
        let body = body_of(answer::whole(&model, serving.ending));
        Ok(Reply { status: StatusCode::OK, headers, body })
    }
}

/// A streamed answer, a piece a second.
fn parts(serving: Box<Serving>, model: String, usage: bool) -> ReplyBody {
    let begun = (serving, model, 0_u64, false);
    Box::pin(stream::unfold(begun, move |(mut serving, model, told, done)| async move {
        let output = serving.ending.output;
        if done {
            return None;
        }
        if told >= output {
            tokio::time::sleep_until(serving.started + answer_time(output)).await;
            serving.close(output);
            let last = answer::end(&model, serving.ending, usage);
            return Some((Ok(last), (serving, model, told, true)));
        }
        // The first piece is one token: it comes as soon as there is one.
        let piece = if told == 0 { 1 } else { (output - told).min(PIECE) };
        if told > 0 {
            let ready =
                FIRST_TOKEN + Duration::from_secs_f64(as_f64(told + piece) / TOKENS_PER_SECOND);
            tokio::time::sleep_until(serving.started + ready).await;
        }
        Some((Ok(answer::part(&model, piece)), (serving, model, told + piece, false)))
    }))
}

/// Tokens per piece of a stream.
const PIECE: u64 = 60;

fn refused(refusal: &Refusal, wait: Duration) -> Reply {
    let mut headers = HeaderMap::new();
    set(&mut headers, CONTENT_TYPE.as_str(), "application/json");
    set(&mut headers, "retry-after-ms", &throttled::whole_milliseconds(wait).to_string());
    set(&mut headers, "retry-after", &throttled::whole_seconds(wait).to_string());
    Reply { status: refusal.status, headers, body: body_of(refusal.body.to_string().into()) }
}

fn body_of(bytes: Bytes) -> ReplyBody {
    Box::pin(stream::iter([Ok(bytes)]))
}

fn index_of(attempt: &Attempt) -> Option<usize> {
    let (_, value) = attempt.trace.iter().find(|(name, _)| name.as_str() == "x-request-id")?;
    value.to_str().ok()?.parse().ok()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A lock that a panic left behind still holds a whole value.
fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
