//! Learns from 400 responses which fields a deployment refuses although its model's record allows
//! them.
//!
//! A deployment may run an older API version, or a model that differs from its record. Each
//! operation is learned separately (a field of chat says nothing about the Responses API), and
//! forgotten after [`LEARNED_FOR`], because Azure updates deployments in place.
//!
//! Not done here: which fields may be removed at all (`chat::adapt`), and whether a 400 means one
//! (`upstream::outcome`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::Operation;
use crate::units::DeploymentName;

/// The time after which a refused field is sent again.
const LEARNED_FOR: Duration = Duration::from_secs(3_600);

/// The fields that deployments were seen to refuse.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<Known>>);

type Known = HashMap<(DeploymentName, Operation), Vec<Refusal>>;

/// A field, and when it may be sent again.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    field: &'static str,
    until: Instant,
}

impl Refusals {
    /// Under a new config: those of deployments that stay as they are.
    pub(super) fn renewed(&self, stays: impl Fn(&DeploymentName) -> bool) -> Self {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(deployment, _), _| stays(deployment));
        self.clone()
    }

    /// The fields to leave out now.
    pub(super) fn of(
        &self,
        deployment: &DeploymentName,
        operation: Operation,
        now: Instant,
    ) -> Vec<&'static str> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&(deployment.clone(), operation));
        let heeded = known.into_iter().flatten().filter(|refusal| now < refusal.until);
        heeded.map(|refusal| refusal.field).collect()
    }

    /// Remembers one more; there are only so many fields that may be left out, so the memory is bounded.
    pub(super) fn remember(
        &self,
        deployment: &DeploymentName,
        operation: Operation,
        field: &'static str,
        now: Instant,
    ) {
        tracing::warn!(%deployment, field, "the deployment refuses a field that its model's record allows");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry((deployment.clone(), operation)).or_default();
        known.retain(|refusal| refusal.field != field && now < refusal.until);
        known.push(Refusal { field, until: now + LEARNED_FOR });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_heeded_for_its_operation_and_its_time() {
        let refusals = Refusals::default();
        let name = DeploymentName::try_from("gpt4o").unwrap();
        let start = Instant::now();
        refusals.remember(&name, Operation::Chat, "seed", start);
        refusals.remember(&name, Operation::Chat, "user", start);
        refusals.remember(&name, Operation::Chat, "seed", start);
        assert_eq!(refusals.of(&name, Operation::Chat, start), ["user", "seed"]);
        assert!(refusals.of(&name, Operation::Responses, start).is_empty());
        assert!(refusals.of(&name, Operation::Chat, start + LEARNED_FOR).is_empty());
    }
}
