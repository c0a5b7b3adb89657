//! Sends one request to a deployment: over a connection to its host, or through a proxy.
//!
//! If a kept-alive connection dies before the head of a response, the request is sent once more over a new one; the deployment
//! is not at fault. Only our own headers, the trace context and listed feature headers are sent, because Azure answers 431 above
//! ten headers that it does not know. No compression is requested.
//!
//! Connections to the host itself are ours (`connections.rs`). Proxies have protocols of their own, so that what passes one is
//! left to reqwest.

use std::sync::Arc;

use futures_util::TryStreamExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use crate::deployment::Deployment;

use super::attempt::{Attempt, Manner, ReplyBody, Unreachable};
use super::broken::connection_died;
use super::connections::Leased;
use super::connections::named as of_connection;
use super::dial::{Dialled, Picked, watched};
use super::endpoint::{Call, url};
use super::fetch::Fetch;
use super::prepared::{Address, Header, PREPARED, Prepared};
use super::token::Keeper;

/// A deployment's address and key, ready to use.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) base: Box<str>,
    pub(super) prepared: Prepared,
    pub(super) key: Key,
    pub(super) dialled: Dialled,
}

/// The credential of an endpoint, ready to be sent.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// Nothing is asked for.
    None,
    /// The same header at all times.
    Fixed(Header),
    /// A token of an identity, shared by all doors that it opens.
    Token(Arc<Keeper<Fetch>>),
}

impl Key {
    /// The header that never changes.
    pub(super) fn fixed(&self) -> Option<&Header> {
        match self {
            Self::Fixed(header) => Some(header),
            Self::None | Self::Token(_) => None,
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
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

/// A response that has begun.
pub(super) struct Arrived {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ReplyBody,
}

/// The reason why a request got no response.
struct NotSent {
    named: Unreachable,
    /// True if its connection had served another request and died before the head of a response.
    again: bool,
}

impl From<Unreachable> for NotSent {
    fn from(named: Unreachable) -> Self {
        Self { named, again: false }
    }
}

/// Sends, and sends once more if the connection had been used before and died before a response.
pub(super) async fn deliver(
    door: &Door,
    attempt: &Attempt,
    token: Option<&Header>,
) -> Result<Arrived, Unreachable> {
    let fault = match once(door, attempt, token, Over::Kept).await {
        Ok(arrived) => return Ok(arrived),
        Err(fault) => fault,
    };
    if !fault.again {
        return Err(fault.named);
    }
    tracing::debug!(
        deployment = %attempt.deployment.name,
        timed_out = fault.named == Unreachable::Timeout,
        "a kept-alive connection died under a request, which is sent once more"
    );
    once(door, attempt, token, Over::New).await.map_err(|fault| fault.named)
}

/// Over which connection a request goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// One that is open already, if there is one.
    Kept,
    New,
}

async fn once(
    door: &Door,
    attempt: &Attempt,
    token: Option<&Header>,
    over: Over,
) -> Result<Arrived, NotSent> {
    let Some(connections) = door.dialled.direct() else {
        return Box::pin(by_proxy(door, attempt, token, over)).await;
    };
    let leased = match over {
        Over::Kept => connections.lease().await,
        Over::New => connections.open().await,
    };
    straight(door, attempt, token, leased.map_err(|_| Unreachable::Connect)?).await
}

/// Sends over a connection to the host itself.
async fn straight(
    door: &Door,
    attempt: &Attempt,
    token: Option<&Header>,
    leased: Leased,
) -> Result<Arrived, NotSent> {
    let (http2, is_new) = (leased.is_http2(), leased.is_new);
    let request = match door.prepared.address(&attempt.call) {
        Some(address) => door.prepared.request(attempt, address, token, http2),
        None => door.prepared.request(attempt, &door.address(attempt)?, token, http2),
    };
    let response = leased.send(request).await.map_err(|fault| NotSent {
        named: of_connection(&fault),
        again: !is_new && connection_died(&fault),
    })?;
    let (parts, body) = response.into_parts();
    Ok(Arrived { status: parts.status, headers: parts.headers, body: Box::pin(body) })
}

/// Sends through a proxy.
async fn by_proxy(
    door: &Door,
    attempt: &Attempt,
    token: Option<&Header>,
    over: Over,
) -> Result<Arrived, NotSent> {
    let address = door.url(attempt)?;
    let Manner { method, content_type, accept } = attempt.manner();
    let picked = match over {
        Over::Kept => door.dialled.pick(),
        Over::New => door.dialled.fresh(),
    };
    let Picked { client, slot } = picked.ok_or(Unreachable::Connect)?;
    let mut request = client.request(method, address).header(ACCEPT, accept);
    request = request.header(ACCEPT_ENCODING, "identity");
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type).body(attempt.body.clone());
    }
    for (name, value) in door.key.fixed().into_iter().chain(token).chain(&attempt.trace) {
        request = request.header(name, value);
    }
    let (sent, opened) = watched(request.send()).await;
    let mut response = sent.map_err(|cause| NotSent {
        named: named(&cause),
        again: !opened && connection_died(&cause),
    })?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = response.bytes_stream().map_err(|fault| named(&fault));
    Ok(Arrived { status, headers, body: Box::pin(slot.held_by(body)) })
}

/// The addresses and headers of a deployment.
pub(super) fn prepared(base: &str, deployment: &Deployment, key: &Key) -> Option<Prepared> {
    let address = |operation| address(base, deployment, &Call::Operation(operation));
    let addresses: Option<Vec<Address>> = PREPARED.into_iter().map(address).collect();
    Prepared::new(addresses?, key.fixed())
}

fn address(base: &str, deployment: &Deployment, call: &Call) -> Option<Address> {
    // It writes what may not stand in an address as `%XX`.
    let url: reqwest::Url = url(base, deployment, call).parse().ok()?;
    Address::of(url.as_str())
}

impl Door {
    fn url(&self, attempt: &Attempt) -> Result<reqwest::Url, Unreachable> {
        let url = url(&self.base, &attempt.deployment, &attempt.call);
        url.parse().map_err(|_| Unreachable::Connect)
    }

    fn address(&self, attempt: &Attempt) -> Result<Address, Unreachable> {
        let address = address(&self.base, &attempt.deployment, &attempt.call);
        address.ok_or(Unreachable::Connect)
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
