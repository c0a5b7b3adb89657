//! The checked configuration, from which the stages are built.
//!
//! Each stage owns the type of its parameters. This file combines the checked tables and knows
//! neither files nor the environment. Every fault is found in one pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capacity::Settings;
use crate::deployment::Catalog;
use crate::deployment::EndpointName;
use crate::fallback::Limits;
use crate::policy::Policy;
use crate::units::Day;
use crate::upstream::Credential;
use crate::upstream::Endpoint;
use crate::upstream::SecretSource;

use super::fault::Fault;
use super::identity_providers::{self, IdentityProvider};
use super::keys::{self, CallerKey};
use super::notify::{self, NotifySettings};
use super::raw::Raw;
use super::replicas_table::{self, ReplicaSettings};
use super::request_log::{self, RequestLog};
use super::roles::{self, Scoring};
use super::routing_rules;
use super::server::{self, Server};
use super::table::Findings;
use super::traces::{self, TraceSettings};
use super::{
    advice, capacity, choosing, defaults, deployments, endpoints, passthrough, records, sending,
    version, warnings,
};

/// A configuration without faults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// The file that has a line for each request; `None` if there is none.
    pub request_log: Option<RequestLog>,
    /// Settings of the scorer.
    pub scoring: Scoring,
    /// The policy: which models serve what.
    pub policy: Policy,
    /// The deployments and their models' records.
    pub catalog: Catalog,
    /// Addresses and credentials of endpoints.
    pub endpoints: BTreeMap<EndpointName, Endpoint>,
    /// Paths that are passed through, without a slash before.
    pub passthrough: Vec<Arc<str>>,
    /// Collections of stored objects that are passed through.
    pub objects: Vec<Arc<str>>,
    /// Time limits and sizes.
    pub limits: Limits,
    /// Use of provisioned throughput.
    pub capacity: Settings,
    /// Keys; without any, callers need no key.
    pub keys: Vec<CallerKey>,
    /// Issuers of tokens that callers may show in place of a key.
    pub identity_providers: Vec<IdentityProvider>,
    /// A short word for all of its values: the same word, the same configuration. Secrets are no part of it.
    pub version: Box<str>,
    /// The other routers with which this one shares what it knows; `None` if it is alone.
    pub replicas: Option<ReplicaSettings>,
    /// Collector of spans; `None` if none is configured.
    pub traces: Option<TraceSettings>,
    /// Receiver of budget notices; `None` if none is configured.
    pub notify: Option<NotifySettings>,
    /// Warnings: allowed settings that deserve a look.
    pub warnings: Vec<Fault>,
}

impl Config {
    /// True if it may listen at its address: callers show keys, or are on this machine, or need none by config.
    pub fn may_listen(&self) -> bool {
        !self.keys.is_empty() || self.server.may_listen(self.server.listen)
    }

    /// Checks what was read. The shipped model records must be part of it; `today` is what retirements are told by.
    ///
    /// # Errors
    /// Every fault there is; their origins are not known here.
    pub(super) fn check(raw: &Raw, today: Day) -> Result<Self, Vec<Fault>> {
        let raw = &defaults::filled(raw);
        let findings = Findings::default();
        let top = findings.top();
        let server = server::check(raw, &top.sub("server"));
        let request_log = request_log::check(&raw.request_log, &top.sub("request_log"));
        let scoring = roles::scoring(&raw.routing, &top.sub("routing"));
        let mut policy = roles::policy(raw, &top);
        policy.rules = routing_rules::check(raw, &policy, &top.sub("rules"));
        let endpoints = endpoints::check(&raw.endpoints, &top.sub("endpoints"));
        let records = records::check(&raw.models, &top.sub("models"));
        let known =
            deployments::Known { endpoints: &endpoints, records: &records, models: &raw.models };
        let catalog =
            Catalog::new(deployments::check(&raw.deployments, known, &top.sub("deployments")));
        choosing::ladders(raw, &mut policy, &catalog, &top.sub("roles"));
        choosing::warn_of_prices(&policy, &catalog, &top.sub("routing"));
        let passthrough = passthrough::check(&raw.passthrough, &top.sub("passthrough"));
        let objects = passthrough::objects(&raw.passthrough, &top.sub("passthrough"));
        let limits = sending::check(raw, &top);
        let capacity = capacity::check(&raw.capacity, &top.sub("capacity"));
        let keys = keys::check(raw, &policy, &top.sub("keys"));
        let identity_providers = identity_providers::check(raw, &top.sub("identity_providers"));
        let replicas = replicas_table::check(&raw.replicas, &top.sub("replicas"));
        let traces = traces::check(&raw.traces, &top.sub("traces"));
        let notify = notify::check(&raw.notify, &top.sub("notify"));
        warnings::check(raw, &policy, &catalog, today, &top);
        warnings::keys(raw, &keys, &catalog, today, &top);
        advice::check(raw, &policy, &catalog, &top);
        advice::keys(raw, &keys, &top);
        let (faults, warnings) = findings.into_parts();
        if !faults.is_empty() {
            return Err(faults);
        }
        let endpoints = endpoints
            .into_values()
            .flatten()
            .map(|checked| (checked.endpoint.name.clone(), checked.endpoint))
            .collect();
        Ok(Self {
            server,
            request_log,
            scoring,
            policy,
            catalog,
            endpoints,
            passthrough,
            objects,
            limits,
            capacity,
            keys,
            identity_providers,
            version: version::of(raw),
            replicas,
            traces,
            notify,
            warnings,
        })
    }

    /// The files beside the configuration's own that are read when a server is built: secrets, the scorer's model,
    /// certificates and their key. When one changes, a server built again differs.
    pub fn other_files(&self) -> Vec<PathBuf> {
        let secret = |endpoint: &Endpoint| match &endpoint.credential {
            Credential::ApiKey(SecretSource::File(path))
            | Credential::Bearer(SecretSource::File(path)) => Some(path.clone()),
            // Those of identities are read again for each token.
            Credential::ApiKey(_)
            | Credential::Bearer(_)
            | Credential::Identity(_)
            | Credential::Anonymous => None,
        };
        let endpoints = self.endpoints.values();
        let authorities = endpoints.clone().filter_map(|endpoint| endpoint.reach.ca_file.clone());
        let issuers = self.identity_providers.iter();
        let issuers = issuers.filter_map(|provider| provider.reach.ca_file.clone());
        let tls = self.server.tls.iter().flat_map(|tls| {
            [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten()
        });
        let files =
            endpoints.filter_map(secret).chain(authorities).chain(issuers).chain(tls.cloned());
        files.chain(self.scoring.model.clone()).collect()
    }
}
