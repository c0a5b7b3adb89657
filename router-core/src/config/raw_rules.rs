//! The tables `[rules.NAME]` as written.

use serde::{Deserialize, Serialize};

/// A table `[rules.NAME]`. The first matching rule, by `order`, takes precedence over the score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Position, 1 to 10000: lower ones are tried first; required and different for each rule.
    pub order: Option<i64>,
    /// Conditions; all that are set must hold, and one entry of each list suffices.
    pub when: RuleConditions,
    /// Settings for the requests that it matches.
    pub set: RuleEffects,
}

/// The table `[rules.NAME.when]`: all conditions that are set must hold, and one entry of each list suffices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RuleConditions {
    /// Names of keys.
    pub keys: Option<Vec<String>>,
    /// Operations: `chat`, `responses`, `input_tokens`, `compact`.
    pub operations: Option<Vec<String>>,
    /// A header of the caller.
    pub header: Option<RuleHeader>,
    /// Names of offered tools, or kinds of hosted ones such as `web_search`.
    pub tools: Option<Vec<String>>,
    /// Hashes of the system prompt's first characters, as `router-server explain` prints them: `256:` and 16 digits.
    pub instructions_hash: Option<Vec<String>>,
    /// Literal words in the system prompt; ASCII letters match in either case.
    pub instructions_words: Option<Vec<String>>,
    /// Literal words anywhere in the user's last turn.
    pub turn_words: Option<Vec<String>>,
    /// Literal words in the question that the scorer locates in the user's last turn.
    pub question_words: Option<Vec<String>>,
    /// Fewest characters of the user's last turn.
    pub min_turn_chars: Option<i64>,
    /// Most characters of the user's last turn.
    pub max_turn_chars: Option<i64>,
    /// Fewest tokens of the whole prompt, as the router estimates them.
    pub min_prompt_tokens: Option<i64>,
    /// Most tokens of the whole prompt, as the router estimates them.
    pub max_prompt_tokens: Option<i64>,
}

/// A condition on a request header: its name, and exactly one of `value`, `prefix` and `present`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RuleHeader {
    /// Name of the header.
    pub name: Option<String>,
    /// The header's complete value.
    pub value: Option<String>,
    /// The first characters of the header's value.
    pub prefix: Option<String>,
    /// `true`: any value.
    pub present: Option<bool>,
}

/// The table `[rules.NAME.set]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RuleEffects {
    /// Task, in place of the score: `reasoning` or `chat`; `x-router-task` wins.
    pub task: Option<String>,
    /// Role that serves, even if the caller asks for the other one: `reasoning` or `chat`.
    pub role: Option<String>,
    /// Model that serves, in place of the role's models.
    pub model: Option<String>,
    /// Effort of requests that set none: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// Preference of requests that state none: `cost`, `fast` or `balanced`.
    pub prefer: Option<String>,
}
