//! Reads the remaining capacity from response headers: utilization of provisioned throughput,
//! quotas of pay-as-you-go.
//!
//! Values that are not numbers, or are negative (which occurs), are ignored.
//!
//! **Source:** Microsoft, "Manage Azure OpenAI quota" for `x-ratelimit-*`; Azure/azure-openai-benchmark for
//! `azure-openai-deployment-utilization`, which the documentation does not name.

use std::time::Duration;

use http::HeaderMap;

use crate::capacity::LimitReading;
use crate::capacity::QuotaReading;

use super::retry_after::duration;

const UTILIZATION: &str = "azure-openai-deployment-utilization";

/// Reads one value of a limit; of a header that is sent twice, the first value counts.
type Set = fn(&mut LimitReading, &str);

/// Prefixes of a limit's headers: its amount, the rest, and the time until it is full again.
const KINDS: [(&str, Set); 3] = [
    ("x-ratelimit-limit-", |reading, text| {
        let limit = text.parse::<u64>().ok().filter(|limit| *limit > 0);
        reading.limit = reading.limit.or(limit);
    }),
    ("x-ratelimit-remaining-", |reading, text| {
        reading.remaining = reading.remaining.or(text.parse().ok());
    }),
    ("x-ratelimit-reset-", |reading, text| {
        let reset = duration(text).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        reading.reset = reading.reset.or(reset);
    }),
];

fn share(text: &str) -> Option<f64> {
    let percent = text.trim_end_matches('%').trim().parse::<f64>().ok();
    let percent = percent.filter(|percent| percent.is_finite() && *percent >= 0.0);
    percent.map(|percent| percent / 100.0)
}

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
        let mut meters = Self::default();
        // One walk over what came, rather than one search for each name that might have.
        for (name, value) in headers {
            let name = name.as_str();
            if !(name.starts_with("x-ratelimit-") || name == UTILIZATION) {
                continue;
            }
            let Ok(text) = value.to_str().map(str::trim) else { continue };
            if name == UTILIZATION {
                meters.utilization = meters.utilization.or(share(text));
                continue;
            }
            for (start, set) in KINDS {
                let reading = match name.strip_prefix(start) {
                    Some("requests") => &mut meters.quota.requests,
                    Some("tokens") => &mut meters.quota.tokens,
                    Some(_) | None => continue,
                };
                set(reading, text);
            }
        }
        meters
    }
}
