//! Sends one attempt over HTTP. Only this file, `dial.rs` and `fetch.rs` use reqwest.
//!
//! `generations.rs` decides which connection a request uses. If a kept-alive connection dies before
//! the head of a response, the request is sent once more over a new one; the deployment is not at
//! fault. Only our own headers, the trace context and listed feature headers are sent, because
//! Azure answers 431 above ten headers that it does not know. No compression is requested; a gzip
//! or deflate response is decoded anyway, piece by piece.
//!
//! Entra ID tokens are described in `identity.rs`, fetched in `fetch.rs`, cached in `token.rs` and
//! used here. After a 401 with an unexpired token, one fresh token is tried: the old one may have
//! been revoked, or the clock may be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::chat::Operation;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::units::DeploymentName;

use super::attempt::{Attempt, Manner, Reply, Unreachable, Upstream};
use super::broken::connection_died;
use super::credential::SecretFault;
use super::decoded::decoded;
use super::dial::{Clients, Dialled, Picked, direct, watched};
use super::endpoint::{Call, Credential, Endpoint, url};
use super::fetch::{Fetch, sensitive};
use super::generations::Slot;
use super::identity::Identity;
use super::reach::{ConnectionLimits, ReachFault};
use super::token::Keeper;

/// Upstreams over HTTP.
#[derive(Debug)]
pub struct HttpUpstream {
    clients: Clients,
    doors: BTreeMap<DeploymentName, Door>,
}

/// How a deployment is reached, compared with how it was under an earlier config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// At the same address with the same credential.
    AsBefore,
    /// At the same address with another credential, by another proxy, or believing other authorities.
    Rekeyed,
    /// At another address, or for the first time.
    Elsewhere,
}

/// A deployment's address and key, ready to use.
#[derive(Debug)]
struct Door {
    base: Box<str>,
    /// Of chat completions, the most usual call.
    chat: reqwest::Url,
    key: Key,
    dialled: Dialled,
}

/// What opens a door.
#[derive(Debug, Clone)]
enum Key {
    /// Nothing is asked for.
    None,
    /// The same header at all times.
    Fixed((HeaderName, HeaderValue)),
    /// A token of an identity, shared by all doors that it opens.
    Token(Arc<Keeper<Fetch>>),
}

impl Key {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Fixed(one), Self::Fixed(other)) => one == other,
            (Self::Token(one), Self::Token(other)) => {
                one.source().is_of(&other.source().identity, &other.source().dialled)
            }
            (Self::None | Self::Fixed(_) | Self::Token(_), _) => false,
        }
    }
}

/// Why upstreams over HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// An endpoint cannot be reached as config says.
    #[error("endpoints.{endpoint}.{fault}")]
    Reach {
        /// The endpoint.
        endpoint: EndpointName,
        /// Why.
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
        /// Why.
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

    /// What is wrong with the files and proxies by which endpoints are reached, for a check before they are needed. Nothing
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

    /// How a deployment is reached now, compared with `before`.
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
            let chat = url(&endpoint.base, deployment, &CHAT)
                .parse()
                .map_err(|_| ClientFault::Address(endpoint.name.clone()))?;
            let dialled = clients
                .of(&endpoint.reach, &endpoint.base)
                .map_err(|fault| unreached(endpoint, fault))?;
            let key = keys.of(endpoint, &dialled)?;
            let base = endpoint.base.clone();
            doors.insert(deployment.name.clone(), Door { base, chat, key, dialled });
        }
        clients.forget_others();
        Ok(Self { clients, doors })
    }
}

/// A response and its place on the connection.
struct Arrived {
    response: reqwest::Response,
    slot: Slot,
}

/// Sends, and sends once more if the connection had been used before and died before a response.
async fn deliver(
    door: &Door,
    attempt: &Attempt,
    key: Option<&(HeaderName, HeaderValue)>,
) -> Result<Arrived, Unreachable> {
    let picked = door.dialled.pick().ok_or(Unreachable::Connect)?;
    let (sent, opened) = watched(once(door, attempt, key, picked)).await;
    let fault = match sent {
        Ok(arrived) => return Ok(arrived),
        Err(fault) => fault,
    };
    let Some(cause) = fault.cause.filter(|cause| !opened && connection_died(cause)) else {
        return Err(fault.named);
    };
    tracing::debug!(
        deployment = %attempt.deployment.name, timed_out = cause.is_timeout(),
        "a kept-alive connection died under a request, which is sent once more"
    );
    let picked = door.dialled.fresh().ok_or(Unreachable::Connect)?;
    once(door, attempt, key, picked).await.map_err(|fault| fault.named)
}

/// Why a request got no response.
struct NotSent {
    named: Unreachable,
    cause: Option<reqwest::Error>,
}

async fn once(
    door: &Door,
    attempt: &Attempt,
    key: Option<&(HeaderName, HeaderValue)>,
    picked: Picked,
) -> Result<Arrived, NotSent> {
    let address = door.url(attempt).map_err(|named| NotSent { named, cause: None })?;
    let Manner { method, content_type, accept } = attempt.manner();
    let Picked { client, slot } = picked;
    let mut request = client.request(method, address).header(ACCEPT, accept);
    request = request.header(ACCEPT_ENCODING, "identity");
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type).body(attempt.body.clone());
    }
    for (name, value) in key.into_iter().chain(attempt.trace.iter()) {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(response) => Ok(Arrived { response, slot }),
        Err(cause) => Err(NotSent { named: named(&cause), cause: Some(cause) }),
    }
}

fn unreached(endpoint: &Endpoint, fault: ReachFault) -> ClientFault {
    ClientFault::Reach { endpoint: endpoint.name.clone(), fault }
}

/// Makes the keys of endpoints, each once.
struct Keys<'c> {
    limits: ConnectionLimits,
    known: BTreeMap<EndpointName, Key>,
    /// Whose tokens of the same identities are used on.
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

const CHAT: Call = Call::Operation(Operation::Chat);

impl Door {
    fn url(&self, attempt: &Attempt) -> Result<reqwest::Url, Unreachable> {
        if attempt.call == CHAT {
            return Ok(self.chat.clone());
        }
        let url = url(&self.base, &attempt.deployment, &attempt.call);
        url.parse().map_err(|_| Unreachable::Connect)
    }
}

impl Upstream for HttpUpstream {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let door = self.doors.get(&attempt.deployment.name).ok_or(Unreachable::Connect)?;
        let arrived = match &door.key {
            Key::None => deliver(door, &attempt, None).await?,
            Key::Fixed(header) => deliver(door, &attempt, Some(header)).await?,
            Key::Token(keeper) => {
                // Without a token there is no connection; the fetch has logged why.
                let first = keeper.token().await.map_err(|_| Unreachable::Connect)?;
                let header = (AUTHORIZATION, first.clone());
                let arrived = deliver(door, &attempt, Some(&header)).await?;
                match arrived.response.status() {
                    StatusCode::UNAUTHORIZED => match keeper.instead_of(&first).await {
                        Ok(other) => deliver(door, &attempt, Some(&(AUTHORIZATION, other))).await?,
                        Err(_) => arrived,
                    },
                    _ => arrived,
                }
            }
        };
        let Arrived { mut response, slot } = arrived;
        let (status, mut headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = response.bytes_stream().map_err(|fault| named(&fault));
        let body = decoded(&mut headers, Box::pin(slot.held_by(body)));
        Ok(Reply { status, headers, body })
    }

    fn fell_silent(&self, deployment: &Deployment, began: Instant) {
        if let Some(door) = self.doors.get(&deployment.name) {
            door.dialled.fell_silent(began);
        }
    }
}

/// The library's own text may hold the address; only the kind of fault goes on.
fn named(fault: &reqwest::Error) -> Unreachable {
    if fault.is_connect() {
        Unreachable::Connect
    } else if fault.is_timeout() {
        Unreachable::Timeout
    } else {
        Unreachable::Broken
    }
}
