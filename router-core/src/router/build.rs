//! Builds a router: from config, or over any upstream.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock;
use crate::config::Config;
use crate::decision::Rules;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::encrypted_items::EncryptedItems;
use crate::fallback::Fallback;
use crate::fallback::Limits;
use crate::metrics::Metrics;
use crate::metrics::ReplicaCollector;
use crate::metrics::Watched;
use crate::record::ReferencePrices;
use crate::replicas::Replicas;
use crate::state::CapacityState;
use crate::stored::StoredResponses;
use crate::task::Scorer;
use crate::upstream::HttpUpstream;
use crate::upstream::Upstream;
use crate::waiting::Waiting;

use super::background::OpenAnswers;
use super::build_fault::BuildFault;
use super::model_router::{Inner, ModelRouter};
use super::open_request::Observers;
use super::other_models::OtherModels;
use super::replicas_of::replicas_of;

impl ModelRouter<HttpUpstream> {
    /// A router over HTTP, by config.
    ///
    /// # Errors
    /// A credential cannot be read, or the registry serves another router already.
    pub fn new(config: &Config, registry: &prometheus::Registry) -> Result<Self, BuildFault> {
        Self::by_rules(config, config.rules()?, registry)
    }

    /// The same with a scorer of the program's own.
    ///
    /// # Errors
    /// A credential cannot be read, or the registry serves another router already.
    pub fn with_scorer(
        config: &Config,
        scorer: Arc<dyn Scorer>,
        registry: &prometheus::Registry,
    ) -> Result<Self, BuildFault> {
        Self::by_rules(config, config.rules_with(scorer), registry)
    }

    fn by_rules(
        config: &Config,
        rules: Rules,
        registry: &prometheus::Registry,
    ) -> Result<Self, BuildFault> {
        let connect = config.limits.connections();
        let upstream = HttpUpstream::new(&config.catalog, &config.endpoints, connect)?;
        warn_of_retired(&rules.catalog);
        let replicas = replicas_of(config)?;
        Self::among_replicas(rules, config.limits.clone(), upstream, registry, replicas)
            .map_err(BuildFault::from)
    }
}

impl<U: Upstream> ModelRouter<U> {
    /// A router over any upstream.
    ///
    /// # Errors
    /// The registry serves another router already.
    pub fn with_upstream(
        rules: Rules,
        limits: Limits,
        upstream: U,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Self::among_replicas(rules, limits, upstream, registry, None)
    }

    /// A router over any upstream that shares state with other replicas. The caller runs [`Replicas::run`].
    ///
    /// # Errors
    /// The registry serves another router already.
    pub fn among_replicas(
        rules: Rules,
        limits: Limits,
        upstream: U,
        registry: &prometheus::Registry,
        replicas: Option<Arc<Replicas>>,
    ) -> Result<Self, prometheus::Error> {
        let (catalog, settings) = (&rules.catalog, &rules.capacity);
        let (cooldowns, now) = (limits.cooldowns(), Instant::now());
        let mut state = CapacityState::new(catalog, cooldowns, settings, now);
        let mut stored = StoredResponses::new(limits.stored_responses);
        let mut encrypted = EncryptedItems::new(limits.stored_responses);
        let mut answers = OpenAnswers::default();
        if let Some(replicas) = &replicas {
            answers = answers.sharing(Arc::clone(replicas.outgoing()));
            state = state.sharing(Arc::clone(replicas.outgoing().changes()));
            stored = stored.sharing(Arc::clone(replicas.outgoing()));
            encrypted = encrypted.sharing(Arc::clone(replicas.outgoing()));
            ReplicaCollector::register(registry, Arc::clone(replicas))?;
        }
        let (state, ledger) = (Arc::new(state), Arc::default());
        if let Some(replicas) = &replicas {
            replicas.attach(Arc::clone(&state), Arc::clone(&ledger));
        }
        let metrics = Metrics::register(registry)?;
        let waiting = Waiting::new(Arc::clone(&state), &rules.catalog, &rules.capacity);
        let fallback = Fallback::new(upstream, waiting, limits);
        let waiting = Arc::clone(fallback.waiting());
        let watched = Watched::register(registry, waiting, fallback.retries(), &rules)?;
        let observers = Observers::default();
        observers.add(Arc::new(metrics.clone()));
        observers.add(Arc::new(OtherModels::default()));
        let prices = ReferencePrices::of(&rules.policy, &rules.catalog);
        Ok(Self::of(Inner {
            rules,
            state,
            fallback,
            metrics,
            watched,
            stored,
            encrypted,
            answers,
            observers,
            ledger,
            bulk: Arc::default(),
            prices,
            replicas,
        }))
    }
}

/// Says which models were due to retire: they may stop answering any day.
pub(super) fn warn_of_retired(catalog: &Catalog) {
    let today = clock::day(clock::wall());
    for deployment in catalog.deployments() {
        let Deployment { name, model, .. } = &**deployment;
        if let Some(retires) = model.retires.filter(|day| *day < today) {
            tracing::warn!(deployment = %name, model = %model.name, %retires, "the model was due to retire");
        }
    }
}
