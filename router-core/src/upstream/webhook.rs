//! Posts a short JSON text to an address of the operator's: notices, not requests of callers.
//!
//! Proxies of the environment apply, redirects are not followed, and the answer's body is not read. What is sent, when, and how
//! often it is tried again is decided by the caller.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use super::attempt::Unreachable;
use super::dial::{Clients, Dialled};
use super::reach::{ConnectionLimits, Proxy, Reach, ReachFault};

/// Timeout of one post.
const TIME: Duration = Duration::from_secs(10);

/// An address that takes posts.
#[derive(Debug)]
pub struct Webhook {
    url: Box<str>,
    dialled: Dialled,
}

impl Webhook {
    /// A way to the address.
    ///
    /// # Errors
    /// No client can be made, for example because the system's authorities cannot be read.
    pub fn new(url: &str, limits: ConnectionLimits) -> Result<Self, ReachFault> {
        let reach = Reach { ca_file: None, proxy: Proxy::Environment, http2: false };
        let dialled = Clients::new(limits).of(&reach, url)?;
        Ok(Self { url: url.into(), dialled })
    }

    /// Posts a JSON text; the status of the answer.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(
        &self,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
    ) -> Result<u16, Unreachable> {
        let url: reqwest::Url = self.url.parse().map_err(|_| Unreachable::Connect)?;
        let picked = self.dialled.pick().ok_or(Unreachable::Connect)?;
        let request = picked.client.post(url).header(CONTENT_TYPE, "application/json");
        let request =
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let sent = request.body(body).timeout(TIME).send().await;
        let response = sent.map_err(|fault| {
            if fault.is_timeout() { Unreachable::Timeout } else { Unreachable::Connect }
        })?;
        Ok(response.status().as_u16())
    }
}
