//! Computes the cost of an answer from its usage: tokens at the prices of their service tier, and
//! calls of hosted tools.
//!
//! Tokens of a provisioned deployment are paid by the hour, so their marginal cost is zero. An
//! unknown price gives no cost, never zero and never another tier's price. A hosted tool without a
//! price makes the cost a lower bound ([`is_at_least`]).

use crate::chat::Usage;
use crate::model::Rates;
use crate::units::Usd;

use super::catalog::{Billing, Deployment};
use super::hosted_tools;
use super::residency::Area;

/// Cost of the usage on this deployment; `None` if no price is known.
pub fn marginal_cost(deployment: &Deployment, usage: &Usage) -> Option<Usd> {
    match &deployment.billing {
        // Hosted tools are billed by the call at any deployment.
        Billing::Provisioned(_) => Some(hosted_tools::cost(deployment, &usage.hosted).known),
        Billing::PayAsYouGo(_) => pay_as_you_go_cost(deployment, usage),
    }
}

/// Cost of the usage on pay-as-you-go, actual or hypothetical; `None` if no price is known.
pub fn pay_as_you_go_cost(deployment: &Deployment, usage: &Usage) -> Option<Usd> {
    let prices = deployment.prices()?;
    let rates = prices.rates(usage.tier)?;
    // A tier whose tariff for long prompts is not known has no price for them.
    let long = prices.standard.long_context.is_some_and(|long| usage.prompt > long.above);
    if long && rates.long_context.is_none() {
        return None;
    }
    let sum = of_tokens(rates, usage);
    let zone = match deployment.area {
        Area::Zone(_) => prices.data_zone_factor,
        Area::Global | Area::Geography(_) | Area::Region(_) => 1.0,
    };
    // Discounts of contracts are on tokens.
    let sum = sum.scaled(zone * deployment.price.factor);
    Some(sum + hosted_tools::cost(deployment, &usage.hosted).known)
}

/// True if the usage includes hosted tool calls of unknown price, which makes its cost a lower bound.
pub fn is_at_least(deployment: &Deployment, usage: &Usage) -> bool {
    !hosted_tools::cost(deployment, &usage.hosted).complete
}

fn of_tokens(rates: &Rates, usage: &Usage) -> Usd {
    let long = rates.long_context.filter(|long| usage.prompt > long.above);
    let input = long.map_or(rates.input, |long| long.input);
    let cached = long.map_or(rates.cached_input.unwrap_or(input), |long| long.cached_input);
    let output = long.map_or(rates.output, |long| long.output);
    let written = usage.cache_write.min(usage.prompt.saturating_sub(usage.cached));
    let plain = usage.prompt.saturating_sub(usage.cached).saturating_sub(written);
    let write = long.map_or(rates.cache_write, |long| long.cache_write).unwrap_or(input);
    input.of(plain) + cached.of(usage.cached) + write.of(written) + output.of(usage.completion)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chat::HostedCalls;
    use crate::deployment::Api;
    use crate::deployment::Budget;
    use crate::deployment::sample;
    use crate::model::LongContext;
    use crate::model::ServiceTier;
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
        model.prices.as_mut().unwrap().standard.long_context = Some(LongContext {
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
    fn the_tier_of_the_answer_sets_the_price_and_one_without_a_price_has_no_cost() {
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        let model = Arc::make_mut(&mut deployment.model);
        let prices = model.prices.as_mut().unwrap();
        let standard = prices.standard;
        let rates = |factor: f64| Rates {
            input: price(2.5 * factor),
            cached_input: None,
            output: price(10.0 * factor),
            ..standard
        };
        prices.tiers.priority = Some(rates(2.0));
        prices.tiers.flex = Some(rates(0.5));
        let cost = |tier| {
            let usage = Usage { tier, ..usage(1_000, 400, 100) };
            pay_as_you_go_cost(&deployment, &usage).map(|cost| cost.to_string())
        };
        assert_eq!(cost(ServiceTier::Standard).unwrap(), "0.003000");
        // Without a price of their own, cached tokens cost the tier's input.
        assert_eq!(cost(ServiceTier::Priority).unwrap(), "0.007000");
        assert_eq!(cost(ServiceTier::Flex).unwrap(), "0.001750");
        assert_eq!(cost(ServiceTier::Batch), None);
        assert_eq!(cost(ServiceTier::Other), None);
    }

    #[test]
    fn a_tier_without_a_tariff_for_long_prompts_has_no_price_for_them() {
        let mut deployment = sample::pay_as_you_go("payg", "gpt-4o");
        let prices = Arc::make_mut(&mut deployment.model).prices.as_mut().unwrap();
        let long = LongContext {
            above: Tokens(1_000),
            input: price(5.0),
            cached_input: price(2.5),
            cache_write: None,
            output: price(15.0),
        };
        prices.tiers.priority = Some(prices.standard);
        prices.standard.long_context = Some(long);
        prices.tiers.flex = Some(prices.standard);
        for (tier, known) in [(ServiceTier::Priority, false), (ServiceTier::Flex, true)] {
            let usage = |prompt| Usage { tier, ..usage(prompt, 0, 1) };
            assert!(pay_as_you_go_cost(&deployment, &usage(1_000)).is_some());
            assert_eq!(pay_as_you_go_cost(&deployment, &usage(1_001)).is_some(), known, "{tier:?}");
        }
    }

    #[test]
    fn hosted_tools_cost_by_the_call_and_one_without_a_price_leaves_a_lower_bound() {
        let azure = sample::provisioned("ptu", "gpt-4o", 50.0);
        let mut openai = sample::pay_as_you_go("payg", "gpt-4o");
        openai.api = Api::OpenAi;
        let called = |hosted| Usage { hosted, ..usage(0, 0, 0) };
        let calls = HostedCalls { web_searches: 2, containers: 1, ..HostedCalls::default() };
        let cost =
            |deployment, usage: &Usage| marginal_cost(deployment, usage).unwrap().to_string();
        assert_eq!(cost(&azure, &called(calls)), "0.061000");
        let mut contract = azure.clone();
        let cents = |cents: u64| Some(Usd::of_picodollars(cents * 10_000_000_000));
        contract.price.tools.web_search = cents(1);
        contract.price.tools.file_search = cents(2);
        assert_eq!(cost(&contract, &called(calls)), "0.053000");
        let files = HostedCalls { file_searches: 3, ..HostedCalls::default() };
        assert_eq!(cost(&contract, &called(files)), "0.060000");
        assert!(is_at_least(&azure, &called(files)) && !is_at_least(&contract, &called(files)));
        assert_eq!(cost(&openai, &called(calls)), "0.050000");
        assert!(!is_at_least(&azure, &called(calls)) && !is_at_least(&openai, &called(calls)));
        let files = HostedCalls { file_searches: 2, ..HostedCalls::default() };
        assert_eq!(cost(&openai, &called(files)), "0.005000");
        assert!(!is_at_least(&openai, &called(files)) && is_at_least(&azure, &called(files)));
        let others = HostedCalls { others: 1, ..HostedCalls::default() };
        assert!(is_at_least(&openai, &called(others)));
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
