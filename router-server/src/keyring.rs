//! Identifies a caller's key by its hash.
//!
//! A key is searched in every header that clients use, because some send a placeholder in one and
//! the key in another. It is compared with every configured hash, in constant time and to the last
//! one, so that timing reveals nothing. Keys themselves are never stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use router_core::config::{CallerKey, KeyHash};
use router_core::ledger::Allowance;
use router_core::policy::Rights;
use router_core::stored::Caller;
use router_core::units::{Day, KeyName};

use crate::tokens::TokenFault;

/// The headers that hold a key as it is: Azure's, and the one that some gateways' clients send.
const BARE: [HeaderName; 2] =
    [HeaderName::from_static("api-key"), HeaderName::from_static("x-api-key")];

/// No key is longer, so nothing longer is hashed.
const LONGEST: usize = 512;

/// The caller; it has all rights if no keys are required.
#[derive(Debug, Default)]
pub(crate) struct Bearer {
    pub(crate) caller: Caller,
    pub(crate) rights: Arc<Rights>,
    pub(crate) allowance: Allowance,
    /// Words for the key's owner.
    pub(crate) tags: Vec<Box<str>>,
    operator: bool,
    enabled: bool,
    expires: Option<Day>,
}

impl From<&CallerKey> for Bearer {
    fn from(key: &CallerKey) -> Self {
        Self {
            caller: Caller::named(key.name.as_str()).of_team(key.team.clone()),
            tags: key.tags.clone(),
            rights: Arc::clone(&key.rights),
            allowance: key.allowance,
            operator: key.operator,
            enabled: key.enabled,
            expires: key.expires,
        }
    }
}

impl Bearer {
    fn admit(self: &Arc<Self>, door: Door, today: Day) -> Result<Arc<Self>, Denied> {
        if !self.enabled || self.expires.is_some_and(|last| last < today) {
            return Err(Denied::Expired);
        }
        if door == Door::Operator && !self.operator {
            return Err(Denied::NotOperator);
        }
        Ok(Arc::clone(self))
    }
}

/// Keys that grant access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody.
    Open,
    /// Callers with a key.
    Key,
    /// Operators with a key.
    Operator,
}

/// The reason why a caller is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The request has no key.
    Missing,
    /// The key is unknown.
    Unknown,
    /// It is disabled, or its last day is over.
    Expired,
    /// It is not an operator's.
    NotOperator,
    /// There is a token of an identity provider in its place, which gives no access.
    Token(TokenFault),
}

impl Denied {
    /// The word for labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotOperator => "not_operator",
            Self::Token(fault) => fault.as_str(),
        }
    }
}

/// All keys of a config.
#[derive(Debug)]
pub(crate) struct Keyring {
    keys: Vec<(KeyHash, Arc<Bearer>)>,
    /// All of them by name.
    named: BTreeMap<KeyName, Arc<Bearer>>,
    /// The caller if no keys are required; `None` if they are.
    anonymous: Option<Arc<Bearer>>,
}

impl Keyring {
    pub(crate) fn new(keys: &[CallerKey]) -> Self {
        let (mut all, mut named) = (Vec::new(), BTreeMap::new());
        for key in keys {
            let bearer = Arc::new(Bearer::from(key));
            all.extend(key.hashes.iter().map(|hash| (*hash, Arc::clone(&bearer))));
            named.insert(key.name.clone(), bearer);
        }
        let anonymous = keys.is_empty().then(Arc::default);
        Self { keys: all, named, anonymous }
    }

    /// True if callers are asked for a key.
    pub(crate) fn asks(&self) -> bool {
        self.anonymous.is_none()
    }

    /// The caller, if its key is valid. `browsed` is true for a page that is read in a browser, which can only send a key as
    /// the password of HTTP basic authentication; elsewhere that is ignored, because browsers send it by themselves.
    pub(crate) fn enter(
        &self,
        door: Door,
        headers: &HeaderMap,
        browsed: bool,
        today: Day,
    ) -> Result<Arc<Bearer>, Denied> {
        if let Some(anonymous) = &self.anonymous {
            return Ok(Arc::clone(anonymous));
        }
        if door == Door::Open {
            return Ok(Arc::default());
        }
        let mut denied = Denied::Missing;
        for key in presented(headers, browsed) {
            match self.find(&key).ok_or(Denied::Unknown).and_then(|found| found.admit(door, today))
            {
                Ok(found) => return Ok(found),
                Err(cause) => denied = cause,
            }
        }
        Err(denied)
    }

    /// The holder of a key that a token stands for, if they may come in.
    pub(crate) fn enter_as(
        &self,
        key: &KeyName,
        door: Door,
        today: Day,
    ) -> Result<Arc<Bearer>, Denied> {
        self.named.get(key).ok_or(Denied::Unknown)?.admit(door, today)
    }

    fn find(&self, key: &str) -> Option<&Arc<Bearer>> {
        let hash = hash_of(key);
        let mut found = None;
        for (known, bearer) in &self.keys {
            if verify_slices_are_equal(&hash.0, &known.0).is_ok() {
                found = Some(bearer);
            }
        }
        found
    }
}

/// The hash of a key, as config has it in `hashes`.
pub fn hash_of(key: &str) -> KeyHash {
    let mut hash = KeyHash([0; 32]);
    for (byte, made) in hash.0.iter_mut().zip(digest(&SHA256, key.as_bytes()).as_ref()) {
        *byte = *made;
    }
    hash
}

/// All keys that a request shows.
fn presented(headers: &HeaderMap, browsed: bool) -> Vec<String> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorized = authorization.and_then(|text| text.trim().split_once(' '));
    let authorized = authorized.and_then(|(scheme, rest)| {
        if scheme.eq_ignore_ascii_case("bearer") {
            Some(rest.to_owned())
        } else if scheme.eq_ignore_ascii_case("basic") && browsed {
            password(rest)
        } else {
            None
        }
    });
    let bare =
        BARE.into_iter().filter_map(|name| headers.get(name)?.to_str().ok().map(str::to_owned));
    let all = authorized.into_iter().chain(bare).map(|key| key.trim().to_owned());
    all.filter(|key| !key.is_empty() && key.len() <= LONGEST).collect()
}

/// The password of HTTP's own login; the name before it is not looked at.
fn password(encoded: &str) -> Option<String> {
    let encoded =
        encoded.trim().as_bytes().get(..LONGEST * 2).is_none().then_some(encoded.trim())?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let (_, password) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use router_core::units::KeyName;

    use super::*;

    fn key(name: &str, secrets: &[&str]) -> CallerKey {
        CallerKey {
            team: None,
            tags: Vec::new(),
            name: KeyName::try_from(name).unwrap(),
            hashes: secrets.iter().map(|secret| hash_of(secret)).collect(),
            enabled: true,
            expires: None,
            operator: false,
            rights: Arc::default(),
            allowance: Allowance::default(),
        }
    }

    fn today() -> Day {
        Day::try_from("2026-11-23").unwrap()
    }

    fn ring() -> Keyring {
        let operator = CallerKey { operator: true, ..key("operator", &["mr_op"]) };
        let off = CallerKey { enabled: false, ..key("off", &["mr_off"]) };
        let last = |day: &str| Some(Day::try_from(day).unwrap());
        let over = CallerKey { expires: last("2026-11-22"), ..key("over", &["mr_over"]) };
        let ending = CallerKey { expires: last("2026-11-23"), ..key("ending", &["mr_ending"]) };
        Keyring::new(&[key("team", &["mr_old", "mr_new"]), operator, off, over, ending])
    }

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], door: Door, expected: Result<&str, Denied>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let entered = ring().enter(door, &headers, door == Door::Operator, today());
        let entered = entered.map(|bearer| bearer.caller.name().unwrap_or_default().to_owned());
        assert_eq!(entered, expected.map(str::to_owned), "{headers:?}");
    }

    #[test]
    fn a_key_is_found_in_whatever_header_it_comes() {
        for name in ["api-key", "x-api-key"] {
            check(&[(name, "mr_old")], Door::Key, Ok("team"));
        }
        for value in ["Bearer mr_new", "bearer  mr_new ", "BEARER mr_new"] {
            check(&[("authorization", value)], Door::Key, Ok("team"));
        }
        let both = [("authorization", "Bearer unused"), ("api-key", "mr_new")];
        check(&both, Door::Key, Ok("team"));
        check(&[], Door::Key, Err(Denied::Missing));
        check(&[], Door::Open, Ok(""));
        for value in ["mr_new", "Bearer", "Basic OnBhc3M=", "Bearer "] {
            check(&[("authorization", value)], Door::Key, Err(Denied::Missing));
        }
        check(&[("api-key", "mr_neW")], Door::Key, Err(Denied::Unknown));
        check(&[("api-key", &"x".repeat(513))], Door::Key, Err(Denied::Missing));
    }

    #[test]
    fn what_is_over_or_off_is_not_accepted_and_operators_have_a_door_of_their_own() {
        check(&[("api-key", "mr_off")], Door::Key, Err(Denied::Expired));
        check(&[("api-key", "mr_over")], Door::Key, Err(Denied::Expired));
        check(&[("api-key", "mr_ending")], Door::Key, Ok("ending"));
        check(&[("api-key", "mr_new")], Door::Operator, Err(Denied::NotOperator));
        check(&[("api-key", "mr_op")], Door::Operator, Ok("operator"));
        // "me:mr_op"
        check(&[("authorization", "Basic bWU6bXJfb3A=")], Door::Operator, Ok("operator"));
        check(&[("authorization", "Basic bWU6bXJfb3A=")], Door::Key, Err(Denied::Missing));
        check(&[("authorization", "Basic ?")], Door::Operator, Err(Denied::Missing));
    }

    #[test]
    fn without_keys_nobody_is_asked_for_one() {
        let ring = Keyring::new(&[]);
        assert!(ring.enter(Door::Operator, &HeaderMap::new(), false, today()).is_ok());
        let known = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(hash_of("foo").to_string(), known);
    }
}
