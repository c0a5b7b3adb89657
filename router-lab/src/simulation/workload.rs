//! Turns a trace into calls: the cap of each, whether it is streamed, and its task.

use std::time::Duration;

use azure_emulator::dice::{Dice, Lengths, scaled};
use router_core::chat::Usage;
use router_core::task::Task;
use router_core::units::Tokens;

use crate::simulation_args::CapModel;
use crate::simulation_args::Scenario;

use super::trace::Arrival;

/// The first token of an answer comes after this time.
pub const FIRST_TOKEN: Duration = Duration::from_millis(300);

/// Output tokens per second.
pub const TOKENS_PER_SECOND: f64 = 60.0;

/// One call, with everything about it that chance decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Its arrival.
    pub at: Duration,
    /// The prompt's tokens, as the upstream counts them.
    pub prompt: u64,
    /// The part of them that comes from the cache, wherever the call is served.
    pub cached: u64,
    /// The prompt's tokens, as the router shall estimate them.
    pub estimate: u64,
    /// The answer's tokens; not above the cap, but for hidden reasoning.
    pub output: u64,
    /// The same where a model answers that reasons, its hidden reasoning included.
    pub reasoning_output: u64,
    /// The caller's cap.
    pub cap: Option<u64>,
    /// True if the caller asks for a stream.
    pub streamed: bool,
    /// Its task.
    pub task: Task,
}

impl Call {
    /// Usage of an answer with that many tokens.
    pub fn usage(&self, output: u64) -> Usage {
        Usage {
            prompt: Tokens(self.prompt),
            cached: Tokens(self.cached),
            completion: Tokens(output),
            ..Usage::default()
        }
    }

    /// Duration of an undelayed answer.
    pub fn ideal(&self) -> Duration {
        answer_time(self.output)
    }
}

/// Duration of an answer with that many tokens.
pub fn answer_time(output: u64) -> Duration {
    FIRST_TOKEN + Duration::from_secs_f64(as_f64(output) / TOKENS_PER_SECOND)
}

/// Counts of tokens and requests as a factor.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The calls of a trace under a scenario. Each thing that chance decides has dice of its own, so that two scenarios that
/// differ in one thing agree in the others.
pub fn calls(arrivals: &[Arrival], scenario: &Scenario) -> Vec<Call> {
    let dice = |about: &[u8]| Dice::new(scenario.seed, about);
    let (mut caps, mut streams) = (dice(b"caps"), dice(b"streams"));
    let (mut tasks, mut estimates) = (dice(b"tasks"), dice(b"estimates"));
    let call = |arrival: &Arrival| {
        let cap = cap(scenario.max_tokens, arrival, &mut caps);
        let output = match scenario.max_tokens {
            // The output is known, and hidden reasoning is not limited by the caller's cap.
            CapModel::Trace => arrival.output,
            CapModel::Tight | CapModel::Mixed | CapModel::Unset | CapModel::HalfUnset => {
                cap.map_or(arrival.output, |cap| cap.min(arrival.output))
            }
        };
        let said = |share: Option<f64>, dice: &mut Dice| share.map(|share| dice.share() < share);
        let streamed = said(scenario.streamed_share, &mut streams).or(arrival.streamed);
        let of_share = |reasoning| if reasoning { Task::Reasoning } else { Task::Chat };
        let task = said(scenario.reasoning_share, &mut tasks).map(of_share).or(arrival.task);
        let error = scenario.estimate_error * (2.0 * estimates.share() - 1.0);
        Call {
            at: arrival.at,
            prompt: arrival.prompt,
            cached: arrival.cached,
            estimate: arrival.estimate.unwrap_or_else(|| scaled(arrival.prompt, 1.0 + error)),
            output,
            reasoning_output: output,
            cap,
            streamed: streamed.unwrap_or(false),
            task: task.unwrap_or(Task::Chat),
        }
    };
    arrivals.iter().map(call).collect()
}

fn cap(model: CapModel, arrival: &Arrival, dice: &mut Dice) -> Option<u64> {
    let output = arrival.output;
    let tight =
        |dice: &mut Dice| Some((output + Lengths::Uniform { min: 0, max: 200 }.draw(dice)).max(1));
    match model {
        CapModel::Tight => tight(dice),
        CapModel::HalfUnset => {
            if dice.share() < 0.5 {
                None
            } else {
                tight(dice)
            }
        }
        CapModel::Mixed => dice.pick(&[4_096, 4_096, 1_024, output + 100, output + 300]).copied(),
        CapModel::Unset => None,
        CapModel::Trace => arrival.cap,
    }
}
