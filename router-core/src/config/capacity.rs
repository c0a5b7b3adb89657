//! The table `[capacity]` -> capacity settings.

use std::time::Duration;

use crate::capacity::QueueOrder;
use crate::capacity::Reserve;
use crate::capacity::Settings;
use crate::units::Tokens;

use super::raw;
use super::table::Table;

/// Checks `[capacity]`.
pub(super) fn check(raw: &raw::Capacity, table: &Table<'_>) -> Settings {
    let default = Settings::default();
    let time = |name: &str, value: Option<i64>, least: i64, default: Duration| {
        table.milliseconds(name, value, least).unwrap_or(default)
    };
    let ratio = |name: &str, value: Option<f64>, default: f64| {
        table.number(name, value, 0.0..=1.0).unwrap_or(default)
    };
    let many = |name: &str, value: Option<i64>, default: u64| {
        table.whole(name, value, 1..=10_000_000).unwrap_or(default)
    };
    let samples = table.count("learned_samples", raw.learned_samples, 1..=10_000);
    let words = "asked or learned";
    let orders = "fair, controlled_delay or first_come";
    Settings {
        max_wait: time("max_wait_ms", raw.max_wait_ms, 0, default.max_wait),
        bound_wait: table.milliseconds("bound_wait_ms", raw.bound_wait_ms, 0),
        queue_max: table
            .count("queue_max", raw.queue_max, 0..=1_000_000)
            .unwrap_or(default.queue_max),
        queue_order: table
            .word("queue_order", raw.queue_order.as_deref(), orders, QueueOrder::from_word)
            .unwrap_or_default(),
        batch_limit: ratio("batch_limit_ratio", raw.batch_limit_ratio, default.batch_limit),
        reserve: table.word("reserve", raw.reserve.as_deref(), words, Reserve::from_word),
        learned_quantile: table
            .number("learned_quantile", raw.learned_quantile, 0.5..=0.9999)
            .unwrap_or(default.learned_quantile),
        learned_samples: samples
            .and_then(|samples| u32::try_from(samples).ok())
            .map_or(default.learned_samples, f64::from),
        callers_max: many("callers_max", raw.callers_max, default.callers_max),
        missing_output: table
            .whole("missing_output_tokens", raw.missing_output_tokens, 1..=1_000_000)
            .map_or(default.missing_output, Tokens),
        cached_discount: ratio(
            "cached_discount_ratio",
            raw.cached_discount_ratio,
            default.cached_discount,
        ),
        affinity: time("affinity_ms", raw.affinity_ms, 0, default.affinity),
        conversations_max: many(
            "conversations_max",
            raw.conversations_max,
            default.conversations_max,
        ),
        ramp: time("ramp_ms", raw.ramp_ms, 0, default.ramp),
    }
}
