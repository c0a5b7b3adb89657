//! Entra ID identities: the token request of each kind, and how the response is read.
//!
//! The configuration selects one of four kinds. They are not tried in turn: a request to a missing
//! address costs seconds, and a token of the wrong identity costs more. This file sends nothing.
//!
//! **Source:** Microsoft, "How to use managed identities to acquire an access token", "Managed identities in App Service",
//! "Workload identity federation", "OAuth 2.0 client credentials flow"; Azure's SDK for Rust, `azure_identity`.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::credential::{Secret, SecretFault};
use super::endpoint::{SecretSource, percent_encoded};

/// An identity and what it is to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Scope of the token, such as `https://ai.azure.com/.default`.
    pub scope: Box<str>,
    /// Issuer, and the proof of identity that it requires.
    pub(crate) proof: Proof,
}

/// Issuer of tokens, and the proof of identity that it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The instance metadata service of a virtual machine: being there is the proof.
    InstanceMetadata {
        /// Scheme and host.
        url: Box<str>,
        /// The identity, where the machine has several.
        client_id: Option<Box<str>>,
    },
    /// The identity endpoint of App Service, Functions and Container Apps.
    AppService {
        /// The whole address.
        url: Setting,
        /// Value of the header `x-identity-header`.
        header: SecretSource,
        /// The identity, where the app has several.
        client_id: Option<Box<str>>,
    },
    /// Entra ID, by a token of the Kubernetes cluster that is in a file and changes there.
    Workload {
        /// Scheme and host of Entra ID.
        authority: Setting,
        /// The tenant.
        tenant: Setting,
        /// The application.
        client_id: Setting,
        /// The path of the file.
        token_file: Setting,
    },
    /// Entra ID, by a secret of the application.
    ClientSecret {
        /// Scheme and host of Entra ID.
        authority: Setting,
        /// The tenant.
        tenant: Box<str>,
        /// The application.
        client_id: Box<str>,
        /// The secret.
        secret: SecretSource,
    },
}

/// A value that config gives, or that the platform puts into a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Configured value.
    Given(Box<str>),
    /// The name of a variable.
    Variable(Box<str>),
    /// The name of a variable, and what holds if it is not set.
    VariableOr(Box<str>, Box<str>),
}

impl Setting {
    fn read(&self) -> Result<Secret, SecretFault> {
        let variable = |name: &str| SecretSource::Environment(name.into()).read();
        let given = |text: &str| {
            Secret::try_new(text).ok_or_else(|| SecretFault::NotASecret("a setting".to_owned()))
        };
        match self {
            Self::Given(text) => given(text),
            Self::Variable(name) => variable(name),
            Self::VariableOr(name, text) => variable(name).or_else(|_| given(text)),
        }
    }

    /// Source to read it from; `None` if the value is fixed.
    fn needed(&self) -> Option<SecretSource> {
        match self {
            Self::Variable(name) => Some(SecretSource::Environment(name.clone())),
            Self::Given(_) | Self::VariableOr(..) => None,
        }
    }
}

/// A request for a token. It holds secrets, so it shows nothing of itself.
pub struct TokenRequest {
    /// The whole address.
    pub url: String,
    /// A header and its value.
    pub header: Option<(&'static str, String)>,
    /// The form to post; `None` for a GET.
    pub form: Option<String>,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TokenRequest").finish_non_exhaustive()
    }
}

impl Identity {
    /// True if the token request must not use a proxy: this machine or its host answers it.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.proof, Proof::InstanceMetadata { .. } | Proof::AppService { .. })
    }

    /// Sources of secrets and settings, for a check before they are needed.
    pub fn sources(&self) -> Vec<SecretSource> {
        let settings: Vec<&Setting> = match &self.proof {
            Proof::InstanceMetadata { .. } => Vec::new(),
            Proof::AppService { url, .. } => vec![url],
            Proof::Workload { authority, tenant, client_id, token_file } => {
                vec![authority, tenant, client_id, token_file]
            }
            Proof::ClientSecret { authority, .. } => vec![authority],
        };
        let own = match &self.proof {
            Proof::AppService { header: secret, .. } | Proof::ClientSecret { secret, .. } => {
                Some(secret.clone())
            }
            Proof::InstanceMetadata { .. } | Proof::Workload { .. } => None,
        };
        settings.into_iter().filter_map(Setting::needed).chain(own).collect()
    }

    /// The request for a token, with secrets read now: files change while the router runs.
    ///
    /// # Errors
    /// A secret or a setting cannot be read.
    pub fn request(&self) -> Result<TokenRequest, SecretFault> {
        match &self.proof {
            Proof::InstanceMetadata { url, client_id } => Ok(TokenRequest {
                url: self.managed(
                    &format!("{url}/metadata/identity/oauth2/token"),
                    "2019-08-01",
                    client_id.as_deref(),
                ),
                header: Some(("metadata", "true".to_owned())),
                form: None,
            }),
            Proof::AppService { url, header, client_id } => Ok(TokenRequest {
                url: self.managed(url.read()?.expose(), "2019-08-01", client_id.as_deref()),
                header: Some(("x-identity-header", header.read()?.expose().to_owned())),
                form: None,
            }),
            Proof::Workload { authority, tenant, client_id, token_file } => {
                let path = token_file.read()?;
                let assertion = SecretSource::File(path.expose().into()).read()?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let proof =
                    [("client_assertion_type", kind), ("client_assertion", assertion.expose())];
                let (tenant, client_id) = (tenant.read()?, client_id.read()?);
                self.entra(authority, [tenant.expose(), client_id.expose()], &proof)
            }
            Proof::ClientSecret { authority, tenant, client_id, secret } => {
                let secret = secret.read()?;
                self.entra(authority, [tenant, client_id], &[("client_secret", secret.expose())])
            }
        }
    }

    /// The address of a managed identity. It wants a resource, which is the scope without its last part.
    fn managed(&self, url: &str, version: &str, client_id: Option<&str>) -> String {
        let resource = self.scope.strip_suffix("/.default").unwrap_or(&self.scope);
        let mut fields = vec![("api-version", version), ("resource", resource)];
        fields.extend(client_id.map(|client_id| ("client_id", client_id)));
        format!("{url}?{}", form(&fields))
    }

    fn entra(
        &self,
        authority: &Setting,
        [tenant, client_id]: [&str; 2],
        proof: &[(&str, &str)],
    ) -> Result<TokenRequest, SecretFault> {
        let authority = authority.read()?;
        let base = authority.expose().trim_end_matches('/');
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("scope", &*self.scope),
        ];
        fields.extend_from_slice(proof);
        Ok(TokenRequest {
            url: format!("{base}/{}/oauth2/v2.0/token", percent_encoded(tenant)),
            header: None,
            form: Some(form(&fields)),
        })
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    pairs.join("&")
}

/// The token of an answer and how long it lives; `None` if it holds none.
///
/// The lifetime is a number or a string of seconds in `expires_in`, or seconds since 1970 in `expires_on`.
pub(super) fn read_answer(body: &[u8], wall: SystemTime) -> Option<(Secret, Duration)> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = Secret::try_new(answer.get("access_token")?.as_str()?)?;
    let seconds = |name: &str| {
        let value = answer.get(name)?;
        value.as_str().map_or_else(|| value.as_u64(), |text| text.trim().parse().ok())
    };
    let left = seconds("expires_in").map(Duration::from_secs).or_else(|| {
        let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds("expires_on")?));
        until?.duration_since(wall).ok()
    });
    Some((token, left?))
}

/// The word of a refusal, such as `invalid_client`; its description may hold names, so it is left out.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let word = answer.get("error")?.as_str()?;
    let plain =
        word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    plain.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "https://ai.azure.com/.default";

    fn given(text: &str) -> Setting {
        Setting::Given(text.into())
    }

    fn asked(proof: Proof) -> TokenRequest {
        Identity { scope: SCOPE.into(), proof }.request().unwrap()
    }

    /// A file that holds this text until the test ends.
    fn file(name: &str, text: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("identity-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_managed_identity_is_asked_for_a_resource() {
        let url = "http://169.254.169.254".into();
        let found = asked(Proof::InstanceMetadata { url, client_id: Some("c-1".into()) });
        assert_eq!(
            found.url,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01\
             &resource=https%3A%2F%2Fai.azure.com&client_id=c-1"
        );
        assert_eq!((found.header, found.form), (Some(("metadata", "true".to_owned())), None));
        let path = file("header", "h-secret\n");
        let header = SecretSource::File(path.clone());
        let url = given("http://127.0.0.1:41/msi/token");
        let found = asked(Proof::AppService { url, header, client_id: None });
        assert_eq!(
            found.url,
            "http://127.0.0.1:41/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fai.azure.com"
        );
        assert_eq!(found.header, Some(("x-identity-header", "h-secret".to_owned())));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn entra_is_asked_for_a_scope_on_a_secret_or_an_assertion() {
        let path = file("secret", "s~1/x=\n");
        let authority = given("https://login.microsoftonline.com/");
        let found = asked(Proof::ClientSecret {
            authority: authority.clone(),
            tenant: "t-1".into(),
            client_id: "c-1".into(),
            secret: SecretSource::File(path.clone()),
        });
        assert_eq!(found.url, "https://login.microsoftonline.com/t-1/oauth2/v2.0/token");
        assert_eq!(
            found.form.as_deref(),
            Some(
                "grant_type=client_credentials&client_id=c-1\
                 &scope=https%3A%2F%2Fai.azure.com%2F.default&client_secret=s~1%2Fx%3D"
            )
        );
        let found = asked(Proof::Workload {
            authority,
            tenant: given("t-1"),
            client_id: given("c-1"),
            token_file: given(path.to_str().unwrap()),
        });
        let form = found.form.as_deref().unwrap();
        assert!(form.contains("&client_assertion=s~1%2Fx%3D") && form.contains("jwt-bearer"));
        assert!(!format!("{found:?}").contains("s~1"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_the_platform_does_not_set_is_named() {
        let proof = Proof::Workload {
            authority: Setting::VariableOr("NO_SUCH_HOST".into(), "https://a".into()),
            tenant: Setting::Variable("NO_SUCH_TENANT".into()),
            client_id: given("c"),
            token_file: Setting::Variable("NO_SUCH_FILE".into()),
        };
        let identity = Identity { scope: SCOPE.into(), proof };
        let variable = |name: &str| SecretSource::Environment(name.into());
        assert_eq!(identity.sources(), [variable("NO_SUCH_TENANT"), variable("NO_SUCH_FILE")]);
        let fault = identity.request().unwrap_err().to_string();
        assert_eq!(fault, "environment variable NO_SUCH_FILE is not set");
    }

    #[test]
    fn lifetimes_come_in_all_the_forms_that_are_in_use() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let check = |body: &str, expected: Option<u64>| {
            let found = read_answer(body.as_bytes(), wall).map(|(_, left)| left.as_secs());
            assert_eq!(found, expected, "{body}");
        };
        check(r#"{"access_token":"t","expires_in":3599}"#, Some(3_599));
        check(r#"{"access_token":"t","expires_in":"3599","expires_on":"0"}"#, Some(3_599));
        check(r#"{"access_token":"t","expires_on":"1090"}"#, Some(90));
        check(r#"{"access_token":"t","expires_on":1090}"#, Some(90));
        for none in [
            r#"{"access_token":"t"}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"t","expires_on":"999"}"#,
            r#"{"expires_in":1}"#,
            "<html>",
        ] {
            check(none, None);
        }
        assert_eq!(
            refusal(br#"{"error":"invalid_client","error_description":"app c-1"}"#).unwrap(),
            "invalid_client"
        );
        assert_eq!(refusal(br#"{"error":"App c-1 is unknown"}"#), None);
    }
}
