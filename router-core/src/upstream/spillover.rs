//! Detects Azure's native spillover from the headers of an answer.
//!
//! A provisioned deployment may be set up to send calls that it has no capacity for to a standard
//! deployment of the same resource. Such an answer is billed by the token although we called the
//! provisioned deployment, and it shows, like a 429, that the deployment is full.
//!
//! **Source:** Microsoft, "Manage traffic with spillover for provisioned deployments" (2026-03): `x-ms-spillover-from-deployment`;
//! its page of 2025-10 has the deployment's name in the header's own: `x-ms-spillover-from-<deployment>`.

use http::HeaderMap;

/// The prefix of the header that names the full deployment.
const FROM: &str = "x-ms-spillover-from";
/// A flag that some answers carry in addition.
const IS_SPILLED: &str = "x-ms-is-spilled-over";

/// True if another deployment than the one asked has answered.
///
/// ```
/// use router_core::upstream::spilled_over;
/// let mut headers = http::HeaderMap::new();
/// assert!(!spilled_over(&headers));
/// headers.insert("x-ms-spillover-from-gpt-4o-ptu", "true".parse()?);
/// assert!(spilled_over(&headers));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn spilled_over(headers: &HeaderMap) -> bool {
    let flag = headers.get(IS_SPILLED).is_some_and(|value| {
        let value = value.as_bytes();
        value.eq_ignore_ascii_case(b"true") || value == b"1"
    });
    flag || headers.keys().any(|name| name.as_str().starts_with(FROM))
}
