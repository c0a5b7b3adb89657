//! The tables `[endpoints.NAME]` -> endpoints: a base URL, the form of its URLs, a credential.
//!
//! URLs and credentials are where secrets end up by mistake, so no fault here repeats what was found in them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Uri;

use crate::deployment::Area;
use crate::deployment::EndpointName;
use crate::upstream::Credential;
use crate::upstream::Endpoint;
use crate::upstream::Proxy;
use crate::upstream::Reach;
use crate::upstream::SecretSource;

use super::identity;
use super::raw;
use super::table::Table;

/// The forms of URLs, as they stand in config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Azure,
    AzureV1,
    OpenAi,
}

/// An endpoint and what its deployments must know of it.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) endpoint: Endpoint,
    pub(super) form: Form,
    pub(super) api_version: Option<Box<str>>,
    /// The region of the Azure resource.
    pub(super) region: Option<Area>,
    /// The area to which OpenAI's own hosts bind their deployments; `None` for any other host.
    pub(super) bound: Option<Area>,
}

/// The endpoints by name; `None` for one that has a fault.
pub(super) type Endpoints = BTreeMap<String, Option<Checked>>;

/// Checks all of `[endpoints]`.
pub(super) fn check(raw: &BTreeMap<String, raw::Endpoint>, table: &Table<'_>) -> Endpoints {
    raw.iter().map(|(name, raw)| (name.clone(), one(name, raw, &table.sub(name)))).collect()
}

fn one(name: &str, raw: &raw::Endpoint, table: &Table<'_>) -> Option<Checked> {
    let name = EndpointName::try_from(name).map_err(|rule| table.fault_here(rule.to_string())).ok();
    let form = form(raw, table);
    let api_version = api_version(raw.api_version.as_deref(), form, table);
    let url = table.required("url", raw.url.as_deref(), "a URL such as https://r.openai.azure.com");
    let base = url.and_then(|url| base(url, form, table));
    let credential = credential(raw, form, table);
    let reach = reach(raw, table);
    let region = region(raw, form, table);
    let (base, bound) = base?;
    Some(Checked {
        endpoint: Endpoint { name: name?, base, credential: credential?, reach: reach? },
        form: form?,
        api_version,
        region,
        bound,
    })
}

/// The form that is written, else the one that the service behind the host has.
fn form(raw: &raw::Endpoint, table: &Table<'_>) -> Option<Form> {
    let allowed = "azure, azure_v1 or openai";
    if raw.api.is_none()
        && let Some(form) = form_of_host(raw)
    {
        return Some(form);
    }
    let api = table.required("api", raw.api.as_deref(), allowed);
    table.word("api", api, allowed, |word| match word {
        "azure" => Some(Form::Azure),
        "azure_v1" => Some(Form::AzureV1),
        "openai" => Some(Form::OpenAi),
        _ => None,
    })
}

/// Hosts of Azure OpenAI and Foundry resources, in all of its clouds.
const AZURE_HOSTS: [&str; 5] = [
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
    ".openai.azure.us",
    ".openai.azure.cn",
];

/// Azure's v1 API needs no api-version, so an api-version asks for the dated form.
fn form_of_host(raw: &raw::Endpoint) -> Option<Form> {
    let url = raw.url.as_deref()?.trim().parse::<Uri>().ok()?;
    let host = url.host()?.to_ascii_lowercase();
    if openai_area(&host).is_some() {
        return Some(Form::OpenAi);
    }
    let azure = AZURE_HOSTS.iter().any(|suffix| host.ends_with(suffix));
    let dated = raw.api_version.is_some();
    azure.then_some(if dated { Form::Azure } else { Form::AzureV1 })
}

fn region(raw: &raw::Endpoint, form: Option<Form>, table: &Table<'_>) -> Option<Area> {
    let name = raw.region.as_deref()?;
    if form == Some(Form::OpenAi) {
        table.fault("region", "only at Azure: OpenAI's hosts bind their region themselves");
        return None;
    }
    let known = |name: &str| Area::try_from(format!("region:{name}").as_str()).ok();
    table.word("region", Some(name), "an Azure region such as koreacentral", known)
}

/// The api-version of an endpoint or a deployment, where its form has one.
pub(super) fn api_version(
    text: Option<&str>,
    form: Option<Form>,
    table: &Table<'_>,
) -> Option<Box<str>> {
    let text = text?;
    if matches!(form, Some(Form::AzureV1 | Form::OpenAi)) {
        table.fault("api_version", "only with api = \"azure\": the other forms have none");
        return None;
    }
    let day = text.strip_suffix("-preview").unwrap_or(text);
    let known = crate::units::Day::try_from(day).is_ok();
    let allowed = "an api-version such as 2024-10-21 or 2024-12-01-preview";
    table.word("api_version", Some(text), allowed, |text| known.then(|| text.into()))
}

/// The base without what the URL of each call adds, and the area that the host itself stands for.
fn base(url: &str, form: Option<Form>, table: &Table<'_>) -> Option<(Box<str>, Option<Area>)> {
    let allowed = "must be scheme, host and an optional path, such as https://r.openai.azure.com";
    let fault = |why: &str| {
        table.fault("url", format!("{allowed}; {why}"));
        None
    };
    let Ok(parsed) = url.trim().parse::<Uri>() else { return fault("found no URL") };
    let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
        return fault("found no scheme or no host");
    };
    if !matches!(scheme, "http" | "https") {
        return fault("the scheme is neither http nor https");
    }
    if authority.as_str().contains('@') {
        return fault("must not contain a user or password");
    }
    if parsed.query().is_some() {
        return fault("must not contain a query (api_version is a separate key)");
    }
    let path = parsed.path().trim_end_matches('/');
    if path.contains("/deployments") || path.ends_with("/completions") {
        return fault("the path of a call was found, which is added for each");
    }
    let path = match form {
        Some(Form::Azure | Form::AzureV1) => {
            path.strip_suffix("/openai/v1").or_else(|| path.strip_suffix("/openai")).unwrap_or(path)
        }
        Some(Form::OpenAi) => path.strip_suffix("/v1").unwrap_or(path),
        None => path,
    };
    let host = authority.host();
    if scheme == "http" && !is_loopback(host) {
        table.warn("url", "plain http beyond this machine: prompts and the key travel unencrypted");
    }
    let bound = (form == Some(Form::OpenAi)).then(|| openai_area(host)).flatten();
    Some((format!("{scheme}://{authority}{path}").into(), bound))
}

/// **Source:** openai-python, `_data_residency.py`, for the regional hosts.
fn openai_area(host: &str) -> Option<Area> {
    match host.to_ascii_lowercase().as_str() {
        "api.openai.com" => Some(Area::Global),
        "us.api.openai.com" => Some(Area::Zone("us")),
        "eu.api.openai.com" => Some(Area::Zone("eu")),
        "ae.api.openai.com" => Some(Area::Geography("ae")),
        _ => None,
    }
}

pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn credential(raw: &raw::Endpoint, form: Option<Form>, table: &Table<'_>) -> Option<Credential> {
    let given = [
        raw.api_key.is_some(),
        raw.bearer.is_some(),
        raw.identity.is_some(),
        raw.anonymous == Some(true),
    ];
    if given.iter().filter(|given| **given).count() > 1 {
        table.fault_here("must have exactly one of api_key, bearer, identity and anonymous = true");
        return None;
    }
    if let Some(key) = &raw.api_key {
        let source = secret(key, &table.sub("api_key"))?;
        // OpenAI takes its keys as bearer tokens.
        return Some(match form {
            Some(Form::OpenAi) => Credential::Bearer(source),
            Some(Form::Azure | Form::AzureV1) | None => Credential::ApiKey(source),
        });
    }
    if let Some(token) = &raw.bearer {
        return secret(token, &table.sub("bearer")).map(Credential::Bearer);
    }
    if let Some(raw) = &raw.identity {
        if form == Some(Form::OpenAi) {
            table.fault("identity", "tokens of Entra ID open Azure's endpoints alone");
        }
        return identity::check(raw, &table.sub("identity")).map(Credential::Identity);
    }
    if raw.anonymous == Some(true) {
        return Some(Credential::Anonymous);
    }
    table.fault(
        "api_key",
        "missing; one of api_key, bearer, identity and anonymous = true says how the endpoint is entered",
    );
    None
}

fn reach(raw: &raw::Endpoint, table: &Table<'_>) -> Option<Reach> {
    let proxy = match raw.proxy.as_deref() {
        None => Proxy::Environment,
        Some("none") => Proxy::Direct,
        Some(url) => Proxy::Through(proxy(url, table)?),
    };
    let ca_file = table.path("ca_file", raw.ca_file.as_deref());
    Some(Reach { ca_file, proxy, http2: raw.http2.unwrap_or(true) })
}

/// No part of a proxy's address is repeated: it may contain a password.
fn proxy(url: &str, table: &Table<'_>) -> Option<Box<str>> {
    let fault = |why: &str| {
        table.fault(
            "proxy",
            format!("must be none, or a URL such as http://proxy.example:3128; {why}"),
        );
        None
    };
    let Ok(parsed) = url.trim().parse::<Uri>() else { return fault("found no URL") };
    let (Some(scheme @ ("http" | "https")), Some(authority)) =
        (parsed.scheme_str(), parsed.authority())
    else {
        return fault("found neither http nor https, or no host");
    };
    if authority.as_str().contains('@') {
        return fault("a user or password has its place in the variable HTTPS_PROXY");
    }
    if parsed.path() != "/" || parsed.query().is_some() {
        return fault("found more than scheme, host and port");
    }
    Some(format!("{scheme}://{authority}").into())
}

/// The address of a service that is sent secrets, or that hands them out.
pub(super) fn service(url: &str, table: &Table<'_>) -> Option<Box<str>> {
    let parsed = url.trim().parse::<Uri>().ok();
    let parsed = parsed.filter(|url| matches!(url.scheme_str(), Some("http" | "https")));
    let host = parsed.as_ref().and_then(Uri::authority).filter(|host| !host.as_str().contains('@'));
    let (Some(parsed), Some(authority)) = (&parsed, host) else {
        table.fault("url", "must be scheme, host and an optional path");
        return None;
    };
    if parsed.query().is_some() {
        table.fault("url", "must not contain a query");
        return None;
    }
    let host = authority.host();
    if parsed.scheme_str() == Some("http") && !is_local(host) {
        table.warn("url", "plain http beyond this machine: tokens and secrets travel unencrypted");
    }
    Some(url.trim().trim_end_matches('/').into())
}

/// True for this machine and for the addresses that lead no further than the machine's own link.
fn is_local(host: &str) -> bool {
    is_loopback(host) || host.starts_with("169.254.")
}

/// Reads the source of a secret. A value that looks like the secret itself is a fault, which does not repeat it.
pub fn secret(raw: &raw::SecretReference, table: &Table<'_>) -> Option<SecretSource> {
    match (&raw.env, &raw.file) {
        (Some(name), None) => {
            let first = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
            let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if first && letters && (name.len() < 32 || name.contains('_')) {
                return Some(SecretSource::Environment(name.as_str().into()));
            }
            table.fault(
                "env",
                "must be the name of an environment variable, letters, digits and _; not the secret itself",
            );
            None
        }
        (None, Some(path)) if !path.as_os_str().is_empty() => {
            Some(SecretSource::File(path.clone()))
        }
        _ => {
            table.fault_here("must be { env = \"NAME\" } or { file = \"/path\" }");
            None
        }
    }
}
