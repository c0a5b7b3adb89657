//! The lower bound of the cost: what an all-knowing policy would still send to pay-as-you-go.
//!
//! A PTU serves at most rate x (span + window) normalized tokens: it drains for the span, and what
//! fills it at the end need not have drained. The calls that save most dollars per normalized token
//! come first, and the last one may be served in part. The bound ignores when calls arrive and that
//! an answer's length is unknown beforehand, so no policy reaches it; [`all_knowing`] shows how
//! close one could come.

use super::stage::Stage;

/// Cost of all calls on pay-as-you-go, in dollars.
pub fn all_pay_as_you_go(stage: &Stage) -> f64 {
    stage.calls.iter().map(|call| stage.price(call)).sum()
}

/// The least that can be paid beside the PTUs, in dollars.
pub fn bound(stage: &Stage) -> f64 {
    let mut unserved = 0.0;
    for pool in &stage.pools {
        let mut room: f64 = pool
            .tanks
            .iter()
            .map(|tank| tank.rate() * (stage.span + tank.settings.window).as_secs_f64())
            .sum();
        let own = stage.calls.iter().filter(|call| call.task == pool.task);
        let mut offers: Vec<(f64, f64)> = own
            .map(|call| {
                let usage = call.usage(call.output);
                (pool.price(&usage), pool.normalized(&usage))
            })
            .filter(|(_, tokens)| *tokens > 0.0)
            .collect();
        offers.sort_by(|(usd, tokens), (other_usd, other_tokens)| {
            (other_usd / other_tokens).total_cmp(&(usd / tokens))
        });
        for (dollars, tokens) in offers {
            let served = (room / tokens).min(1.0);
            room -= served * tokens;
            unserved += (1.0 - served) * dollars;
        }
    }
    unserved
}

/// Longest delay under the omniscient policy.
const HELD_SECONDS: f64 = 0.5;

/// The cost in dollars of a policy that knows each answer's length beforehand and reserves no more: calls come when they
/// come, each enters if the level lets it within half a second, and only what drains from an empty bucket is lost. About the
/// best that can be done with these calls, and a truer measure than [`bound`] where they come in bursts or waves.
pub fn all_knowing(stage: &Stage) -> f64 {
    let mut paid = 0.0;
    for pool in &stage.pools {
        let rate = pool.rate();
        let room: f64 =
            pool.tanks.iter().map(|tank| tank.rate() * tank.settings.window.as_secs_f64()).sum();
        let (mut level, mut at) = (0.0_f64, 0.0);
        for call in stage.calls.iter().filter(|call| call.task == pool.task) {
            let now = call.at.as_secs_f64();
            level = rate.mul_add(at - now, level).max(0.0);
            at = now;
            if rate > 0.0 && level <= rate.mul_add(HELD_SECONDS, room) {
                level += pool.normalized(&call.usage(call.output));
            } else {
                paid += pool.price(&call.usage(call.output));
            }
        }
    }
    paid
}
