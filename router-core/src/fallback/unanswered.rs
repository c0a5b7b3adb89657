//! Informs the state of an attempt without an answer: the wait of a 429, or a fault.
//!
//! Not done here: what the answer means (`upstream/outcome.rs`), and where the request goes next (`walk.rs`).

use std::time::Duration;

use crate::capacity::Load;
use crate::model::ServiceTier;
use crate::state::Event;
use crate::upstream::Throttle;

use super::active_attempt::ActiveAttempt;
use super::limits::Limits;
use super::send_attempt::Sent;
use super::step::Ended;

/// The wait that a 429 requests.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// The requested wait; `None` if it names none.
    pub(super) told: Option<Duration>,
    /// The request's tokens.
    pub(super) load: Load,
    /// The utilization that a provisioned deployment reports: 1.0 is 100 %.
    pub(super) utilization: Option<f64>,
}

/// The pause of the flex tier after it gave up on a request.
const FLEX_WAIT: Duration = Duration::from_secs(30);

/// Each kind of 429 has its own consequence.
pub(super) fn throttled(
    active: &mut ActiveAttempt,
    kind: Throttle,
    asked: Wait,
    limits: &Limits,
) -> Ended {
    let Wait { told, load, utilization } = asked;
    let provisioned = active.deployment().billing.is_provisioned();
    let wait = told.unwrap_or(if provisioned {
        limits.provisioned_wait
    } else {
        limits.pay_as_you_go_wait
    });
    active.uses_nothing();
    let tier = active.deployment().tier();
    match kind {
        Throttle::ProvisionedFull => {
            let (ticket, utilization) = (active.ticket(), told.and(utilization));
            active.learn(Event::Full { ticket, wait, utilization });
        }
        Throttle::Quota => active.learn(Event::Throttled(tier, wait)),
        Throttle::SystemCapacity => active.learn(Event::PoolExhausted(tier, wait)),
        Throttle::Size => active.learn(Event::TooLarge(load, wait)),
        // The tier has no capacity, which says nothing about the deployment's other tiers.
        Throttle::Flex if tier == ServiceTier::Flex => active.learn(Event::Throttled(tier, wait)),
        Throttle::Flex => {}
    }
    Ended::Throttled(kind, wait)
}

/// A deployment that gives up on flex work, or takes too long over it, has no capacity left for it: no fault.
pub(super) fn failed(active: &mut ActiveAttempt, ended: Ended) -> Sent {
    active.uses_nothing();
    let too_slow = matches!(ended, Ended::Timeout | Ended::Status(408));
    let flex = active.deployment().tier() == ServiceTier::Flex;
    active.learn(if flex && too_slow {
        Event::Throttled(ServiceTier::Flex, FLEX_WAIT)
    } else {
        Event::Failed
    });
    Sent::None(ended)
}
