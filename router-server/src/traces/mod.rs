//! Spans of requests for an OpenTelemetry collector: one per request, and a child span per attempt.
//! The module root.
//!
//! Spans are created from a request's record when it has ended. Before that only their ids are
//! drawn, so that upstreams can attach their own spans to an attempt. Built only with the feature
//! `otel`.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod attributes;
#[cfg(feature = "otel")]
mod environment;
#[cfg(feature = "otel")]
mod export;
mod fault;
#[cfg(feature = "otel")]
mod spans;
#[cfg(feature = "otel")]
mod tracer;

#[cfg(not(feature = "otel"))]
pub(crate) use absent::Tracer;
pub use fault::TraceFault;
#[cfg(feature = "otel")]
pub(crate) use tracer::Tracer;
