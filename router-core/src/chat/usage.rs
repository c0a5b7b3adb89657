//! Reads the usage of an answer: billed tokens, with cached and reasoning tokens separately.
//!
//! Reading is lenient: details may be null or absent, and an answer with unreadable usage is still
//! an answer.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::ServiceTier;
use crate::units::Tokens;

use super::counts::{Count, Details};
use super::hosted;
use super::hosted::{HostedCalls, LooseText};
use super::message::Text;
use super::operation::Operation;

/// Usage of one answer: tokens, service tier and hosted tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The prompt, cached part included.
    pub prompt: Tokens,
    /// The part of the prompt that was read from the cache.
    pub cached: Tokens,
    /// The part of the prompt that was written to the cache, where that is billed apart.
    pub cache_write: Tokens,
    /// The answer, hidden reasoning included.
    pub completion: Tokens,
    /// The part of the answer that was hidden reasoning.
    pub reasoning: Tokens,
    /// True if the upstream did not say and we estimated.
    pub estimated: bool,
    /// The service tier, by the answer's word.
    pub tier: ServiceTier,
    /// The hosted tools that the answer called.
    pub hosted: HostedCalls,
}

impl Usage {
    /// The same as if it were billed at the standard price.
    #[must_use]
    pub(crate) fn at_standard(self) -> Self {
        Self { tier: ServiceTier::Standard, ..self }
    }
}

/// Chat says prompt and completion, the Responses API input and output; some gateways say both.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RawUsage {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    prompt_tokens_details: Details,
    input_tokens_details: Details,
    completion_tokens_details: Details,
    output_tokens_details: Details,
}

/// Reads a usage if it is one; an answer with another is still an answer.
pub(super) fn loosely<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RawUsage>, D::Error> {
    let raw = Option::<&'de RawValue>::deserialize(from)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).flatten())
}

impl RawUsage {
    /// The usage; `None` if it names numbers of tokens of which none can be read.
    pub(super) fn usage(self) -> Option<Usage> {
        let prompt = self.prompt_tokens.or(self.input_tokens);
        let completion = self.completion_tokens.or(self.output_tokens);
        let unreadable = [prompt, completion].contains(&Count::Unreadable);
        if unreadable && prompt.read().or(completion.read()).is_none() {
            return None;
        }
        let of_prompt = self.prompt_tokens_details.or(self.input_tokens_details);
        let of_completion = self.completion_tokens_details.or(self.output_tokens_details);
        let (prompt, completion) = (prompt.tokens(), completion.tokens());
        Some(Usage {
            prompt,
            cached: of_prompt.cached.tokens().min(prompt),
            cache_write: of_prompt.cache_write.tokens(),
            completion,
            reasoning: of_completion.reasoning.tokens().min(completion),
            ..Usage::default()
        })
    }
}

impl Usage {
    /// The usage at the end of an answer of which nothing else was kept; `None` if none can be read there.
    pub(crate) fn at_end_of(tail: &[u8]) -> Option<Self> {
        const NAME: &[u8] = b"\"usage\"";
        let at = memchr::memmem::rfind(tail, NAME)? + NAME.len();
        let value = tail.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(value).into_iter::<RawUsage>();
        values.next()?.ok().and_then(RawUsage::usage)
    }
}

/// Parts of a complete answer that accounting needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Usage; `None` if the answer does not report it.
    pub usage: Option<Usage>,
    /// The model that answered, by its own word.
    pub model: Option<Box<str>>,
    /// The reason why the first choice ended.
    pub finish_reason: Option<Box<str>>,
    /// The answer's id: a stored response is found again by it.
    pub id: Option<Box<str>>,
    /// Operation to which the answer belongs, judged by its fields.
    pub holds: Holds,
}

/// Fields of a body, which show the operation it can answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Holds {
    /// Nothing that is known as an answer: another service's JSON, or no JSON.
    #[default]
    Nothing,
    /// Choices, at least one.
    Choices,
    /// The output of the Responses API, which may be empty: a response in the background has none yet.
    Output,
    /// Data, at least one item.
    Data,
}

/// The lists by which answers are distinguished. Each is only looked at, so that an odd item hides nothing.
#[derive(Deserialize, Default)]
struct Lists<'a> {
    #[serde(default, borrow)]
    choices: Option<&'a RawValue>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

/// The text of a list behind its bracket; `None` if it is no list.
fn items(list: Option<&RawValue>) -> Option<&str> {
    list?.get().strip_prefix('[')
}

/// True for a list with at least one item.
fn filled(list: Option<&RawValue>) -> bool {
    items(list).is_some_and(|items| !items.trim_start().starts_with(']'))
}

impl Holds {
    fn of(lists: &Lists<'_>) -> Self {
        if filled(lists.choices) {
            Self::Choices
        } else if items(lists.output).is_some() {
            Self::Output
        } else if filled(lists.data) {
            Self::Data
        } else {
            Self::Nothing
        }
    }
}

/// `U` is the usage: as it should be, or [`Loose`].
#[derive(Deserialize)]
struct RawAnswer<'a, U> {
    #[serde(default, borrow)]
    id: Option<Text<'a>>,
    #[serde(default = "none")]
    usage: Option<U>,
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default, borrow)]
    choices: Option<Vec<RawChoice<'a>>>,
    #[serde(default, borrow)]
    service_tier: Option<LooseText<'a>>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

/// The hosted tools that an output called.
fn hosted_calls(output: Option<&RawValue>) -> HostedCalls {
    #[derive(Deserialize)]
    struct Calls(#[serde(deserialize_with = "hosted::of_output")] HostedCalls);
    let calls = output.and_then(|output| serde_json::from_str::<Calls>(output.get()).ok());
    calls.map_or_else(HostedCalls::default, |calls| calls.0)
}

/// Absent, whatever it would have been: `serde` would ask for a default of it.
fn none<U>() -> Option<U> {
    None
}

/// A usage if it can be read as one.
#[derive(Deserialize)]
struct Loose(#[serde(deserialize_with = "loosely")] Option<RawUsage>);

/// Text that is valid UTF-8 is parsed without a check of each string; other bytes may still be read in part.
fn parsed<'a, T: Deserialize<'a>>(text: Option<&'a str>, body: &'a [u8]) -> Option<T> {
    text.map_or_else(|| serde_json::from_slice(body), serde_json::from_str).ok()
}

#[derive(Deserialize)]
struct RawChoice<'a> {
    #[serde(default, borrow)]
    finish_reason: Option<Text<'a>>,
}

impl Answer {
    /// Reads an answer that is not streamed; what cannot be read is absent.
    ///
    /// ```
    /// use router_core::chat::usage::Answer;
    /// let answer = Answer::read(br#"{"model":"o1","usage":{"prompt_tokens":9,"completion_tokens":40,
    ///     "completion_tokens_details":{"reasoning_tokens":30},"prompt_tokens_details":null}}"#);
    /// let usage = answer.usage.unwrap_or_default();
    /// assert_eq!((usage.prompt.0, usage.completion.0, usage.reasoning.0), (9, 40, 30));
    /// ```
    pub fn read(body: &[u8]) -> Self {
        // Nearly every usage is as it should be: one reading. Loosely, its bytes are looked at twice.
        let text = simdutf8::basic::from_utf8(body).ok();
        if let Some(raw) = parsed::<RawAnswer<'_, RawUsage>>(text, body) {
            return Self::of(raw, Some);
        }
        if let Some(raw) = parsed::<RawAnswer<'_, Loose>>(text, body) {
            return Self::of(raw, |usage| usage.0);
        }
        let holds = parsed::<Lists<'_>>(text, body).map(|lists| Holds::of(&lists));
        Self { holds: holds.unwrap_or_default(), ..Self::default() }
    }

    /// True for an answer to this operation. Passed-through operations accept any answer.
    ///
    /// ```
    /// use router_core::chat::{Answer, Operation};
    /// let is_answer = |body: &str| Answer::read(body.as_bytes()).answers(Operation::Chat);
    /// assert!(is_answer(r#"{"choices":[{"message":{"content":"hi"}}]}"#));
    /// assert!(!is_answer(r#"{"choices":null}"#) && !is_answer("<html>") && !is_answer("{\"choices\":[{"));
    /// ```
    pub fn answers(&self, operation: Operation) -> bool {
        match operation {
            Operation::Chat | Operation::Completions => self.holds == Holds::Choices,
            Operation::Responses => self.holds == Holds::Output,
            Operation::Embeddings => self.holds == Holds::Data,
            Operation::InputTokens | Operation::Compact | Operation::Passed(_) => true,
        }
    }

    fn of<U>(raw: RawAnswer<'_, U>, usage: impl FnOnce(U) -> Option<RawUsage>) -> Self {
        let boxed = |text: Text<'_>| -> Box<str> { text.0.into() };
        let lists = Lists { choices: None, output: raw.output, data: raw.data };
        let first = raw.choices.and_then(|choices| choices.into_iter().next());
        let tier =
            raw.service_tier.and_then(|tier| tier.0).and_then(|tier| ServiceTier::named(&tier.0));
        let (tier, hosted) = (tier.unwrap_or_default(), hosted_calls(raw.output));
        let usage = raw.usage.and_then(usage).and_then(RawUsage::usage);
        Self {
            usage: usage.map(|usage| Usage { tier, hosted, ..usage }),
            holds: if first.is_some() { Holds::Choices } else { Holds::of(&lists) },
            model: raw.model.filter(|model| !model.0.is_empty()).map(boxed),
            id: raw.id.filter(|id| !id.0.is_empty()).map(boxed),
            finish_reason: first
                .and_then(|choice| choice.finish_reason)
                .filter(|reason| !reason.0.is_empty())
                .map(boxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_other_bodies_by_what_they_hold() {
        let filled = r#"{"choices":[{"finish_reason":5}]}"#;
        for (body, operation, expected) in [
            (filled, Operation::Chat, true),
            (filled, Operation::Completions, true),
            (filled, Operation::Responses, false),
            (r#"{"choices":[ ]}"#, Operation::Chat, false),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, Operation::Chat, false),
            (r#"{"choices":"text"}"#, Operation::Chat, false),
            (r#"{"output":[],"status":"queued"}"#, Operation::Responses, true),
            (r#"{"output":null}"#, Operation::Responses, false),
            (r#"{"data":[{"embedding":[0.1]}]}"#, Operation::Embeddings, true),
            (r#"{"data":[]}"#, Operation::Embeddings, false),
            (r#"{"statusCode":401,"message":"Access denied"}"#, Operation::Chat, false),
            (r#"{"status":"accepted"}"#, Operation::Responses, false),
            ("null", Operation::Chat, false),
            ("", Operation::Chat, false),
            ("ID3", Operation::Passed(None), true),
        ] {
            let answers = Answer::read(body.as_bytes()).answers(operation);
            assert_eq!(answers, expected, "{body} {operation:?}");
        }
    }

    #[test]
    fn usage_is_read_in_either_wording_or_both_and_what_is_none_hides_nothing_else() {
        for (usage, expected) in [
            (r#"{"prompt_tokens":3,"completion_tokens":4}"#, Some((3, 4))),
            (
                r#"{"input_tokens":3,"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2}}"#,
                Some((3, 4)),
            ),
            (
                r#"{"prompt_tokens":3,"input_tokens":3,"completion_tokens":4,"output_tokens":4}"#,
                Some((3, 4)),
            ),
            ("{}", Some((0, 0))),
            ("null", None),
            ("5", None),
            (r#"{"prompt_tokens":"many"}"#, None),
            (r#"{"prompt_tokens":"many","completion_tokens":[]}"#, None),
            (r#"{"prompt_tokens":3,"completion_tokens":"many"}"#, Some((3, 0))),
            (r#"{"prompt_tokens":3.0,"completion_tokens":"4"}"#, Some((3, 4))),
            (r#"{"prompt_tokens":-3,"completion_tokens":4}"#, Some((0, 4))),
            (
                r#"{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":7,"completion_tokens_details":{"reasoning_tokens":{}}}"#,
                Some((3, 4)),
            ),
        ] {
            let answer = Answer::read(format!(r#"{{"model":"m","usage":{usage}}}"#).as_bytes());
            assert_eq!(
                answer.usage.map(|usage| (usage.prompt.0, usage.completion.0)),
                expected,
                "{usage}"
            );
            assert_eq!(answer.model.as_deref(), Some("m"), "{usage}");
        }
    }

    #[test]
    fn the_tier_and_the_hosted_tools_of_an_answer_are_part_of_its_usage() {
        for (tier, expected) in [
            ("null", ServiceTier::Standard),
            ("\"default\"", ServiceTier::Standard),
            ("\"auto\"", ServiceTier::Standard),
            ("\"priority\"", ServiceTier::Priority),
            ("\"flex\"", ServiceTier::Flex),
            ("\"scale\"", ServiceTier::Other),
        ] {
            let text = format!(
                r#"{{"service_tier":{tier},"output":[{{"type":"file_search_call"}}],"usage":{{"input_tokens":1}}}}"#
            );
            let usage = Answer::read(text.as_bytes()).usage.unwrap();
            assert_eq!((usage.tier, usage.hosted.file_searches), (expected, 1), "{tier}");
        }
    }
}
