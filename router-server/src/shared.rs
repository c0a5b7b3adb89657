//! What all handlers of one running server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use router_core::config::{Config, Expose};
use router_core::router::ModelRouter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keyring::Keyring;

/// One running server, seen from its handlers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) router: ModelRouter,
    pub(crate) registry: Registry,
    pub(crate) expose: Expose,
    pub(crate) max_body_bytes: usize,
    /// The paths that are passed through, without a slash before.
    pub(crate) passthrough: Vec<Arc<str>>,
    /// Since when it runs, in seconds since 1970: what model lists give as the day of making.
    pub(crate) since: u64,
    /// Who may come in.
    pub(crate) keyring: Keyring,
    room: Arc<Semaphore>,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        router: ModelRouter,
        registry: Registry,
        config: &Config,
        wall: SystemTime,
    ) -> Self {
        let server = &config.server;
        Self {
            router,
            registry,
            expose: server.expose,
            max_body_bytes: server.max_body_bytes,
            passthrough: config.passthrough.clone(),
            since: wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            keyring: Keyring::new(&config.keys),
            room: Arc::new(Semaphore::new(server.max_in_flight.min(Semaphore::MAX_PERMITS))),
            draining: AtomicBool::new(false),
        }
    }

    /// Room for one more request, held until it is dropped; `None` where as many as config allows are under way.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// From now on readiness is false.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
