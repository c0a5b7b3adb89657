//! Sends spans to the collector without holding up a request: a bounded queue, and one thread of the SDK's that empties it.
//!
//! If the collector is slower than the requests, spans are dropped; if it is unreachable, they are lost. Both are
//! counted, and the log says so once until it is over. No redirect is followed: it would carry the headers' secrets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tracing::{info, warn};

use crate::config::TraceSettings;

use super::fault::TraceFault;

/// The most spans that wait; one has about two kilobytes.
const QUEUE: usize = 4_096;

/// The most spans that are sent at once.
const BATCH: usize = 512;

/// After this time they are sent, however few they are.
const EVERY: Duration = Duration::from_secs(1);

/// A collector that takes longer has not got them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name in traces where neither config nor environment gives one.
const NAME: &str = "model-router";

/// Takes spans of requests that have ended.
#[derive(Debug)]
pub(super) struct Queue {
    spans: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    dropped: IntCounter,
    dropping: AtomicBool,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// A header's secret is not there, the registry has another queue, or there is nothing to send with.
    pub(super) fn start(settings: &TraceSettings, registry: &Registry) -> Result<Self, TraceFault> {
        let exporter = exporter(settings)?;
        let options = Opts::new(
            "trace_spans_total",
            "Spans: exported, dropped because the collector is too slow, or failed because it was unreachable or refused them.",
        );
        let spans = IntCounterVec::new(options.namespace("model_router"), &["outcome"])?;
        registry.register(Box::new(spans.clone()))?;
        let count = |outcome| spans.with_label_values(&[outcome]);
        let waiting = Arc::<AtomicUsize>::default();
        let counted = Counted {
            exporter,
            waiting: Arc::clone(&waiting),
            exported: count("exported"),
            failed: count("failed"),
            failing: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let mut spans = BatchSpanProcessor::new(counted, batches);
        spans.set_resource(&resource(settings));
        let (dropped, dropping) = (count("dropped"), AtomicBool::new(false));
        Ok(Self { spans, waiting, dropped, dropping })
    }

    /// Takes the spans of a request, all or none.
    pub(super) fn push(&self, spans: Vec<SpanData>) {
        let (many, order) = (spans.len(), Ordering::Relaxed);
        if self.waiting.fetch_add(many, order) + many > QUEUE {
            self.waiting.fetch_sub(many, order);
            self.dropped.inc_by(u64::try_from(many).unwrap_or(u64::MAX));
            if !self.dropping.swap(true, order) {
                warn!("spans are dropped: the collector is slower than the requests");
            }
            return;
        }
        if self.dropping.swap(false, order) {
            info!("spans are accepted again");
        }
        for span in spans {
            self.spans.on_end(span);
        }
    }

    /// Sends the remaining spans and ends. Blocks for at most this time.
    pub(super) fn close(&self, within: Duration) {
        if self.spans.shutdown_with_timeout(within).is_err() {
            let spans = self.waiting.load(Ordering::Relaxed);
            if spans > 0 {
                warn!(spans, "the last spans are not sent: the collector does not answer");
            }
        }
    }
}

/// The exporter, counted.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    waiting: Arc<AtomicUsize>,
    exported: IntCounter,
    failed: IntCounter,
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let many = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(many, Ordering::Relaxed);
        let many = u64::try_from(many).unwrap_or(u64::MAX);
        match &result {
            Ok(()) => {
                self.exported.inc_by(many);
                if self.failing.swap(false, Ordering::Relaxed) {
                    info!("spans are exported again");
                }
            }
            Err(error) => {
                self.failed.inc_by(many);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    // It names a status or the kind of fault, no address.
                    warn!(%error, "spans cannot be exported; requests are still served");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn exporter(settings: &TraceSettings) -> Result<SpanExporter, TraceFault> {
    let mut headers = HashMap::new();
    for (header, source) in &settings.headers {
        let fault = |fault| TraceFault::Header { header: header.clone(), fault };
        let secret = source.read_header().map_err(fault)?;
        headers.insert(header.to_string(), secret.expose().to_owned());
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client()?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&*settings.endpoint)
        .with_headers(headers);
    exporter.build().map_err(|fault| TraceFault::Exporter(fault.to_string().into()))
}

/// A blocking client for the SDK's thread. It is built in a thread, because a runtime forbids building one.
fn client() -> Result<reqwest::blocking::Client, TraceFault> {
    let make = || {
        let none = reqwest::redirect::Policy::none();
        reqwest::blocking::Client::builder().timeout(PATIENCE).redirect(none).build()
    };
    let made = std::thread::spawn(make).join();
    let made = made.map_err(|_| TraceFault::Exporter("no HTTP client can be made".into()))?;
    made.map_err(|fault| TraceFault::Exporter(fault.to_string().into()))
}

/// The service name: the configured one, else that of OpenTelemetry's variables, else our own.
fn resource(settings: &TraceSettings) -> Resource {
    let name = Key::from_static_str("service.name");
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let found = Resource::builder().with_attribute(version).build();
    let by_environment =
        found.get(&name).filter(|name| !name.as_str().starts_with("unknown_service"));
    let by_config = settings.service_name.as_deref().map(|name| name.to_owned().into());
    let known = by_config.or(by_environment).unwrap_or_else(|| NAME.into());
    let others = found.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes(others)
        .with_attribute(KeyValue::new(name, known))
        .build()
}
