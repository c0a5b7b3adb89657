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
use super::keys::{self, CallerKey};
use super::program_tables::ProgramTables;
use super::raw::Raw;
use super::replicas_table::{self, ReplicaSettings};
use super::roles::{self, Scoring};
use super::routing_rules;
use super::table::Findings;
use super::{
    advice, capacity, choosing, defaults, deployments, endpoints, passthrough, records, sending,
    version, warnings,
};

/// A configuration without faults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
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
    /// A short word for all of its values: the same word, the same configuration. Secrets are no part of it.
    pub version: Box<str>,
    /// The other routers with which this one shares what it knows; `None` if it is alone.
    pub replicas: Option<ReplicaSettings>,
    /// Warnings: allowed settings that deserve a look.
    pub warnings: Vec<Fault>,
}

impl Config {
    /// Checks what was read. The shipped model records must be part of it; retirements are compared with `today`. `findings`
    /// holds the faults of the program's tables.
    ///
    /// # Errors
    /// Every fault there is; their origins are not known here.
    pub(super) fn check(
        raw: &Raw,
        program: &impl ProgramTables,
        today: Day,
        findings: Findings,
    ) -> Result<Self, Vec<Fault>> {
        let raw = &defaults::filled(raw);
        let top = findings.top();
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
        let keys = keys::check(raw, program, &policy, &top.sub("keys"));
        let replicas = replicas_table::check(&raw.replicas, &top.sub("replicas"));
        warnings::check(raw, &policy, &catalog, today, &top);
        warnings::keys(&keys, &catalog, today, &top);
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
            scoring,
            policy,
            catalog,
            endpoints,
            passthrough,
            objects,
            limits,
            capacity,
            keys,
            version: version::of(raw, program),
            replicas,
            warnings,
        })
    }

    /// The files besides the configuration's own that are read when a router is built: secrets, the scorer's model,
    /// certificate authorities. When one changes, a router built again differs.
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
        let files = endpoints.filter_map(secret).chain(authorities);
        files.chain(self.scoring.model.clone()).collect()
    }
}
