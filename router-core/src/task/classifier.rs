//! Score -> task: combines the score of the last turn with other signals and applies the threshold.
//!
//! All evidence is added in log-odds, where "twice as likely" is the same step everywhere: the
//! turn's own score, what a follow-up inherits from the turns before it, and what the request's
//! parameters suggest. The caller's own choice overrides everything. Each signal is a number in
//! [`Signals`]; zero disables it.
//!
//! Not done here: the score of a turn (`linear.rs`), and which model serves a task (`policy`).

use std::sync::Arc;

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::ResponseFormat;
use crate::chat::Role;
use crate::units::Tokens;

use super::benefit::Benefit;
use super::caller_hints::asks_for_steps;
use super::conversation::EARLIER;
use super::conversation::ends_with_tool;
use super::conversation::last_user;
use super::conversation::lean;
use super::conversation::user_turns;
use super::kind::Reason;
use super::kind::Score;
use super::kind::Scorer;
use super::kind::Task;
use super::remembered::Remembered;

/// What may speak beside the score of the last turn. All but `threshold` are weights in log-odds (1.0 makes reasoning
/// 2.7 times as likely); 0 switches a signal off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals {
    /// From this score on a task counts as reasoning. Lower sends more to the reasoning role: 0.5 makes both kinds of
    /// mistake equally dear, 0.3 accepts about two needless reasoning calls to avoid one missed.
    pub threshold: Score,
    /// How much a short or backward-pointing turn takes over from the turns before: 1 as measured, 0 nothing.
    pub follow_up: f32,
    /// How much further than the threshold a score must go before a conversation changes its task.
    pub hysteresis: f32,
    /// How much of the instructions' own score counts: a tutor's prompt differs from a shop's.
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
        }
    }
}

/// What decided the task.
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
        }
    }
}

/// A task with its score and what decided it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The task.
    pub task: Task,
    /// The score, all signals added; also where a hint decided.
    pub score: Score,
    /// What decided.
    pub because: Because,
    /// What a reasoning model would gain over a chat model; near 0 if the score is low. [`Classifier::benefit_reasons`]
    /// explains it.
    pub benefit: Benefit,
}

/// Turns requests into tasks.
///
/// ```
/// use std::sync::Arc;
/// use router_core::chat::ChatRequest;
/// use router_core::task::{Classifier, LinearScorer, Signals, Task};
/// let classifier = Classifier::new(Arc::new(LinearScorer::shipped()?), Signals::default());
/// let body = r#"{"messages":[
///     {"role":"user","content":"Prove that there are infinitely many primes."},
///     {"role":"assistant","content":"Assume there are finitely many ..."},
///     {"role":"user","content":"Thanks!"}]}"#;
/// let request = ChatRequest::parse(body.as_bytes())?;
/// assert_eq!(classifier.classify(&request, None).task, Task::Chat);
/// assert_eq!(classifier.classify(&request, Some(Task::Reasoning)).task, Task::Reasoning);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Classifier {
    scorer: Arc<dyn Scorer>,
    signals: Signals,
    remembered: Remembered,
}

/// The signals that push log-odds, in the order of [`Pushes::all`].
#[derive(Debug, Clone, Copy, Default)]
struct Pushes {
    /// The last turn, alone.
    own: f32,
    /// What reasoning gains on it if it needs reasoning; `None` if no user has spoken.
    gain: Option<Score>,
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
    /// The task of the conversation before the last turn; `None` if that is the first.
    before: Option<Task>,
}

impl Pushes {
    fn all(&self) -> [(Because, f32); 10] {
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
        ]
    }

    fn sum(&self) -> f32 {
        self.own + self.all().iter().map(|(_, push)| push).sum::<f32>()
    }

    /// The signal that pushed most towards a task.
    fn strongest(&self, task: Task) -> Because {
        let towards = |push: f32| match task {
            Task::Reasoning => push,
            Task::Chat => -push,
        };
        let all = self.all();
        let strongest = all.iter().max_by(|a, b| towards(a.1).total_cmp(&towards(b.1)));
        strongest.filter(|(_, push)| towards(*push) > 0.0).map_or(Because::Score, |(name, _)| *name)
    }
}

impl Classifier {
    /// A classifier over any scorer.
    pub fn new(scorer: Arc<dyn Scorer>, signals: Signals) -> Self {
        Self { scorer, signals, remembered: Remembered::default() }
    }

    /// The score at which reasoning begins.
    pub fn threshold(&self) -> Score {
        self.signals.threshold
    }

    /// The task of a request; a `hint` of the caller wins.
    pub fn classify(&self, request: &ChatRequest<'_>, hint: Option<Task>) -> Verdict {
        let pushes = self.pushes(request);
        let score = Score::from_log_odds(pushes.sum());
        let benefit = Benefit::behind(score, pushes.gain);
        if let Some(task) = hint {
            return Verdict { task, score, because: Because::Hint, benefit };
        }
        let threshold = self.signals.threshold.log_odds();
        let alone = task_of(pushes.own, threshold);
        let pushed = task_of(pushes.sum(), threshold);
        let task = task_of(pushes.sum(), self.held(threshold, pushes.before));
        let because = if task != pushed {
            Because::Hysteresis
        } else if task == alone {
            Because::Score
        } else {
            pushes.strongest(task)
        };
        Verdict { task, score, because, benefit }
    }

    /// The question located in the last user's turn, in the caller's words; `[..]` stands for what is left out.
    pub fn question(&self, request: &ChatRequest<'_>) -> Option<String> {
        self.scorer.question(request)
    }

    /// The features that weighed most and the signals that spoke, heaviest first.
    pub fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let mut reasons = self.scorer.reasons(request, most);
        let signals = self.pushes(request).all();
        reasons.extend(signals.into_iter().filter(|(_, push)| *push != 0.0).map(
            |(signal, weight)| Reason {
                name: format!("signal: {}", signal.as_str()).into(),
                weight,
            },
        ));
        reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        reasons.truncate(most);
        reasons
    }

    /// The features that weighed most in the benefit, heaviest first; weights are in log-odds, positive towards a gain.
    pub fn benefit_reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        self.scorer.gain_reasons(request, most)
    }

    /// The threshold as it stands for a conversation that has a task already.
    fn held(&self, threshold: f32, before: Option<Task>) -> f32 {
        match before {
            Some(Task::Reasoning) => threshold - self.signals.hysteresis,
            Some(Task::Chat) => threshold + self.signals.hysteresis,
            None => threshold,
        }
    }

    fn pushes(&self, request: &ChatRequest<'_>) -> Pushes {
        let signals = &self.signals;
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
        pushes
    }

    /// Signals besides the words: tools, an image, the requested format and length.
    fn offered(&self, request: &ChatRequest<'_>, pushes: &mut Pushes) {
        let signals = &self.signals;
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
    fn conversation(&self, request: &ChatRequest<'_>) -> Pushes {
        let signals = &self.signals;
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
                let found = self.scorer.assess(turn);
                pushes.gain = Some(found.gain);
                found.score.log_odds()
            } else {
                self.again(turn).log_odds()
            };
            pushes.follow_up = carried.map_or(0.0, |before| {
                signals.follow_up * lean(turn) * before.clamp(-MOST_CARRIED, MOST_CARRIED)
            });
            carried = Some(pushes.own + pushes.follow_up);
        }
        pushes
    }

    fn instructions(&self, request: &ChatRequest<'_>) -> f32 {
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
    fn again(&self, turn: &Message<'_>) -> Score {
        self.remembered.score(turn, || self.scorer.score_turn(turn))
    }
}

/// What a turn can hand on at most, in log-odds: one very sure turn must not decide all that follow.
const MOST_CARRIED: f32 = 3.0;
/// The longest answer that is a label or a name.
const SHORT_ANSWER: Tokens = Tokens(32);

fn task_of(log_odds: f32, threshold: f32) -> Task {
    if log_odds >= threshold { Task::Reasoning } else { Task::Chat }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores a turn by the number it contains, in log-odds.
    #[derive(Debug)]
    struct Stated;

    impl Scorer for Stated {
        fn score_turn(&self, turn: &Message<'_>) -> Score {
            let said: String = turn.texts().collect();
            let number = said.split_whitespace().find_map(|word| word.parse().ok());
            Score::from_log_odds(number.unwrap_or(0.0))
        }

        fn reasons(&self, _: &ChatRequest<'_>, _: usize) -> Vec<Reason> {
            vec![Reason { name: "own".into(), weight: 1.0 }]
        }
    }

    fn verdict(signals: Signals, turns: &[(&str, &str)], rest: &str) -> Verdict {
        let messages: Vec<_> = turns
            .iter()
            .map(|(role, text)| serde_json::json!({"role": role, "content": text}))
            .collect();
        let messages = serde_json::Value::from(messages);
        let body = format!(r#"{{"messages":{messages}{rest}}}"#);
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        Classifier::new(Arc::new(Stated), signals).classify(&request, None)
    }

    fn off() -> Signals {
        Signals {
            threshold: Score::nearest(0.5),
            follow_up: 0.0,
            hysteresis: 0.0,
            instructions: 0.0,
            tools: 0.0,
            tool_result: 0.0,
            image: 0.0,
            json_schema: 0.0,
            json_object: 0.0,
            short_answer: 0.0,
            reasoning_effort: 0.0,
            step_by_step: 0.0,
        }
    }

    #[test]
    fn the_score_decides_where_nothing_else_speaks() {
        for (text, task) in [("0.1", Task::Reasoning), ("-0.1", Task::Chat)] {
            let found = verdict(Signals::default(), &[("user", text)], "");
            assert_eq!((found.task, found.because), (task, Because::Score), "{text}");
        }
    }

    #[test]
    fn what_is_hardly_a_reasoning_task_has_hardly_a_benefit() {
        // The stated scorer finds a gain of one half in every turn.
        for (text, least, most) in [("6", 0.49, 0.5), ("0", 0.24, 0.26), ("-6", 0.0, 0.01)] {
            let found = verdict(off(), &[("user", text)], "").benefit.probability;
            assert!((least..=most).contains(&found), "{text}: {found}");
        }
        let nobody = verdict(off(), &[("system", "6")], "").benefit.probability;
        assert!(nobody < 0.01, "no user has spoken: {nobody}");
    }

    #[test]
    fn a_follow_up_inherits_and_thanks_do_not() {
        let proof = ("user", "3.0 prove it");
        for follow_up in ["and the second one? -0.5", "그럼 두 번째는? -0.5"] {
            let turns = [proof, ("assistant", "..."), ("user", follow_up)];
            let found = verdict(Signals::default(), &turns, "");
            assert_eq!((found.task, found.because), (Task::Reasoning, Because::FollowUp));
            let found = verdict(off(), &turns, "");
            assert_eq!((found.task, found.because), (Task::Chat, Because::Score));
        }
        for thanks in ["thanks! -0.5", "고마워! -0.5"] {
            let turns = [proof, ("assistant", "..."), ("user", thanks)];
            assert_eq!(verdict(Signals::default(), &turns, "").task, Task::Chat);
        }
    }

    #[test]
    fn a_conversation_does_not_flap_near_the_threshold() {
        let signals = Signals { hysteresis: 0.5, ..off() };
        let long = "x".repeat(400);
        let sent = |numbers: &[&str]| {
            let turns: Vec<String> =
                numbers.iter().map(|number| format!("{number} {long}")).collect();
            let turns: Vec<(&str, &str)> =
                turns.iter().map(|turn| ("user", turn.as_str())).collect();
            verdict(signals, &turns, "")
        };
        assert_eq!(sent(&["1", "-0.3"]).because, Because::Hysteresis);
        assert_eq!(sent(&["1", "-0.3"]).task, Task::Reasoning);
        assert_eq!(sent(&["-1", "0.3"]).task, Task::Chat);
        assert_eq!(sent(&["1", "-0.3", "-0.2", "-0.3"]).task, Task::Reasoning, "held for long");
        assert_eq!(sent(&["1", "-0.6"]).task, Task::Chat, "a clear change is followed");
    }

    #[test]
    fn each_signal_speaks_and_can_be_switched_off() {
        let turn = ("user", "0.1");
        let schema = r#","response_format":{"type":"json_schema","json_schema":{}}"#;
        let object = r#","response_format":{"type":"json_object"}"#;
        let few = r#","max_tokens":32"#;
        let low = r#","reasoning_effort":"low""#;
        let tool = [turn, ("assistant", "calls"), ("tool", "42")];
        let told = [("system", "-3"), turn];
        for (turns, rest, because) in [
            (&[turn][..], schema, Because::JsonSchema),
            (&[turn], object, Because::JsonObject),
            (&[turn], few, Because::ShortAnswer),
            (&[turn], low, Because::ReasoningEffort),
            (&tool, "", Because::ToolResult),
            (&told, "", Because::Instructions),
        ] {
            let found = verdict(Signals::default(), turns, rest);
            assert_eq!((found.task, found.because), (Task::Chat, because));
            let found = verdict(off(), turns, rest);
            assert_eq!((found.task, found.because), (Task::Reasoning, Because::Score));
        }
        let high = r#","reasoning_effort":"high""#;
        let found = verdict(Signals::default(), &[("user", "-1")], high);
        assert_eq!((found.task, found.because), (Task::Reasoning, Because::ReasoningEffort));
        for text in ["-0.5 Think step by step.", "-0.5 단계별로 생각해줘"] {
            let found = verdict(Signals::default(), &[("user", text)], "");
            assert_eq!((found.task, found.because), (Task::Reasoning, Because::StepByStep));
            assert_eq!(verdict(off(), &[("user", text)], "").task, Task::Chat, "{text}");
        }
        let tools = r#","tools":[{"type":"function","function":{"name":"f"}}]"#;
        let found = verdict(Signals::default(), &[("user", "-0.1")], tools);
        assert_eq!((found.task, found.because), (Task::Reasoning, Because::Tools));
        let found = verdict(Signals::default(), &[turn], r#","max_tokens":33"#);
        assert_eq!((found.task, found.because), (Task::Reasoning, Because::Score));
    }

    #[test]
    fn an_image_of_the_last_turn_speaks() {
        let turn = |text: &str, shown: bool| {
            let text = serde_json::json!({"type": "text", "text": text});
            let image =
                serde_json::json!({"type": "image_url", "image_url": {"url": "https://a.example"}});
            let parts = if shown { vec![text, image] } else { vec![text] };
            serde_json::json!({"role": "user", "content": parts})
        };
        let said = |turns: [serde_json::Value; 2]| {
            let body = serde_json::json!({"messages": turns}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let signals = Signals { image: -0.25, ..off() };
            Classifier::new(Arc::new(Stated), signals).classify(&request, None)
        };
        let found = said([turn("1", false), turn("0.1", true)]);
        assert_eq!((found.task, found.because), (Task::Chat, Because::Image));
        let found = said([turn("1", true), turn("0.1", false)]);
        assert_eq!((found.task, found.because), (Task::Reasoning, Because::Score));
    }

    #[test]
    fn a_hint_wins_and_the_score_is_still_told() {
        let body = r#"{"messages":[{"role":"user","content":"-2"}],"reasoning_effort":"low"}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let classifier = Classifier::new(Arc::new(Stated), Signals::default());
        let found = classifier.classify(&request, Some(Task::Reasoning));
        assert_eq!((found.task, found.because), (Task::Reasoning, Because::Hint));
        assert!(found.score.value() < 0.1);
        let reasons = classifier.reasons(&request, 5);
        assert_eq!(reasons[0].name, "signal: reasoning_effort");
        assert_eq!(classifier.reasons(&request, 1).len(), 1);
    }

    #[test]
    fn no_user_turn_is_chat() {
        assert_eq!(verdict(Signals::default(), &[("assistant", "5")], "").task, Task::Chat);
    }
}
