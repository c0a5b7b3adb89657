//! The keys of one issuer: read when they are first needed, kept, and read again before they are old.
//!
//! A token names its key. One that names a key which is not known causes a read, because issuers replace their keys, but at
//! most one in half a minute: otherwise anybody could make the router call the issuer as often as they like. While keys are
//! known, nobody waits for a read that only renews them. A read goes on if the caller who caused it leaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use router_core::upstream::{ConnectionLimits, Document, DocumentFault, Reach};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::IdentityProvider;

use super::key_set::KeySet;

/// Keys are read again after this time.
const REFRESH: Duration = Duration::from_secs(3_600);
/// Keys that could not be read again are used no longer than this.
const MOST_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Pause between two reads for keys that are not known, and after a read that failed while there are keys.
const PAUSE: Duration = Duration::from_secs(30);
/// Pause after a read that failed while there are no keys.
const RETRY: Duration = Duration::from_secs(2);

/// The path below an issuer of the document that says where its keys are.
///
/// **Source:** "`OpenID` Connect Discovery 1.0", section 4.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The reason why the keys cannot be read.
#[derive(Debug, thiserror::Error)]
enum ReadFault {
    #[error("{0}: {1}")]
    Document(&'static str, DocumentFault),
    #[error(
        "the discovery document is not one of this issuer: it must have `issuer` and `jwks_uri`"
    )]
    NotDiscovery,
    #[error("the issuer has no public key that signs tokens")]
    NoKeys,
}

/// Reads and keeps the keys of an issuer.
#[derive(Debug)]
pub(crate) struct KeySource {
    name: Box<str>,
    issuer: Box<str>,
    jwks_url: Option<Box<str>>,
    reach: Reach,
    limits: ConnectionLimits,
    kept: Mutex<Kept>,
    /// Held by the task that reads.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: Option<Arc<KeySet>>,
    /// The last read that succeeded, the last of all, and the last of all while there were keys.
    read: Option<Instant>,
    tried: Option<Instant>,
    missed: Option<Instant>,
}

/// The step that is needed before a token can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The keys are old, but can be used meanwhile.
    Renewal,
    /// The key is not there.
    Key,
}

impl Kept {
    /// The keys to use, and whether they should be read before.
    fn look(&self, id: Option<&str>, now: Instant) -> (Option<Arc<KeySet>>, Need) {
        let since = |time: Option<Instant>| time.map(|time| now.duration_since(time));
        let over = |time, pause| since(time).is_none_or(|since| since >= pause);
        let keys = self.keys.clone().filter(|_| !over(self.read, MOST_AGE));
        let need = match &keys {
            None if over(self.tried, RETRY) => Need::Key,
            Some(keys) if id.is_some() && !keys.has(id) && over(self.missed, PAUSE) => Need::Key,
            Some(_) if over(self.read, REFRESH) && over(self.tried, PAUSE) => Need::Renewal,
            None | Some(_) => Need::Nothing,
        };
        (keys, need)
    }

    fn begin(&mut self, now: Instant) {
        if self.keys.is_some() {
            self.missed = Some(now);
        }
        self.tried = Some(now);
    }
}

impl KeySource {
    pub(super) fn new(provider: &IdentityProvider, limits: ConnectionLimits) -> Self {
        Self {
            name: provider.name.clone(),
            issuer: provider.issuer.clone(),
            jwks_url: provider.jwks_url.clone(),
            reach: provider.reach.clone(),
            limits,
            kept: Mutex::default(),
            reading: Arc::default(),
        }
    }

    /// True if the keys of this provider are read in this way.
    pub(super) fn is_of(&self, provider: &IdentityProvider, limits: ConnectionLimits) -> bool {
        self.name == provider.name
            && self.issuer == provider.issuer
            && self.jwks_url == provider.jwks_url
            && self.reach == provider.reach
            && self.limits == limits
    }

    /// The keys, read again if they lack the one that a token names; `None` if they cannot be read.
    pub(super) async fn keys(self: &Arc<Self>, id: Option<&str>) -> Option<Arc<KeySet>> {
        let (keys, need) = self.kept().look(id, Instant::now());
        let found = keys.as_ref().is_some_and(|keys| keys.has(id));
        let guard = match need {
            Need::Nothing if found => return keys,
            // A read may be under way: its result counts.
            Need::Nothing | Need::Key => Arc::clone(&self.reading).lock_owned().await,
            Need::Renewal => match Arc::clone(&self.reading).try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => return keys,
            },
        };
        // Another one may have read them meanwhile.
        let (keys, need) = self.kept().look(id, Instant::now());
        if need == Need::Nothing {
            return keys;
        }
        let source = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "a caller who leaves must not end the read that others wait for"
        )]
        let read = tokio::spawn(async move {
            source.read().await;
            drop(guard);
        });
        if need == Need::Key {
            drop(read.await);
        }
        self.kept().look(id, Instant::now()).0
    }

    async fn read(&self) {
        self.kept().begin(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                info!(provider = &*self.name, "the keys of an identity provider have been read");
                let mut kept = self.kept();
                (kept.keys, kept.read) = (Some(Arc::new(keys)), Some(Instant::now()));
            }
            Err(fault) => {
                warn!(provider = &*self.name, %fault, "the keys of an identity provider cannot be read");
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, ReadFault> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        let document = self.document("the keys", &url).await?;
        KeySet::read(&document).ok_or(ReadFault::NoKeys)
    }

    /// The address of the keys by the issuer's discovery document, which must name this issuer and none else.
    async fn discovered(&self) -> Result<Box<str>, ReadFault> {
        let url = format!("{}{DISCOVERY}", self.issuer.trim_end_matches('/'));
        let document = self.document("the discovery document", &url).await?;
        let document: Value =
            serde_json::from_slice(&document).map_err(|_| ReadFault::NotDiscovery)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let of_issuer = text("issuer") == Some(&*self.issuer);
        let url = text("jwks_uri").filter(|_| of_issuer).ok_or(ReadFault::NotDiscovery)?;
        // An issuer that is reached encrypted does not send the router anywhere else.
        let as_safe = url.starts_with("https://") || !self.issuer.starts_with("https://");
        as_safe.then(|| url.into()).ok_or(ReadFault::NotDiscovery)
    }

    async fn document(&self, what: &'static str, url: &str) -> Result<Vec<u8>, ReadFault> {
        let fault = |fault| ReadFault::Document(what, fault);
        Document::new(url, &self.reach, self.limits).map_err(fault)?.read().await.map_err(fault)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keys() -> Arc<KeySet> {
        let document = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"a"}]}"#;
        Arc::new(KeySet::read(document).unwrap())
    }

    #[track_caller]
    fn check(kept: &Kept, id: &str, now: Instant, found: bool, expected: Need) {
        let (keys, need) = kept.look(Some(id), now);
        assert_eq!((keys.is_some(), need), (found, expected));
    }

    #[test]
    fn keys_are_read_when_they_are_needed_and_no_more_often() {
        let start = Instant::now();
        let mut kept = Kept::default();
        check(&kept, "a", start, false, Need::Key);
        kept.begin(start);
        check(&kept, "a", start + SECOND, false, Need::Nothing);
        check(&kept, "a", start + RETRY, false, Need::Key);
        (kept.keys, kept.read) = (Some(keys()), Some(start));
        check(&kept, "a", start + SECOND, true, Need::Nothing);
        // A key that is not known: once, and again after a pause.
        check(&kept, "b", start + SECOND, true, Need::Key);
        kept.begin(start + SECOND);
        check(&kept, "b", start + SECOND, true, Need::Nothing);
        check(&kept, "b", start + PAUSE, true, Need::Nothing);
        check(&kept, "b", start + SECOND + PAUSE, true, Need::Key);
        // Old keys are renewed, and used until that succeeds, for a day.
        check(&kept, "a", start + REFRESH, true, Need::Renewal);
        kept.begin(start + REFRESH);
        check(&kept, "a", start + REFRESH + SECOND, true, Need::Nothing);
        check(&kept, "a", start + REFRESH + PAUSE, true, Need::Renewal);
        check(&kept, "a", start + MOST_AGE, false, Need::Key);
    }
}
