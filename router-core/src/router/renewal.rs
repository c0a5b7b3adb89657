//! A router under a new config: it takes over what the old one has learned, and both serve until
//! the old one's last request has ended.
//!
//! Everything that can fail is done first, so that an unusable config changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Config;
use crate::decision::Rules;
use crate::fallback::Limits;
use crate::record::ReferencePrices;
use crate::state::Kept;
use crate::state::Renewal;
use crate::units::DeploymentName;
use crate::upstream::HttpUpstream;
use crate::upstream::Reached;
use crate::upstream::Upstream;

use super::build::warn_of_retired;
use super::build_fault::BuildFault;
use super::model_router::{Inner, ModelRouter};

impl ModelRouter<HttpUpstream> {
    /// The router that goes on from this one under a new config.
    ///
    /// Metrics go on counting, without being registered again. Stored responses, learned lengths, homes of conversations and
    /// the retry budget are carried on. So is what is known of each deployment that stays: twin, quota, cooldown, latency,
    /// requests under way and those that wait for it. One that is found elsewhere (another address, another name at its
    /// endpoint, another model, another billing) begins anew; one that is entered with another credential is no longer
    /// left alone for having refused the old one. Secrets are read again.
    ///
    /// This router goes on as well, for the requests that it has begun; new ones belong to the new one.
    ///
    /// # Errors
    /// A credential or the scorer's model cannot be read; nothing has changed then.
    pub fn renewed(&self, config: &Config) -> Result<Self, BuildFault> {
        let (before, connect) = (self.fallback().upstream(), config.limits.connections());
        let upstream = before.renewed(&config.catalog, &config.endpoints, connect)?;
        let rules = config.rules()?;
        warn_of_retired(&rules.catalog);
        let reached: BTreeMap<DeploymentName, Reached> = rules
            .catalog
            .deployments()
            .iter()
            .map(|known| (known.name.clone(), upstream.reached(&known.name, before)))
            .collect();
        let reached = |name: &DeploymentName| reached.get(name).copied();
        let reached = |name: &DeploymentName| reached(name).unwrap_or(Reached::Elsewhere);
        Ok(self.renewed_with_upstream(rules, config.limits.clone(), upstream, reached))
    }
}

impl<U: Upstream> ModelRouter<U> {
    /// The same over any upstream, of which `reached` tells how it reaches each deployment, compared with the one before.
    #[must_use]
    pub fn renewed_with_upstream(
        &self,
        rules: Rules,
        limits: Limits,
        upstream: U,
        reached: impl Fn(&DeploymentName) -> Reached,
    ) -> Self {
        let before = &self.rules().catalog;
        let kept = |name: &DeploymentName| {
            let (before, after) =
                (before.deployment(name.as_str())?, rules.catalog.deployment(name.as_str())?);
            match reached(name) {
                Reached::AsBefore => Kept::of(before, after, false),
                Reached::Rekeyed => Kept::of(before, after, true),
                Reached::Elsewhere => None,
            }
        };
        let names = rules.catalog.deployments().iter().map(|known| known.name.clone());
        let kept = names.filter_map(|name| Some((name.clone(), kept(&name)?))).collect();
        let renewal = Renewal {
            catalog: &rules.catalog,
            cooldowns: limits.cooldowns(),
            settings: &rules.capacity,
            kept: &kept,
            now: Instant::now(),
        };
        let Inner { fallback, metrics, watched, stored, encrypted, .. } = self.inner();
        let Inner { answers, observers, ledger, bulk, .. } = self.inner();
        let replicas = self.replicas().cloned();
        stored.resize(limits.stored_responses);
        encrypted.resize(limits.stored_responses);
        let fallback = fallback.renewed(upstream, limits, &renewal);
        let state = Arc::clone(fallback.state());
        if let Some(replicas) = &replicas {
            replicas.attach(Arc::clone(&state), Arc::clone(ledger));
        }
        watched.renew(Arc::clone(fallback.waiting()), fallback.retries(), &rules);
        Self::of(Inner {
            prices: ReferencePrices::of(&rules.policy, &rules.catalog),
            rules,
            state,
            fallback,
            metrics: metrics.clone(),
            watched: watched.clone(),
            stored: stored.clone(),
            encrypted: encrypted.clone(),
            answers: answers.clone(),
            observers: observers.clone(),
            ledger: Arc::clone(ledger),
            bulk: Arc::clone(bulk),
            replicas,
        })
    }
}
