//! The table `[routing.signals]` as written.
//!
//! Not done here: ranges (`roles.rs`).

use serde::{Deserialize, Serialize};

/// The table `[routing.signals]`: weights in log-odds, of which 0 switches a signal off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Signals {
    /// Share of the previous turns' score that a follow-up inherits, 0 to 10; 1.
    pub follow_up: Option<f64>,
    /// Distance beyond the threshold at which a conversation changes its task, 0 to 10; 0.25.
    pub hysteresis: Option<f64>,
    /// Weight of the instructions' own score, -10 to 10; 0.1.
    pub instructions: Option<f64>,
    /// Added where tools are offered, -10 to 10; 0.25.
    pub tools: Option<f64>,
    /// Added where the request continues from the result of a tool, -10 to 10; -0.5.
    pub tool_result: Option<f64>,
    /// Added where the last user turn shows an image, -10 to 10; -0.25.
    pub image: Option<f64>,
    /// Added if the answer must follow a JSON schema, -10 to 10; -0.75.
    pub json_schema: Option<f64>,
    /// Added if the answer must be any JSON object, -10 to 10; -0.5.
    pub json_object: Option<f64>,
    /// Added if the answer is capped at 32 tokens, -10 to 10; -0.5.
    pub short_answer: Option<f64>,
    /// Added if the caller asks for much `reasoning_effort`, taken away for little, -10 to 10; 1.5.
    pub reasoning_effort: Option<f64>,
    /// Added if the last user turn asks to think step by step, -10 to 10; 1.5.
    pub step_by_step: Option<f64>,
    /// Added if the last user turn is a helper call of a chat front end (title, tags, search query), -10 to 10; -8.
    pub helper_call: Option<f64>,
}
