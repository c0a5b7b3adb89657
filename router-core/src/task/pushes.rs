//! The evidence for a task besides the words of the last turn, with its weight: the turns before it, instructions, tools and
//! parameters of the request.
//!
//! Not done here: the decision (`classifier.rs`).

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::ResponseFormat;
use crate::chat::Role;
use crate::units::Tokens;

use super::caller_hints::asks_for_steps;
use super::conversation::EARLIER;
use super::conversation::ends_with_tool;
use super::conversation::last_user;
use super::conversation::lean;
use super::conversation::user_turns;
use super::helper_call::asks_for_helper_calls;
use super::helper_call::is_helper_call;
use super::kind::Assessment;
use super::kind::OtherLanguages;
use super::kind::Score;
use super::kind::Scorer;
use super::kind::Task;
use super::remembered::Remembered;
use super::signals::Because;
use super::signals::Signals;

/// The signals that push log-odds, in the order of [`Pushes::all`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pushes {
    /// The last turn, alone.
    pub(super) own: f32,
    /// What the scorer found in it; `None` if no user has spoken.
    pub(super) last: Option<Assessment>,
    follow_up: f32,
    instructions: f32,
    tools: f32,
    tool_result: f32,
    image: f32,
    json_schema: f32,
    json_object: f32,
    short_answer: f32,
    reasoning_effort: f32,
    step_by_step: f32,
    helper_call: f32,
    /// Towards reasoning, where a language is not known well enough to be sure.
    other: f32,
    /// Is the last turn in another language?
    pub(super) other_language: bool,
    /// The task of the conversation before the last turn; `None` if that is the first.
    pub(super) before: Option<Task>,
}

impl Pushes {
    /// Each signal and its push.
    pub(super) fn all(&self) -> [(Because, f32); 12] {
        [
            (Because::FollowUp, self.follow_up),
            (Because::Instructions, self.instructions),
            (Because::Tools, self.tools),
            (Because::ToolResult, self.tool_result),
            (Because::Image, self.image),
            (Because::JsonSchema, self.json_schema),
            (Because::JsonObject, self.json_object),
            (Because::ShortAnswer, self.short_answer),
            (Because::ReasoningEffort, self.reasoning_effort),
            (Because::StepByStep, self.step_by_step),
            (Because::HelperCall, self.helper_call),
            (Because::OtherLanguage, self.other),
        ]
    }

    /// All evidence, in log-odds.
    pub(super) fn sum(&self) -> f32 {
        self.own + self.all().iter().map(|(_, push)| push).sum::<f32>()
    }

    /// The signal that pushed most towards a task.
    pub(super) fn strongest(&self, task: Task) -> Because {
        let towards = |push: f32| match task {
            Task::Reasoning => push,
            Task::Chat => -push,
        };
        let all = self.all();
        let strongest = all.iter().max_by(|a, b| towards(a.1).total_cmp(&towards(b.1)));
        strongest.filter(|(_, push)| towards(*push) > 0.0).map_or(Because::Score, |(name, _)| *name)
    }
}

/// The sources of evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'c> {
    /// Scores turns.
    pub(super) scorer: &'c dyn Scorer,
    /// The weight of each signal.
    pub(super) signals: &'c Signals,
    /// Scores of turns that were here before.
    pub(super) remembered: &'c Remembered,
    /// The caller's key: what is remembered of its texts, others do not see.
    pub(super) caller: Option<&'c str>,
}

impl Evidence<'_> {
    /// The threshold as it stands for a conversation that has a task already.
    pub(super) fn held(self, threshold: f32, before: Option<Task>) -> f32 {
        match before {
            Some(Task::Reasoning) => threshold - self.signals.hysteresis,
            Some(Task::Chat) => threshold + self.signals.hysteresis,
            None => threshold,
        }
    }

    /// All evidence of a request.
    pub(super) fn pushes(self, request: &ChatRequest<'_>) -> Pushes {
        let signals = self.signals;
        let mut pushes = self.conversation(request);
        pushes.instructions = self.instructions(request);
        self.offered(request, &mut pushes);
        pushes.reasoning_effort = match request.reasoning_effort() {
            Some("none" | "minimal" | "low") => -signals.reasoning_effort,
            Some("medium" | "high" | "xhigh") => signals.reasoning_effort,
            Some(_) | None => 0.0,
        };
        if signals.step_by_step != 0.0 && last_user(request).is_some_and(asks_for_steps) {
            pushes.step_by_step = signals.step_by_step;
        }
        let helps = || {
            let first = request.messages().first();
            let system = first.filter(|first| matches!(first.role, Role::System | Role::Developer));
            last_user(request).is_some_and(is_helper_call)
                || system.is_some_and(asks_for_helper_calls)
        };
        if signals.helper_call != 0.0 && helps() {
            pushes.helper_call = signals.helper_call;
        }
        pushes
    }

    /// Signals besides the words: tools, an image, the requested format and length.
    fn offered(self, request: &ChatRequest<'_>, pushes: &mut Pushes) {
        let signals = self.signals;
        if request.offers_tools() {
            pushes.tools = signals.tools;
        }
        if ends_with_tool(request) {
            pushes.tool_result = signals.tool_result;
        }
        if last_user(request).is_some_and(|turn| turn.images() > 0) {
            pushes.image = signals.image;
        }
        match request.response_format() {
            ResponseFormat::JsonSchema => pushes.json_schema = signals.json_schema,
            ResponseFormat::JsonObject => pushes.json_object = signals.json_object,
            ResponseFormat::Text => {}
        }
        if request.max_output().is_some_and(|cap| cap <= SHORT_ANSWER) {
            pushes.short_answer = signals.short_answer;
        }
    }

    /// Walks through the user's last turns, oldest first: each leans on the one before it.
    fn conversation(self, request: &ChatRequest<'_>) -> Pushes {
        let signals = self.signals;
        let alone = signals.follow_up == 0.0 && signals.hysteresis == 0.0;
        let looked_at = if alone { 1 } else { EARLIER + 1 };
        let mut turns: [Option<&Message<'_>>; EARLIER + 1] = [None; EARLIER + 1];
        for (place, turn) in turns.iter_mut().rev().zip(user_turns(request).take(looked_at)) {
            *place = Some(turn);
        }
        let mut pushes = Pushes { own: Score::nearest(0.0).log_odds(), ..Pushes::default() };
        let mut carried: Option<f32> = None;
        for (place, turn) in turns.into_iter().enumerate() {
            let Some(turn) = turn else { continue };
            let threshold = self.signals.threshold.log_odds();
            let task = |sum| task_of(sum, self.held(threshold, pushes.before));
            pushes.before = carried.map(task);
            pushes.own = if place == EARLIER {
                let found = self.scorer.assess_for(turn, self.caller);
                pushes.last = Some(found);
                pushes.other_language = found.other_language;
                if found.other_language && signals.other_languages == OtherLanguages::Score {
                    pushes.other = DOUBT;
                }
                found.score.log_odds()
            } else {
                self.again(turn).log_odds()
            };
            pushes.follow_up = carried.map_or(0.0, |before| {
                let lean = lean(turn);
                // Without the question that it takes up again, "why?" says nothing against reasoning.
                let reopened = lean.reopens && before > 0.0;
                let lift = if reopened { (REOPENED - pushes.own).max(0.0) } else { 0.0 };
                let inherited = lean.share * before.clamp(-MOST_CARRIED, MOST_CARRIED);
                signals.follow_up * inherited + signals.follow_up.min(1.0) * lift
            });
            carried = Some(pushes.own + pushes.follow_up);
        }
        pushes
    }

    fn instructions(self, request: &ChatRequest<'_>) -> f32 {
        if self.signals.instructions == 0.0 {
            return 0.0;
        }
        let mut all = request.messages().iter();
        let first = all.find(|message| matches!(message.role, Role::System | Role::Developer));
        // A sure score of the instructions says little of the question: it must not decide a clear one.
        let held = |odds: f32| odds.clamp(-MOST_CARRIED, MOST_CARRIED);
        first.map_or(0.0, |turn| held(self.again(turn).log_odds()) * self.signals.instructions)
    }

    /// The score of a turn that has most likely been here before.
    fn again(self, turn: &Message<'_>) -> Score {
        self.remembered.score(turn, self.caller, || self.scorer.score_turn(turn))
    }
}

/// The most that a turn hands on, in log-odds: one very sure turn must not decide all that follow.
const MOST_CARRIED: f32 = 3.0;
/// The least log-odds of a turn that takes up a question again that needs reasoning.
const REOPENED: f32 = -0.5;
/// The lean towards reasoning in another language, in log-odds: a proof that goes to the chat model is the dearer mistake.
const DOUBT: f32 = 0.5;
/// The longest answer that is a label or a name.
const SHORT_ANSWER: Tokens = Tokens(32);

/// The task at a threshold.
pub(super) fn task_of(log_odds: f32, threshold: f32) -> Task {
    if log_odds >= threshold { Task::Reasoning } else { Task::Chat }
}
