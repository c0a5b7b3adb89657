//! Edits a chat request: effort, sampling, verbosity, roles, and fields that the deployment refused
//! before.

use crate::model::CapField;
use crate::model::Effort;
use crate::model::InstructionRole;
use crate::model::ModelRecord;
use crate::model::Sampling;

use super::adapt::{Edit, Fitted, Target, quoted};
use super::message::Role;

/// The fields that a model with fixed sampling refuses; `temperature` 1 is accepted.
const SAMPLING: [&str; 7] = [
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
];

/// Those of them that a model whose sampling is free without effort refuses at any effort.
const WEIGHTS: [&str; 3] = ["presence_penalty", "frequency_penalty", "logit_bias"];

impl<'r, 'a> Edit<'r, 'a> {
    /// Fits a chat request.
    pub(super) fn chat(mut self, target: Target<'_>) -> Fitted<'r, 'a> {
        let record = target.record;
        let effort = self.effort(record, target.effort);
        match target.tight {
            Some(tight) => self.tighten(record, tight),
            None => self.cap(record, effort, target.chosen),
        }
        self.sampling(record, effort);
        self.verbosity(record);
        self.roles(record.instructions);
        self.parallel_tools(record, effort);
        for name in target.all_refused() {
            self.refused(name, target, effort);
        }
        let restream = self.request.stream() && !record.abilities.streaming;
        let stream_options = target.stream_options && !target.refused.contains(&"stream_options");
        let withhold_usage = self.stream(restream, stream_options);
        self.fitted(restream, withhold_usage)
    }

    /// Leaves out a field that the deployment refused; a cap moves to its other name, so that it still holds.
    fn refused(&mut self, name: &'static str, target: Target<'_>, effort: Effort) {
        if name == "max_tokens" && target.record.cap_field == CapField::Either {
            self.newer_cap(target.record, effort, target.chosen);
        } else if name == "max_completion_tokens" && target.record.cap_field == CapField::Either {
            self.older_cap();
        } else {
            self.leave_out_once(name);
        }
    }

    /// Writes the cap as `max_tokens`, for an API version that knows no other.
    fn older_cap(&mut self) {
        let cap = self.request.raw("max_completion_tokens").map(str::to_owned);
        if let Some(cap) = cap.filter(|_| !self.given("max_tokens")) {
            self.splice.set("max_tokens", cap);
        }
        self.leave_out_once("max_completion_tokens");
    }

    /// Fits the effort; returns the one that the model will use.
    fn effort(&mut self, record: &ModelRecord, wished: Option<Effort>) -> Effort {
        const FIELD: &str = "reasoning_effort";
        let Some(efforts) = &record.efforts else {
            self.leave_out(FIELD);
            return Effort::None;
        };
        let asked = self.request.reasoning_effort().map(Effort::from_word);
        let fitting = match asked {
            Some(Some(effort)) => efforts.nearest(effort),
            None => match efforts.in_place_of_default(wished) {
                Some(effort) => Some(effort),
                None => return efforts.default,
            },
            // A word we do not know may be newer than we are: the upstream judges it.
            Some(None) => return efforts.default,
        };
        match fitting {
            None => self.leave_out(FIELD),
            Some(effort) if asked == Some(Some(effort)) => {}
            Some(effort) => self.set(FIELD, quoted(effort.as_str())),
        }
        fitting.unwrap_or(efforts.default)
    }

    pub(super) fn sampling(&mut self, record: &ModelRecord, effort: Effort) {
        let refused: &[&'static str] = match record.sampling {
            Sampling::Free => &[],
            Sampling::FreeWithoutEffort if effort == Effort::None => &WEIGHTS,
            Sampling::FreeWithoutEffort | Sampling::Fixed => &SAMPLING,
        };
        for name in refused.iter().copied() {
            let number = self.request.raw(name).and_then(|raw| raw.parse::<f64>().ok());
            let usual = name == "temperature"
                && number.is_some_and(|number| (number - 1.0).abs() < f64::EPSILON);
            if !usual {
                self.leave_out(name);
            }
        }
        if !record.prediction {
            self.leave_out("prediction");
        }
        if !record.stop {
            self.leave_out("stop");
        }
    }

    /// A model without the choice has one verbosity, `medium`, and takes its name alone.
    fn verbosity(&mut self, record: &ModelRecord) {
        if !record.verbosity && self.request.raw("verbosity") != Some("\"medium\"") {
            self.leave_out("verbosity");
        }
    }

    /// **Source:** Microsoft, "Azure OpenAI reasoning models": no parallel tool calls at minimal effort.
    pub(super) fn parallel_tools(&mut self, record: &ModelRecord, effort: Effort) {
        if !record.abilities.parallel_tools || effort == Effort::Minimal {
            self.leave_out("parallel_tool_calls");
        }
    }

    fn roles(&mut self, instructions: InstructionRole) {
        let has = |role: Role| self.request.messages().iter().any(|message| message.role == role);
        let both = has(Role::System) && has(Role::Developer);
        let mut renamed = false;
        for (index, message) in self.request.messages().iter().enumerate() {
            let role = match (instructions, message.role) {
                (InstructionRole::System, Role::Developer) => "system",
                (InstructionRole::Either, Role::System) if both => "developer",
                (InstructionRole::User, Role::System | Role::Developer) => "user",
                _ => continue,
            };
            self.splice.set_role(index, role);
            renamed = true;
        }
        if renamed {
            self.changed.push("messages.role");
        }
    }
}
