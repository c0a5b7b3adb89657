//! The names of the attributes of spans. Those of OpenTelemetry's conventions are listed together, so that a change of the
//! conventions is one edit.
//!
//! **Source:** OpenTelemetry, semantic conventions for generative AI (status: development) and for HTTP, read 2026-11-23.

use opentelemetry::{KeyValue, Value};

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const CACHED_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
pub(super) const ERROR: &str = "error.type";
pub(super) const METHOD: &str = "http.request.method";
pub(super) const STATUS: &str = "http.response.status_code";
pub(super) const ADDRESS: &str = "server.address";
pub(super) const PORT: &str = "server.port";

/// The attributes of one span; unknown values are omitted.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    /// A convention's attribute.
    pub(super) fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(name, value));
    }

    /// The same if it is known.
    pub(super) fn may(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A count; none is as large as to be cut.
    pub(super) fn count(&mut self, name: &'static str, count: u64) {
        self.put(name, i64::try_from(count).unwrap_or(i64::MAX));
    }
}
