//! The configuration as written, without what a support ticket should not reveal.
//!
//! Hosts, file paths, environment variable names, key hashes, ids and user names are hidden. Hidden
//! values are numbered, and equal values get equal numbers, so the structure stays visible and the
//! result can still be checked. Names that the operator chose (endpoints, deployments, keys,
//! aliases, models) stay, because questions cannot be asked without them.

use std::path::PathBuf;

use http::Uri;

use super::endpoints::is_loopback;
use super::raw::{Endpoint, Identity, Raw, SecretReference};

/// Parts of a host name that stay: they name a public service, not its owner.
const SERVICES: [&str; 3] =
    ["openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"];
const OPENAI: &str = "api.openai.com";
/// Scopes that are everybody's.
const SCOPES: [&str; 2] =
    ["https://ai.azure.com/.default", "https://cognitiveservices.azure.com/.default"];

impl Raw {
    /// Hides hosts, paths of files, names of variables, hashes of keys, ids and users. The program hides those of its tables.
    pub fn redact(&mut self, hide: &mut Hide) {
        self.endpoints.values_mut().for_each(|endpoint| hide.endpoint(endpoint));
        for hash in self.keys.values_mut().filter_map(|key| key.hashes.as_mut()).flatten() {
            let number = hide.number(hash);
            *hash = format!("sha256:{number:064}");
        }
        hide.url(self.replicas.url.as_mut());
        hide.word("user", self.replicas.username.as_mut());
        hide.secret(self.replicas.password.as_mut());
        for tag in self.keys.values_mut().filter_map(|key| key.tags.as_mut()).flatten() {
            hide.word("tag", Some(tag));
        }
        hide.file(self.routing.scorer_model.as_mut());
    }
}

/// Names hidden so far; the position of a name is its number.
#[derive(Debug, Default)]
pub struct Hide(Vec<String>);

impl Hide {
    fn number(&mut self, value: &str) -> usize {
        let known = self.0.iter().position(|known| known == value);
        let at = known.unwrap_or_else(|| {
            self.0.push(value.to_owned());
            self.0.len() - 1
        });
        at + 1
    }

    fn endpoint(&mut self, endpoint: &mut Endpoint) {
        self.url(endpoint.url.as_mut());
        self.secret(endpoint.api_key.as_mut());
        self.secret(endpoint.bearer.as_mut());
        self.file(endpoint.ca_file.as_mut());
        self.url(endpoint.proxy.as_mut().filter(|proxy| *proxy != "none"));
        if let Some(identity) = &mut endpoint.identity {
            self.identity(identity);
        }
    }

    fn identity(&mut self, identity: &mut Identity) {
        self.word("id", identity.tenant_id.as_mut());
        self.word("id", identity.client_id.as_mut());
        self.file(identity.token_file.as_mut());
        self.secret(identity.secret.as_mut());
        self.url(identity.url.as_mut());
        if let Some(scope) = &mut identity.scope
            && !SCOPES.contains(&scope.as_str())
        {
            *scope = format!("api://hidden-{}/.default", self.number(scope));
        }
    }

    /// Hides host, port and path; the scheme stays.
    pub fn url(&mut self, url: Option<&mut String>) {
        let Some(url) = url else { return };
        let parsed = url.trim().parse::<Uri>().ok();
        let parsed = parsed.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?)));
        let Some((scheme, host)) = parsed else {
            return self.word("url", Some(url));
        };
        let host = host.to_ascii_lowercase();
        let under = |whole: &str| host.strip_suffix(whole).is_some_and(|rest| rest.ends_with('.'));
        if is_loopback(&host) || host == OPENAI || under(OPENAI) {
            return;
        }
        let service = SERVICES.into_iter().find(|service| under(service)).unwrap_or("invalid");
        *url = format!("{scheme}://hidden-{}.{service}", self.number(&host));
    }

    /// Hides the name of the variable, or the file.
    pub fn secret(&mut self, secret: Option<&mut SecretReference>) {
        let Some(secret) = secret else { return };
        if let Some(name) = &mut secret.env {
            *name = format!("HIDDEN_{}", self.number(name));
        }
        self.file(secret.file.as_mut());
    }

    /// Hides the whole path.
    pub fn file(&mut self, path: Option<&mut PathBuf>) {
        let Some(path) = path else { return };
        *path = format!("/hidden/{}", self.number(&path.to_string_lossy())).into();
    }

    /// Hides the whole word.
    pub fn word(&mut self, kind: &str, word: Option<&mut String>) {
        let Some(word) = word else { return };
        *word = format!("hidden-{kind}-{}", self.number(word));
    }
}
