//! Sends one attempt over HTTP. The only file that names reqwest.
//!
//! One pooled client for all deployments, HTTP/2 where the upstream speaks it. Redirects are not followed: they would
//! carry the credential to wherever the redirect says. To the upstream go our own headers and the trace context, never
//! the caller's wholesale: Azure answers 431 above ten headers that it does not know.
//!
//! Tokens of Entra ID are kept in `token.rs` and described in `identity.rs`; here they are fetched and used. A 401 under a
//! token that was good by its age is answered by one other token: it may have been revoked, or the clock be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::chat::Operation;
use crate::clock;
use crate::deployment::Catalog;
use crate::deployment::EndpointName;
use crate::units::DeploymentName;

use super::attempt::{Attempt, Reply, Unreachable, Upstream};
use super::credential::SecretFault;
use super::endpoint::{Call, Credential, Endpoint, url};
use super::identity;
use super::identity::Identity;
use super::token::{Keeper, Token, TokenFault, TokenSource};

/// How long one request for a token may take.
const TOKEN_TIME: Duration = Duration::from_secs(5);
/// The gaps between the tries of a token's fetch. The identity services ask for tries over a minute; a request that waits
/// is better served by another deployment, and the next one tries again.
const TOKEN_GAPS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// No further try starts later than this: a service that is not there costs one time-out, not three.
const TOKEN_PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer of an identity service that is read.
const TOKEN_BYTES: usize = 64 << 10;

/// Upstreams over HTTP.
#[derive(Debug)]
pub struct HttpUpstream {
    client: reqwest::Client,
    doors: BTreeMap<DeploymentName, Door>,
}

/// A deployment's address and key, ready to use.
#[derive(Debug)]
struct Door {
    base: Box<str>,
    /// Of chat completions, the most usual call.
    chat: reqwest::Url,
    key: Key,
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

/// Why upstreams over HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// The TLS library or the client would not start.
    #[error("the HTTP client cannot start")]
    Client,
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
    /// Reads the credentials and prepares the client.
    ///
    /// # Errors
    /// An endpoint is missing, has no address, or its credential cannot be read.
    pub fn new(
        catalog: &Catalog,
        endpoints: &BTreeMap<EndpointName, Endpoint>,
        connect_timeout: Duration,
    ) -> Result<Self, ClientFault> {
        let client = builder(connect_timeout).build().map_err(|_| ClientFault::Client)?;
        let mut keys = Keys { client: &client, connect_timeout, known: BTreeMap::new() };
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
            let key = keys.of(endpoint)?;
            let base = endpoint.base.clone();
            doors.insert(deployment.name.clone(), Door { base, chat, key });
        }
        Ok(Self { client, doors })
    }

    async fn deliver(
        &self,
        door: &Door,
        attempt: &Attempt,
        key: Option<&(HeaderName, HeaderValue)>,
    ) -> Result<reqwest::Response, Unreachable> {
        let address = door.url(attempt)?;
        let (method, content_type, accept) = manner(attempt);
        let mut request = self.client.request(method, address).header(ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type).body(attempt.body.clone());
        }
        for (name, value) in key.into_iter().chain(attempt.trace.iter()) {
            request = request.header(name, value);
        }
        request.send().await.map_err(|fault| named(&fault))
    }
}

fn builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(90))
        .user_agent(concat!("model-router/", env!("CARGO_PKG_VERSION")))
}

/// Makes the keys of endpoints, each once.
struct Keys<'c> {
    client: &'c reqwest::Client,
    connect_timeout: Duration,
    known: BTreeMap<EndpointName, Key>,
}

impl Keys<'_> {
    fn of(&mut self, endpoint: &Endpoint) -> Result<Key, ClientFault> {
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
            Credential::Identity(identity) => self.token(identity, &endpoint.name)?,
        };
        self.known.insert(endpoint.name.clone(), key.clone());
        Ok(key)
    }

    /// Nothing is fetched yet: the identity service may start after us.
    fn token(&self, identity: &Identity, endpoint: &EndpointName) -> Result<Key, ClientFault> {
        let same = |key: &&Key| match key {
            Key::Token(keeper) => keeper.source().identity == *identity,
            Key::None | Key::Fixed(..) => false,
        };
        if let Some(key) = self.known.values().find(same) {
            return Ok(key.clone());
        }
        let client = if identity.is_local() {
            builder(self.connect_timeout).no_proxy().build().map_err(|_| ClientFault::Client)?
        } else {
            self.client.clone()
        };
        let fetch = Fetch { client, identity: identity.clone(), endpoint: endpoint.clone() };
        Ok(Key::Token(Arc::new(Keeper::new(fetch))))
    }
}

/// A header marked so that it never prints. A secret is visible ASCII by its type, so it always fits.
fn fixed(name: HeaderName, text: &str) -> Key {
    sensitive(text).map_or(Key::None, |value| Key::Fixed((name, value)))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Fetches tokens of one identity.
#[derive(Debug)]
struct Fetch {
    client: reqwest::Client,
    identity: Identity,
    /// The first endpoint that asked for it, for the log.
    endpoint: EndpointName,
}

impl TokenSource for Fetch {
    async fn fetch(&self) -> Result<Token, TokenFault> {
        let mut gaps = TOKEN_GAPS.into_iter();
        let last = Instant::now() + TOKEN_PATIENCE;
        loop {
            let fault = match self.once().await {
                Ok(token) => return Ok(token),
                Err(fault) => fault,
            };
            let again = passes(&fault) && Instant::now() < last;
            let Some(gap) = gaps.next().filter(|_| again) else {
                tracing::error!(endpoint = %self.endpoint, %fault, "no token for the endpoint");
                return Err(fault);
            };
            tokio::time::sleep(gap).await;
        }
    }
}

/// True for faults that may be gone at the next try.
///
/// **Source:** Microsoft, "How to use managed identities to acquire an access token", error handling.
fn passes(fault: &TokenFault) -> bool {
    match fault {
        TokenFault::Unreachable => true,
        TokenFault::Refused { status, .. } => {
            matches!(status, 404 | 408 | 410 | 429 | 500..=599)
        }
        TokenFault::Unread(_) | TokenFault::Unreadable => false,
    }
}

impl Fetch {
    async fn once(&self) -> Result<Token, TokenFault> {
        let asked =
            self.identity.request().map_err(|fault| TokenFault::Unread(fault.to_string()))?;
        let url: reqwest::Url = asked.url.parse().map_err(|_| TokenFault::Unreachable)?;
        let mut request = match asked.form {
            Some(form) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form),
            None => self.client.get(url),
        };
        if let Some((name, text)) = asked.header {
            let value = sensitive(&text).ok_or(TokenFault::Unreadable)?;
            request = request.header(name, value);
        }
        let sent = request.timeout(TOKEN_TIME).send().await;
        let mut response = sent.map_err(|_| TokenFault::Unreachable)?;
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|_| TokenFault::Unreachable)? {
            body.extend_from_slice(&bytes);
            if body.len() > TOKEN_BYTES {
                return Err(TokenFault::Unreadable);
            }
        }
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(TokenFault::Refused { status, word: identity::refusal(&body) });
        }
        let read = identity::read_answer(&body, clock::wall());
        let (secret, lifetime) = read.ok_or(TokenFault::Unreadable)?;
        let header = sensitive(&format!("Bearer {}", secret.expose()));
        Ok(Token { header: header.ok_or(TokenFault::Unreadable)?, lifetime })
    }
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

/// The method of a call, what its body is, and what it wants back; no type where there is no body.
fn manner(attempt: &Attempt) -> (Method, Option<HeaderValue>, &'static str) {
    const JSON: &str = "application/json";
    match &attempt.call {
        Call::Operation(_) => {
            let accept = if attempt.streamed { "text/event-stream" } else { JSON };
            (Method::POST, Some(HeaderValue::from_static(JSON)), accept)
        }
        Call::Passed { content_type, .. } => (Method::POST, Some(content_type.clone()), "*/*"),
        Call::Stored { method, .. } => {
            let accept = if attempt.streamed { "text/event-stream" } else { JSON };
            (method.clone(), None, accept)
        }
    }
}

impl Upstream for HttpUpstream {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let door = self.doors.get(&attempt.deployment.name).ok_or(Unreachable::Connect)?;
        let mut response = match &door.key {
            Key::None => self.deliver(door, &attempt, None).await?,
            Key::Fixed(header) => self.deliver(door, &attempt, Some(header)).await?,
            Key::Token(keeper) => {
                // Without a token there is no connection to speak of; the fetch has told the log why.
                let first = keeper.token().await.map_err(|_| Unreachable::Connect)?;
                let header = (AUTHORIZATION, first.clone());
                let response = self.deliver(door, &attempt, Some(&header)).await?;
                match response.status() {
                    StatusCode::UNAUTHORIZED => match keeper.instead_of(&first).await {
                        Ok(other) => {
                            self.deliver(door, &attempt, Some(&(AUTHORIZATION, other))).await?
                        }
                        Err(_) => response,
                    },
                    _ => response,
                }
            }
        };
        Ok(Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Box::pin(response.bytes_stream().map_err(|fault| named(&fault))),
        })
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
