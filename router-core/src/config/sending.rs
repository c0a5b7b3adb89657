//! The table `[limits]` -> the limits of sending.

use std::time::Duration;

use crate::fallback::Hedging;
use crate::fallback::Limits;
use crate::fallback::RetryBudget;
use crate::stored::Unknown;

use super::passthrough;
use super::raw::{self, Raw};
use super::table::Table;

/// Checks `[limits]` and `[stored]`.
pub(super) fn check(raw: &Raw, top: &Table<'_>) -> Limits {
    let unknown_stored = unknown_stored(raw, &top.sub("stored"));
    let objects_endpoint = passthrough::endpoint(raw, &top.sub("passthrough"));
    Limits { unknown_stored, objects_endpoint, ..limits(&raw.limits, &top.sub("limits")) }
}

/// Without keys there is a single caller, so no caller can read another's object.
fn unknown_stored(raw: &Raw, table: &Table<'_>) -> Unknown {
    let written = raw.stored.unknown.as_deref();
    let usual = if raw.keys.is_empty() { Unknown::Ask } else { Unknown::Refuse };
    table.word("unknown", written, "refuse or ask", Unknown::from_word).unwrap_or(usual)
}

fn limits(raw: &raw::Limits, table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let time = |name: &str, value: Option<i64>, default: Duration| {
        table.milliseconds(name, value, 1).unwrap_or(default)
    };
    let mut limits = Limits {
        deadline: time("deadline_ms", raw.deadline_ms, default.deadline),
        connect_timeout: time(
            "connect_timeout_ms",
            raw.connect_timeout_ms,
            default.connect_timeout,
        ),
        connection_max_age: time(
            "connection_max_age_ms",
            raw.connection_max_age_ms,
            default.connection_max_age,
        ),
        idle_timeout: time("idle_timeout_ms", raw.idle_timeout_ms, default.idle_timeout),
        hold: time("hold_ms", raw.hold_ms, default.hold),
        heartbeat: time("heartbeat_ms", raw.heartbeat_ms, default.heartbeat),
        stored_responses: table
            .whole("stored_responses", raw.stored_responses, 0..=100_000_000)
            .unwrap_or(default.stored_responses),
        unknown_stored: default.unknown_stored,
        objects_endpoint: None,
        fault_cooldown: time("fault_cooldown_ms", raw.fault_cooldown_ms, default.fault_cooldown),
        fault_cooldown_max: time(
            "fault_cooldown_max_ms",
            raw.fault_cooldown_max_ms,
            default.fault_cooldown_max,
        ),
        misconfigured_cooldown: time(
            "misconfigured_cooldown_ms",
            raw.misconfigured_cooldown_ms,
            default.misconfigured_cooldown,
        ),
        hedging: hedging(raw, table),
        ..sizes(raw, table)
    };
    waits(raw, table, &mut limits);
    check_pairs(&limits, table);
    limits
}

/// The waits after a 429, and the budget of attempts after faults.
fn waits(raw: &raw::Limits, table: &Table<'_>, limits: &mut Limits) {
    let time = |name: &str, value: Option<i64>, known: &mut Duration| {
        *known = table.milliseconds(name, value, 1).unwrap_or(*known);
    };
    time("provisioned_wait_ms", raw.provisioned_wait_ms, &mut limits.provisioned_wait);
    time("pay_as_you_go_wait_ms", raw.pay_as_you_go_wait_ms, &mut limits.pay_as_you_go_wait);
    time("wait_max_ms", raw.wait_max_ms, &mut limits.wait_max);
    let budget = limits.retry_budget;
    limits.retry_budget = RetryBudget {
        ratio: table
            .number("retry_budget_ratio", raw.retry_budget_ratio, 0.0..=1.0)
            .unwrap_or(budget.ratio),
        per_second: table
            .number("retry_budget_per_second", raw.retry_budget_per_second, 0.0..=1e6)
            .unwrap_or(budget.per_second),
    };
}

/// Checks the size limits of requests and answers; everything else has its default.
fn sizes(raw: &raw::Limits, table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let bytes = |name: &str, value: Option<i64>, default: usize| {
        table.count(name, value, 65_536..=1 << 32).unwrap_or(default)
    };
    let memory = ("response_memory_bytes", raw.response_memory_bytes);
    Limits {
        max_answer_bytes: bytes("max_answer_bytes", raw.max_answer_bytes, default.max_answer_bytes),
        max_event_bytes: bytes("max_event_bytes", raw.max_event_bytes, default.max_event_bytes),
        max_preamble_bytes: bytes(
            "max_preamble_bytes",
            raw.max_preamble_bytes,
            default.max_preamble_bytes,
        ),
        response_memory_bytes: table.count(memory.0, memory.1, 1 << 20..=1 << 40),
        max_messages: table
            .count("max_messages", raw.max_messages, 1..=1_000_000)
            .unwrap_or(default.max_messages),
        ..default
    }
}

fn hedging(raw: &raw::Limits, table: &Table<'_>) -> Option<Hedging> {
    let ratio = table.number("hedge_ratio", raw.hedge_ratio, 0.0..=1.0).unwrap_or(0.05);
    let quantile = table.number("hedge_quantile", raw.hedge_quantile, 0.5..=0.9999)?;
    Some(Hedging { quantile, ratio })
}

/// The pairs of which one must not be above the other.
fn check_pairs(limits: &Limits, table: &Table<'_>) {
    let pairs = [
        (
            "fault_cooldown_ms",
            limits.fault_cooldown,
            "fault_cooldown_max_ms",
            limits.fault_cooldown_max,
        ),
        ("connect_timeout_ms", limits.connect_timeout, "deadline_ms", limits.deadline),
        ("provisioned_wait_ms", limits.provisioned_wait, "wait_max_ms", limits.wait_max),
        ("pay_as_you_go_wait_ms", limits.pay_as_you_go_wait, "wait_max_ms", limits.wait_max),
    ];
    for (name, value, bound_name, bound) in pairs {
        if value > bound {
            let (value, bound) = (value.as_millis(), bound.as_millis());
            table.fault(
                name,
                format!("must be at most limits.{bound_name}, which is {bound}; found {value}"),
            );
        }
    }
}
