//! The trained scorer: a sum of the weights of a turn's features, converted to a probability.
//!
//! Within each namespace the weights are summed as integers and divided by the square root of their
//! number, so that a long text does not outweigh a short one. The question (`locate.rs`) counts with
//! all its features; the text around it counts by its words alone, in a namespace of its own. No
//! hash map, no floating point per n-gram, no allocation after a thread's first score.
//!
//! Not done here: other turns of the conversation (`conversation.rs`), and thresholds
//! (`classifier.rs`).

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::LazyLock;

use crate::chat::ChatRequest;
use crate::chat::Message;

use super::benefit::features as benefit_features;
use super::benefit::unlike;
use super::conversation::last_user;
use super::features::Namespace;
use super::features::Sink;
use super::features::bucket;
use super::features::walk;
use super::kind::Assessment;
use super::kind::Reason;
use super::kind::Score;
use super::kind::Scorer;
use super::language;
use super::locate::Located;
use super::model::Model;
use super::model::weight_of;
use super::model_error::ModelError;
use super::reasons::Collected;
use super::sample::Sample;
use super::shape::Mark;
use super::shape::Script;
use super::words::Span;

/// The built-in model; `router-core/model/CARD.md` describes its training.
static SHIPPED: &[u8] = include_bytes!("../../model/task.model");

thread_local! {
    /// Buffers that serve one score after another.
    static SCRATCH: Cell<Option<Sample>> = const { Cell::new(None) };
}

/// A linear model over hashed n-grams and marks of shape.
///
/// ```
/// use router_core::chat::ChatRequest;
/// use router_core::task::{LinearScorer, Scorer};
/// let scorer = LinearScorer::shipped()?;
/// let body = r#"{"messages":[{"role":"user","content":"소수가 무한히 많음을 증명해 줘"}]}"#;
/// let request = ChatRequest::parse(body.as_bytes())?;
/// assert!(scorer.score(&request).value() > 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LinearScorer {
    model: Arc<Model>,
}

impl LinearScorer {
    /// The model that ships with this crate; its bytes are checked once.
    ///
    /// # Errors
    /// Never in a released build: a test loads it. It would mean that the embedded file does not fit the code.
    pub fn shipped() -> Result<Self, ModelError> {
        static PARSED: LazyLock<Result<LinearScorer, ModelError>> =
            LazyLock::new(|| LinearScorer::parse(Cow::Borrowed(SHIPPED)));
        PARSED.clone()
    }

    /// A model from its file's bytes, as `router-server train` writes it.
    ///
    /// # Errors
    /// Bytes that are not a task model, are damaged, or belong to another version or feature layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Self::parse(Cow::Owned(bytes.to_vec()))
    }

    fn parse(bytes: Cow<'static, [u8]>) -> Result<Self, ModelError> {
        Model::parse(bytes).map(Self::new)
    }

    pub(super) fn new(model: Model) -> Self {
        Self { model: Arc::new(model) }
    }

    /// The identity of this model: the digest of its training data, in hexadecimal digits.
    pub fn digest(&self) -> String {
        format!("{:016x}", self.model.digest)
    }

    /// The number of rows that trained it.
    pub fn training_rows(&self) -> u32 {
        self.model.rows
    }

    #[cfg(feature = "train")]
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Runs `read` over a turn whose question was found.
    fn with_located<T>(&self, turn: &Message<'_>, read: impl FnOnce(&Located<'_>) -> T) -> T {
        // The buffers of this thread's last score serve again.
        let mut sample = SCRATCH.take().unwrap_or_else(Sample::new);
        sample.read(turn);
        let found = read(&Located::find(&self.model, sample.text()));
        SCRATCH.set(Some(sample));
        found
    }

    /// The score of a located question, and whether it is in another language.
    fn judged(&self, located: &Located<'_>) -> (Score, bool) {
        let found = self.weigh_located(located);
        let other = found.1 == Script::Latin && language::is_other(located);
        let score = if other {
            Score::from_log_odds(language::log_odds(located))
        } else {
            self.calibrated(found.0, found.1)
        };
        (score, other)
    }

    fn weigh_located(&self, located: &Located<'_>) -> (f32, Script) {
        let mut sums = Sums::new(&self.model);
        let script = walk(located, &mut sums);
        (self.model.bias + sums.whole() * self.model.scale, script)
    }
}

impl LinearScorer {
    fn calibrated(&self, sum: f32, script: Script) -> Score {
        let line = self.model.calibration(script);
        Score::from_log_odds(sum.mul_add(line.slope, line.offset))
    }

    /// The log-odds that reasoning gains something, for a located question.
    fn gain(&self, located: &Located<'_>, score: Score) -> f32 {
        let head = &self.model.benefit;
        let prior = head.log_odds(&benefit_features(located)) + head.unlike * unlike(score);
        if self.model.correction_bits == 0 {
            return prior;
        }
        let mut sums = Sums::of_correction(&self.model);
        walk(located, &mut sums);
        prior + sums.whole() * self.model.correction_scale
    }
}

impl Scorer for LinearScorer {
    fn score_turn(&self, turn: &Message<'_>) -> Score {
        self.with_located(turn, |located| self.judged(located).0)
    }

    fn assess(&self, turn: &Message<'_>) -> Assessment {
        self.with_located(turn, |located| {
            let (score, other_language) = self.judged(located);
            let gain = Score::from_log_odds(self.gain(located, score));
            Assessment { score, gain, other_language }
        })
    }

    fn gain_reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let Some(turn) = last_user(request) else { return Vec::new() };
        let values = self.with_located(turn, benefit_features);
        let parts = self.model.benefit.parts(&values).filter(|(_, weight)| *weight != 0.0);
        let parts = parts.map(|(name, weight)| Reason { name: Cow::Borrowed(name), weight });
        let mut reasons: Vec<Reason> = parts.collect();
        reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        reasons.truncate(most);
        reasons
    }

    fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let Some(turn) = last_user(request) else { return Vec::new() };
        let mut sample = Sample::new();
        sample.read(turn);
        let located = Located::find(&self.model, sample.text());
        let mut counts = Sums::new(&self.model);
        let script = walk(&located, &mut counts);
        if script == Script::Latin && language::is_other(&located) {
            let mut reasons = language::reasons(&located);
            reasons.truncate(most);
            return reasons;
        }
        // The change of the log-odds by one unit of a weight, namespace by namespace.
        let unit = self.model.scale * self.model.calibration(script).slope;
        let mut units = [unit; NAMESPACES];
        for (at, (unit, one)) in units.iter_mut().zip(&counts.added).enumerate() {
            *unit /= divisor(at, one.count);
        }
        let mut collected = Collected::new(&self.model, units);
        walk(&located, &mut collected);
        collected.reasons(sample.letters(), most)
    }

    fn question(&self, request: &ChatRequest<'_>) -> Option<String> {
        let texts: Vec<&str> = last_user(request)?.texts().collect();
        let text = texts.join("\n");
        let sample = Sample::of_text(&text);
        let located = Located::find(&self.model, sample.text());
        let mut found = String::new();
        let mut rest = text.as_str();
        for span in located.spans() {
            let part = sample.source(&text, span);
            let (before, after) = rest.split_once(part).unwrap_or((rest, ""));
            if !before.trim().is_empty() {
                found.push_str(LEFT_OUT);
            }
            found.push_str(part);
            rest = after;
        }
        if !rest.trim().is_empty() {
            found.push_str(LEFT_OUT);
        }
        Some(found.trim().to_owned())
    }
}

/// Stands for what is left out of a text around its question.
const LEFT_OUT: &str = " [..] ";

/// Namespaces of the layout.
pub(super) const NAMESPACES: usize = Namespace::ALL.len();

/// Adds weights, namespace by namespace.
struct Sums<'m> {
    /// A copy of the model's weights for look-ups, so that none goes through the model.
    weights: &'m [u8],
    seed: u32,
    bits: u32,
    added: [Added; NAMESPACES],
}

/// Sum of weights and number of n-grams of one namespace.
#[derive(Debug, Clone, Copy, Default)]
struct Added {
    sum: i32,
    count: u16,
}

impl<'m> Sums<'m> {
    fn new(model: &'m Model) -> Self {
        let added = [Added::default(); NAMESPACES];
        Self { weights: model.weights(), seed: model.seed, bits: model.bits, added }
    }

    /// Sums of the benefit's correction.
    fn of_correction(model: &'m Model) -> Self {
        Self { weights: model.correction(), bits: model.correction_bits, ..Self::new(model) }
    }

    /// All namespaces, each divided by the root of its number.
    fn whole(&self) -> f32 {
        let all = (0..).zip(&self.added);
        all.map(|(at, one)| as_float(one.sum) / divisor(at, one.count)).sum()
    }
}

impl Sink for Sums<'_> {
    #[inline]
    fn gram(&mut self, namespace: Namespace, hash: u32, _span: Span) {
        let weight = weight_of(self.weights, bucket(self.seed, namespace, hash, self.bits));
        if let Some(added) = self.added.get_mut(namespace as usize) {
            added.sum += weight;
            added.count = added.count.saturating_add(1);
        }
    }

    fn mark(&mut self, _mark: Mark, hash: u32) {
        self.gram(Namespace::Shape, hash, Span::default());
    }
}

/// The square root that a namespace is divided by; 1 if nothing was seen.
pub(super) fn root(count: u16) -> f32 {
    f32::from(count.max(1)).sqrt()
}

/// The divisor of the sum of a namespace.
pub(super) fn divisor(namespace: usize, count: u16) -> f32 {
    let few = namespace == Namespace::Material as usize;
    root(if few { count.max(FEWEST) } else { count })
}

/// Fewer words around a question, such as a wish for its form, weigh no more than if there were so many.
const FEWEST: u16 = 128;

/// A sum of bytes as a float.
#[expect(clippy::cast_precision_loss, reason = "65,535 n-grams of 127 each stay below 2^23")]
pub(super) fn as_float(sum: i32) -> f32 {
    sum as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(text: &str) -> f32 {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        LinearScorer::shipped().unwrap().score(&request).value()
    }

    #[test]
    fn the_shipped_model_loads_and_is_small() {
        let scorer = LinearScorer::shipped().unwrap();
        assert!(scorer.training_rows() > 50_000);
        assert!(SHIPPED.len() <= 1 << 20, "at most 1 MiB");
    }

    #[test]
    fn clear_cases_of_both_languages() {
        for text in [
            "Prove that the square root of 2 is irrational.",
            "소수가 무한히 많음을 증명해 줘",
            "Write a Rust function that merges two sorted lists without allocating.",
            "연립방정식 2x+3y=12, x-y=1 을 풀어줘",
        ] {
            assert!(score(text) > 0.6, "{text}: {}", score(text));
        }
        for text in [
            "Thanks, have a nice day!",
            "고마워, 좋은 하루 보내",
            "Translate this to Korean: Where is the station?",
            "제주도 여행지 추천해줘",
        ] {
            assert!(score(text) < 0.4, "{text}: {}", score(text));
        }
    }

    fn gain(text: &str) -> f32 {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        LinearScorer::shipped().unwrap().assess(&request.messages()[0]).gain.value()
    }

    #[test]
    fn what_has_to_be_worked_out_gains_more_in_both_languages() {
        for (more, less) in [
            (
                "Find the number of integers n with 1 <= n <= 500 such that n^2 + 3n + 7 is divisible by 11.",
                "What is the term for a word that means the opposite of another word?",
            ),
            (
                "1부터 500까지의 자연수 n 중에서 n^2+3n+7이 11의 배수가 되는 n의 개수를 구하시오.",
                "어떤 낱말과 뜻이 반대인 낱말을 가리키는 용어는 무엇인가?",
            ),
            (
                "Which is it?\nA) 12\nB) 15\nC) 18\nD) 21",
                "Which is it?\nA) red\nB) blue\nC) green\nD) pink",
            ),
            (
                "다음 중 알맞은 것은? ① 12개 ② 15개 ③ 18개 ④ 21개",
                "다음 중 알맞은 것은? ① 빨강 ② 파랑 ③ 초록 ④ 분홍",
            ),
        ] {
            assert!(gain(more) > gain(less) + 0.02, "{more}: {} {}", gain(more), gain(less));
        }
    }

    #[test]
    fn a_gain_names_the_features_that_moved_it() {
        let body = r#"{"messages":[{"role":"user","content":"Compute 12 + 30 and 7 * 8."}]}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let reasons = LinearScorer::shipped().unwrap().gain_reasons(&request, 9);
        let names: Vec<&str> = reasons.iter().map(|reason| reason.name.as_ref()).collect();
        assert!(names.contains(&"numbers") && names.contains(&"arithmetic operators"), "{names:?}");
        assert!(reasons.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
    }

    #[test]
    fn decomposed_hangul_scores_like_composed() {
        let loose = "\u{1106}\u{1175}\u{1107}\u{116e}\u{11ab}\u{1112}\u{1162} \u{110c}\u{116f}";
        assert!((score(loose) - score("미분해 줘")).abs() < 1e-6);
    }

    #[test]
    fn reasons_name_words_of_the_request() {
        for (text, word) in [("Prove that 7 is prime.", "prove"), ("점화식을 풀어줘", "풀어줘")]
        {
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let reasons = LinearScorer::shipped().unwrap().reasons(&request, 6);
            assert!(reasons.iter().any(|reason| reason.name.contains(word)), "{reasons:?}");
            assert!(reasons.is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
        }
    }
}
