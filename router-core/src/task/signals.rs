//! The evidence besides the score of the last turn, as numbers, and what decided a task.
//!
//! Not done here: adding it up (`classifier.rs`).

use super::kind::OtherLanguages;
use super::kind::Score;

/// The evidence beside the score of the last turn. All but `threshold` are weights in log-odds (1.0 makes reasoning
/// 2.7 times as likely); 0 switches a signal off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals {
    /// From this score on a task counts as reasoning. Lower sends more to the reasoning role: 0.5 makes both kinds of
    /// mistake equally dear, 0.3 accepts about two needless reasoning calls to avoid one missed.
    pub threshold: Score,
    /// The weight of what a short or backward-pointing turn takes over from the turns before: 1 as measured, 0 nothing.
    pub follow_up: f32,
    /// The distance beyond the threshold, in log-odds, that a score must reach before a conversation changes its task.
    pub hysteresis: f32,
    /// The share of the instructions' own score that counts: a tutor's prompt differs from a shop's.
    pub instructions: f32,
    /// Added where tools are offered: to choose one and its arguments takes a step of planning.
    pub tools: f32,
    /// Added where the request continues from the result of a tool; tools are offered then too, and both add up.
    pub tool_result: f32,
    /// Added where the last user turn shows an image: most are to be described or read off.
    pub image: f32,
    /// Added if the answer must follow a JSON schema: mostly extraction.
    pub json_schema: f32,
    /// Added if the answer must be any JSON object: less clearly extraction.
    pub json_object: f32,
    /// Added if the caller caps the answer at 32 tokens: a label or a name, with no space for reasoning.
    pub short_answer: f32,
    /// Added if the caller asks for `reasoning_effort` of `medium` or more, and taken away for `low` or less.
    pub reasoning_effort: f32,
    /// Added if the last user turn asks to think step by step.
    pub step_by_step: f32,
    /// Added if the last user turn is a helper call of a chat front end (title, tags, search query ..), which is chat
    /// whatever it quotes.
    pub helper_call: f32,
    /// The rule for requests in other languages than English and Korean.
    pub other_languages: OtherLanguages,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            threshold: Score::nearest(0.5),
            follow_up: 1.0,
            hysteresis: 0.25,
            instructions: 0.1,
            tools: 0.25,
            tool_result: -0.5,
            image: -0.25,
            json_schema: -0.75,
            json_object: -0.5,
            short_answer: -0.5,
            reasoning_effort: 1.5,
            step_by_step: 1.5,
            helper_call: -8.0,
            other_languages: OtherLanguages::Score,
        }
    }
}

/// The evidence that decided the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// The caller said so.
    Hint,
    /// The score of the last turn and the threshold.
    Score,
    /// The turns before, which the last one follows up.
    FollowUp,
    /// The conversation's task so far, which the score was too near to leave.
    Hysteresis,
    /// The instructions.
    Instructions,
    /// Tools are offered.
    Tools,
    /// The request continues from the result of a tool.
    ToolResult,
    /// The last user turn shows an image.
    Image,
    /// The answer must follow a JSON schema.
    JsonSchema,
    /// The answer must be a JSON object.
    JsonObject,
    /// The answer may have few tokens only.
    ShortAnswer,
    /// The caller named a reasoning effort.
    ReasoningEffort,
    /// The last user turn asks to think step by step.
    StepByStep,
    /// The last user turn is a helper call of a chat front end.
    HelperCall,
    /// The last user turn is in a language that the scorer did not learn.
    OtherLanguage,
}

impl Because {
    /// The word used in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Score => "score",
            Self::FollowUp => "follow_up",
            Self::Hysteresis => "hysteresis",
            Self::Instructions => "instructions",
            Self::Tools => "tools",
            Self::ToolResult => "tool_result",
            Self::Image => "image",
            Self::JsonSchema => "json_schema",
            Self::JsonObject => "json_object",
            Self::ShortAnswer => "short_answer",
            Self::ReasoningEffort => "reasoning_effort",
            Self::StepByStep => "step_by_step",
            Self::HelperCall => "helper_call",
            Self::OtherLanguage => "other_language",
        }
    }
}
