//! The addresses and headers of a deployment, made once; a request adds only what is its own.
//!
//! Not done here: sending (`client.rs`).

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::uri::Parts;
use http::{HeaderMap, HeaderValue, Request, Uri};

use crate::chat::Operation;

use super::attempt::{Attempt, JSON, Manner};
use super::endpoint::Call;
use super::opening::Payload;

/// The router's `user-agent`.
pub(super) const USER: &str = concat!("model-router/", env!("CARGO_PKG_VERSION"));

/// The operations whose addresses are prepared.
pub(super) const PREPARED: [Operation; 4] =
    [Operation::Chat, Operation::Responses, Operation::Embeddings, Operation::Completions];

/// An address in the forms that the versions of HTTP ask for.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// As HTTP/2 sends it.
    whole: Uri,
    /// As HTTP/1.1 sends it: path and query.
    path: Uri,
}

impl Address {
    /// `None` if the text is no address.
    pub(super) fn of(text: &str) -> Option<Self> {
        let whole: Uri = text.parse().ok()?;
        let mut parts = Parts::default();
        parts.path_and_query = whole.path_and_query().cloned();
        Some(Self { path: Uri::from_parts(parts).ok()?, whole })
    }
}

/// The parts that all requests to a deployment share.
#[derive(Debug)]
pub(super) struct Prepared {
    /// In the order of [`PREPARED`].
    addresses: Vec<Address>,
    /// Of a request with a JSON body that awaits JSON.
    headers: HeaderMap,
}

/// A header of the caller's or of the credential.
pub(super) type Header = (HeaderName, HeaderValue);

impl Prepared {
    /// `None` if the addresses are none, or name no host.
    pub(super) fn new(addresses: Vec<Address>, key: Option<&Header>) -> Option<Self> {
        let host = addresses.first()?.whole.authority()?.as_str();
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(HOST, HeaderValue::from_str(host).ok()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(USER));
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.extend(key.cloned());
        Some(Self { addresses, headers })
    }

    /// The prepared address of a call; `None` of the others.
    pub(super) fn address(&self, call: &Call) -> Option<&Address> {
        let Call::Operation(asked) = call else { return None };
        let at = PREPARED.iter().position(|known| known == asked)?;
        self.addresses.get(at)
    }

    /// The request of an attempt, with a header that changes from time to time, such as a token.
    pub(super) fn request(
        &self,
        attempt: &Attempt,
        address: &Address,
        token: Option<&Header>,
        http2: bool,
    ) -> Request<Payload> {
        let Manner { method, content_type, accept } = attempt.manner();
        let mut headers = self.headers.clone();
        if accept != JSON {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let body = if let Some(own) = content_type {
            if own != JSON {
                headers.insert(CONTENT_TYPE, own);
            }
            Payload::new(attempt.body.clone())
        } else {
            headers.remove(CONTENT_TYPE);
            Payload::default()
        };
        if http2 {
            headers.remove(HOST);
        }
        for (name, value) in token.into_iter().chain(&attempt.trace) {
            headers.append(name.clone(), value.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = if http2 { address.whole.clone() } else { address.path.clone() };
        *request.headers_mut() = headers;
        request
    }
}
