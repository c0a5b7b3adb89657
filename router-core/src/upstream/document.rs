//! Reads a short document from an address of the operator's: the public keys of an identity provider, and where they are.
//!
//! Redirects are not followed. How often a document is read, and what it means, is decided by the caller.

use std::time::Duration;

use super::dial::{Clients, Dialled};
use super::reach::{ConnectionLimits, Reach, ReachFault};

/// Timeout of one read.
const TIME: Duration = Duration::from_secs(5);
/// The longest document.
const MOST: usize = 256 << 10;

/// A document at an address.
#[derive(Debug)]
pub struct Document {
    url: Box<str>,
    dialled: Dialled,
}

/// The reason why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFault {
    /// No client can be made, for example because the file of authorities cannot be read.
    #[error(transparent)]
    Reach(#[from] ReachFault),
    /// Nobody answered in time.
    #[error("it cannot be reached")]
    Unreachable,
    /// The answer is no success.
    #[error("it answers {0}")]
    Status(u16),
    /// It is too long.
    #[error("its answer is longer than {MOST} bytes")]
    TooLong,
}

impl Document {
    /// A way to the document.
    ///
    /// # Errors
    /// No client can be made.
    pub fn new(url: &str, reach: &Reach, limits: ConnectionLimits) -> Result<Self, DocumentFault> {
        let dialled = Clients::new(limits).of(reach, url)?;
        Ok(Self { url: url.into(), dialled })
    }

    /// Its content now.
    ///
    /// # Errors
    /// It cannot be read whole.
    pub async fn read(&self) -> Result<Vec<u8>, DocumentFault> {
        let url: reqwest::Url = self.url.parse().map_err(|_| DocumentFault::Unreachable)?;
        let picked = self.dialled.pick().ok_or(DocumentFault::Unreachable)?;
        let sent = picked.client.get(url).timeout(TIME).send().await;
        let mut response = sent.map_err(|_| DocumentFault::Unreachable)?;
        if !response.status().is_success() {
            return Err(DocumentFault::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|_| DocumentFault::Unreachable)? {
            body.extend_from_slice(&bytes);
            if body.len() > MOST {
                return Err(DocumentFault::TooLong);
            }
        }
        Ok(body)
    }
}
