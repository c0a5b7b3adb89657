//! The checked configuration of a server.

use std::path::PathBuf;

use router_core::config::{ConfigFaults, Layers};
use router_core::units::Day;

use super::identity_providers::IdentityProvider;
use super::notify_table::NotifySettings;
use super::request_log_table::RequestLog;
use super::server_table::Server;
use super::tables::{Settings, Tables};
use super::traces_table::TraceSettings;

/// A configuration without faults: the router's and the server's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The configuration of the router.
    pub router: router_core::Config,
    /// The HTTP server.
    pub server: Server,
    /// The file that has a line for each request; `None` if there is none.
    pub request_log: Option<RequestLog>,
    /// Issuers of tokens that callers may show in place of a key.
    pub identity_providers: Vec<IdentityProvider>,
    /// Collector of spans; `None` if none is configured.
    pub traces: Option<TraceSettings>,
    /// Receiver of budget notices; `None` if none is configured.
    pub notify: Option<NotifySettings>,
}

impl Config {
    /// Reads and checks these files under the environment of this process.
    ///
    /// # Errors
    /// Every fault there is, each with its file and key.
    pub fn load(files: &[PathBuf], today: Day) -> Result<Self, ConfigFaults> {
        Self::of_layers(&Layers::of_process(files, today))
    }

    /// Reads and checks these layers.
    ///
    /// # Errors
    /// Every fault of every layer, in the order of the layers and then of the tables.
    pub fn of_layers(layers: &Layers) -> Result<Self, ConfigFaults> {
        let (router, settings) = layers.check_with::<Tables>()?;
        Ok(Self::of(router, settings))
    }

    /// Reads and checks a text in TOML over the shipped model records, without files or environment.
    ///
    /// # Errors
    /// Every fault there is, each with its key.
    pub fn from_toml(text: &str, today: Day) -> Result<Self, ConfigFaults> {
        let (router, settings) = router_core::Config::from_toml_with::<Tables>(text, today)?;
        Ok(Self::of(router, settings))
    }

    fn of(router: router_core::Config, settings: Settings) -> Self {
        let Settings { server, request_log, identity_providers, notify, traces } = settings;
        Self { router, server, request_log, identity_providers, traces, notify }
    }

    /// True if it may listen at its address: callers show keys, or are on this machine, or need none by config.
    pub fn may_listen(&self) -> bool {
        !self.router.keys.is_empty() || self.server.may_listen(self.server.listen)
    }

    /// The files besides the configuration's own that are read when a server is built: secrets, the scorer's model,
    /// certificates and their key. When one changes, a server built again differs.
    pub(crate) fn other_files(&self) -> Vec<PathBuf> {
        let issuers = self.identity_providers.iter();
        let issuers = issuers.filter_map(|provider| provider.reach.ca_file.clone());
        let tls = self.server.tls.iter().flat_map(|tls| {
            [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten()
        });
        self.router.other_files().into_iter().chain(issuers).chain(tls.cloned()).collect()
    }
}
