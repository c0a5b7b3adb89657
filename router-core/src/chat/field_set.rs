//! Sets of optional request fields, which may be removed if a deployment refuses them.
//!
//! A deployment may refuse a field although its model's record allows it. Fields that change the
//! form of the answer or carry the caller's content (messages, tools, schemas) are not listed.
//!
//! Not done here: recognizing a refusal (`upstream::error_body`), and removing the field (`adapt`).

/// The fields that may be left out, and parts of fields by their path; the position of a name is its bit in a [`FieldSet`].
///
/// **Source:** `OpenAI`, schemas of `/chat/completions` and `/responses` (2026-11).
const DISPENSABLE: [&str; 34] = [
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "parallel_tool_calls",
    "reasoning_effort",
    "seed",
    "user",
    "store",
    "metadata",
    "service_tier",
    "stream_options",
    "prediction",
    "verbosity",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "max_output_tokens",
    "max_tool_calls",
    "reasoning",
    "reasoning.effort",
    "reasoning.summary",
    "reasoning.generate_summary",
    "reasoning.context",
    "reasoning.mode",
    "text.verbosity",
    "truncation",
];

/// A set of dispensable fields.
///
/// ```
/// use router_core::chat::FieldSet;
/// let fields = FieldSet::of(["seed", "stream_options.include_usage"]).unwrap_or_default();
/// assert_eq!(fields.iter().collect::<Vec<_>>(), ["seed", "stream_options"]);
/// assert_eq!(FieldSet::of(["seed", "messages[0].role"]), None);
/// let part = FieldSet::of(["text.verbosity"]).unwrap_or_default();
/// assert_eq!(part.iter().collect::<Vec<_>>(), ["text.verbosity"]);
/// assert_eq!(FieldSet::of(["text.format"]), None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(u64);

impl FieldSet {
    /// The fields to which these names belong: `stream_options.include_usage` is a part of `stream_options`. `None` if there is no name, or
    /// if one of them belongs to no dispensable field, because leaving out the others would not help then.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let bits = names.into_iter().try_fold(0, |bits, name| {
            let root = name.split(['.', '[']).next().unwrap_or(name);
            let place = |name: &str| DISPENSABLE.iter().position(|known| *known == name);
            let at = place(name).or_else(|| place(root))?;
            Some(bits | 1u64.checked_shl(u32::try_from(at).ok()?)?)
        })?;
        (bits != 0).then_some(Self(bits))
    }

    /// All names there are.
    pub fn names() -> [&'static str; 34] {
        DISPENSABLE
    }

    /// The names, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        DISPENSABLE.into_iter().enumerate().filter_map(move |(at, name)| {
            let bit = u32::try_from(at).ok().and_then(|at| 1u64.checked_shl(at));
            bit.is_some_and(|bit| self.0 & bit != 0).then_some(name)
        })
    }
}
