//! The least that can be paid: what an all-knowing policy would still send to pay-as-you-go.
//!
//! A PTU serves at most rate x (span + window) normalized tokens: it drains for the span, and what fills it at the end
//! need not have drained. The calls that save most dollars for each normalized token come first, and the last one may be
//! served in part. It leaves out when calls come and that an answer's length is not known before, so no policy reaches
//! it.

use super::stage::Stage;

/// What everything costs on pay-as-you-go, in dollars.
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
                let dollars = pool.price(call.prompt, call.output);
                (dollars, pool.normalized(call.prompt, call.output))
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
