//! Edits the output cap: which field the model accepts, its maximum, and extra tokens for hidden
//! reasoning if the caller's cap did not include them.

use crate::model::CapField;
use crate::model::Effort;
use crate::model::ModelRecord;
use crate::units::Tokens;

use super::adapt::Edit;

/// The room that hidden reasoning needs beside the answer itself. A cap copied from a model without reasoning would be
/// used up before the first word of the answer.
///
/// **Source:** `OpenAI`, "Reasoning models": reserve at least 25,000 tokens for reasoning and output when starting.
pub(super) fn reasoning_room(effort: Effort) -> Tokens {
    Tokens(match effort {
        Effort::None => 0,
        Effort::Minimal => 1_024,
        Effort::Low => 4_096,
        Effort::Medium => 10_240,
        Effort::High => 25_600,
        Effort::ExtraHigh | Effort::Max => 51_200,
    })
}

impl Edit<'_, '_> {
    /// Fits the cap to the field and the limit of the model.
    pub(super) fn cap(&mut self, record: &ModelRecord, effort: Effort, chosen: bool) {
        if record.cap_field == CapField::Either {
            for name in ["max_tokens", "max_completion_tokens"] {
                let given = self.request.raw(name).and_then(|raw| raw.parse::<u64>().ok());
                if given.is_some_and(|given| Tokens(given) > record.max_output) {
                    self.set(name, record.max_output.to_string());
                }
            }
            return;
        }
        self.newer_cap(record, effort, chosen);
    }

    /// Caps the answer tighter than the caller did; of the two fields the one that it used, if the model takes it.
    pub(super) fn tighten(&mut self, record: &ModelRecord, tight: Tokens) {
        let tight = tight.min(record.max_output).0.to_string();
        let copied = self.given("max_tokens");
        if record.cap_field == CapField::Either {
            let newer = self.given("max_completion_tokens");
            if copied || !newer {
                self.splice.set("max_tokens", tight.clone());
            }
            if newer {
                self.splice.set("max_completion_tokens", tight);
            }
            return;
        }
        self.leave_out("max_tokens");
        if copied && !self.given("max_completion_tokens") {
            self.set("max_completion_tokens", tight);
        } else {
            self.splice.set("max_completion_tokens", tight);
        }
    }

    /// Writes the cap as `max_completion_tokens`, with room for hidden reasoning if it was meant without: by its older
    /// name, or because the caller did not know that a model that reasons would answer.
    pub(super) fn newer_cap(&mut self, record: &ModelRecord, effort: Effort, chosen: bool) {
        let copied = self.given("max_tokens");
        self.leave_out("max_tokens");
        let explicit = self.given("max_completion_tokens");
        let Some(cap) = self.request.max_output().filter(|_| copied || explicit) else { return };
        let whole = explicit && !chosen;
        let roomy = if whole { cap } else { cap + reasoning_room(effort) };
        let fitting = roomy.min(record.max_output);
        if !explicit || fitting != cap {
            self.set("max_completion_tokens", fitting.to_string());
        }
    }
}
