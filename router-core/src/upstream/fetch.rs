//! Fetches an Entra ID token over HTTP, with retries if they can help.
//!
//! Not done here: the request for each kind of identity (`identity`), and when a token is fetched
//! and cached (`token`).

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::Instant;

use crate::clock;
use crate::deployment::EndpointName;

use super::dial::Dialled;
use super::identity;
use super::identity::Identity;
use super::token::{Token, TokenFault, TokenSource};

/// Timeout of one token request.
const TOKEN_TIME: Duration = Duration::from_secs(5);
/// The gaps between the tries of a token's fetch. The identity services ask for tries over a minute; a request that waits
/// is better served by another deployment, and the next one tries again.
const TOKEN_GAPS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// No further try starts later than this: a service that is not there costs one time-out, not three.
const TOKEN_PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer of an identity service that is read.
const TOKEN_BYTES: usize = 64 << 10;

/// Fetches tokens of one identity.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) dialled: Dialled,
    pub(super) identity: Identity,
    /// The first endpoint that asked for it, for the log.
    pub(super) endpoint: EndpointName,
}

impl Fetch {
    /// True for the tokens of this identity, fetched in this way.
    pub(super) fn is_of(&self, identity: &Identity, dialled: &Dialled) -> bool {
        self.identity == *identity && self.dialled == *dialled
    }
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

/// True for faults that a retry may not meet again.
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
        let picked = self.dialled.pick().ok_or(TokenFault::Unreachable)?;
        let mut request = match asked.form {
            Some(form) => picked
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form),
            None => picked.client.get(url),
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

/// A header's value marked so that it never prints; `None` if the text fits in no header.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
