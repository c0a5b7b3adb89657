//! Finds the key that a token stands for: its issuer's provider verifies it, and the first matching grant names the key.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::decode_header;
use router_core::units::KeyName;
use router_core::upstream::ConnectionLimits;
use serde_json::Value;

use crate::config::Grant;
use crate::config::IdentityProvider;

use super::key_set::{Claims, Expected, TokenFault};
use super::key_source::KeySource;

/// No token is longer, so nothing longer is looked at.
const LONGEST: usize = 16 << 10;
/// No name of a key is longer.
const LONGEST_ID: usize = 256;

/// The identity providers of a configuration.
#[derive(Debug)]
pub(crate) struct IdentityProviders(Vec<Provider>);

#[derive(Debug)]
struct Provider {
    settings: IdentityProvider,
    source: Arc<KeySource>,
}

impl IdentityProviders {
    /// Those of a new configuration, with the keys that are known from the one before; `known` is what the next one goes on with.
    pub(crate) fn renewed(
        providers: &[IdentityProvider],
        limits: ConnectionLimits,
        known: &Mutex<Vec<Arc<KeySource>>>,
    ) -> Self {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let with_source = |settings: &IdentityProvider| {
            let source = known.iter().find(|source| source.is_of(settings, limits));
            let new = || Arc::new(KeySource::new(settings, limits));
            let source = source.map_or_else(new, Arc::clone);
            Provider { settings: settings.clone(), source }
        };
        let all: Vec<Provider> = providers.iter().map(with_source).collect();
        *known = all.iter().map(|provider| Arc::clone(&provider.source)).collect();
        Self(all)
    }

    /// The key that the token of a request stands for; `None` if it shows no token.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
    ) -> Option<Result<KeyName, TokenFault>> {
        let token = if self.0.is_empty() { None } else { presented(headers) }?;
        Some(self.key_of(token).await)
    }

    async fn key_of(&self, token: &str) -> Result<KeyName, TokenFault> {
        let header = decode_header(token).map_err(|_| TokenFault::Invalid)?;
        let id = header.kid.as_deref();
        if id.is_some_and(|id| id.len() > LONGEST_ID) || header.crit.is_some() {
            return Err(TokenFault::Invalid);
        }
        // Only to find the provider: the claim is verified with its keys.
        let claims: Claims = insecure_decode_claims(token).map_err(|_| TokenFault::Invalid)?;
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(TokenFault::Issuer)?;
        let found = self.0.iter().find(|provider| *provider.settings.issuer == *issuer);
        let Provider { settings, source } = found.ok_or(TokenFault::Issuer)?;
        let keys = source.keys(id).await.ok_or(TokenFault::Unavailable)?;
        let (issuer, audiences) = (&*settings.issuer, settings.audiences.as_slice());
        let claims = keys.verify(token, &Expected { header: &header, issuer, audiences })?;
        let grant = settings.grants.iter().find(|grant| matches(grant, &claims));
        grant.map(|grant| grant.key.clone()).ok_or(TokenFault::NotGranted)
    }
}

/// The token of the header that carries tokens, if what it carries has the form of one.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    let is_token = token.starts_with("ey") && token.matches('.').count() == 2;
    (scheme.eq_ignore_ascii_case("bearer") && is_token && token.len() <= LONGEST).then_some(token)
}

fn matches(grant: &Grant, claims: &Claims) -> bool {
    grant.claims.iter().all(|(name, value)| {
        claim(claims, name).is_some_and(|found| match found {
            Value::Array(items) => items.iter().any(|item| is(item, value)),
            // Scopes are words in one text.
            Value::String(text) if matches!(name.as_str(), "scp" | "scope") => {
                text.split(' ').any(|word| word == value)
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => is(found, value),
        })
    })
}

/// A claim by its name, or by the names of objects that lead to it, with dots between.
fn claim<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        claim(claims.get(first)?.as_object()?, rest)
    })
}

fn is(found: &Value, value: &str) -> bool {
    match found {
        Value::String(text) => text == value,
        Value::Bool(flag) => flag.to_string() == value,
        Value::Number(number) => number.to_string() == value,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(wanted: &[(&str, &str)], expected: bool) {
        let claims: BTreeMap<String, String> =
            wanted.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let grant = Grant { key: KeyName::try_from("k").unwrap(), claims };
        let token = json!({
            "azp": "app", "roles": ["a", "b"], "scp": "read write", "verified": true, "level": 2,
            "https://x.example/team": "t", "realm_access": {"roles": ["r"]}, "name": "read write",
        });
        assert_eq!(matches(&grant, token.as_object().unwrap()), expected, "{wanted:?}");
    }

    #[test]
    fn a_grant_matches_tokens_that_have_all_of_its_claims() {
        check(&[], true);
        for (name, value) in [
            ("azp", "app"),
            ("roles", "b"),
            ("scp", "write"),
            ("verified", "true"),
            ("level", "2"),
            ("https://x.example/team", "t"),
            ("realm_access.roles", "r"),
            ("name", "read write"),
        ] {
            check(&[(name, value)], true);
            check(&[(name, value), ("azp", "other")], false);
        }
        for (name, value) in [
            ("azp", "ap"),
            ("roles", "a b"),
            ("roles", "c"),
            ("scp", "read write"),
            ("name", "read"),
            ("realm_access", "r"),
            ("absent", "x"),
        ] {
            check(&[(name, value)], false);
        }
    }

    #[test]
    fn only_what_has_the_form_of_a_token_is_looked_at() {
        let long = format!("Bearer ey{}.a.b", "x".repeat(LONGEST));
        for (value, expected) in [
            ("Bearer eyJh.b.c", true),
            ("bearer  eyJh.b.c ", true),
            ("Basic eyJh.b.c", false),
            ("Bearer mr_key", false),
            ("Bearer eyJh.b", false),
            ("Bearer eyJh.b.c.d.e", false),
            (&long, false),
        ] {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(presented(&headers).is_some(), expected);
        }
    }
}
