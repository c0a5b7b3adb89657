//! Entra ID tokens: counted, expiring, revocable.
//!
//! It emulates the instance metadata service, App Service's identity endpoint and the OAuth token
//! endpoint. A token is an opaque text.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// The issuer of one emulator's tokens.
#[derive(Debug)]
pub struct Identity {
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    lifetime: Duration,
    issued: u64,
    refusals_left: u64,
    valid_until: HashMap<String, Instant>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let inside = Inside {
            lifetime: Duration::from_secs(86_400),
            issued: 0,
            refusals_left: 0,
            valid_until: HashMap::new(),
        };
        Self { inside: Mutex::new(inside) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of tokens issued.
    pub fn issued(&self) -> u64 {
        self.inside().issued
    }

    /// Sets how long tokens live that are handed out from now on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.inside().lifetime = lifetime;
    }

    /// Lets no token be accepted any more; new ones are handed out as before.
    pub fn revoke_all(&self) {
        self.inside().valid_until.clear();
    }

    /// Lets the next `count` requests for a token meet a 500.
    pub fn fail_next(&self, count: u64) {
        self.inside().refusals_left = count;
    }

    /// A new token and how long it lives; `None` when told to fail.
    pub(crate) fn issue(&self, now: Instant) -> Option<(String, Duration)> {
        let mut inside = self.inside();
        if inside.refusals_left > 0 {
            inside.refusals_left -= 1;
            return None;
        }
        inside.issued += 1;
        inside.valid_until.retain(|_, until| *until > now);
        let token = format!("emulator-token-{}", inside.issued);
        let lifetime = inside.lifetime;
        inside.valid_until.insert(token.clone(), now + lifetime);
        Some((token, lifetime))
    }

    /// True if `token` was handed out, has not expired and was not revoked.
    pub(crate) fn accepts(&self, now: Instant, token: &str) -> bool {
        self.inside().valid_until.get(token).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_expire_and_can_be_revoked() {
        let identity = Identity::new();
        let now = Instant::now();
        identity.set_lifetime(Duration::from_secs(60));
        let (first, lifetime) = identity.issue(now).unwrap();
        assert_eq!((lifetime.as_secs(), identity.issued()), (60, 1));
        assert!(identity.accepts(now + Duration::from_secs(59), &first));
        assert!(!identity.accepts(now + Duration::from_secs(60), &first));
        let (second, _) = identity.issue(now).unwrap();
        assert_ne!(first, second);
        identity.revoke_all();
        assert!(!identity.accepts(now, &second));
        identity.fail_next(1);
        assert!(identity.issue(now).is_none() && identity.issue(now).is_some());
    }
}
