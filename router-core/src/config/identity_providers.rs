//! The tables `[identity_providers.NAME]` -> issuers of tokens that callers may show in place of a key.
//!
//! A token stands for a key of `[keys.NAME]`, so rights, limits and budgets are those of keys. Verifying a token is the task of
//! the program that serves.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;

use crate::units::KeyName;
use crate::upstream::Proxy;
use crate::upstream::Reach;

use super::endpoints::is_loopback;
use super::raw::{self, Raw};
use super::raw_identity_providers::{Grant as RawGrant, IdentityProvider as RawProvider};
use super::table::{Table, listed, quoted};

/// `[keys]` as written.
type Keys = BTreeMap<String, raw::Key>;

/// The most grants of one provider: each is compared with each token.
const MOST_GRANTS: usize = 1_000;

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its name in config.
    pub name: Box<str>,
    /// The claim `iss` of its tokens.
    pub issuer: Box<str>,
    /// The claims `aud` that are accepted.
    pub audiences: Vec<Box<str>>,
    /// Address of its public keys; `None`: the issuer's discovery document names it.
    pub jwks_url: Option<Box<str>>,
    /// The way to it.
    pub reach: Reach,
    /// The keys that tokens stand for, in order.
    pub grants: Vec<Grant>,
}

/// A key for tokens with these claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key: KeyName,
    /// Names and values of claims, all of which a token must have.
    pub claims: BTreeMap<String, String>,
}

/// Keys that a grant names: they need no hash.
pub(super) fn granted(raw: &Raw) -> BTreeSet<&str> {
    let grants = raw.identity_providers.values().filter_map(|provider| provider.grants.as_ref());
    grants.flatten().filter_map(|grant| grant.key.as_deref()).collect()
}

/// Checks `[identity_providers]`.
pub(super) fn check(raw: &Raw, table: &Table<'_>) -> Vec<IdentityProvider> {
    let mut issuers = BTreeMap::new();
    let mut providers = Vec::with_capacity(raw.identity_providers.len());
    for (name, written) in &raw.identity_providers {
        let own = table.sub(name);
        if let Some(issuer) = written.issuer.as_deref()
            && let Some(other) = issuers.insert(issuer, name)
        {
            own.fault("issuer", format!("is also that of identity_providers.{other}"));
        }
        providers.extend(one(name, written, &raw.keys, &own));
    }
    providers
}

fn one(name: &str, raw: &RawProvider, keys: &Keys, table: &Table<'_>) -> Option<IdentityProvider> {
    let example = "the issuer's URL, such as https://login.microsoftonline.com/TENANT/v2.0";
    let issuer = table.required("issuer", raw.issuer.as_deref(), example);
    let issuer = issuer.and_then(|issuer| address("issuer", issuer, table));
    let jwks_url = raw.jwks_url.as_deref().map(|url| address("jwks_url", url, table));
    let ca_file = table.path("ca_file", raw.ca_file.as_deref());
    let audiences = raw.audiences.as_deref().unwrap_or_default();
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        table.fault(
            "audiences",
            "must list the values of `aud` that are accepted, such as api://model-router",
        );
    }
    let grants = grants(raw.grants.as_deref().unwrap_or_default(), keys, table);
    Some(IdentityProvider {
        name: name.into(),
        issuer: issuer?.into(),
        audiences: audiences.iter().map(|audience| audience.as_str().into()).collect(),
        jwks_url: match jwks_url {
            Some(url) => Some(url?.into()),
            None => None,
        },
        reach: Reach { ca_file, proxy: Proxy::Environment, http2: false },
        grants,
    })
}

fn grants(written: &[RawGrant], keys: &Keys, table: &Table<'_>) -> Vec<Grant> {
    if written.is_empty() {
        table.fault(
            "grants",
            "missing; must list at least one, such as { key = \"billing\", claims = { roles = \"Billing\" } }",
        );
    }
    if written.len() > MOST_GRANTS {
        table.fault("grants", format!("must list at most {MOST_GRANTS}"));
    }
    let mut grants = Vec::with_capacity(written.len());
    for grant in written {
        let name = grant.key.as_deref().unwrap_or_default();
        if !keys.contains_key(name) {
            let (name, known) = (quoted(name), listed(keys.keys()));
            table.fault("grants", format!("no key {name} in [keys.NAME]; there are: {known}"));
        }
        if grant.claims.iter().any(|(claim, value)| claim.is_empty() || value.is_empty()) {
            table.fault("grants", "names and values of claims must not be empty");
        }
        if let Ok(key) = KeyName::try_from(name) {
            grants.push(Grant { key, claims: grant.claims.clone() });
        }
    }
    grants
}

/// An address that the router fetches keys from, which decide who may call: encrypted, or on this machine.
fn address<'w>(name: &str, written: &'w str, table: &Table<'_>) -> Option<&'w str> {
    let parsed = written.parse::<Uri>().ok();
    let sound = parsed.is_some_and(|uri| {
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let secret = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(is_loopback),
            _ => false,
        };
        plain && secret && (name != "issuer" || uri.query().is_none())
    });
    if !sound {
        table.fault(
            name,
            "must be https://, or http:// on this machine, without a user, such as \
             https://login.microsoftonline.com/TENANT/v2.0",
        );
    }
    sound.then_some(written)
}

#[cfg(test)]
mod tests {
    use super::super::table::Findings;
    use super::*;

    #[test]
    fn keys_of_an_issuer_are_read_encrypted_only() {
        let findings = Findings::default();
        let table = findings.top();
        for sound in ["https://a.example/v2.0", "http://127.0.0.1:1", "http://localhost/x"] {
            assert_eq!(address("issuer", sound, &table), Some(sound));
        }
        for wrong in ["", "a.example", "http://a.example", "https://u:p@a.example", "ftp://a"] {
            assert_eq!(address("issuer", wrong, &table), None, "{wrong}");
        }
        assert_eq!(address("issuer", "https://a.example?x", &table), None);
        assert!(address("jwks_url", "https://a.example/keys?p=1", &table).is_some());
    }
}
