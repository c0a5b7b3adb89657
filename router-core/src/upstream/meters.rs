//! Reads the remaining capacity from response headers: utilization of provisioned throughput,
//! quotas of pay-as-you-go.
//!
//! Values that are not numbers, or are negative (which occurs), are ignored.
//!
//! **Source:** Microsoft, "Manage Azure OpenAI quota" for `x-ratelimit-*`; Azure/azure-openai-benchmark for
//! `azure-openai-deployment-utilization`, which the documentation does not name.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::capacity::LimitReading;
use crate::capacity::QuotaReading;

use super::retry_after::duration;

static UTILIZATION: HeaderName = HeaderName::from_static("azure-openai-deployment-utilization");

/// Headers of each limit: its amount, the rest, and the time until it is full again.
static REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Values of the headers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Meters {
    /// Utilization of a provisioned deployment: 1.0 is 100 %.
    pub utilization: Option<f64>,
    /// Rest of a quota.
    pub quota: QuotaReading,
}

impl Meters {
    /// Reads the headers of an answer.
    ///
    /// ```
    /// use router_core::upstream::Meters;
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("azure-openai-deployment-utilization", "50.0%".parse()?);
    /// headers.insert("x-ratelimit-remaining-tokens", "-1".parse()?);
    /// let meters = Meters::read(&headers);
    /// assert_eq!(meters.utilization, Some(0.5));
    /// assert_eq!(meters.quota.tokens.remaining, None);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
        let percent = text(&UTILIZATION)
            .and_then(|value| value.trim_end_matches('%').trim().parse::<f64>().ok())
            .filter(|percent| percent.is_finite() && *percent >= 0.0);
        let limit = |[limit, remaining, reset]: &[HeaderName; 3]| LimitReading {
            limit: text(limit).and_then(|value| value.parse().ok()).filter(|limit| *limit > 0),
            remaining: text(remaining).and_then(|value| value.parse().ok()),
            reset: text(reset)
                .and_then(duration)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        };
        Self {
            utilization: percent.map(|percent| percent / 100.0),
            quota: QuotaReading { requests: limit(&REQUESTS), tokens: limit(&TOKENS) },
        }
    }
}
