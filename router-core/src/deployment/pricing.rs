//! What did an answer cost? Usage and prices -> dollars.
//!
//! A provisioned deployment is paid by the hour, so its answer costs nothing more: zero at the margin. A price that is
//! not known gives no cost rather than zero, which would look like a gift.

use crate::chat::Usage;
use crate::units::Usd;

use super::catalog::{Billing, Deployment};
use super::residency::Area;

/// What the usage costs on this deployment; `None` where no price is known.
pub fn marginal_cost(deployment: &Deployment, usage: &Usage) -> Option<Usd> {
    match &deployment.billing {
        Billing::Provisioned(_) => Some(Usd::ZERO),
        Billing::PayAsYouGo(_) => pay_as_you_go_cost(deployment, usage),
    }
}

/// What the usage costs, or would cost, on pay-as-you-go; `None` where no price is known.
pub fn pay_as_you_go_cost(deployment: &Deployment, usage: &Usage) -> Option<Usd> {
    let prices = deployment.model.prices.as_ref()?;
    let long = prices.long_context.filter(|long| usage.prompt > long.above);
    let input = long.map_or(prices.input, |long| long.input);
    let cached = long.map_or(prices.cached_input.unwrap_or(input), |long| long.cached_input);
    let output = long.map_or(prices.output, |long| long.output);
    let written = usage.cache_write.min(usage.prompt.saturating_sub(usage.cached));
    let plain = usage.prompt.saturating_sub(usage.cached).saturating_sub(written);
    let write = long.map_or(prices.cache_write, |long| long.cache_write).unwrap_or(input);
    let sum =
        input.of(plain) + cached.of(usage.cached) + write.of(written) + output.of(usage.completion);
    Some(match deployment.area {
        Area::Zone(_) => sum.scaled(prices.data_zone_factor),
        Area::Global | Area::Geography(_) | Area::Region(_) => sum,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::deployment::Budget;
    use crate::deployment::sample;
    use crate::model::LongContext;
    use crate::units::Tokens;
    use crate::units::UsdPerMillionTokens;

    fn usage(prompt: u64, cached: u64, completion: u64) -> Usage {
        Usage {
            prompt: Tokens(prompt),
            cached: Tokens(cached),
            completion: Tokens(completion),
            ..Usage::default()
        }
    }

    fn price(dollars: f64) -> UsdPerMillionTokens {
        UsdPerMillionTokens::try_new(dollars).unwrap()
    }

    #[test]
    fn cached_tokens_cost_their_own_price_and_zones_their_factor() {
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        let cost = pay_as_you_go_cost(&deployment, &usage(1_000, 400, 100)).unwrap();
        assert_eq!(cost.to_string(), "0.003000"); // 600 * 2.5 + 400 * 1.25 + 100 * 10, in millionths
        deployment.area = Area::Zone("eu");
        let cost = pay_as_you_go_cost(&deployment, &usage(1_000, 400, 100)).unwrap();
        assert_eq!(cost.to_string(), "0.003300");
    }

    #[test]
    fn long_prompts_pay_their_tariff_for_the_whole_request() {
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        let model = Arc::make_mut(&mut deployment.model);
        model.prices.as_mut().unwrap().long_context = Some(LongContext {
            above: Tokens(1_000),
            input: price(5.0),
            cached_input: price(2.5),
            cache_write: None,
            output: price(15.0),
        });
        let below = pay_as_you_go_cost(&deployment, &usage(1_000, 0, 0)).unwrap();
        let above = pay_as_you_go_cost(&deployment, &usage(1_001, 0, 100)).unwrap();
        assert_eq!(below.to_string(), "0.002500");
        assert_eq!(above.to_string(), "0.006505");
    }

    #[test]
    fn provisioned_is_free_at_the_margin_and_an_unknown_price_is_no_price() {
        let ptu = sample::provisioned("ptu", "gpt-4o", 50.0);
        assert_eq!(marginal_cost(&ptu, &usage(9, 0, 9)), Some(Usd::ZERO));
        let mut payg = sample::pay_as_you_go("payg", "gpt-4o");
        Arc::make_mut(&mut payg.model).prices = None;
        payg.billing = Billing::PayAsYouGo(Budget::default());
        assert_eq!(marginal_cost(&payg, &usage(9, 0, 9)), None);
    }
}
