//! Skips the deployments that are known to be too small for a request, once another has refused it
//! for its size.
//!
//! Not done here: what a decision excludes beforehand (`selection`), and the order of the others
//! (`walk`).

use tokio::time::Instant;

use crate::deployment::Deployment;
use crate::units::Tokens;
use crate::upstream::Upstream;

use super::attempt_log::{AttemptLog, OverQuota};
use super::walk::{Answered, Fallback};

impl<U: Upstream> Fallback<U> {
    /// True if what another deployment refused is too large for this one as well, as far as is known.
    pub(super) fn is_too_small(
        &self,
        deployment: &Deployment,
        log: &AttemptLog<'_>,
        now: Instant,
    ) -> bool {
        let window =
            |(window, _): &(Tokens, Box<Answered>)| deployment.model.context_window <= *window;
        let quota = |over: &OverQuota| {
            let limits = self.token_limit(deployment, now).zip(over.limit);
            limits.is_some_and(|(limit, exceeded)| limit <= exceeded)
        };
        log.too_long.as_ref().is_some_and(window) || log.over_quota.as_ref().is_some_and(quota)
    }

    /// The tokens that the deployment's quota allows in a minute; `None` if nobody said.
    fn token_limit(&self, deployment: &Deployment, now: Instant) -> Option<u64> {
        self.waiting.state().see(&deployment.name, |standing| standing.quota.limit(now))
    }

    /// Keeps the answer of a deployment whose whole quota the request exceeds, with the largest limit so far.
    pub(super) fn note_over_quota(
        &self,
        deployment: &Deployment,
        answered: Box<Answered>,
        log: &mut AttemptLog<'_>,
    ) {
        let limit = self.token_limit(deployment, Instant::now());
        let limit = limit.max(log.over_quota.take().and_then(|over| over.limit));
        log.over_quota = Some(OverQuota { limit, answered });
    }
}
