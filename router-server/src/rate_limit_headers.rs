//! The remaining rates of a key as response headers, in OpenAI's form: limit, remainder, and time
//! until all of it is available again.
//!
//! Clients slow down by these headers before they are refused. They describe the key only: an
//! upstream's own quota is not forwarded, because a deployment has many callers and a caller many
//! deployments. A stream's head counts its reservation, a complete answer its usage.
//!
//! **Source:** OpenAI, "Rate limits", the headers; durations are written as Go writes them (`1s`, `6m0s`, `20ms`).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use router_core::clock;
use router_core::decision::Moment;
use router_core::ledger::{Allowance, Ledger, Left};
use router_core::stored::Caller;
use tokio::time::Instant;

/// Limit, remaining, reset.
type Names = [HeaderName; 3];

const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Adds the headers of the caller's remaining rates; none if it has no limits.
pub(crate) fn tell(
    headers: &mut HeaderMap,
    ledger: &Ledger,
    caller: &Caller,
    allowance: &Allowance,
) {
    let Some(key) = caller.name() else { return };
    if allowance.requests_per_minute.is_none() && allowance.tokens_per_minute.is_none() {
        return;
    }
    let left = ledger.left(key, allowance, Moment::new(Instant::now(), clock::day(clock::wall())));
    put(headers, REQUESTS, left.requests);
    put(headers, TOKENS, left.tokens);
}

fn put(headers: &mut HeaderMap, [limit, remaining, reset]: Names, left: Option<Left>) {
    let Some(left) = left else { return };
    headers.insert(limit, left.limit.into());
    headers.insert(remaining, left.remaining.into());
    if let Ok(duration) = HeaderValue::try_from(written(left.resets)) {
        headers.insert(reset, duration);
    }
}

/// A duration to the millisecond, rounded up: who waits so long must not come too early.
fn written(duration: Duration) -> String {
    let ms = duration.as_micros().div_ceil(1_000);
    if (1..1_000).contains(&ms) {
        return format!("{ms}ms");
    }
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let minutes = if minutes > 0 { format!("{minutes}m") } else { String::new() };
    let fraction = format!("{:03}", rest % 1_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{minutes}{}{point}{fraction}s", rest / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        for (micros, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (20_000, "20ms"),
            (999_001, "1s"),
            (1_000_000, "1s"),
            (8_640_000, "8.64s"),
            (59_999_000, "59.999s"),
            (60_000_000, "1m0s"),
            (60_010_000, "1m0.01s"),
            (360_000_000, "6m0s"),
        ] {
            assert_eq!(written(Duration::from_micros(micros)), expected);
        }
    }
}
