//! Defines an endpoint (base URL and credential), and builds the URL of each operation.

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::chat::Operation;
use crate::deployment::Api;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::stored::Collection;

use super::identity::Identity;
use super::reach::Reach;

/// An Azure resource or an OpenAI base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Our name for it: the key in config.
    pub name: EndpointName,
    /// Scheme, host and an optional path, without a slash at the end: `https://r.openai.azure.com`.
    pub base: Box<str>,
    /// Its credential.
    pub credential: Credential,
    /// The way to it: proxy, authorities, protocol.
    pub reach: Reach,
}

/// The credential of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing is sent.
    Anonymous,
    /// Header `api-key`.
    ApiKey(SecretSource),
    /// Header `Authorization: Bearer`.
    Bearer(SecretSource),
    /// Header `Authorization: Bearer` with a token of Entra ID.
    Identity(Identity),
}

/// The source of a secret; the secret itself is never in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(Box<str>),
    /// A file; white space around the secret is cut off.
    File(PathBuf),
}

/// The operation that is called at a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// An operation with a JSON body; [`Call::Passed`] describes those that are passed through.
    Operation(Operation),
    /// A path that is passed through.
    Passed {
        /// The path below the API's base: `images/generations`.
        path: Arc<str>,
        /// The type of the body.
        content_type: HeaderValue,
    },
    /// An object that the endpoint has stored, or a collection of them.
    Stored {
        /// Read, create, change, delete or cancel.
        method: Method,
        /// The collection.
        collection: Collection,
        /// The type of the body; `None` without one.
        content_type: Option<HeaderValue>,
        /// Its id and what follows: `resp_1/input_items?limit=2`; no id of a whole collection.
        path: Arc<str>,
    },
}

impl Call {
    /// The path below the API's base, and the query.
    fn path(&self) -> (&str, &str) {
        match self {
            Self::Operation(Operation::Chat) => ("chat/completions", ""),
            Self::Operation(Operation::Responses) => ("responses", ""),
            Self::Operation(Operation::InputTokens) => ("responses/input_tokens", ""),
            Self::Operation(Operation::Compact) => ("responses/compact", ""),
            Self::Operation(Operation::Completions) => ("completions", ""),
            Self::Operation(Operation::Embeddings) => ("embeddings", ""),
            Self::Operation(Operation::Passed(_)) => ("", ""),
            Self::Passed { path, .. } => (path, ""),
            Self::Stored { path, .. } => path.split_once('?').unwrap_or((path, "")),
        }
    }

    /// True for a 404 of an operation other than chat: the deployment still serves chat.
    pub(crate) fn is_not_served(&self, status: u16, body: &[u8]) -> bool {
        const UNKNOWN: &[u8] = b"DeploymentNotFound";
        let unknown = || body.windows(UNKNOWN.len()).any(|part| part == UNKNOWN);
        status == 404 && *self != Self::Operation(Operation::Chat) && !unknown()
    }

    /// True of operations whose answers may be larger than a chat's without a fault: embeddings, and what passes through.
    pub(crate) fn may_be_large(&self) -> bool {
        matches!(self, Self::Operation(Operation::Embeddings) | Self::Passed { .. })
    }

    /// True if the dated form of an address does not name the deployment, so that the body must.
    pub(crate) fn is_undeployed(&self) -> bool {
        match self {
            Self::Operation(operation) => operation.read_as() == Operation::Responses,
            Self::Stored { .. } => true,
            Self::Passed { .. } => false,
        }
    }
}

/// The address of a call.
///
/// **Source:** Microsoft, "Azure OpenAI in Microsoft Foundry Models API version lifecycle": the dated and the v1 form.
pub(super) fn url(base: &str, deployment: &Deployment, call: &Call) -> String {
    let base = base.trim_end_matches('/');
    let (path, query) = call.path();
    let (folder, path) = match call {
        Call::Stored { collection, .. } if path.is_empty() => (collection.path().to_owned(), path),
        Call::Stored { collection, .. } => (format!("{}/", collection.path()), path),
        Call::Operation(_) | Call::Passed { .. } => (String::new(), path),
    };
    let (before, version) = match &deployment.api {
        Api::AzureDated { version } if call.is_undeployed() => {
            (format!("{base}/openai"), Some(version))
        }
        Api::AzureDated { version } => {
            let name = percent_encoded(&deployment.azure_deployment);
            (format!("{base}/openai/deployments/{name}"), Some(version))
        }
        Api::AzureV1 => {
            let base = base.strip_suffix("/openai/v1").unwrap_or(base);
            (format!("{base}/openai/v1"), None)
        }
        Api::OpenAi => (format!("{}/v1", base.strip_suffix("/v1").unwrap_or(base)), None),
    };
    let version = version.map(|version| format!("api-version={}", percent_encoded(version)));
    let query: Vec<&str> =
        version.as_deref().into_iter().chain([query]).filter(|part| !part.is_empty()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{before}/{folder}{path}{mark}{}", query.join("&"))
}

/// A text as part of an address or a form: all but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
pub(super) fn percent_encoded(name: &str) -> String {
    use std::fmt::Write;
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            // Writing to a string does not fail.
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::sample;

    #[track_caller]
    fn check(api: Api, base: &str, expected: &str) {
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        deployment.azure_deployment = "my gpt/4o".into();
        deployment.api = api;
        let chat = Call::Operation(Operation::Chat);
        assert_eq!(url(base, &deployment, &chat), expected);
    }

    #[test]
    fn addresses_have_the_three_forms() {
        let version = "2024-10-21".into();
        check(
            Api::AzureDated { version },
            "https://r.openai.azure.com/",
            "https://r.openai.azure.com/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2024-10-21",
        );
        for base in ["https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/"] {
            check(Api::AzureV1, base, "https://r.openai.azure.com/openai/v1/chat/completions");
        }
        for base in ["https://api.openai.com", "https://api.openai.com/v1"] {
            check(Api::OpenAi, base, "https://api.openai.com/v1/chat/completions");
        }
        check(
            Api::OpenAi,
            "http://127.0.0.1:1/groq/v1",
            "http://127.0.0.1:1/groq/v1/chat/completions",
        );
    }

    #[test]
    fn each_call_has_its_path() {
        let stored = Call::Stored {
            method: Method::GET,
            collection: Collection::Responses,
            content_type: None,
            path: "resp_1/input_items?limit=2".into(),
        };
        let content_type = HeaderValue::from_static("application/json");
        let passed = Call::Passed { path: "images/generations".into(), content_type };
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        deployment.azure_deployment = "d".into();
        for (call, dated, v1) in [
            (Call::Operation(Operation::Responses), "responses?api-version=V", "responses"),
            (
                Call::Operation(Operation::Embeddings),
                "deployments/d/embeddings?api-version=V",
                "embeddings",
            ),
            (
                Call::Operation(Operation::Completions),
                "deployments/d/completions?api-version=V",
                "completions",
            ),
            (passed, "deployments/d/images/generations?api-version=V", "images/generations"),
            (
                stored,
                "responses/resp_1/input_items?api-version=V&limit=2",
                "responses/resp_1/input_items?limit=2",
            ),
        ] {
            deployment.api = Api::AzureDated { version: "V".into() };
            assert_eq!(url("http://a", &deployment, &call), format!("http://a/openai/{dated}"));
            deployment.api = Api::AzureV1;
            assert_eq!(url("http://a", &deployment, &call), format!("http://a/openai/v1/{v1}"));
            deployment.api = Api::OpenAi;
            assert_eq!(url("http://a", &deployment, &call), format!("http://a/v1/{v1}"));
        }
    }
}
