//! The tables `usd_per_million_tokens` -> prices by service tier.
//!
//! Not done here: the rest of a model's record (`records.rs`).

use crate::model::Abilities;
use crate::model::LongContext;
use crate::model::Prices;
use crate::model::Rates;
use crate::model::TierRates;
use crate::units::Tokens;
use crate::units::UsdPerMillionTokens;

use super::raw;
use super::table::Table;

fn price(table: &Table<'_>, name: &str, value: Option<f64>) -> Option<UsdPerMillionTokens> {
    table.number(name, value, 0.0..=100_000.0).and_then(UsdPerMillionTokens::try_new)
}

/// The prices of a model; `None` if a required one is missing or wrong.
pub(super) fn priced(
    raw: &raw::Prices,
    abilities: Abilities,
    data_zone_factor: f64,
    table: &Table<'_>,
) -> Option<Prices> {
    let tier = |name: &str, tier: Option<&raw::TierPrices>| {
        tier.and_then(|tier| rates(tier, abilities, &table.sub(name)))
    };
    let tiers = TierRates {
        priority: tier("priority", raw.priority.as_ref()),
        flex: tier("flex", raw.flex.as_ref()),
        batch: tier("batch", raw.batch.as_ref()),
    };
    let standard = raw::TierPrices {
        input: raw.input,
        cached_input: raw.cached_input,
        cache_write: raw.cache_write,
        output: raw.output,
        long_context: raw.long_context.clone(),
    };
    Some(Prices { standard: rates(&standard, abilities, table)?, tiers, data_zone_factor })
}

fn rates(raw: &raw::TierPrices, abilities: Abilities, table: &Table<'_>) -> Option<Rates> {
    let dollars = "a price in dollars";
    let input = table.required("input", raw.input, dollars);
    // Embeddings have no answer to pay for.
    let output = raw.output.or(abilities.embeddings.then_some(0.0));
    let output = table.required("output", output, dollars);
    let cached_input = price(table, "cached_input", raw.cached_input);
    let input = price(table, "input", input);
    if let (Some(cached), Some(full)) = (cached_input, input)
        && cached > full
    {
        table.fault(
            "cached_input",
            format!("must be at most input, {}; found {}", full.as_f64(), cached.as_f64()),
        );
    }
    let long_context = raw
        .long_context
        .as_ref()
        .and_then(|tariff| long_context(tariff, &table.sub("long_context")));
    let cache_write = price(table, "cache_write", raw.cache_write);
    let output = price(table, "output", output);
    Some(Rates { input: input?, cached_input, cache_write, output: output?, long_context })
}

fn long_context(raw: &raw::LongContext, table: &Table<'_>) -> Option<LongContext> {
    let dollars = |name: &str, value: Option<f64>| {
        price(table, name, table.required(name, value, "a price in dollars"))
    };
    let above = table
        .required("above_tokens", raw.above_tokens, "a whole number of tokens")
        .and_then(|above| table.whole("above_tokens", Some(above), 1..=100_000_000));
    let input = dollars("input", raw.input);
    let cached_input = dollars("cached_input", raw.cached_input);
    let output = dollars("output", raw.output);
    let cache_write = price(table, "cache_write", raw.cache_write);
    Some(LongContext {
        above: Tokens(above?),
        input: input?,
        cached_input: cached_input?,
        cache_write,
        output: output?,
    })
}
