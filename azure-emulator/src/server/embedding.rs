//! Embeddings: admitted like everything else, answered at once.

use super::deployed::Refused;
use super::head;
use super::inference::Reached;
use crate::wire::embeddings;
use crate::wire::error::Refusal;
use crate::wire::request::Ask;
use crate::wire::said::Usage;
use axum::body::Body;
use axum::response::Response;
use serde_json::Value;
use tokio::time::Instant;

/// Vectors are never longer than this, whatever is asked for.
const MOST_DIMENSIONS: u64 = 16_384;

/// The answer to a request for embeddings.
pub(crate) fn answer(reached: &Reached) -> Response {
    let inputs = embeddings::inputs(&reached.body);
    if inputs.is_empty() {
        return head::refused(&Refusal::missing("input"));
    }
    let text = |input: &Value| input.as_str().map_or_else(|| input.to_string(), str::to_owned);
    let prompt: String = inputs.iter().map(text).collect();
    let ask = Ask { prompt, cap: Some(0), choices: 1, ..Ask::default() };
    let now = Instant::now();
    let lease = match reached.deployed.admit(now, &ask) {
        Ok(lease) => lease,
        Err(why) => return throttled(reached, why, now),
    };
    let (tokens, _) = lease.prompt();
    let settings = &reached.deployed.settings;
    let asked = reached.body.get("dimensions").and_then(Value::as_u64);
    let dimensions = asked
        .and_then(|asked| usize::try_from(asked.min(MOST_DIMENSIONS)).ok())
        .unwrap_or_else(|| embeddings::default_dimensions(&settings.model));
    let base64 = reached.body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let body = embeddings::body(&settings.served_model, &inputs, dimensions, base64, tokens);
    lease.complete(&Usage::default());
    let mut headers = head::of(reached, head::JSON);
    head::gauge(&mut headers, reached, reached.deployed.gauge(now));
    head::respond(200, headers, Body::from(body.to_string()))
}

fn throttled(reached: &Reached, why: Refused, now: Instant) -> Response {
    head::throttled(reached, why, reached.deployed.gauge(now))
}
