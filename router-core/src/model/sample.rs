//! Model records for tests of later modules: models that differ in everything that matters.

use super::medium::Media;
use super::prices::{Prices, Rates, TierRates};
use super::record::{
    Abilities, CapField, Effort, Efforts, InstructionRole, ModelRecord, PtuRate, Sampling,
};
use crate::units::ModelName;
use crate::units::Tokens;
use crate::units::UsdPerMillionTokens;

/// A record like gpt-4o's; `o1` and names that start with it get one like o1's.
pub(crate) fn record(name: &str) -> ModelRecord {
    let price = |dollars| UsdPerMillionTokens::try_new(dollars).unwrap();
    let reasons = name.starts_with("o1");
    let (input, output) = if reasons { (15.0, 60.0) } else { (2.5, 10.0) };
    let efforts = Efforts {
        accepted: vec![Effort::Low, Effort::Medium, Effort::High],
        default: Effort::Medium,
        max_by_responses: false,
    };
    ModelRecord {
        name: ModelName::try_from(name).unwrap(),
        abilities: Abilities {
            chat_completions: true,
            responses: true,
            completions: false,
            streaming: !reasons,
            tools: true,
            parallel_tools: !reasons,
            images: true,
            structured_outputs: true,
            embeddings: false,
            media: Media::None,
        },
        cap_field: if reasons { CapField::MaxCompletionTokens } else { CapField::Either },
        sampling: if reasons { Sampling::Fixed } else { Sampling::Free },
        stop: !reasons,
        instructions: if reasons { InstructionRole::Either } else { InstructionRole::System },
        efforts: reasons.then_some(efforts),
        context_window: Tokens(if reasons { 200_000 } else { 128_000 }),
        max_output: Tokens(if reasons { 100_000 } else { 16_384 }),
        prices: Some(Prices {
            standard: Rates {
                input: price(input),
                cached_input: Some(price(input / 2.0)),
                cache_write: None,
                output: price(output),
                long_context: None,
            },
            tiers: TierRates::default(),
            data_zone_factor: 1.1,
        }),
        azure_tiers: Vec::new(),
        priority_max_prompt: None,
        ptu: Some(PtuRate {
            input_tpm_per_ptu: if reasons { 230.0 } else { 2_500.0 },
            output_ratio: 4.0,
            sizes: None,
        }),
        prediction: !reasons,
        verbosity: false,
        refuses: Box::default(),
        oldest_api_version: None,
        retires: None,
        successor: None,
    }
}
