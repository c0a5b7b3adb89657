//! Upstreams over HTTP: the address, credential and connections of each deployment.
//!
//! A gzip or deflate response is decoded, although none is requested, piece by piece (`decoded.rs`).
//!
//! Entra ID tokens are described in `identity.rs`, fetched in `fetch.rs`, cached in `token.rs` and
//! used here. After a 401 with an unexpired token, one fresh token is tried: the old one may have
//! been revoked, or the clock may be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName};
use tokio::time::Instant;

use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::units::DeploymentName;

use super::attempt::{Attempt, Reply, Unreachable, Upstream};
use super::credential::SecretFault;
use super::decoded::decoded;
use super::delivery::{Arrived, Door, Key, deliver, prepared};
use super::dial::{Clients, Dialled, direct};
use super::endpoint::{Credential, Endpoint};
use super::fetch::{Fetch, sensitive};
use super::identity::Identity;
use super::reach::{ConnectionLimits, ReachFault};
use super::token::Keeper;

/// Upstreams over HTTP.
#[derive(Debug)]
pub struct HttpUpstream {
    clients: Clients,
    doors: BTreeMap<DeploymentName, Door>,
}

/// The way to a deployment, compared with an earlier configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// At the same address with the same credential.
    AsBefore,
    /// At the same address with another credential, by another proxy, or believing other authorities.
    Rekeyed,
    /// At another address, or for the first time.
    Elsewhere,
}

/// The reason why upstreams over HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// An endpoint cannot be reached as config says.
    #[error("endpoints.{endpoint}.{fault}")]
    Reach {
        /// The endpoint.
        endpoint: EndpointName,
        /// The cause.
        fault: ReachFault,
    },
    /// A deployment's endpoint is not in config.
    #[error("deployments.{deployment}: no endpoint {endpoint}")]
    Endpoint {
        /// The deployment.
        deployment: DeploymentName,
        /// The endpoint it names.
        endpoint: EndpointName,
    },
    /// An endpoint's address is none.
    #[error("endpoints.{0}.url: not an address")]
    Address(EndpointName),
    /// An endpoint's credential cannot be read.
    #[error("endpoints.{endpoint}: {fault}")]
    Credential {
        /// The endpoint.
        endpoint: EndpointName,
        /// The cause.
        fault: SecretFault,
    },
}

impl HttpUpstream {
    /// Reads the credentials and prepares the clients.
    ///
    /// # Errors
    /// An endpoint is missing, has no address, or its credential cannot be read.
    pub fn new(
        catalog: &Catalog,
        endpoints: &BTreeMap<EndpointName, Endpoint>,
        limits: ConnectionLimits,
    ) -> Result<Self, ClientFault> {
        Self::over(Clients::new(limits), catalog, endpoints, None)
    }

    /// Faults of the files and proxies by which endpoints are reached, for a check before they are needed. Nothing
    /// is sent.
    pub fn check(
        endpoints: &BTreeMap<EndpointName, Endpoint>,
        limits: ConnectionLimits,
    ) -> Vec<ClientFault> {
        let mut clients = Clients::new(limits);
        let fault = |endpoint: &Endpoint| {
            clients
                .of(&endpoint.reach, &endpoint.base)
                .err()
                .map(|fault| unreached(endpoint, fault))
        };
        endpoints.values().filter_map(fault).collect()
    }

    /// The same under a new config: open connections and tokens of identities that stay are used on, secrets are read again.
    ///
    /// # Errors
    /// As [`HttpUpstream::new`].
    pub fn renewed(
        &self,
        catalog: &Catalog,
        endpoints: &BTreeMap<EndpointName, Endpoint>,
        limits: ConnectionLimits,
    ) -> Result<Self, ClientFault> {
        Self::over(self.clients.renewed(limits), catalog, endpoints, Some(self))
    }

    /// Compares the way to a deployment with `before`.
    pub fn reached(&self, deployment: &DeploymentName, before: &Self) -> Reached {
        match (self.doors.get(deployment), before.doors.get(deployment)) {
            (Some(now), Some(before)) if now.base == before.base => {
                let alike = now.key.is_same(&before.key) && now.dialled == before.dialled;
                if alike { Reached::AsBefore } else { Reached::Rekeyed }
            }
            (Some(_) | None, _) => Reached::Elsewhere,
        }
    }

    fn over(
        mut clients: Clients,
        catalog: &Catalog,
        endpoints: &BTreeMap<EndpointName, Endpoint>,
        before: Option<&Self>,
    ) -> Result<Self, ClientFault> {
        let limits = clients.limits();
        let mut keys = Keys { limits, known: BTreeMap::new(), before };
        let mut doors = BTreeMap::new();
        for deployment in catalog.deployments() {
            let endpoint =
                endpoints.get(&deployment.endpoint).ok_or_else(|| ClientFault::Endpoint {
                    deployment: deployment.name.clone(),
                    endpoint: deployment.endpoint.clone(),
                })?;
            let dialled = clients
                .of(&endpoint.reach, &endpoint.base)
                .map_err(|fault| unreached(endpoint, fault))?;
            let key = keys.of(endpoint, &dialled)?;
            let prepared = prepared(&endpoint.base, deployment, &key)
                .ok_or_else(|| ClientFault::Address(endpoint.name.clone()))?;
            let base = endpoint.base.clone();
            doors.insert(deployment.name.clone(), Door { base, prepared, key, dialled });
        }
        clients.forget_others();
        Ok(Self { clients, doors })
    }
}

fn unreached(endpoint: &Endpoint, fault: ReachFault) -> ClientFault {
    ClientFault::Reach { endpoint: endpoint.name.clone(), fault }
}

/// Makes the keys of endpoints, each once.
struct Keys<'c> {
    limits: ConnectionLimits,
    known: BTreeMap<EndpointName, Key>,
    /// The client whose tokens of the same identities stay in use.
    before: Option<&'c HttpUpstream>,
}

impl Keys<'_> {
    fn of(&mut self, endpoint: &Endpoint, dialled: &Dialled) -> Result<Key, ClientFault> {
        if let Some(key) = self.known.get(&endpoint.name) {
            return Ok(key.clone());
        }
        let unread = |fault| ClientFault::Credential { endpoint: endpoint.name.clone(), fault };
        let key = match &endpoint.credential {
            Credential::Anonymous => Key::None,
            Credential::ApiKey(source) => {
                let secret = source.read().map_err(unread)?;
                fixed(HeaderName::from_static("api-key"), secret.expose())
            }
            Credential::Bearer(source) => {
                let secret = source.read().map_err(unread)?;
                fixed(AUTHORIZATION, &format!("Bearer {}", secret.expose()))
            }
            Credential::Identity(identity) => self.token(identity, endpoint, dialled)?,
        };
        self.known.insert(endpoint.name.clone(), key.clone());
        Ok(key)
    }

    /// Nothing is fetched yet: the identity service may start after us.
    fn token(
        &self,
        identity: &Identity,
        endpoint: &Endpoint,
        dialled: &Dialled,
    ) -> Result<Key, ClientFault> {
        let dialled = if identity.is_local() {
            direct(self.limits).map_err(|fault| unreached(endpoint, fault))?
        } else {
            dialled.clone()
        };
        let same = |key: &&Key| match key {
            Key::Token(keeper) => keeper.source().is_of(identity, &dialled),
            Key::None | Key::Fixed(..) => false,
        };
        let before = self.before.into_iter().flat_map(|before| before.doors.values());
        if let Some(key) = self.known.values().chain(before.map(|door| &door.key)).find(same) {
            return Ok(key.clone());
        }
        let endpoint = endpoint.name.clone();
        let fetch = Fetch { dialled, identity: identity.clone(), endpoint };
        Ok(Key::Token(Arc::new(Keeper::new(fetch))))
    }
}

/// A header marked so that it never prints. A secret is visible ASCII by its type, so it always fits.
fn fixed(name: HeaderName, text: &str) -> Key {
    sensitive(text).map_or(Key::None, |value| Key::Fixed((name, value)))
}

impl Upstream for HttpUpstream {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let door = self.doors.get(&attempt.deployment.name).ok_or(Unreachable::Connect)?;
        let arrived = match &door.key {
            Key::None | Key::Fixed(_) => deliver(door, &attempt, None).await?,
            Key::Token(keeper) => {
                // Without a token there is no connection; the fetch has logged why.
                let first = keeper.token().await.map_err(|_| Unreachable::Connect)?;
                let header = (AUTHORIZATION, first.clone());
                let arrived = deliver(door, &attempt, Some(&header)).await?;
                match arrived.status {
                    StatusCode::UNAUTHORIZED => match keeper.instead_of(&first).await {
                        Ok(other) => deliver(door, &attempt, Some(&(AUTHORIZATION, other))).await?,
                        Err(_) => arrived,
                    },
                    _ => arrived,
                }
            }
        };
        let Arrived { status, mut headers, body } = arrived;
        let body = decoded(&mut headers, body);
        Ok(Reply { status, headers, body })
    }

    fn fell_silent(&self, deployment: &Deployment, began: Instant) {
        if let Some(door) = self.doors.get(&deployment.name) {
            door.dialled.fell_silent(began);
        }
    }
}
