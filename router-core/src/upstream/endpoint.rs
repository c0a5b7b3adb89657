//! Where an endpoint is and how it is entered: base URL, credential, and the URL of each call.

use std::path::PathBuf;

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
