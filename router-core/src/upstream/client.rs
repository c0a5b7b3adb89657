//! Sends one attempt over HTTP. The only file that names reqwest.
//!
//! One pooled client for all deployments, HTTP/2 where the upstream speaks it. Redirects are not followed: they would
//! carry the credential to wherever the redirect says. To the upstream go our own headers and the trace context, never
//! the caller's wholesale: Azure answers 431 above ten headers that it does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::chat::Operation;
use crate::deployment::Catalog;
use crate::deployment::EndpointName;
use crate::units::DeploymentName;

use super::attempt::{Attempt, Reply, Unreachable, Upstream};
use super::credential::SecretFault;
use super::endpoint::{Call, Credential, Endpoint, url};

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
    credential: Option<(HeaderName, HeaderValue)>,
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
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(90))
            .user_agent(concat!("model-router/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| ClientFault::Client)?;
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
            let credential = header_of(&endpoint.credential).map_err(|fault| {
                ClientFault::Credential { endpoint: endpoint.name.clone(), fault }
            })?;
            let base = endpoint.base.clone();
            doors.insert(deployment.name.clone(), Door { base, chat, credential });
        }
        Ok(Self { client, doors })
    }
}

/// The header that carries a credential, marked so that it never prints.
fn header_of(credential: &Credential) -> Result<Option<(HeaderName, HeaderValue)>, SecretFault> {
    let (name, text) = match credential {
        Credential::Anonymous => return Ok(None),
        Credential::ApiKey(source) => {
            (HeaderName::from_static("api-key"), source.read()?.expose().to_owned())
        }
        Credential::Bearer(source) => {
            (AUTHORIZATION, format!("Bearer {}", source.read()?.expose()))
        }
    };
    // A secret is visible ASCII by its type, so it always fits a header.
    let value = HeaderValue::from_str(&text).ok().map(|mut value| {
        value.set_sensitive(true);
        (name, value)
    });
    Ok(value)
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
        let address = door.url(&attempt)?;
        let (method, content_type, accept) = manner(&attempt);
        let mut request = self.client.request(method, address).header(ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type).body(attempt.body);
        }
        if let Some((name, value)) = &door.credential {
            request = request.header(name, value);
        }
        for (name, value) in attempt.trace {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|fault| named(&fault))?;
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
