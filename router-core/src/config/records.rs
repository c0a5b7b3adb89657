//! The tables `[models."NAME"]` -> model records.
//!
//! The shipped records pass through here as well: they are the weakest layer of the same tables, so that a file
//! overrides them field by field. A new model must give `context_window_tokens` and, unless it embeds,
//! `max_output_tokens` (a `media` model neither); all else has a default that depends on whether the model reasons, which is whether it has
//! `efforts`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chat::FieldSet;
use crate::model::Abilities;
use crate::model::CapField;
use crate::model::Effort;
use crate::model::Efforts;
use crate::model::InstructionRole;
use crate::model::Media;
use crate::model::Medium;
use crate::model::ModelRecord;
use crate::model::PtuRate;
use crate::model::PtuSize;
use crate::model::PtuSizes;
use crate::model::Sampling;
use crate::model::ServiceTier;
use crate::units::ModelName;
use crate::units::Tokens;

use super::nearest::nearest;
use super::prices::priced;
use super::raw;
use super::table::{Table, listed, quoted};

/// The words of efforts, as they stand in faults.
pub(super) const EFFORTS: &str = "one of none, minimal, low, medium, high, xhigh, max";

/// The records by name; `None` for one that has a fault, so that its users are not faulted a second time.
pub(super) type Records = BTreeMap<String, Option<Arc<ModelRecord>>>;

/// Checks all of `[models]`.
pub(super) fn check(raw: &BTreeMap<String, raw::Model>, table: &Table<'_>) -> Records {
    raw.iter()
        .map(|(name, model)| {
            let at = table.sub(name);
            let unknown = model.successor.as_deref().filter(|next| !raw.contains_key(*next));
            if let Some(next) = unknown {
                at.fault("successor", unknown_model(next, raw));
            }
            (name.clone(), record(name, model, &at).map(Arc::new))
        })
        .collect()
}

/// Message for a model without a record.
pub(super) fn unknown_model(name: &str, known: &BTreeMap<String, raw::Model>) -> String {
    let near = nearest(name, known.keys().map(String::as_str));
    format!("no record of a model {}; {near}; [models.\"NAME\"] adds one", quoted(name))
}

fn record(name: &str, raw: &raw::Model, table: &Table<'_>) -> Option<ModelRecord> {
    let abilities = abilities(raw, table);
    let efforts = efforts(raw, table);
    let reasons = raw.efforts.is_some();
    let cap_field = table
        .word(
            "cap_field",
            raw.cap_field.as_deref(),
            "max_completion_tokens or either",
            CapField::from_word,
        )
        .unwrap_or(if reasons { CapField::MaxCompletionTokens } else { CapField::Either });
    let sampling = sampling(raw, table);
    let instructions = table
        .word(
            "instructions",
            raw.instructions.as_deref(),
            "system, either or user",
            InstructionRole::from_word,
        )
        .unwrap_or(if reasons { InstructionRole::Either } else { InstructionRole::System });
    let (context_window, max_output) = lengths(raw, table);
    let name = ModelName::try_from(name).map_err(|rule| table.fault_here(rule.to_string())).ok();
    let factor = table.number("data_zone_price_factor", raw.data_zone_price_factor, 1.0..=10.0);
    let prices = raw.usd_per_million_tokens.as_ref().and_then(|prices| {
        let table = table.sub("usd_per_million_tokens");
        priced(prices, abilities, factor.unwrap_or(1.1), &table)
    });
    let azure_tiers = azure_tiers(raw, table);
    let priority_max_prompt =
        table.whole("priority_max_prompt_tokens", raw.priority_max_prompt_tokens, 1..=100_000_000);
    let ptu = raw.ptu.as_ref().and_then(|rate| ptu_rate(rate, &table.sub("ptu")));
    let oldest_api_version = table.rule("oldest_api_version", raw.oldest_api_version.as_deref());
    let refuses = refused_fields(raw.refuses.as_deref().unwrap_or_default(), table);
    let retires = table.rule("retires", raw.retires.as_deref());
    let successor = table.rule("successor", raw.successor.as_deref());
    // All is checked; only now may one missing value end it.
    Some(ModelRecord {
        name: name?,
        abilities,
        cap_field,
        sampling,
        stop: raw.stop.unwrap_or(!reasons),
        prediction: raw.prediction.unwrap_or(!reasons),
        verbosity: raw.verbosity.unwrap_or(reasons),
        refuses,
        instructions,
        efforts,
        context_window: context_window?,
        max_output: max_output?,
        prices,
        azure_tiers,
        priority_max_prompt: priority_max_prompt.map(Tokens),
        ptu,
        oldest_api_version,
        retires,
        successor,
    })
}

fn sampling(raw: &raw::Model, table: &Table<'_>) -> Sampling {
    let allowed = "free, free_without_effort or fixed";
    let word = table.word("sampling", raw.sampling.as_deref(), allowed, Sampling::from_word);
    word.unwrap_or(if raw.efforts.is_some() { Sampling::Fixed } else { Sampling::Free })
}

fn azure_tiers(raw: &raw::Model, table: &Table<'_>) -> Vec<ServiceTier> {
    let tier = |word: &str| ServiceTier::from_word(word).filter(|tier| tier.is_special());
    let words = raw.azure_tiers.iter().flatten();
    let name = "azure_tiers";
    words.filter_map(|word| table.word(name, Some(word), "priority or flex", tier)).collect()
}

fn media(raw: &raw::Model, table: &Table<'_>) -> Media {
    match &raw.media {
        None | Some(raw::MediaSetting::Any(false)) => Media::None,
        Some(raw::MediaSetting::Any(true)) => Media::Any,
        Some(raw::MediaSetting::One(word)) => {
            let words = "images, speech, transcription, moderation, true or false";
            let known = table.word("media", Some(word), words, Medium::from_word);
            known.map_or(Media::Any, Media::Only)
        }
    }
}

/// Fields that a request can do without; the meaning of a request hangs on all others.
fn refused_fields(names: &[String], table: &Table<'_>) -> Box<[&'static str]> {
    let known = |name: &String| {
        let found = FieldSet::of([name.as_str()]).and_then(|field| field.iter().next());
        found.filter(|found| found == name).or_else(|| {
            let problem = format!(
                "{name} is no field that can be left out; expected one of: {}",
                FieldSet::names().join(", ")
            );
            table.fault("refuses", problem);
            None
        })
    };
    names.iter().filter_map(known).collect()
}

fn abilities(raw: &raw::Model, table: &Table<'_>) -> Abilities {
    let embeddings = raw.embeddings.unwrap_or(false);
    let media = media(raw, table);
    let answers = |value: Option<bool>| value.unwrap_or(!embeddings && !media.is_some());
    Abilities {
        chat_completions: answers(raw.chat_completions),
        responses: answers(raw.responses),
        completions: raw.completions.unwrap_or(false),
        streaming: answers(raw.streaming),
        tools: answers(raw.tools),
        parallel_tools: answers(raw.parallel_tools.or(raw.tools)),
        images: answers(raw.images),
        structured_outputs: answers(raw.structured_outputs),
        embeddings,
        media,
    }
}

fn lengths(raw: &raw::Model, table: &Table<'_>) -> (Option<Tokens>, Option<Tokens>) {
    const MOST: i64 = 100_000_000;
    let length = |name: &str, value: Option<i64>| {
        table
            .required(name, value, "a whole number of tokens")
            .and_then(|value| table.whole(name, Some(value), 1..=MOST))
            .map(Tokens)
    };
    let embeds = raw.embeddings == Some(true);
    let media = !matches!(raw.media, None | Some(raw::MediaSetting::Any(false)));
    let context_window = match raw.context_window_tokens {
        None if media => Some(Tokens::ZERO),
        value => length("context_window_tokens", value),
    };
    let max_output = match (raw.max_output_tokens, embeds || media) {
        (None, true) => Some(Tokens::ZERO),
        (value, _) => length("max_output_tokens", value),
    };
    (context_window, max_output)
}

fn efforts(raw: &raw::Model, table: &Table<'_>) -> Option<Efforts> {
    let Some(words) = &raw.efforts else {
        for (name, there) in [
            ("default_effort", raw.default_effort.is_some()),
            ("max_effort", raw.max_effort == Some(true)),
        ] {
            if there {
                table.fault(name, "only with efforts: a model without them does not reason");
            }
        }
        return None;
    };
    let accepted: Vec<Effort> = words
        .iter()
        .filter_map(|word| table.word("efforts", Some(word), EFFORTS, Effort::from_word))
        .collect();
    let word = raw.default_effort.as_deref();
    let default =
        table.word("default_effort", word, EFFORTS, Effort::from_word).unwrap_or(Effort::Medium);
    if accepted.len() == words.len() && !accepted.is_empty() && !accepted.contains(&default) {
        table.fault(
            "default_effort",
            format!("must be one of the model's efforts, {}; found {default}", listed(&accepted)),
        );
    }
    Some(Efforts { accepted, default, max_by_responses: raw.max_effort.unwrap_or(false) })
}

/// The range of [`PtuRate::input_tpm_per_ptu`].
pub(super) const TPM_RANGE: std::ops::RangeInclusive<f64> = 1.0..=1e9;
/// The range of [`PtuRate::output_ratio`].
pub(super) const RATIO_RANGE: std::ops::RangeInclusive<f64> = 0.1..=1_000.0;

fn ptu_rate(raw: &raw::PtuRate, table: &Table<'_>) -> Option<PtuRate> {
    let number = |name: &str, value: Option<f64>, range| {
        table
            .required(name, value, "a number")
            .and_then(|value| table.number(name, Some(value), range))
    };
    let input_tpm_per_ptu = number("input_tpm_per_ptu", raw.input_tpm_per_ptu, TPM_RANGE);
    let output_ratio = number("output_ratio", raw.output_ratio, RATIO_RANGE);
    let given = [
        ("global_min", raw.global_min),
        ("global_step", raw.global_step),
        ("regional_min", raw.regional_min),
        ("regional_step", raw.regional_step),
    ];
    let wanted = given.iter().any(|(_, value)| value.is_some());
    let [global_min, global_step, regional_min, regional_step] = given.map(|(name, value)| {
        let value = value.or_else(|| {
            wanted.then(|| table.fault(name, "missing; the four sizes are given together"));
            None
        });
        table.whole(name, value, 1..=100_000).and_then(|value| u32::try_from(value).ok())
    });
    let size = |min: Option<u32>, step: Option<u32>| Some(PtuSize { min: min?, step: step? });
    let sizes = match (size(global_min, global_step), size(regional_min, regional_step)) {
        (Some(global), Some(regional)) => Some(PtuSizes { global, regional }),
        _ => None,
    };
    Some(PtuRate { input_tpm_per_ptu: input_tpm_per_ptu?, output_ratio: output_ratio?, sizes })
}
