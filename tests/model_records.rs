//! The shipped model records are consistent.

use router_core::config::shipped_records;
use router_core::model::{
    Abilities, CapField, Effort, InstructionRole, ModelRecord, Rates, Sampling,
};
use router_core::units::{ModelName, Tokens};

#[test]
fn every_model_of_the_sources_has_a_record() {
    let records = shipped_records();
    for name in [
        "o1-preview",
        "o1-mini",
        "o1",
        "o1-pro",
        "o3-mini",
        "o3",
        "o3-pro",
        "o4-mini",
        "gpt-4o",
        "gpt-4o-2024-05-13",
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-11-20",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-5-pro",
        "gpt-5-codex",
        "gpt-5.1",
        "gpt-5.1-codex",
        "gpt-5.2",
        "gpt-5.2-codex",
        "gpt-5.3-codex",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.4-nano",
        "gpt-5.4-pro",
        "gpt-5.5",
        "gpt-5.6-sol",
        "gpt-5.6-terra",
        "gpt-5.6-luna",
        "gpt-6-astra",
        "gpt-6-sol",
        "gpt-6-luna",
        "gpt-6.1-sol",
        "gpt-6.1-terra",
        "gpt-chat-latest",
        "codex-mini",
        "model-router",
        "text-embedding-3-small",
        "text-embedding-3-large",
        "text-embedding-ada-002",
        "gpt-3.5-turbo-instruct",
    ] {
        assert!(records.contains_key(name), "{name}");
    }
}

#[test]
fn every_record_makes_sense() {
    let records = shipped_records();
    for (name, record) in &records {
        let Abilities {
            embeddings,
            media,
            chat_completions,
            responses,
            completions,
            tools,
            parallel_tools,
            ..
        } = record.abilities;
        assert_eq!(record.max_output > Tokens::ZERO, !embeddings && !media.is_some(), "{name}");
        let serves = [chat_completions || responses, completions, embeddings, media.is_some()];
        let kinds = serves.iter().filter(|serves| **serves).count();
        assert_eq!(kinds, 1, "{name} answers in one way");
        assert!(!(embeddings && (chat_completions || responses)), "{name}");
        assert!(tools || !parallel_tools, "{name}");
        if let Some(successor) = &record.successor {
            assert!(records.contains_key(successor) && successor != name, "{name}");
            assert!(record.retires.is_some(), "{name}: a successor without a day");
            let later = records[successor].retires;
            assert!(later.is_none() || later > record.retires, "{name}: its successor ends first");
        }
        if let Some(efforts) = &record.efforts {
            assert_eq!(record.cap_field, CapField::MaxCompletionTokens, "{name}");
            assert_ne!(record.sampling, Sampling::Free, "{name}");
            assert_ne!(record.instructions, InstructionRole::System, "{name}");
            assert!(!record.prediction, "{name}");
            let hardest = efforts.accepted.last() == Some(&Effort::ExtraHigh);
            assert!(hardest || !efforts.max_by_responses, "{name}");
            let takes_none = efforts.accepted.contains(&Effort::None);
            let free = record.sampling == Sampling::FreeWithoutEffort;
            assert_eq!(free, takes_none && chat_completions, "{name}");
            let mut sorted = efforts.accepted.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted, efforts.accepted, "{name}: least first, each once");
        } else {
            assert_eq!(record.sampling, Sampling::Free, "{name}");
        }
        if let Some(rate) = record.ptu {
            assert!(rate.input_tpm_per_ptu > 0.0 && rate.output_ratio >= 1.0, "{name}");
            // Figures of third parties come without the sizes.
            let third_party = THIRD_PARTY_RATES.iter().any(|(known, ..)| *known == name.as_str());
            assert_eq!(rate.sizes.is_none(), third_party, "{name}");
            let Some(sizes) = rate.sizes else { continue };
            assert!(sizes.global.min > 0 && sizes.global.step > 0, "{name}");
            assert!(sizes.regional.min >= sizes.global.min, "{name}");
            assert!(sizes.regional.step >= sizes.global.step, "{name}");
        }
    }
}

#[test]
fn every_price_makes_sense() {
    for (name, record) in &shipped_records() {
        let Some(prices) = &record.prices else {
            let known = name.as_str() != "model-router" && !record.abilities.media.is_some();
            assert!(!known, "{name}: its price is known");
            continue;
        };
        check_rates(name, prices.standard, record);
        for (tier, cheaper) in
            [(prices.tiers.priority, false), (prices.tiers.flex, true), (prices.tiers.batch, true)]
        {
            let Some(tier) = tier else { continue };
            check_rates(name, tier, record);
            assert_eq!(tier.input < prices.standard.input, cheaper, "{name}");
            let free = record.abilities.embeddings;
            assert_eq!(tier.output < prices.standard.output, cheaper && !free, "{name}");
        }
    }
}

fn check_rates(name: &ModelName, rates: Rates, record: &ModelRecord) {
    assert!(rates.cached_input.is_none_or(|cached| cached <= rates.input), "{name}");
    assert!(rates.cache_write.is_none_or(|write| write >= rates.input), "{name}");
    assert!(rates.output >= rates.input || record.abilities.embeddings, "{name}");
    let Some(long) = rates.long_context else { return };
    assert!(long.above < record.context_window, "{name}");
    assert!(long.input > rates.input && long.output > rates.output, "{name}");
    assert_eq!(long.cache_write.is_some(), rates.cache_write.is_some(), "{name}");
    assert!(long.cached_input <= long.input, "{name}");
}

/// Reasoning models: accepted efforts, the default, `stop`, and `max` in the Responses API.
#[test]
fn efforts_are_as_documented() {
    let records = shipped_records();
    let usual = "low medium high";
    let none_xhigh = "none low medium high xhigh";
    let rows = [
        ("o1", usual, "medium", true, false),
        ("o1-pro", usual, "medium", false, false),
        ("o3-mini", usual, "medium", true, false),
        ("o3", usual, "medium", false, false),
        ("o3-pro", usual, "medium", false, false),
        ("o4-mini", usual, "medium", false, false),
        ("gpt-5", "minimal low medium high", "medium", false, false),
        ("gpt-5-mini", "minimal low medium high", "medium", false, false),
        ("gpt-5-nano", "minimal low medium high", "medium", false, false),
        ("gpt-5-pro", "high", "high", false, false),
        ("gpt-5-codex", usual, "medium", false, false),
        ("codex-mini", usual, "medium", false, false),
        ("gpt-5.1", "none low medium high", "none", false, false),
        ("gpt-5.1-codex", usual, "medium", false, false),
        ("gpt-5.1-codex-mini", usual, "medium", false, false),
        ("gpt-5.1-codex-max", "low medium high xhigh", "medium", false, false),
        ("gpt-5.2", none_xhigh, "none", false, false),
        ("gpt-5.2-pro", "medium high xhigh", "medium", false, false),
        ("gpt-5.2-codex", "low medium high xhigh", "medium", false, false),
        ("gpt-5.3-codex", none_xhigh, "none", false, false),
        ("gpt-5.4", none_xhigh, "none", false, false),
        ("gpt-5.4-mini", none_xhigh, "none", false, false),
        ("gpt-5.4-nano", none_xhigh, "none", false, false),
        ("gpt-5.4-pro", "medium high xhigh", "medium", false, false),
        ("gpt-5.5", none_xhigh, "medium", false, false),
        ("gpt-5.5-pro", "medium high xhigh", "medium", false, false),
        ("gpt-5.6-sol", none_xhigh, "medium", false, false),
        ("gpt-5.6-terra", none_xhigh, "medium", false, false),
        ("gpt-5.6-luna", none_xhigh, "medium", false, false),
        ("gpt-6-astra", "low medium high xhigh", "medium", false, false),
        ("gpt-6-sol", none_xhigh, "medium", false, true),
        ("gpt-6-luna", none_xhigh, "medium", false, true),
        ("gpt-6.1-sol", "low medium high xhigh", "medium", false, true),
        ("gpt-6.1-terra", "low medium high xhigh", "medium", false, true),
        ("gpt-chat-latest", "medium", "medium", false, false),
    ];
    for (name, accepted, default, stop, max) in rows {
        let record = &records[name];
        let efforts = record.efforts.as_ref().unwrap();
        let words: Vec<&str> = efforts.accepted.iter().map(|effort| effort.as_str()).collect();
        let found =
            (words.join(" "), efforts.default.as_str(), record.stop, efforts.max_by_responses);
        assert_eq!(found, (accepted.to_owned(), default, stop, max), "{name}");
    }
    let known: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let missed = records.iter().filter(|(_, record)| {
        record.efforts.as_ref().is_some_and(|efforts| !efforts.accepted.is_empty())
    });
    let missed: Vec<&str> =
        missed.map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    assert_eq!(missed, ["o3-deep-research"]);
}

/// Rates on provisioned throughput that Microsoft's page does not have yet, by `LiteLLM` 1.109.1.
const THIRD_PARTY_RATES: [(&str, f64, f64); 4] = [
    ("gpt-5.4-mini", 7_900.0, 6.0),
    ("gpt-5.6-sol", 1_200.0, 6.0),
    ("gpt-5.6-terra", 3_000.0, 6.0),
    ("gpt-5.6-luna", 30_000.0, 6.0),
];

/// Normalized tokens a minute and the weight of an answer's token, by the table of PTU sizing.
#[test]
fn provisioned_rates_are_as_documented() {
    let records = shipped_records();
    let rows = [
        ("gpt-5.5", 1_200.0, 6.0),
        ("gpt-5.4", 2_400.0, 6.0),
        ("gpt-5.3-codex", 3_400.0, 8.0),
        ("gpt-5.2", 3_400.0, 8.0),
        ("gpt-5.2-codex", 3_400.0, 8.0),
        ("gpt-5.1", 4_750.0, 8.0),
        ("gpt-5.1-codex", 4_750.0, 8.0),
        ("gpt-5", 4_750.0, 8.0),
        ("gpt-5-mini", 23_750.0, 8.0),
        ("gpt-4.1", 3_000.0, 4.0),
        ("gpt-4.1-mini", 14_900.0, 4.0),
        ("gpt-4.1-nano", 59_400.0, 4.0),
        ("o3", 3_000.0, 4.0),
        ("o4-mini", 5_400.0, 4.0),
        ("gpt-4o", 2_500.0, 4.0),
        ("gpt-4o-mini", 37_000.0, 4.0),
        ("o3-mini", 2_500.0, 4.0),
        ("o1", 230.0, 4.0),
    ];
    for (name, input, output) in rows.into_iter().chain(THIRD_PARTY_RATES) {
        let found = records[name].ptu.map(|rate| (rate.input_tpm_per_ptu, rate.output_ratio));
        assert_eq!(found, Some((input, output)), "{name}");
    }
}

#[test]
fn the_design_pair_is_as_documented() {
    let records = shipped_records();
    let (o1, gpt4o) = (&records["o1"], &records["gpt-4o"]);
    assert!(!o1.abilities.streaming && !o1.abilities.parallel_tools && o1.abilities.images);
    assert_eq!((o1.context_window, o1.max_output), (Tokens(200_000), Tokens(100_000)));
    assert_eq!(o1.ptu.map(|rate| rate.input_tpm_per_ptu), Some(230.0));
    assert!(gpt4o.abilities.streaming && gpt4o.abilities.parallel_tools && !gpt4o.reasons());
    assert_eq!((gpt4o.context_window, gpt4o.max_output), (Tokens(128_000), Tokens(16_384)));
    assert_eq!(gpt4o.prices.as_ref().map(|prices| prices.standard.output.as_f64()), Some(10.0));
    assert_eq!(records["o1-preview"].instructions, InstructionRole::User);
    assert!(!records["o3-mini"].abilities.images);
}
