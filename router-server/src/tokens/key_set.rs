//! The public keys of an issuer (JWKS), and what they verify: signature, issuer, audience and times of a token.
//!
//! Only signatures by asymmetric keys count. A token without a signature (`alg` `none`) and one that is signed with a shared
//! secret, for which a public key would do, are refused before anything is verified. Nothing is fetched here.
//!
//! **Source:** RFC 7517 (keys), RFC 7519 (tokens), RFC 8725 (JWT Best Current Practices, 3.1 to 3.10).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation, decode};
use serde_json::{Map, Value};

/// The most keys of an issuer that are looked at.
const MOST_KEYS: usize = 100;

/// The claims of a verified token.
pub(super) type Claims = Map<String, Value>;

/// The reason why a token gives no access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It is not a token, its signature is wrong, or the issuer has no such key.
    Invalid,
    /// It has expired, or is not valid yet.
    Expired,
    /// No provider of config issued it.
    Issuer,
    /// It is meant for another service.
    Audience,
    /// It is valid, but no grant matches it.
    NotGranted,
    /// The issuer's keys cannot be read.
    Unavailable,
}

impl TokenFault {
    /// The word for labels.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::NotGranted => "token_not_granted",
            Self::Unavailable => "identity_provider",
        }
    }
}

/// The keys of an issuer that can sign tokens.
#[derive(Debug)]
pub(super) struct KeySet(Vec<PublicKey>);

#[derive(Debug)]
struct PublicKey {
    id: Option<String>,
    /// The only algorithm of the key, if the issuer names one.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    /// Reads a JWKS document; keys that cannot sign tokens are left out. `None` if none remains.
    pub(super) fn read(document: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let keys = document.get("keys")?.as_array()?.iter().take(MOST_KEYS);
        let keys: Vec<PublicKey> = keys.filter_map(PublicKey::read).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// True if it has the key that a token names; if the token names none, true if there is a single key.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: Option<&str>) -> Option<&PublicKey> {
        match (id, self.0.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The claims of a token that one of the keys has signed, for one of the audiences, by the issuer, and now.
    pub(super) fn verify(
        &self,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<Claims, TokenFault> {
        let header = expected.header;
        let key = self.find(header.kid.as_deref()).ok_or(TokenFault::Invalid)?;
        if !is_asymmetric(header.alg) || key.algorithm.is_some_and(|only| only != header.alg) {
            return Err(TokenFault::Invalid);
        }
        let mut validation = Validation::new(header.alg);
        validation.validate_nbf = true;
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(expected.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        decode::<Claims>(token, &key.key, &validation)
            .map(|token| token.claims)
            .map_err(|fault| of_library(fault.kind()))
    }
}

/// The claims that a token must have.
#[derive(Debug)]
pub(super) struct Expected<'e> {
    pub(super) header: &'e Header,
    pub(super) issuer: &'e str,
    pub(super) audiences: &'e [Box<str>],
}

impl PublicKey {
    fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs)?;
        if key.family() == AlgorithmFamily::Hmac {
            return None;
        }
        let algorithm = match value.get("alg") {
            None => None,
            Some(name) => Some(name.as_str()?.parse::<Algorithm>().ok()?),
        };
        Some(Self { id: jwk.common.key_id, algorithm, key })
    }
}

fn is_asymmetric(algorithm: Algorithm) -> bool {
    !AlgorithmFamily::Hmac.algorithms().contains(&algorithm)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may add kinds; all others mean the same here"
)]
fn of_library(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => TokenFault::Expired,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        _ => TokenFault::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_that_sign_are_kept() {
        // RFC 7517, appendix A.1 and A.3: keys of EC and RSA for signatures, and a shared secret.
        let ec = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"ec"}"#;
        let for_encryption = ec.replace("\"kid\":\"ec\"", "\"kid\":\"enc\",\"use\":\"enc\"");
        let secret = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ","kid":"oct"}"#;
        let unknown = r#"{"kty":"future","kid":"new"}"#;
        let odd = ec.replace("\"kid\":\"ec\"", "\"kid\":\"odd\",\"alg\":\"ES999\"");
        let document = format!("{{\"keys\":[{unknown},{secret},{for_encryption},{odd},{ec},7]}}");
        let keys = KeySet::read(document.as_bytes()).unwrap();
        assert!(keys.has(Some("ec")) && keys.has(None), "there is only one");
        for id in ["enc", "oct", "new", "odd", ""] {
            assert!(!keys.has(Some(id)), "{id}");
        }
        for nothing in ["", "[]", "{}", "{\"keys\":[]}", &format!("{{\"keys\":[{secret}]}}")] {
            assert!(KeySet::read(nothing.as_bytes()).is_none(), "{nothing}");
        }
    }
}
