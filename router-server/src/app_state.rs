//! The state that all handlers share under one configuration. A reload creates another;
//! [`ServerState`] outlives it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use prometheus::Registry;
use router_core::memory;
use router_core::router::ModelRouter;

use crate::budgets::Budgets;
use crate::config::Config;
use crate::config::CorsOrigins;
use crate::config::Expose;
use crate::config::Hosts;
use crate::config::RequestLines;
use crate::keyring::Keyring;
use crate::server_state::Permit;
use crate::server_state::ServerState;
use crate::tokens::IdentityProviders;

/// One running server under one configuration, seen from its handlers.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) router: ModelRouter,
    pub(crate) registry: Registry,
    pub(crate) expose: Expose,
    /// The requests that have a log line.
    pub(crate) request_lines: RequestLines,
    pub(crate) max_body_bytes: usize,
    /// The slowest rate at which a body may arrive, in bytes per second.
    pub(crate) min_upload_bytes_per_second: usize,
    /// Concurrent requests of a key that sets no limit of its own; `None`: as many as the router.
    pub(crate) share: Option<u64>,
    /// Address listened at, which `Host` may name if callers show no key.
    pub(crate) listen: SocketAddr,
    /// Further names that `Host` may hold.
    pub(crate) hosts: Hosts,
    /// Web origins that may call from a browser.
    pub(crate) cors: CorsOrigins,
    /// The paths that are passed through, without a slash before.
    pub(crate) passthrough: Vec<Arc<str>>,
    /// Collections of stored objects that are passed through.
    pub(crate) objects: Vec<Arc<str>>,
    /// Since when the server runs, in seconds since 1970: what model lists give as the day of making.
    pub(crate) since: u64,
    /// Keys.
    pub(crate) keyring: Keyring,
    /// Issuers of tokens that stand for keys.
    pub(crate) identities: IdentityProviders,
    /// The budgets of keys and teams.
    pub(crate) budgets: Budgets,
    /// State that outlives the configuration.
    pub(crate) process: Arc<ServerState>,
    max_in_flight: usize,
}

impl AppState {
    pub(crate) fn new(router: ModelRouter, config: &Config, process: &Arc<ServerState>) -> Self {
        let server = &config.server;
        let body_memory = server.body_memory_bytes.unwrap_or_else(memory::default_budget);
        let bounds = &process.bounds;
        bounds.bodies.resize(body_memory);
        bounds.responses.get_or_init(|| Arc::clone(router.response_memory()));
        bounds.slots.most.store(server.max_in_flight, Ordering::Relaxed);
        // A key that is alone takes nothing from others.
        let half = u64::try_from(server.max_in_flight.div_ceil(2)).ok();
        let share = half.filter(|_| config.router.keys.len() > 1);
        Self {
            router,
            registry: process.registry.clone(),
            expose: server.expose,
            request_lines: server.request_lines,
            max_body_bytes: server.max_body_bytes,
            min_upload_bytes_per_second: server.min_upload_bytes_per_second,
            share,
            listen: server.listen,
            hosts: server.hosts.clone(),
            cors: server.cors.clone(),
            passthrough: config.router.passthrough.clone(),
            objects: config.router.objects.clone(),
            since: process.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            keyring: Keyring::new(&config.router.keys),
            identities: IdentityProviders::renewed(
                &config.identity_providers,
                config.router.limits.connections(),
                &process.issuers,
            ),
            budgets: Budgets::new(&config.router.keys),
            process: Arc::clone(process),
            max_in_flight: server.max_in_flight,
        }
    }

    /// Room for one more request, held until it is dropped; `None` if as many as config allows are under way.
    pub(crate) fn admit(&self) -> Option<Permit> {
        self.process.admit(self.max_in_flight)
    }

    /// True if one more request has room now; the room is not taken.
    pub(crate) fn has_room(&self) -> bool {
        self.process.has_room(self.max_in_flight)
    }

    pub(crate) fn draining(&self) -> bool {
        self.process.draining()
    }
}
