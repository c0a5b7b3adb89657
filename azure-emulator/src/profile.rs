//! The profile of a model family: what it accepts, and what it refuses with a 400.
//!
//! One [`Profile`] a model family, looked up by the model's name. The emulator does not guess what
//! a caller meant: a parameter that the real model refuses is refused here, so that a router's
//! adaption is tested by something that says no. Unknown models behave like gpt-4o.
//!
//! **Source:** Azure OpenAI docs, "reasoning models" (2026-02), and what public adapters do for
//! the newer families.

/// Something that a model may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// The chat completions operation itself (some models speak the Responses API only).
    ChatCompletions,
    /// `stream: true`.
    Streaming,
    /// `max_tokens`; `max_completion_tokens` is always taken.
    MaxTokens,
    /// `stop`.
    Stop,
    /// System and developer messages.
    Instructions,
    /// A system *and* a developer message in one request.
    MixedInstructions,
    /// `tools`.
    Tools,
    /// `parallel_tool_calls`.
    ParallelTools,
    /// `response_format: json_schema`.
    StructuredOutputs,
    /// Image parts.
    Images,
    /// `verbosity` and `text.verbosity` other than `medium`.
    Verbosity,
    /// `stream_options`, which old api-versions do not know. No profile lacks it by itself.
    StreamOptions,
}

/// Acceptance of `temperature`, `top_p`, penalties, `logprobs` and `logit_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Always.
    Free,
    /// Only while the effort in force is `none`.
    WithoutEffort,
    /// Never, except with the default value.
    Fixed,
}

/// The behaviour of a model family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Fields and features that the model rejects.
    pub lacks: Vec<Feature>,
    /// Sampling parameters that the model accepts.
    pub sampling: Sampling,
    /// Values of `reasoning_effort`; empty for models that do not reason.
    pub efforts: Vec<String>,
    /// The effort when the request names none.
    pub default_effort: Option<String>,
    /// Tokens of prompt it can read.
    pub context_tokens: u64,
    /// Tokens it can write.
    pub max_output_tokens: u64,
}

const LOW_TO_HIGH: [&str; 3] = ["low", "medium", "high"];

impl Profile {
    /// The profile of `model`, which may carry a version date (`o1-2024-12-17`).
    pub fn for_model(model: &str) -> Self {
        use Feature::{ChatCompletions, Images, ParallelTools, Streaming};
        let name = without_version(model);
        if name.ends_with("-pro") || name.contains("codex") {
            let mut profile = Self::reasoning(&LOW_TO_HIGH, "medium", 200_000);
            profile.lacks.push(ChatCompletions);
            if !name.starts_with("gpt-") {
                profile.lacks.push(Feature::Verbosity);
            }
            return profile;
        }
        match name {
            "o1-preview" => Self::first_generation(32_768),
            "o1-mini" => Self::first_generation(65_536),
            "o1" => Self::o_series(&[Streaming, ParallelTools]),
            "o3" | "o4-mini" => Self::o_series(&[ParallelTools]),
            "o3-mini" => Self::o_series(&[ParallelTools, Images]),
            "gpt-4.1" | "gpt-4.1-mini" | "gpt-4.1-nano" => Self::chat(1_047_576, 32_768),
            "gpt-5" | "gpt-5-mini" | "gpt-5-nano" => {
                let mut profile =
                    Self::gpt_5(&["minimal", "low", "medium", "high"], "medium", 272_000);
                profile.sampling = Sampling::Fixed;
                profile
            }
            "gpt-5.1" | "gpt-5.2" => {
                Self::gpt_5(&["none", "low", "medium", "high"], "none", 272_000)
            }
            "gpt-5.4" => Self::gpt_5(&WITH_NONE, "none", 922_000),
            "gpt-5.4-mini" | "gpt-5.4-nano" => Self::gpt_5(&WITH_NONE, "none", 272_000),
            _ if name.starts_with("gpt-6.1") => Self::gpt_5(&WITHOUT_NONE, "medium", 922_000),
            _ if ["gpt-5.5", "gpt-5.6", "gpt-6"].iter().any(|start| name.starts_with(start)) => {
                Self::gpt_5(&WITH_NONE, "medium", 922_000)
            }
            _ => Self::chat(128_000, 16_384),
        }
    }

    /// True if the model lacks `feature`.
    pub fn is_lacking(&self, feature: Feature) -> bool {
        self.lacks.contains(&feature)
    }

    /// True if the model can spend hidden reasoning tokens.
    pub fn is_reasoning(&self) -> bool {
        self.sampling != Sampling::Free
    }

    fn chat(context_tokens: u64, max_output_tokens: u64) -> Self {
        Self {
            lacks: vec![Feature::Verbosity],
            sampling: Sampling::Free,
            efforts: Vec::new(),
            default_effort: None,
            context_tokens,
            max_output_tokens,
        }
    }

    fn reasoning(efforts: &[&str], default_effort: &str, context_tokens: u64) -> Self {
        Self {
            lacks: vec![Feature::MaxTokens, Feature::MixedInstructions],
            sampling: Sampling::Fixed,
            efforts: efforts.iter().map(ToString::to_string).collect(),
            default_effort: Some(default_effort.to_owned()),
            context_tokens,
            max_output_tokens: 100_000,
        }
    }

    /// o1-preview and o1-mini: no instructions, no tools, no streams, no efforts.
    fn first_generation(max_output_tokens: u64) -> Self {
        use Feature::{Images, Instructions, ParallelTools, Streaming, StructuredOutputs, Tools};
        let mut profile = Self::reasoning(&[], "medium", 128_000);
        profile.lacks.extend([
            Feature::Verbosity,
            Streaming,
            Instructions,
            Tools,
            ParallelTools,
            StructuredOutputs,
            Images,
        ]);
        profile.max_output_tokens = max_output_tokens;
        profile
    }

    fn o_series(lacks: &[Feature]) -> Self {
        let mut profile = Self::reasoning(&LOW_TO_HIGH, "medium", 200_000);
        profile.lacks.push(Feature::Verbosity);
        profile.lacks.extend_from_slice(lacks);
        profile
    }

    fn gpt_5(efforts: &[&str], default_effort: &str, context_tokens: u64) -> Self {
        let mut profile = Self::reasoning(efforts, default_effort, context_tokens);
        profile.lacks.push(Feature::Stop);
        profile.sampling = Sampling::WithoutEffort;
        profile.max_output_tokens = 128_000;
        profile
    }
}

const WITH_NONE: [&str; 5] = ["none", "low", "medium", "high", "xhigh"];
const WITHOUT_NONE: [&str; 4] = ["low", "medium", "high", "xhigh"];

/// `o1-2024-12-17` is `o1`; `gpt-4o` stays.
fn without_version(model: &str) -> &str {
    let is_date = |tail: &str| {
        tail.len() == 10
            && tail.chars().enumerate().all(|(index, letter)| {
                if index == 4 || index == 7 { letter == '-' } else { letter.is_ascii_digit() }
            })
    };
    model
        .char_indices()
        .filter(|(_, letter)| *letter == '-')
        .find_map(|(index, _)| {
            let (name, tail) = model.split_at_checked(index)?;
            tail.strip_prefix('-').is_some_and(is_date).then_some(name)
        })
        .unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_hide_the_family() {
        assert_eq!(without_version("o1-2024-12-17"), "o1");
        assert_eq!(without_version("gpt-4o-mini"), "gpt-4o-mini");
        assert_eq!(Profile::for_model("o1-2024-12-17"), Profile::for_model("o1"));
        assert_eq!(Profile::for_model("gpt-4o-2024-11-20"), Profile::for_model("some-model"));
    }

    #[test]
    fn families_differ_where_the_documents_say_so() {
        let lacks = |model, feature| Profile::for_model(model).is_lacking(feature);
        assert!(lacks("o1", Feature::Streaming) && !lacks("o3-mini", Feature::Streaming));
        assert!(lacks("o3-mini", Feature::Images) && !lacks("o1", Feature::Images));
        assert!(lacks("o1-mini", Feature::Instructions) && !lacks("o1", Feature::Instructions));
        assert!(lacks("gpt-5.2", Feature::Stop) && !lacks("gpt-4.1", Feature::Stop));
        assert!(lacks("o3-pro", Feature::ChatCompletions));
        assert_eq!(Profile::for_model("gpt-5").sampling, Sampling::Fixed);
        assert_eq!(Profile::for_model("gpt-5.4").default_effort.as_deref(), Some("none"));
        assert!(!Profile::for_model("gpt-6.1-sol").efforts.contains(&"none".to_owned()));
    }
}
