//! The steps of a request: which deployments were tried, how each attempt ended, and why none
//! answered.
//!
//! Its text contains deployment names, our own words, and an upstream's code only as a short word.

use std::fmt;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::FieldSet;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::trace::SpanId;
use crate::upstream::Said;
use crate::upstream::Throttle;

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The result.
    pub ended: Ended,
    /// Its start.
    pub began: Instant,
    /// The time to the head of the answer or to the first content of a stream.
    pub took: Duration,
    /// The id under which the upstream knows it; `None` where no traces are kept.
    pub span: Option<SpanId>,
    /// The upstream's own words for an end that is no answer.
    pub said: Said,
}

/// The cause in words: `chat_payg status_5xx 503 server_busy`.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.deployment.label(), self.ended.as_str())?;
        if let Some(status) = self.said.status {
            write!(out, " {status}")?;
        }
        if let Some(code) = &self.said.code {
            write!(out, " {code}")?;
        }
        match self.ended.wait() {
            Some(wait) => write!(out, " wait={}ms", wait.as_millis()),
            None => Ok(()),
        }
    }
}

/// More attempts than this are counted, but not described.
const DESCRIBED: usize = 16;

/// The attempts of a request in words, in order, each with the time that it took.
pub(crate) fn describe(trail: &[Step]) -> String {
    in_words(trail.iter(), |step| format!("{step} {}ms", step.took.as_millis()))
}

/// The reason why attempts failed, in words; empty if none did.
pub(crate) fn causes(trail: &[Step]) -> String {
    in_words(trail.iter().filter(|step| step.ended != Ended::Served), Step::to_string)
}

fn in_words<'s>(
    steps: impl Iterator<Item = &'s Step> + Clone,
    words: impl Fn(&Step) -> String,
) -> String {
    let described: Vec<String> = steps.clone().take(DESCRIBED).map(words).collect();
    let more = steps.count().saturating_sub(DESCRIBED);
    let more = (more > 0).then(|| format!("{more} more"));
    described.into_iter().chain(more).collect::<Vec<_>>().join("; ")
}

/// Other events on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// It was held for a full deployment.
    Held {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// Since when.
        since: Instant,
        /// For how long.
        took: Duration,
        /// True where room came in time.
        entered: bool,
    },
    /// It went on because a provisioned deployment was full.
    Spilled {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// The reason why it was not held any longer.
        cause: Spill,
    },
    /// It went on because the deployment is coming back after faults, and others try it already.
    Recovering {
        /// The deployment.
        deployment: Arc<Deployment>,
    },
    /// A learned cap cut its answer off, and it was asked again.
    AskedAgain {
        /// The deployment of that answer.
        deployment: Arc<Deployment>,
        /// The usage of that answer.
        usage: Usage,
        /// The duration.
        took: Duration,
    },
    /// It was asked beside another deployment, which was quicker.
    Outrun {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// The amount that it may bill: the prompt.
        usage: Usage,
    },
}

impl Note {
    /// The time for which the request was held.
    pub fn held(&self) -> Duration {
        match self {
            Self::Held { took, .. } => *took,
            Self::Spilled { .. }
            | Self::Recovering { .. }
            | Self::AskedAgain { .. }
            | Self::Outrun { .. } => Duration::ZERO,
        }
    }
}

/// The reason why a request left a full provisioned deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spill {
    /// The wait is longer than it may be held.
    Wait,
    /// It was held as long as it may be.
    Held,
    /// It was refused, and may not be held any longer.
    Refused,
    /// It has reached its configured number of concurrent requests.
    Busy,
}

impl Spill {
    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "full",
            Self::Held => "held",
            Self::Refused => "throttled",
            Self::Busy => "in_flight",
        }
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was answered.
    Served,
    /// 429, with the wait that we keep.
    Throttled(Throttle, Duration),
    /// 429: the request alone exceeds the whole quota.
    ExceedsQuota,
    /// No connection came about.
    Connect,
    /// No answer came in time; it may have been billed.
    Timeout,
    /// The connection or the stream broke off before the first content.
    Broken,
    /// An error came in place of an answer: before the first content of a stream, or as the body of a 200.
    ErrorEvent,
    /// 408, 5xx or a redirect, which is not followed.
    Status(u16),
    /// The same with the wait that it asks for.
    Unavailable {
        /// The status.
        status: u16,
        /// The wait.
        wait: Duration,
    },
    /// 401, 403, 404 or 410.
    Misconfigured(u16),
    /// 400 or 422 that named fields which may be left out.
    FieldRefused(FieldSet),
    /// 400 or 422: it does not take this value of the field.
    ValueRefused(FieldSet),
    /// 400: the prompt is too long for the model.
    ContextLength,
    /// 400: it cannot read an encrypted item, which another resource made.
    Unreadable,
    /// Another deployment, asked as well, was quicker; it may have been billed.
    Outrun,
    /// The caller left while it was under way; it may have been billed.
    HungUp,
    /// Another answer that is the caller's own.
    Rejected(u16),
}

/// The status of the answer to every call of a retired model.
const GONE: u16 = 410;

impl Ended {
    /// The word used in labels and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Throttled(..) => "throttled",
            Self::ExceedsQuota => "exceeds_quota",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::ErrorEvent => "error_event",
            Self::Status(_) | Self::Unavailable { .. } => "status_5xx",
            Self::Misconfigured(GONE) => "retired",
            Self::Misconfigured(_) => "misconfigured",
            Self::FieldRefused(_) | Self::ValueRefused(_) => "field_refused",
            Self::ContextLength => "context_length",
            Self::Unreadable => "encrypted_content",
            Self::Outrun => "outrun",
            Self::HungUp => "hung_up",
            Self::Rejected(_) => "rejected",
        }
    }

    /// The wait that the upstream asked for.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Throttled(_, wait) | Self::Unavailable { wait, .. } => Some(wait),
            Self::Served
            | Self::ExceedsQuota
            | Self::Connect
            | Self::Timeout
            | Self::Broken
            | Self::ErrorEvent
            | Self::Status(_)
            | Self::Misconfigured(_)
            | Self::FieldRefused(_)
            | Self::ValueRefused(_)
            | Self::ContextLength
            | Self::Unreadable
            | Self::Outrun
            | Self::HungUp
            | Self::Rejected(_) => None,
        }
    }

    /// True for faults of the upstream: another attempt after one draws on the retry budget.
    pub fn is_fault(self) -> bool {
        match self {
            Self::Connect
            | Self::Timeout
            | Self::Broken
            | Self::ErrorEvent
            | Self::Status(_)
            | Self::Unavailable { .. } => true,
            Self::Served
            | Self::Throttled(..)
            | Self::ExceedsQuota
            | Self::Misconfigured(_)
            | Self::FieldRefused(_)
            | Self::ValueRefused(_)
            | Self::ContextLength
            | Self::Unreadable
            | Self::Outrun
            | Self::HungUp
            | Self::Rejected(_) => false,
        }
    }
}

/// The reason why no deployment answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendingFault {
    /// At least one asked to be left alone for a time.
    #[error("every deployment is full")]
    Throttled,
    /// Every one that is left asked for a time without requests after a fault.
    #[error("every deployment is temporarily unavailable")]
    Unavailable,
    /// Every one refuses us.
    #[error("every deployment is misconfigured")]
    Misconfigured,
    /// None answered in time.
    #[error("no deployment answered in time")]
    Timeout,
    /// Several gave up after minutes, each of them a call that may have been paid for: nothing more is tried.
    #[error("deployments gave up after minutes of work")]
    GaveUp,
    /// The last one failed.
    #[error("no deployment could answer")]
    Failed,
    /// The request needs fields that the model does not take, and config forbids changing them.
    #[error("{model} does not accept {}", fields.join(", "))]
    Unsupported {
        /// The model.
        model: String,
        /// The fields.
        fields: Vec<&'static str>,
    },
}

/// True once so many upstreams gave up after minutes that another try would most likely cost as much and bring as little.
#[cfg(feature = "http-client")]
pub(super) fn gave_up(trail: &[Step]) -> bool {
    trail.iter().filter(|step| is_long(step)).count() >= LONG_TRIES
}

/// The most attempts of one request at which the upstream gives up after minutes.
#[cfg(feature = "http-client")]
const LONG_TRIES: usize = 2;

/// True if the upstream itself gave up after minutes of work.
#[cfg(feature = "http-client")]
fn is_long(step: &Step) -> bool {
    matches!(step.ended, Ended::Status(408 | 504)) && step.took >= LONG
}

/// Work of this length that ends without an answer was not a hiccup of the network.
#[cfg(feature = "http-client")]
const LONG: Duration = Duration::from_secs(60);

#[cfg(feature = "http-client")]
impl SendingFault {
    /// The reason why nobody answered: a wait is the most useful thing to hear, then what the last attempts came to.
    pub(super) fn of(trail: &[Step], late: bool) -> Self {
        if gave_up(trail) {
            return Self::GaveUp;
        }
        let any = |wanted: fn(&Ended) -> bool| trail.iter().any(|step| wanted(&step.ended));
        let cut_off = trail.last().is_some_and(|step| step.ended == Ended::Served);
        if trail.is_empty() || cut_off || any(|ended| matches!(ended, Ended::Throttled(..))) {
            // An empty trail: every deployment began to cool between decision and walk. An answer was cut off by our own
            // cap, and there was no capacity to ask again.
            return if late { Self::Timeout } else { Self::Throttled };
        }
        let waits = |ended: &Ended| matches!(ended, Ended::Unavailable { .. });
        let mut faults = trail.iter().filter(|step| step.ended.is_fault()).peekable();
        if faults.peek().is_some() && faults.all(|step| waits(&step.ended)) {
            return Self::Unavailable;
        }
        match trail.last().map(|step| step.ended) {
            Some(Ended::Timeout) => Self::Timeout,
            Some(Ended::Misconfigured(_)) if !any(|ended| ended.is_fault()) => Self::Misconfigured,
            Some(_) | None => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::sample;

    fn step(ended: Ended, said: Said) -> Step {
        let (deployment, began) = (sample::pay_as_you_go("payg", "gpt-4o"), Instant::now());
        let took = Duration::from_millis(12);
        Step { deployment: Arc::new(deployment), ended, began, took, span: None, said }
    }

    #[cfg(feature = "http-client")]
    #[test]
    fn an_answer_that_our_cap_cut_off_and_that_finds_no_capacity_again_is_no_failure() {
        let cut_off = [step(Ended::Served, Said::default())];
        assert_eq!(SendingFault::of(&cut_off, false), SendingFault::Throttled);
        assert_eq!(SendingFault::of(&cut_off, true), SendingFault::Timeout);
        let failed = [step(Ended::Connect, Said::default())];
        assert_eq!(SendingFault::of(&failed, false), SendingFault::Failed);
    }

    #[test]
    fn a_trail_is_described_in_order_and_bounded() {
        let busy = Said { status: Some(503), code: Some("server_busy".into()) };
        let full = Said { status: Some(429), code: Some("429".into()) };
        let wait = Duration::from_millis(250);
        let trail = [
            step(Ended::Connect, Said::default()),
            step(Ended::Status(503), busy),
            step(Ended::Throttled(Throttle::Quota, wait), full),
            step(Ended::Served, Said::default()),
        ];
        assert_eq!(
            describe(&trail),
            "payg connect 12ms; payg status_5xx 503 server_busy 12ms; \
             payg throttled 429 429 wait=250ms 12ms; payg served 12ms"
        );
        assert_eq!(
            causes(&trail),
            "payg connect; payg status_5xx 503 server_busy; payg throttled 429 429 wait=250ms"
        );
        let many = vec![step(Ended::Connect, Said::default()); DESCRIBED + 3];
        assert!(causes(&many).ends_with("; payg connect; 3 more"));
        assert_eq!(causes(&[]), "");
    }
}
