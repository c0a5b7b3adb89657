//! Where an endpoint is and how it is entered: base URL, credential, and the URL of each call.

use std::path::PathBuf;

use crate::deployment::Api;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;

/// An Azure resource or an OpenAI base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Our name for it: the key in config.
    pub name: EndpointName,
    /// Scheme, host and an optional path, without a slash at the end: `https://r.openai.azure.com`.
    pub base: Box<str>,
    /// How it is entered.
    pub credential: Credential,
}

/// How an endpoint is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing is sent.
    Anonymous,
    /// Header `api-key`.
    ApiKey(SecretSource),
    /// Header `Authorization: Bearer`.
    Bearer(SecretSource),
}

/// Where a secret is read from; the secret itself is never in config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(Box<str>),
    /// A file; white space around the secret is cut off.
    File(PathBuf),
}

/// The address of a deployment's chat completions.
///
/// **Source:** Microsoft, "Azure OpenAI in Microsoft Foundry Models API version lifecycle": the dated and the v1 form.
pub fn chat_url(base: &str, deployment: &Deployment) -> String {
    let base = base.trim_end_matches('/');
    match &deployment.api {
        Api::AzureDated { version } => {
            let name = percent_encoded(&deployment.azure_deployment);
            let version = percent_encoded(version);
            format!("{base}/openai/deployments/{name}/chat/completions?api-version={version}")
        }
        Api::AzureV1 => {
            let base = base.strip_suffix("/openai/v1").unwrap_or(base);
            format!("{base}/openai/v1/chat/completions")
        }
        Api::OpenAi => {
            let base = base.strip_suffix("/v1").unwrap_or(base);
            format!("{base}/v1/chat/completions")
        }
    }
}

/// A name as part of an address: all but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
fn percent_encoded(name: &str) -> String {
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
        assert_eq!(chat_url(base, &deployment), expected);
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
}
