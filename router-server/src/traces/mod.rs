//! Spans of requests for an OpenTelemetry collector: one a request, one below it for each attempt. The door of the room.
//!
//! They are made when a request has ended, of its record; before it begins only its ids are drawn, so that an upstream can
//! hang its own spans below the attempt's. Built with the feature `otel` alone.

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
