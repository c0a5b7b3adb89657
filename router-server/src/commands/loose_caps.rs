//! Finds in the request log that callers reserve far more of provisioned deployments than their answers use.
//!
//! `check` alone looks at it, and only where configuration leaves reservations as callers ask. A log that is missing or
//! cannot be read gives no advice: other checks report that.

use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use router_core::capacity::Reserve;
use router_core::log_line::LoggedRequest;

use crate::config::Config;

/// Bytes read from the end of the log.
const READ_BYTES: u64 = 8 << 20;

/// With fewer answers nothing is said of callers' habits.
const LEAST_ANSWERS: u64 = 200;

/// From this ratio of reserved to used tokens of answers on, learned caps are worth it.
const LOOSE: u64 = 4;

/// The advice, if there is one.
pub(super) fn advice(config: &Config) -> Option<String> {
    let capacity = &config.router.capacity;
    let asked = match capacity.reserve {
        Some(Reserve::Learned) => false,
        Some(Reserve::Asked) => true,
        // By default it is learned only if no request may spill.
        None => config.router.catalog.deployments().iter().any(|one| !one.billing.is_provisioned()),
    };
    let log = config.request_log.as_ref().filter(|_| asked)?;
    found_in(&end_of(&log.path)?, capacity.missing_output.0)
}

/// The last lines of a file; `None` if it cannot be read.
fn end_of(path: &Path) -> Option<String> {
    // Opening a pipe would wait for its writer.
    let length = fs::metadata(path).ok().filter(Metadata::is_file)?.len();
    let mut file = File::open(path).ok()?;
    let from = length.saturating_sub(READ_BYTES);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Caps in the log; `missing` tokens are reserved for a request without one.
fn found_in(log: &str, missing: u64) -> Option<String> {
    // A first line that was cut off is not JSON.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<LoggedRequest>(line).ok());
    let (mut answers, mut reserved, mut used) = (0_u64, 0_u64, 0_u64);
    for request in lines {
        let outcome = &request.outcome;
        let provisioned = outcome.billing.as_deref() == Some("provisioned");
        // A learned cap is never sent with a stream.
        if !provisioned || request.streamed == Some(true) {
            continue;
        }
        let Some(completion) = outcome.completion_tokens else { continue };
        answers += 1;
        reserved = reserved.saturating_add(request.max_tokens.unwrap_or(missing));
        used = used.saturating_add(completion);
    }
    let ratio = reserved / used.max(1);
    (answers >= LEAST_ANSWERS && ratio >= LOOSE).then(|| {
        format!(
            "capacity.reserve: the caps of {answers} answers in the request log reserved {ratio} times the tokens \
             that they used: set \"learned\" to send tighter caps unseen"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: usize, more: &str) -> String {
        let line = format!("{{\"at_unix_ms\":1,\"billing\":\"provisioned\"{more}}}\n");
        format!("cut off at the start\":1}}\n{}", line.repeat(count))
    }

    #[test]
    fn loose_caps_and_missing_ones_are_found_and_tight_ones_are_not() {
        let loose = "reserved 20 times";
        for (count, more, expected) in [
            (300, ",\"completion_tokens\":200", Some(loose)),
            (300, ",\"completion_tokens\":100,\"max_tokens\":2000", Some(loose)),
            (300, ",\"completion_tokens\":100,\"max_tokens\":300", None),
            (199, ",\"completion_tokens\":100,\"max_tokens\":2000", None),
            (300, ",\"completion_tokens\":100,\"max_tokens\":2000,\"streamed\":true", None),
            (300, ",\"max_tokens\":2000", None),
        ] {
            let found = found_in(&log(count, more), 4_096);
            let matches = match expected {
                Some(words) => found.as_deref().is_some_and(|text| text.contains(words)),
                None => found.is_none(),
            };
            assert!(matches, "{more}: {found:?}");
        }
        let elsewhere =
            log(300, ",\"completion_tokens\":9").replace("provisioned", "pay_as_you_go");
        assert_eq!(found_in(&elsewhere, 4_096), None);
    }
}
