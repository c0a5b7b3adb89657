//! Lists the tables that the server adds to the configuration, and checks each.

use std::collections::BTreeMap;

use router_core::config::raw::Raw;
use router_core::config::{Hide, Key, ProgramTables, Table};
use router_core::upstream::SecretSource;
use serde::{Deserialize, Serialize};

use super::identity_providers::{self, IdentityProvider};
use super::notify_table::{self, NotifySettings};
use super::raw_identity_providers::IdentityProvider as RawProvider;
use super::raw_notify::Notify;
use super::raw_request_log::RequestLog as RawRequestLog;
use super::raw_server::Server as RawServer;
use super::raw_traces::Traces;
use super::request_log_table::{self, RequestLog};
use super::server_table::{self, Server};
use super::traces_table::{self, TraceSettings};

/// The tables of the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tables {
    /// The HTTP server.
    pub(crate) server: RawServer,
    /// The file that has a line for each request.
    pub(crate) request_log: RawRequestLog,
    /// Issuers of tokens that callers may show in place of a key.
    pub(crate) identity_providers: BTreeMap<String, RawProvider>,
    /// Receiver of budget notices.
    pub(crate) notify: Notify,
    /// The collector to which spans of requests go.
    pub(crate) traces: Traces,
}

/// The checked tables of the server.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) server: Server,
    pub(super) request_log: Option<RequestLog>,
    pub(super) identity_providers: Vec<IdentityProvider>,
    pub(super) notify: Option<NotifySettings>,
    pub(super) traces: Option<TraceSettings>,
}

impl ProgramTables for Tables {
    type Settings = Settings;

    fn check(&self, router: &Raw, top: &Table<'_>) -> Settings {
        let keys = &router.keys;
        let providers = top.sub("identity_providers");
        Settings {
            server: server_table::check(self, !keys.is_empty(), &top.sub("server")),
            request_log: request_log_table::check(&self.request_log, &top.sub("request_log")),
            identity_providers: identity_providers::check(
                &self.identity_providers,
                keys,
                &providers,
            ),
            traces: traces_table::check(&self.traces, &top.sub("traces")),
            notify: notify_table::check(&self.notify, &top.sub("notify")),
        }
    }

    fn needs_no_hash(&self, key: &str) -> bool {
        identity_providers::is_granted(key, &self.identity_providers)
    }

    fn secrets(settings: &Settings) -> Vec<(Key, SecretSource)> {
        let key =
            |path: &[&str]| Key::from(path.iter().map(ToString::to_string).collect::<Vec<_>>());
        let signing = settings.notify.iter().map(|notify| notify.secret.clone());
        let signing = signing.map(|source| (key(&["notify", "secret"]), source));
        let headers = settings.traces.iter().flat_map(|traces| &traces.headers);
        let headers = headers
            .map(|(name, source)| (key(&["traces", "headers", name.as_str()]), source.clone()));
        signing.chain(headers).collect()
    }
}

impl Tables {
    /// Hides hosts, paths of files, names of variables, ids and claims.
    pub(super) fn redact(&mut self, hide: &mut Hide) {
        for provider in self.identity_providers.values_mut() {
            hide.url(provider.issuer.as_mut());
            hide.url(provider.jwks_url.as_mut());
            hide.file(provider.ca_file.as_mut());
            for audience in provider.audiences.iter_mut().flatten() {
                hide.word("audience", Some(audience));
            }
            for grant in provider.grants.iter_mut().flatten() {
                grant.claims.values_mut().for_each(|value| hide.word("claim", Some(value)));
            }
        }
        hide.url(self.notify.url.as_mut());
        hide.secret(self.notify.secret.as_mut());
        hide.url(self.traces.endpoint.as_mut());
        self.traces.headers.values_mut().for_each(|source| hide.secret(Some(source)));
        hide.word("service", self.traces.service_name.as_mut());
        if let Some(tls) = &mut self.server.tls {
            hide.file(tls.certificate.as_mut());
            hide.file(tls.key.as_mut());
            hide.file(tls.client_ca.as_mut());
        }
        hide.file(self.server.state_dir.as_mut());
        for host in self.server.hosts.iter_mut().flatten().filter(|host| *host != "*") {
            hide.word("host", Some(host));
        }
        for origin in self.server.cors_origins.iter_mut().flatten().filter(|origin| *origin != "*")
        {
            hide.url(Some(origin));
        }
        hide.file(self.request_log.path.as_mut());
    }
}
