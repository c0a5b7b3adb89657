//! The state that the handlers of one emulator share.

use super::deployed::Deployed;
use super::stored::Stored;
use crate::bucket::BucketFault;
use crate::identity::Identity;
use crate::journal::Journal;
use crate::settings::Settings;
use crate::wall;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// One emulator, seen from its handlers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) deployments: Vec<Arc<Deployed>>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) identity: Identity,
    pub(crate) stored: Stored,
    /// Identity of the resource: no other resource can decrypt what this one encrypts.
    pub(crate) resource: String,
    answers: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: Settings, now: Instant) -> Result<Self, BucketFault> {
        let deployed = |deployment: &crate::settings::Deployment| {
            Deployed::new(deployment.clone(), now).map(Arc::new)
        };
        Ok(Self {
            deployments: settings.deployments.iter().map(deployed).collect::<Result<_, _>>()?,
            journal: Journal::new(settings.journal_length),
            identity: Identity::new(),
            stored: Stored::default(),
            resource: settings.resource.clone().unwrap_or_default(),
            answers: AtomicU64::new(0),
            settings,
        })
    }

    /// A deployment by its name.
    pub(crate) fn deployment(&self, name: &str) -> Option<&Arc<Deployed>> {
        self.deployments.iter().find(|deployed| deployed.settings.name == name)
    }

    /// A deployment by its name, else the first one of a model of that name.
    pub(crate) fn deployment_or_model(&self, name: &str) -> Option<&Arc<Deployed>> {
        let of_model = |deployed: &&Arc<Deployed>| deployed.settings.model == name;
        self.deployment(name).or_else(|| self.deployments.iter().find(of_model))
    }

    /// An id that no other answer of this emulator has.
    pub(crate) fn new_id(&self, prefix: &str) -> String {
        let number = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{prefix}{:08x}{number:016x}", self.settings.seed & 0xFFFF_FFFF)
    }

    /// True if the credential, in any header Azure or OpenAI take it, is good.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let keys = &self.settings.api_keys;
        if keys.is_empty() && !self.settings.tokens_only {
            return true;
        }
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let bearer = text(AUTHORIZATION.as_str())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token);
        let is_key = |given: &str| keys.iter().any(|key| key == given);
        text("api-key").is_some_and(is_key)
            || bearer
                .is_some_and(|token| is_key(token) || self.identity.accepts(Instant::now(), token))
    }
}

/// Seconds since 1970, for `created`.
pub(crate) fn created() -> u64 {
    wall::unix_seconds()
}
