//! Begins the span of a request before it is routed, and creates its spans when it has ended.
//!
//! The tracer is an observer like the request log. It outlives configurations and receives each request once. Without
//! `[traces]` it does not exist and costs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, Uri};
use opentelemetry::InstrumentationScope;
use prometheus::Registry;
use router_core::deployment::EndpointName;
use router_core::record::{Observer, RequestRecord};
use router_core::router::ModelRouter;
use router_core::trace::RequestSpan;

use crate::config::Config;

use super::environment;
use super::export::Queue;
use super::fault::TraceFault;
use super::spans::spans_of;

/// The time that the end of the process waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Host and port of each endpoint.
pub(super) type Places = BTreeMap<EndpointName, (Box<str>, u16)>;

/// Makes spans of requests.
#[derive(Debug)]
pub(crate) struct Tracer {
    queue: Queue,
    sample_ratio: f64,
    places: RwLock<Arc<Places>>,
    scope: InstrumentationScope,
}

impl Tracer {
    /// One as config says, else as the environment does; `None` if neither names a collector.
    ///
    /// # Errors
    /// There is nothing to send with, or the environment says what cannot be.
    pub(crate) fn start(
        config: &Config,
        registry: &Registry,
    ) -> Result<Option<Arc<Self>>, TraceFault> {
        let settings = match &config.traces {
            Some(settings) => Some(settings.clone()),
            None => environment::settings()?,
        };
        let Some(settings) = settings else { return Ok(None) };
        let queue = Queue::start(&settings, registry)?;
        let scope = InstrumentationScope::builder("router-server")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let (sample_ratio, places) = (settings.sample_ratio, RwLock::default());
        Ok(Some(Arc::new(Self { queue, sample_ratio, places, scope })))
    }

    /// Is told from now on of the requests of this configuration's router.
    pub(crate) fn follow(self: &Arc<Self>, config: &Config, router: &ModelRouter) {
        let places = config.router.endpoints.iter().filter_map(|(name, endpoint)| {
            let uri = endpoint.base.parse::<Uri>().ok()?;
            let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
            Some((name.clone(), (uri.host()?.into(), uri.port_u16().unwrap_or(usual))))
        });
        let places = Arc::new(places.collect());
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = places;
        router.observe(Arc::<Self>::clone(self));
    }

    /// The span of a request with these headers, to be routed with it.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> RequestSpan {
        RequestSpan::begin(headers, |trace| trace.is_among(self.sample_ratio))
    }

    /// Sends the remaining spans, and waits at most this time for a collector that does not answer.
    pub(crate) async fn close(self: Arc<Self>) {
        // A thread of its own: the SDK blocks. A panic in it would have nothing to tell us.
        drop(tokio::task::spawn_blocking(move || self.queue.close(LAST_SPANS)).await);
    }
}

impl Observer for Tracer {
    fn closed(&self, record: &RequestRecord) {
        let Some(span) = record.span.as_ref().filter(|span| span.is_sampled()) else { return };
        let places = Arc::clone(&self.places.read().unwrap_or_else(PoisonError::into_inner));
        self.queue.push(spans_of(record, span, &places, &self.scope));
    }
}
