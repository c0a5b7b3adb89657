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

use super::benefit::Benefit;
use super::kind::OtherLanguages;
use super::kind::Reason;
use super::kind::Score;
use super::kind::Scorer;
use super::kind::Task;
use super::known_segments::SegmentCounts;
use super::pushes::Evidence;
use super::pushes::task_of;
use super::remembered::Remembered;
use super::signals::Because;
use super::signals::Signals;

/// A task with its score and what decided it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The task.
    pub task: Task,
    /// The score, all signals added; also where a hint decided.
    pub score: Score,
    /// The evidence that decided.
    pub because: Because,
    /// The gain of a reasoning model over a chat model; near 0 if the score is low. [`Classifier::benefit_reasons`]
    /// explains it.
    pub benefit: Benefit,
    /// Is the last user turn in another language than English and Korean?
    pub(crate) other_language: bool,
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
        self.classify_for(request, hint, None)
    }

    /// The same for a caller, named by its key: what is remembered of its texts, others do not see.
    pub fn classify_for(
        &self,
        request: &ChatRequest<'_>,
        hint: Option<Task>,
        caller: Option<&str>,
    ) -> Verdict {
        let pushes = self.evidence(caller).pushes(request);
        let score = Score::from_log_odds(pushes.sum());
        let benefit = Benefit::behind(score, pushes.last);
        let other_language = pushes.other_language;
        if let Some(task) = hint {
            return Verdict { task, score, because: Because::Hint, benefit, other_language };
        }
        let set = match self.signals.other_languages {
            OtherLanguages::Chat => Some(Task::Chat),
            OtherLanguages::Reasoning => Some(Task::Reasoning),
            OtherLanguages::Score | OtherLanguages::Caller => None,
        };
        if let Some(task) = set.filter(|_| other_language) {
            return Verdict {
                task,
                score,
                because: Because::OtherLanguage,
                benefit,
                other_language,
            };
        }
        let threshold = self.signals.threshold.log_odds();
        let alone = task_of(pushes.own, threshold);
        let pushed = task_of(pushes.sum(), threshold);
        let task = task_of(pushes.sum(), self.evidence(caller).held(threshold, pushes.before));
        let because = if task != pushed {
            Because::Hysteresis
        } else if task == alone {
            Because::Score
        } else {
            pushes.strongest(task)
        };
        Verdict { task, score, because, benefit, other_language }
    }

    fn evidence<'c>(&'c self, caller: Option<&'c str>) -> Evidence<'c> {
        Evidence {
            scorer: self.scorer.as_ref(),
            signals: &self.signals,
            remembered: &self.remembered,
            caller,
        }
    }

    /// The number of segments of turns that the scorer knew, and of those it did not; `None` if it remembers none.
    pub fn segment_counts(&self) -> Option<SegmentCounts> {
        self.scorer.segment_counts()
    }

    /// The question located in the last user's turn, in the caller's words; `[..]` stands for what is left out.
    pub fn question(&self, request: &ChatRequest<'_>) -> Option<String> {
        self.scorer.question(request)
    }

    /// The features that weighed most and the signals that spoke, heaviest first.
    pub fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let mut reasons = self.scorer.reasons(request, most);
        let signals = self.evidence(None).pushes(request).all();
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Message;

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
            helper_call: 0.0,
            other_languages: OtherLanguages::Caller,
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
        for (text, least, most) in
            [("6", 0.5, 0.5), ("0", 0.5, 0.5), ("-3.5", 0.14, 0.15), ("-8", 0.0, 0.01)]
        {
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
        let title = "Write a short title for the chat. 3\n\nUser: prove it";
        let found = verdict(Signals::default(), &[("user", title)], "");
        assert_eq!((found.task, found.because), (Task::Chat, Because::HelperCall));
        assert_eq!(verdict(off(), &[("user", title)], "").task, Task::Reasoning);
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
    fn other_languages_are_decided_as_configured() {
        let shipped = Arc::new(crate::task::LinearScorer::shipped().unwrap());
        let judged = |other_languages, text: &str, hint| {
            let signals = Signals { other_languages, ..Signals::default() };
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            Classifier::new(shipped.clone(), signals).classify(&request, hint)
        };
        let proof = "Beweise, dass die Summe zweier ungerader Zahlen gerade ist.";
        let thanks = "Danke, das ist sehr nett von dir und hat mir geholfen!";
        for (way, text, task) in [
            (OtherLanguages::Score, proof, Task::Reasoning),
            (OtherLanguages::Score, thanks, Task::Chat),
            (OtherLanguages::Caller, proof, Task::Reasoning),
            (OtherLanguages::Chat, proof, Task::Chat),
            (OtherLanguages::Reasoning, thanks, Task::Reasoning),
        ] {
            let found = judged(way, text, None);
            assert_eq!((found.task, found.other_language), (task, true), "{way:?} {text}");
            let hinted = judged(way, text, Some(Task::Chat));
            assert_eq!((hinted.task, hinted.because), (Task::Chat, Because::Hint));
        }
        let because = judged(OtherLanguages::Reasoning, thanks, None).because;
        assert_eq!(because, Because::OtherLanguage);
        let english = judged(OtherLanguages::Reasoning, "Thanks, bye!", None);
        assert_eq!((english.task, english.other_language), (Task::Chat, false));
    }

    #[test]
    fn no_user_turn_is_chat() {
        assert_eq!(verdict(Signals::default(), &[("assistant", "5")], "").task, Task::Chat);
    }
}
