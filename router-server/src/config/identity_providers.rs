//! The tables `[identity_providers.NAME]` -> issuers of tokens that callers may show in place of a key.
//!
//! A token stands for a key of `[keys.NAME]`, so rights, limits and budgets are those of keys. Verifying a token is the task of
//! the program that serves.

use std::collections::BTreeMap;

use http::Uri;
use router_core::config::raw;
use router_core::config::{Table, is_loopback, listed, quoted};
use router_core::units::KeyName;
use router_core::upstream::Proxy;
use router_core::upstream::Reach;

use super::raw_identity_providers::{Grant as RawGrant, IdentityProvider as RawProvider};

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

/// `[identity_providers]` as written.
pub(super) type Providers = BTreeMap<String, RawProvider>;

/// True if a grant names the key: its callers show tokens.
pub(super) fn is_granted(key: &str, providers: &Providers) -> bool {
    let mut grants = providers.values().filter_map(|provider| provider.grants.as_ref()).flatten();
    grants.any(|grant| grant.key.as_deref() == Some(key))
}

/// Checks `[identity_providers]`.
pub(super) fn check(written: &Providers, keys: &Keys, table: &Table<'_>) -> Vec<IdentityProvider> {
    let mut issuers = BTreeMap::new();
    let mut providers = Vec::with_capacity(written.len());
    for (name, written) in written {
        let own = table.sub(name);
        if let Some(issuer) = written.issuer.as_deref()
            && let Some(other) = issuers.insert(issuer, name)
        {
            own.fault("issuer", format!("is also that of identity_providers.{other}"));
        }
        providers.extend(one(name, written, keys, &own));
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

/// The address, or a fault if the router may not fetch keys from it.
fn address<'w>(name: &str, written: &'w str, table: &Table<'_>) -> Option<&'w str> {
    let sound = is_sound(name, written);
    if !sound {
        table.fault(
            name,
            "must be https://, or http:// on this machine, without a user, such as \
             https://login.microsoftonline.com/TENANT/v2.0",
        );
    }
    sound.then_some(written)
}

/// True of an address that the router may fetch keys from, which decide who may call: encrypted, or on this machine.
fn is_sound(name: &str, written: &str) -> bool {
    written.parse::<Uri>().is_ok_and(|uri| {
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let secret = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(is_loopback),
            _ => false,
        };
        plain && secret && (name != "issuer" || uri.query().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_an_issuer_are_read_encrypted_only() {
        for sound in ["https://a.example/v2.0", "http://127.0.0.1:1", "http://localhost/x"] {
            assert!(is_sound("issuer", sound), "{sound}");
        }
        for wrong in ["", "a.example", "http://a.example", "https://u:p@a.example", "ftp://a"] {
            assert!(!is_sound("issuer", wrong), "{wrong}");
        }
        assert!(!is_sound("issuer", "https://a.example?x"));
        assert!(is_sound("jwks_url", "https://a.example/keys?p=1"));
    }
}
