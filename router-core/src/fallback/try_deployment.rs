//! All attempts at one deployment: the first, and a second one without the field that it refused.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Load;
use crate::chat::Adapted;
use crate::chat::ContentHash;
use crate::chat::FieldSet;
use crate::chat::Operation;
use crate::chat::Usage;
use crate::chat::adapt;
use crate::chat::adapt::SERVICE_TIER;
use crate::deployment::Api;
use crate::deployment::Deployment;
use crate::model::ServiceTier;
use crate::state::Event;
use crate::trace::SpanId;
use crate::units::Tokens;
use crate::upstream::Attempt;
use crate::upstream::Said;
use crate::upstream::Throttle;
use crate::upstream::Upstream;
use crate::waiting::ReservedCapacity;

use super::active_attempt::{ActiveAttempt, Footing};
use super::attempt_log::AttemptLog;
use super::send_attempt::{Delivered, Delivery, Sending, Sent};
use super::step::{Ended, Note, SendingFault, Step};

use super::walk::{Answered, Declined, Dispatch, Fallback, Next, WalkEnd};

impl<U: Upstream> Fallback<U> {
    /// The fields that the first of the plan would have changed or left out, as far as it can be told before it is asked.
    pub(crate) fn foreseen(&self, dispatch: &Dispatch<'_, '_>) -> Vec<&'static str> {
        let first = &dispatch.plan.first;
        let operation = dispatch.request.operation();
        let refused = self.refusals.of(&first.name, operation, Instant::now());
        let unreadable = dispatch.readers.unreadable_at(&first.endpoint);
        let learned = Learned { refused: &refused, unreadable: &unreadable };
        let target = target(first, dispatch, learned, None);
        let (mut changed, restream) = adapt::changes(dispatch.request, target);
        changed.extend(restream.then_some("stream"));
        changed
    }

    /// Makes an attempt at the deployment where capacity is reserved, a second time where it refuses a field that can be left
    /// out.
    pub(super) async fn visit(
        &self,
        reserved: ReservedCapacity,
        dispatch: &Dispatch<'_, '_>,
        log: &mut AttemptLog<'_>,
    ) -> Next {
        let deployment = &Arc::clone(reserved.deployment());
        let operation = dispatch.request.operation();
        let mut refused = self.refused_before(deployment, operation);
        let mut reserved = Some(reserved);
        let admission = &dispatch.admission;
        loop {
            let capped = refused.iter().any(|field| field.starts_with("max_"));
            let tight = admission.tight.filter(|_| deployment.billing.is_provisioned() && !capped);
            let unreadable = unreadable(deployment, dispatch, log);
            let learned = Learned { refused: &refused, unreadable: &unreadable };
            let adapted =
                adapt::adapt(dispatch.request, target(deployment, dispatch, learned, tight));
            if dispatch.reject_unsupported && !adapted.changed.is_empty() {
                let model = deployment.model.name.to_string();
                let fault = SendingFault::Unsupported { model, fields: adapted.changed };
                return Next::Break(WalkEnd::Unsupported(fault));
            }
            let entry = admission.entry(deployment);
            let again = || self.waiting.reserve(deployment, &entry, true, Instant::now());
            let Ok(capacity) = reserved.take().map_or_else(again, Ok) else {
                return Next::Continue(Declined::NoAnswer);
            };
            let (changed, restream) = (adapted.changed.clone(), adapted.restream);
            let active = ActiveAttempt::start(capacity, footing(dispatch, log));
            let (attempt, span) = attempt(deployment, dispatch, &adapted);
            log.history.begin(deployment, span);
            let outgoing = Outgoing { adapted, attempt, load: entry.load, tight: tight.is_some() };
            let (sent, said) = self.send(dispatch, outgoing, active).await;
            let (ended, delivery) = match sent {
                Sent::Answer(ended, delivery) => (ended, Some(delivery)),
                Sent::None(ended) => (ended, None),
            };
            let took = log.history.end(ended, said);
            self.report(log.attempts().last());
            let fields = self.refused_fields(ended, deployment, operation);
            if self.tier_refused(deployment, fields) {
                return Next::Continue(Declined::NoAnswer);
            }
            if add_new(&mut refused, fields) {
                continue;
            }
            if ended == Ended::Unreadable && log.leave_encrypted_out(dispatch.request) {
                continue;
            }
            let Some(delivery) = delivery else { return Next::Continue(Declined::NoAnswer) };
            if let Some(usage) = cut_off(&delivery, tight) {
                let deployment = Arc::clone(deployment);
                log.note(Note::AskedAgain { deployment, usage, took });
                return Next::Break(WalkEnd::Again);
            }
            let restream = restream || is_whole_for_a_stream(&delivery, dispatch);
            let answered = Box::new(answered(deployment, *delivery, changed, restream));
            return next(ended, answered);
        }
    }

    /// Logs a failed attempt and remembers a refusal.
    fn report(&self, step: Option<&Step>) {
        self.warnings.attempted(step);
        self.last_refusals.attempted(step);
    }

    /// True where the deadline leaves the time for a second answer after a first that was cut off.
    pub(super) fn time_to_ask_again(&self, dispatch: &Dispatch<'_, '_>, now: Instant) -> bool {
        let first = &dispatch.plan.first.name;
        let usual = self.waiting.state().see(first, |standing| standing.latency.total());
        let left = dispatch.deadline.saturating_duration_since(now);
        left > (usual.unwrap_or_default() * 4).max(ASK_AGAIN_LEAST)
    }

    /// The fields without which the same attempt may succeed: those that the deployment refuses for good, one whose value
    /// it refuses, or a service tier that has no room now.
    fn refused_fields(
        &self,
        ended: Ended,
        deployment: &Deployment,
        operation: Operation,
    ) -> FieldSet {
        if let Ended::FieldRefused(fields) = ended {
            let now = Instant::now();
            for field in fields.iter() {
                self.refusals.remember(&deployment.name, operation, field, now);
            }
            return fields;
        }
        // The deployment may take another value: nothing is learned for others.
        if let Ended::ValueRefused(fields) = ended {
            return fields;
        }
        let flex = matches!(ended, Ended::Throttled(Throttle::Flex, _));
        let flex = flex && deployment.service_tier.is_none();
        flex.then(|| FieldSet::of(["service_tier"])).flatten().unwrap_or_default()
    }

    /// The fields that the deployment is known to refuse. The service tier of a plan's entry is not left out: the request would
    /// go in another one, at another price.
    fn refused_before(&self, deployment: &Deployment, operation: Operation) -> Vec<&'static str> {
        let mut refused = self.refusals.of(&deployment.name, operation, Instant::now());
        refused.retain(|field| !(deployment.tier().is_special() && *field == SERVICE_TIER));
        refused
    }

    /// True if the deployment refused the service tier of this entry: it does not offer a tier that config lists for it.
    fn tier_refused(&self, deployment: &Deployment, fields: FieldSet) -> bool {
        let is_tier = fields.iter().any(|field| field == SERVICE_TIER);
        if !(deployment.tier().is_special() && is_tier) {
            return false;
        }
        let (tier, now) = (deployment.tier(), Instant::now());
        self.waiting.learn(&deployment.name, Event::Throttled(tier, TIER_REFUSED_WAIT), now);
        tracing::warn!(
            deployment = %deployment.name,
            tier = tier.as_str(),
            "the deployment does not offer this service tier; take it out of its `tiers`"
        );
        true
    }

    async fn send(
        &self,
        dispatch: &Dispatch<'_, '_>,
        outgoing: Outgoing,
        active: ActiveAttempt,
    ) -> (Sent, Said) {
        let Outgoing { adapted, attempt, load, tight } = outgoing;
        let began = Instant::now();
        let deployment = &Arc::clone(&attempt.deployment);
        let sending = Sending {
            upstream: &self.upstream,
            limits: &self.limits,
            answers: &self.answers,
            share: dispatch.share,
            deployment,
            body: attempt.body.clone(),
            background: dispatch.request.background(),
            load,
            tight,
            began,
            first_by: (began + patience(dispatch, deployment, &attempt, load.cap))
                .min(dispatch.deadline),
            deadline: dispatch.deadline,
            said: OnceLock::new(),
        };
        let sent = sending.send(adapted, attempt, active).await;
        (sent, sending.said.into_inner().unwrap_or_default())
    }
}

/// The request to send, and its weight.
struct Outgoing {
    adapted: Adapted,
    attempt: Attempt,
    load: Load,
    /// True where a cap of ours is sent in place of the caller's.
    tight: bool,
}

/// The step that follows an answer.
fn next(ended: Ended, answered: Box<Answered>) -> Next {
    if ended == Ended::ContextLength {
        Next::Continue(Declined::LargerWindow(answered))
    } else if ended == Ended::ExceedsQuota {
        Next::Continue(Declined::LargerQuota(answered))
    } else {
        Next::Break(WalkEnd::Answered(answered))
    }
}

/// Adds the fields that are not in the list; true if there is one.
fn add_new(refused: &mut Vec<&'static str>, fields: FieldSet) -> bool {
    let known = refused.len();
    for field in fields.iter() {
        if !refused.contains(&field) {
            refused.push(field);
        }
    }
    refused.len() > known
}

/// The cooldown of a service tier that a deployment does not offer.
const TIER_REFUSED_WAIT: Duration = Duration::from_secs(600);

/// Less time than this before the deadline is not enough to ask again.
const ASK_AGAIN_LEAST: Duration = Duration::from_secs(20);

/// The outgoing call, and its id if traces are recorded.
fn attempt(
    deployment: &Arc<Deployment>,
    dispatch: &Dispatch<'_, '_>,
    adapted: &Adapted,
) -> (Attempt, Option<SpanId>) {
    let (span, mut trace) = dispatch.trace.attempt();
    trace.extend(dispatch.features.at(deployment));
    let attempt = Attempt {
        deployment: Arc::clone(deployment),
        call: dispatch.call.clone(),
        body: adapted.body.clone(),
        streamed: dispatch.request.stream() && !adapted.restream,
        trace,
    };
    (attempt, span)
}

fn answered(
    deployment: &Arc<Deployment>,
    delivery: Delivery,
    adapted: Vec<&'static str>,
    restream: bool,
) -> Answered {
    Answered { deployment: Arc::clone(deployment), delivery, adapted, restream }
}

fn footing(dispatch: &Dispatch<'_, '_>, log: &AttemptLog<'_>) -> Footing {
    let spilled = log.history.notes.iter().any(|note| matches!(note, Note::Spilled { .. }));
    Footing {
        asker: dispatch.asker,
        task: dispatch.task,
        prompt: dispatch.admission.load.prompt,
        spilled,
    }
}

/// True for a complete answer to a caller who requested a stream: it is restreamed.
fn is_whole_for_a_stream(delivery: &Delivery, dispatch: &Dispatch<'_, '_>) -> bool {
    let whole = matches!(delivery.body, Delivered::Full(..)) && delivery.status.is_success();
    whole && dispatch.request.stream() && dispatch.request.operation().is_scored()
}

/// The usage of an answer that the router's own cap cut off.
fn cut_off(delivery: &Delivery, tight: Option<Tokens>) -> Option<Usage> {
    tight?;
    match &delivery.body {
        Delivered::Full(_, answer) if delivery.status.is_success() => {
            let cut = answer.finish_reason.as_deref() == Some("length");
            cut.then(|| answer.usage.unwrap_or_default())
        }
        Delivered::Full(..) | Delivered::Stream(_) | Delivered::Passing(_) => None,
    }
}

/// The fields that a deployment is known to refuse.
#[derive(Clone, Copy)]
struct Learned<'t> {
    refused: &'t [&'static str],
    unreadable: &'t [ContentHash],
}

/// The encrypted contents that the deployment cannot read, or none may any longer.
fn unreadable(
    deployment: &Deployment,
    dispatch: &Dispatch<'_, '_>,
    log: &AttemptLog<'_>,
) -> Vec<ContentHash> {
    if log.encrypted_left_out {
        return dispatch.request.encrypted().to_vec();
    }
    dispatch.readers.unreadable_at(&deployment.endpoint)
}

fn target<'t>(
    deployment: &'t Deployment,
    dispatch: &'t Dispatch<'_, '_>,
    Learned { refused, unreadable }: Learned<'t>,
    tight: Option<Tokens>,
) -> adapt::Target<'t> {
    adapt::Target {
        record: &deployment.model,
        model_field: match deployment.api {
            Api::AzureDated { .. } if !dispatch.call.is_undeployed() => None,
            Api::AzureDated { .. } | Api::AzureV1 | Api::OpenAi => {
                Some(&deployment.azure_deployment)
            }
        },
        stream_options: deployment.api.takes_stream_options(),
        effort: dispatch.effort,
        chosen: dispatch.chosen,
        refused,
        tight,
        service_tier: deployment.service_tier,
        unreadable,
        cache_key: match deployment.api {
            // Dated versions are from before it, or refuse it.
            Api::AzureDated { .. } => None,
            Api::AzureV1 | Api::OpenAi => dispatch.cache_key.as_deref(),
        },
    }
}

/// The time of an attempt to its first byte. The head of a complete answer comes with its end, so one that is not streamed
/// may take as long as its longest answer does at a slow pace.
fn patience(
    dispatch: &Dispatch<'_, '_>,
    deployment: &Deployment,
    attempt: &Attempt,
    cap: Option<Tokens>,
) -> Duration {
    let first_byte = match deployment.tier() {
        ServiceTier::Flex => dispatch.first_byte.max(FLEX_FIRST_BYTE),
        ServiceTier::Standard | ServiceTier::Priority | ServiceTier::Batch | ServiceTier::Other => {
            dispatch.first_byte
        }
    };
    if attempt.streamed {
        return first_byte;
    }
    let longest = cap.unwrap_or(deployment.model.max_output).min(deployment.model.max_output);
    first_byte + Duration::from_secs_f64(longest.as_f64() / SLOW_TOKENS_PER_SECOND)
}

/// Flex work is queued by the service. **Source:** Microsoft, "Flex processing": its samples set a timeout of 15 minutes.
const FLEX_FIRST_BYTE: Duration = Duration::from_secs(900);

/// A pace that nearly every answer keeps.
///
/// **Source:** Microsoft, "Provisioned throughput", latency targets: 99 % of the calls to gpt-4o above 25 tokens a second.
const SLOW_TOKENS_PER_SECOND: f64 = 20.0;
