//! One attempt, from sending to its outcome; the state learns the outcome immediately.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::capacity::Load;
use crate::capacity::Timing;
use crate::chat::Adapted;
use crate::chat::Answer;
use crate::chat::Reported;
use crate::clock;
use crate::deployment::Deployment;
use crate::memory::Budget;
use crate::memory::Share;
use crate::model::ServiceTier;
use crate::state::Event;
use crate::upstream::Attempt;
use crate::upstream::Call;
use crate::upstream::Circumstances;
use crate::upstream::Outcome;
use crate::upstream::Reading;
use crate::upstream::Reply;
use crate::upstream::ReplyBody;
use crate::upstream::Said;
use crate::upstream::Throttle;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;
use crate::upstream::error_code;
use crate::upstream::judge;
use crate::upstream::read;
use crate::upstream::spilled_over;

use super::active_attempt::ActiveAttempt;
use super::awaited::{Arrival, Awaited, is_encoded};
use super::limits::Limits;
use super::passing::{Part, Passing, read_part};
use super::relay::{How, NotOpened, Relay, Watch};
use super::relaying::{relayed_media, relayed_on};
use super::step::Ended;
use super::unanswered::{Wait, failed, throttled};

/// An answer for the caller.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The status of the upstream.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Delivered,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Delivered {
    /// The whole of it.
    Full(Bytes, Answer),
    /// A stream past its first content.
    Stream(Box<Relay>),
    /// An answer that is not streamed and larger than may be held, as it arrives.
    Passing(Box<Passing>),
}

impl Delivered {
    /// The service tier of the answer; `None` if it has not named one yet.
    pub(crate) fn tier(&self) -> Option<ServiceTier> {
        match self {
            Self::Full(_, answer) => answer.usage.map(|usage| usage.tier),
            Self::Stream(relay) => relay.tier(),
            Self::Passing(_) => None,
        }
    }
}

/// The result of an attempt.
#[derive(Debug)]
pub(super) enum Sent {
    /// An answer for the caller: served, or a refusal that is the caller's own.
    Answer(Ended, Box<Delivery>),
    /// No answer; what happened is learned.
    None(Ended),
}

/// The longest error body that is read.
const ERROR_BODY_BYTES: usize = 256 << 10;

/// The time to read an error body: the part read by then is enough.
const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// One attempt and what bounds it.
pub(super) struct Sending<'s, U> {
    pub(super) upstream: &'s U,
    pub(super) limits: &'s Limits,
    /// The memory that all answers that are not streamed share.
    pub(super) answers: &'s Arc<Budget>,
    /// The key's share of it.
    pub(super) share: Option<&'s Arc<Share>>,
    pub(super) deployment: &'s Arc<Deployment>,
    /// The body that is sent, to find out what an error is about.
    pub(super) body: Bytes,
    /// True if the answer is made in the background: the caller needs its id at once.
    pub(super) background: bool,
    /// Its tokens, for a refusal by size.
    pub(super) load: Load,
    /// True where a cap of ours is sent in place of the caller's.
    pub(super) tight: bool,
    /// Its start.
    pub(super) began: Instant,
    /// The answer's head, or the first content of a stream, must come before this moment.
    pub(super) first_by: Instant,
    /// A whole answer must have ended before this moment.
    pub(super) deadline: Instant,
    /// The upstream's status and code for an attempt without an answer.
    pub(super) said: OnceLock<Said>,
}

impl<U: Upstream> Sending<'_, U> {
    /// Sends, judges and learns.
    pub(super) async fn send(
        &self,
        adapted: Adapted,
        attempt: Attempt,
        mut active: ActiveAttempt,
    ) -> Sent {
        let awaited = Awaited { streamed: attempt.streamed, call: attempt.call.clone() };
        let preamble = self.limits.max_preamble_bytes + 3 * attempt.body.len();
        let reply = tokio::time::timeout_at(self.first_by, self.upstream.send(attempt)).await;
        let reply = match reply.unwrap_or(Err(Unreachable::Timeout)) {
            Ok(reply) => reply,
            Err(fault) => return self.unreached(&mut active, fault),
        };
        let utilization = active.read(&reply.headers, reply.status.is_success());
        if !reply.status.is_success() {
            return self.refused(reply, &awaited.call, &mut active, utilization).await;
        }
        if is_encoded(&reply.headers) {
            return failed(&mut active, Ended::Broken);
        }
        if active.deployment().billing.is_provisioned() && spilled_over(&reply.headers) {
            active.spilled_over(self.limits.provisioned_wait);
        } else {
            let now = Instant::now();
            if let Some(utilization) = utilization {
                active.learn_at(Event::Utilization(active.ticket(), utilization), now);
            }
            active.learn_at(Event::Admitted(active.ticket()), now);
        }
        match awaited.arrival(&reply.headers) {
            Arrival::Media => relayed_media(self, reply, active).await,
            Arrival::Events => {
                let watch = self.watch(adapted.withhold_usage, preamble);
                self.streamed(reply, &awaited.call, active, watch).await
            }
            Arrival::Whole => {
                // An answer that must be checked as a whole, or restreamed, is not relayed.
                let relayed = !awaited.streamed && !self.tight && !adapted.restream;
                self.whole(reply, &awaited, active, relayed).await
            }
        }
    }

    /// No response came, or not all of it. After a silence later attempts use other connections.
    pub(super) fn unreached(&self, active: &mut ActiveAttempt, fault: Unreachable) -> Sent {
        if fault == Unreachable::Timeout {
            self.upstream.fell_silent(self.deployment, self.began);
        }
        failed(active, unreachable(fault))
    }

    /// A whole answer: read before anything goes to the caller, so that a break in the middle can still fall back.
    async fn whole(
        &self,
        mut reply: Reply,
        awaited: &Awaited,
        mut active: ActiveAttempt,
        relayed: bool,
    ) -> Sent {
        let bounds = Reading {
            most: self.limits.max_answer_bytes,
            idle: self.limits.idle_timeout,
            quiet_until: self.first_by,
        };
        let part = read_part(&mut reply.body, bounds, self.answers.holder_of(self.share));
        let part = tokio::time::timeout_at(self.deadline, part).await;
        let body = match part.unwrap_or(Err(Unreachable::Timeout)) {
            Ok(Part::Whole(body)) => body,
            Ok(Part::TooLong(read)) if relayed && awaited.call.may_be_large() => {
                return relayed_on(self, read, reply, active);
            }
            Ok(Part::NoMemory(read)) if relayed => return relayed_on(self, read, reply, active),
            Ok(Part::TooLong(_) | Part::NoMemory(..)) => return failed(&mut active, Ended::Broken),
            Err(fault) => return self.unreached(&mut active, fault),
        };
        let now = Instant::now();
        let total = now - self.began;
        let answer = Answer::read(&body);
        // Passed-through operations may have answers of any shape.
        if answer.usage.is_none()
            && !matches!(awaited.call, Call::Passed { .. })
            && let Some(reported) = Reported::in_place_of_answer(&body)
        {
            return self.reported(reported, reply.headers, &awaited.call, &mut active).await;
        }
        if !awaited.is_answered_by(&answer) {
            return failed(&mut active, Ended::Broken);
        }
        let cut = self.tight && answer.finish_reason.as_deref() == Some("length");
        active.served(Timing { first: total, total }, now, answer.usage, cut);
        let body = Delivered::Full(body, answer);
        let delivery = Delivery { status: reply.status, headers: reply.headers, body };
        Sent::Answer(Ended::Served, Box::new(delivery))
    }

    fn watch(&self, withhold_usage: bool, max_preamble_bytes: usize) -> Watch {
        Watch {
            content_by: self.first_by,
            idle: self.limits.idle_timeout,
            heartbeat: self.limits.heartbeat,
            max_event_bytes: self.limits.max_event_bytes,
            max_preamble_bytes,
            withhold_usage,
            background: self.background,
        }
    }

    async fn streamed(
        &self,
        reply: Reply,
        call: &Call,
        mut active: ActiveAttempt,
        watch: Watch,
    ) -> Sent {
        let began = self.began;
        let mut relay = match Relay::open(reply.body, watch, self.answers.holder_of(self.share))
            .await
        {
            Ok(relay) => relay,
            Err(NotOpened::Timeout) => return self.unreached(&mut active, Unreachable::Timeout),
            Err(NotOpened::Broken) => return failed(&mut active, Ended::Broken),
            Err(NotOpened::Error(reported)) => {
                return self.reported(reported, reply.headers, call, &mut active).await;
            }
        };
        let first = began.elapsed();
        relay.on_end(move |end| {
            let usage = end.usage.unwrap_or_else(|| end.estimated(active.footing.prompt));
            active.uses(&usage);
            match end.how {
                How::Whole => {
                    let now = Instant::now();
                    let timing = Timing { first, total: now - began };
                    active.served(timing, now, Some(usage), false);
                }
                How::Interrupted => active.learn(Event::Failed),
                // The caller's behavior and the faults of its request say nothing about the deployment.
                How::HungUp | How::Rejected => {}
            }
        });
        let body = Delivered::Stream(Box::new(relay));
        let delivery = Delivery { status: reply.status, headers: reply.headers, body };
        Sent::Answer(Ended::Served, Box::new(delivery))
    }

    /// An error where an answer was awaited is judged as an answer of the status that it stands for.
    async fn reported(
        &self,
        error: Reported,
        answered: HeaderMap,
        call: &Call,
        active: &mut ActiveAttempt,
    ) -> Sent {
        let status = error.status.and_then(|status| StatusCode::from_u16(status).ok());
        let requests = |status: &StatusCode| {
            status.is_client_error() && *status != StatusCode::REQUEST_TIMEOUT
        };
        let Some(status) = status.filter(requests) else {
            self.said.get_or_init(|| Said { status: None, ..Said::read(0, &error.body) });
            return failed(active, Ended::ErrorEvent);
        };
        // The quota that a success reports is no wait.
        let is_quota = |name: &HeaderName| name.as_str().starts_with("x-ratelimit-");
        let kept = answered.iter().filter(|(name, _)| !is_quota(name));
        let mut headers: HeaderMap =
            kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Box::pin(stream::iter([Ok(error.body)]));
        self.refused(Reply { status, headers, body }, call, active, None).await
    }

    async fn refused(
        &self,
        reply: Reply,
        call: &Call,
        active: &mut ActiveAttempt,
        utilization: Option<f64>,
    ) -> Sent {
        let Reply { status, headers, body } = reply;
        let body = error_body(body).await;
        let circumstances = Circumstances {
            model: &self.deployment.azure_deployment,
            sent: &self.body,
            provisioned: self.deployment.billing.is_provisioned(),
            wall: clock::wall(),
            longest_wait: self.limits.wait_max,
        };
        let code = status.as_u16();
        self.said.get_or_init(|| Said::read(code, &body));
        active.uses_nothing();
        let ended = match judge(status, &headers, &body, circumstances) {
            Outcome::Throttled { kind: Throttle::Quota, .. }
                if active.exceeds_quota(&self.load) =>
            {
                self.exceeded_quota(active, None)
            }
            Outcome::Throttled { wait, kind } => {
                let asked = Wait { told: wait, load: self.load, utilization };
                return Sent::None(throttled(active, kind, asked, self.limits));
            }
            Outcome::ExceedsQuota { limit } => self.exceeded_quota(active, limit),
            Outcome::Failed { wait: None } => return failed(active, Ended::Status(code)),
            Outcome::Failed { wait: Some(wait) } => {
                // A fault only discourages further attempts; a wait that was asked for forbids them.
                active.learn(Event::Unavailable(wait));
                return failed(active, Ended::Unavailable { status: code, wait });
            }
            // The path is the caller's choice, and its fault is not the deployment's.
            Outcome::Misconfigured if code == 404 && matches!(call, Call::Passed { .. }) => {
                Ended::Rejected(code)
            }
            Outcome::Misconfigured if call.is_not_served(code, &body) => {
                tracing::warn!(
                    deployment = %self.deployment.name,
                    "the deployment does not serve an operation that its model's record allows"
                );
                return Sent::None(Ended::Misconfigured(code));
            }
            Outcome::Misconfigured => {
                active.learn(Event::Misconfigured);
                tracing::error!(
                    deployment = %self.deployment.name,
                    azure_deployment = &*self.deployment.azure_deployment,
                    status = code,
                    code = error_code(&body).as_deref(),
                    "the deployment refuses us: its config or rights are wrong, or its model has retired"
                );
                return Sent::None(Ended::Misconfigured(code));
            }
            Outcome::FieldRefused(fields) => Ended::FieldRefused(fields),
            Outcome::ValueRefused(fields) => Ended::ValueRefused(fields),
            Outcome::ContextLength => Ended::ContextLength,
            Outcome::Unreadable => Ended::Unreadable,
            Outcome::Served | Outcome::Rejected => Ended::Rejected(code),
        };
        let body = Delivered::Full(body, Answer::default());
        Sent::Answer(ended, Box::new(Delivery { status, headers, body }))
    }

    /// A request that is larger than the quota closes nothing to others; a later one of its size is not sent here.
    fn exceeded_quota(&self, active: &ActiveAttempt, limit: Option<u64>) -> Ended {
        active.learn(Event::ExceedsQuota { load: self.load, limit });
        Ended::ExceedsQuota
    }
}

/// The part of an error body that arrives in time; a cut one says nothing.
async fn error_body(body: ReplyBody) -> Bytes {
    let by = Instant::now() + ERROR_BODY_TIME;
    let bounds =
        Reading { most: ERROR_BODY_BYTES, idle: ERROR_BODY_TIME, quiet_until: Instant::now() };
    let read = tokio::time::timeout_at(by, read(body, bounds)).await;
    read.unwrap_or(Err(Unreachable::Timeout)).unwrap_or_default()
}

fn unreachable(fault: Unreachable) -> Ended {
    match fault {
        Unreachable::Connect => Ended::Connect,
        Unreachable::Timeout => Ended::Timeout,
        Unreachable::Broken => Ended::Broken,
    }
}
