//! The tables `[endpoints.NAME.identity]` -> an Entra ID identity: its kind and parameters.
//!
//! Values that the platform provides in variables are named here and read when a token is fetched:
//! a pod's file and an app's header do not exist where a configuration is checked.

use crate::upstream::Identity;
use crate::upstream::Proof;
use crate::upstream::SecretSource;
use crate::upstream::Setting;

use super::endpoints::{secret, service};
use super::raw;
use super::table::Table;

/// Default scope of tokens.
///
/// **Source:** Microsoft, "Troubleshoot errors" of Azure OpenAI (2026-09): the scope that its endpoints expect; earlier
/// samples say `https://cognitiveservices.azure.com/.default`.
const SCOPE: &str = "https://ai.azure.com/.default";
/// **Source:** Microsoft, "Azure Instance Metadata Service".
const METADATA: &str = "http://169.254.169.254";
/// **Source:** Microsoft, "Microsoft identity platform and the OAuth 2.0 client credentials flow".
const AUTHORITY: &str = "https://login.microsoftonline.com";

const KINDS: &str = "instance_metadata, app_service, workload or client_secret";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    InstanceMetadata,
    AppService,
    Workload,
    ClientSecret,
}

/// Checks one table.
pub(super) fn check(raw: &raw::Identity, table: &Table<'_>) -> Option<Identity> {
    let word = table.required("kind", raw.kind.as_deref(), KINDS);
    let kind = table.word("kind", word, KINDS, |word| match word {
        "instance_metadata" => Some(Kind::InstanceMetadata),
        "app_service" => Some(Kind::AppService),
        "workload" => Some(Kind::Workload),
        "client_secret" => Some(Kind::ClientSecret),
        _ => None,
    });
    let scope = scope(raw.scope.as_deref(), table);
    let url = raw.url.as_deref().and_then(|url| service(url, table));
    let tenant = id("tenant_id", raw.tenant_id.as_deref(), table);
    let client_id = id("client_id", raw.client_id.as_deref(), table);
    let token_file = token_file(raw, table);
    let secret = raw.secret.as_ref().and_then(|raw| secret(raw, &table.sub("secret")));
    let kind = kind?;
    misplaced(raw, kind, word.unwrap_or_default(), table);
    let authority = || match url.clone() {
        Some(url) => Setting::Given(url),
        None => Setting::VariableOr("AZURE_AUTHORITY_HOST".into(), AUTHORITY.into()),
    };
    let proof = match kind {
        Kind::InstanceMetadata => {
            Proof::InstanceMetadata { url: url.unwrap_or_else(|| METADATA.into()), client_id }
        }
        Kind::AppService => Proof::AppService {
            url: given(url, "IDENTITY_ENDPOINT"),
            header: secret.unwrap_or_else(|| SecretSource::Environment("IDENTITY_HEADER".into())),
            client_id,
        },
        Kind::Workload => Proof::Workload {
            authority: authority(),
            tenant: given(tenant, "AZURE_TENANT_ID"),
            client_id: given(client_id, "AZURE_CLIENT_ID"),
            token_file: given(token_file, "AZURE_FEDERATED_TOKEN_FILE"),
        },
        Kind::ClientSecret => {
            let all = "an id of Entra ID";
            table.required("tenant_id", raw.tenant_id.as_ref(), all);
            table.required("client_id", raw.client_id.as_ref(), all);
            let all = "{ env = \"NAME\" } or { file = \"/path\" }";
            table.required("secret", raw.secret.as_ref(), all);
            Proof::ClientSecret {
                authority: authority(),
                tenant: tenant?,
                client_id: client_id?,
                secret: secret?,
            }
        }
    };
    Some(Identity { scope: scope?, proof })
}

fn given(value: Option<Box<str>>, variable: &str) -> Setting {
    value.map_or_else(|| Setting::Variable(variable.into()), Setting::Given)
}

/// Reports keys that belong to another kind, which nothing would read.
fn misplaced(raw: &raw::Identity, kind: Kind, word: &str, table: &Table<'_>) {
    let entra = matches!(kind, Kind::Workload | Kind::ClientSecret);
    let secret = matches!(kind, Kind::AppService | Kind::ClientSecret);
    for (name, there, fits) in [
        ("tenant_id", raw.tenant_id.is_some(), entra),
        ("token_file", raw.token_file.is_some(), kind == Kind::Workload),
        ("secret", raw.secret.is_some(), secret),
    ] {
        if there && !fits {
            table.fault(name, format!("is not allowed where kind is {word}"));
        }
    }
}

fn scope(written: Option<&str>, table: &Table<'_>) -> Option<Box<str>> {
    let scope = written.unwrap_or(SCOPE);
    let uri = scope.strip_suffix("/.default").is_some_and(|resource| resource.contains("://"));
    let plain = scope.bytes().all(|byte| byte.is_ascii_graphic());
    if uri && plain {
        return Some(scope.into());
    }
    table.fault("scope", format!("must be a resource and /.default, such as {SCOPE}"));
    None
}

fn id(name: &str, written: Option<&str>, table: &Table<'_>) -> Option<Box<str>> {
    let id = written?;
    let letters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if letters && !id.is_empty() && id.len() <= 128 {
        return Some(id.into());
    }
    table.fault(name, "must be an id of Entra ID: letters, digits, - and .");
    None
}

fn token_file(raw: &raw::Identity, table: &Table<'_>) -> Option<Box<str>> {
    let path = raw.token_file.as_ref()?.to_str();
    let path =
        path.filter(|path| !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_graphic()));
    if path.is_none() {
        table.fault("token_file", "must be the path of a file, in visible ASCII");
    }
    path.map(Into::into)
}
