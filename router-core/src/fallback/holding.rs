//! Decides whether a request waits for a pay-as-you-go deployment that answered 429, instead of trying the next deployment.
//!
//! The waits of pay-as-you-go are mostly tens of milliseconds. A request waits if the deployment holds the conversation's
//! prompt cache, or if the next deployment of the plan is no equal: dearer, in another service tier, of another model, later in
//! the operator's order, or nothing.
//!
//! Not done here: the waiting itself (`admit.rs`), and provisioned deployments, for which every request may be held.

use tokio::time::Instant;

use crate::capacity::Cause;
use crate::capacity::DeploymentState;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::units::Tokens;
use crate::upstream::Upstream;

use super::walk::{Dispatch, Fallback};

impl<U: Upstream> Fallback<U> {
    /// Until when a request may be held for the plan's entry at this place: `until`, or not at all.
    pub(super) fn hold_until(
        &self,
        at: usize,
        dispatch: &Dispatch<'_, '_>,
        until: Instant,
    ) -> Instant {
        let mut entries = dispatch.plan.iter().skip(at);
        let Some(deployment) = entries.next().filter(|one| one.is_held_for()) else { return until };
        let now = Instant::now();
        let cached = dispatch.admission.entry(deployment).load.cached > Tokens::ZERO;
        let mut equals = entries.filter(|next| is_equal(next, deployment));
        if cached || !equals.any(|next| !self.began_cooling(next, now)) { until } else { now }
    }

    /// True where nothing may be sent to the deployment now and nothing is gained by a wait until then.
    pub(super) fn is_closed(&self, deployment: &Deployment, now: Instant, until: Instant) -> bool {
        let cooling = |standing: &DeploymentState| standing.cooling_in(deployment.tier(), now);
        match self.waiting.state().see(&deployment.name, cooling) {
            Some((Cause::Throttled, end)) => !deployment.is_held_for() || end > until,
            Some((Cause::Unavailable | Cause::Misconfigured, _)) => true,
            Some((Cause::Fault, _)) | None => false,
        }
    }
}

/// True if a request loses nothing by going there instead, but for its prompt cache.
fn is_equal(next: &Deployment, deployment: &Deployment) -> bool {
    let tokens = Tokens(1_000);
    let usage = Usage { prompt: tokens, completion: tokens, ..Usage::default() };
    let cost = |one: &Deployment| pricing::marginal_cost(one, &usage);
    next.is_held_for()
        && next.model.name == deployment.model.name
        && next.order <= deployment.order
        && cost(next).is_some_and(|next| cost(deployment).is_none_or(|cost| next <= cost))
}
