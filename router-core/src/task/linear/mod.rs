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

use crate::task::asides;
use crate::task::benefit::features as benefit_features;
use crate::task::benefit::unlike;
use crate::task::conversation::last_user;
use crate::task::features::Namespace;
use crate::task::features::Sentence;
use crate::task::features::Sink;
use crate::task::features::ask;
use crate::task::features::bucket;
use crate::task::features::each_word;
use crate::task::features::walk;
use crate::task::kind::Assessment;
use crate::task::kind::Reason;
use crate::task::kind::Score;
use crate::task::kind::Scorer;
use crate::task::known_segments::Known;
use crate::task::known_segments::KnownSegments;
use crate::task::known_segments::Part;
use crate::task::known_segments::SegmentCounts;
use crate::task::known_segments::Total;
use crate::task::language;
use crate::task::locate::Aid;
use crate::task::locate::Located;
use crate::task::locate::small_weights;
use crate::task::model::Model;
use crate::task::model::weight_of;
use crate::task::model_error::ModelError;
use crate::task::reasons::Collected;
use crate::task::sample::Sample;
use crate::task::shape::Mark;
use crate::task::shape::Script;
use crate::task::small_weights::SmallWeights;
use crate::task::words::Span;
use crate::task::words::Word;

/// The built-in model; `router-core/model/CARD.md` describes its training.
static SHIPPED: &[u8] = include_bytes!("../../../model/task.model");

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
    /// Its weights of features with small values.
    small: Arc<SmallWeights>,
    /// The segment cache; `None` if nothing is cached.
    known: Option<Arc<KnownSegments>>,
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
        asides::prepare();
        let small = Arc::new(small_weights(&model));
        Self { model: Arc::new(model), small, known: None }
    }

    /// The same scorer with a cache for the features of so many segments (sentences, list items, labels) of 120 bytes each.
    /// Entries are separate by caller. 0 disables the cache.
    #[must_use]
    pub fn remembering(self, segments: usize) -> Self {
        Self { known: KnownSegments::new(segments).map(Arc::new), ..self }
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

    /// Locates the question of a turn and runs `read` over it with the segment cache.
    fn with_located<T>(
        &self,
        turn: &Message<'_>,
        mut known: Option<Known<'_>>,
        read: impl FnOnce(&Located<'_>, Option<Known<'_>>) -> T,
    ) -> T {
        // The buffers of this thread's last score serve again.
        let mut sample = SCRATCH.take().unwrap_or_else(Sample::new);
        sample.read(turn);
        let aid = Aid { small: Some(&self.small), known: known.as_mut() };
        let located = Located::find_by(&self.model, sample.text(), aid);
        let found = read(&located, known);
        SCRATCH.set(Some(sample));
        found
    }

    /// The score of a located question, and whether it is in another language.
    fn judged(&self, located: &Located<'_>, known: Option<Known<'_>>) -> (Score, bool) {
        let found = self.weigh_located(located, known);
        let other = found.1 == Script::Latin && language::is_other(located);
        let score = if other {
            Score::from_log_odds(language::log_odds(located))
        } else {
            let lift = if located.is_whole() { 0.0 } else { CUT_OUT };
            Score::from_log_odds(self.calibrated(found.0, found.1) + lift)
        };
        (score, other)
    }

    fn assessed(&self, located: &Located<'_>, known: Option<Known<'_>>) -> Assessment {
        let (score, other_language) = self.judged(located, known);
        let gain = Score::from_log_odds(self.gain(located, score));
        let gain_of_all = self.model.correction_bits != 0;
        Assessment { score, gain, gain_of_all, other_language }
    }

    /// The log-odds of a turn before [`CUT_OUT`], which is added behind any calibration.
    #[cfg(feature = "train")]
    pub(super) fn before_lift(&self, turn: &Message<'_>) -> f32 {
        self.with_located(turn, None, |located, known| {
            let (sum, script) = self.weigh_located(located, known);
            self.calibrated(sum, script)
        })
    }

    fn weigh_located(&self, located: &Located<'_>, known: Option<Known<'_>>) -> (f32, Script) {
        let mut sums = Sums { known, ..Sums::new(&self.model) };
        let script = walk(located, &mut sums);
        (self.model.bias + sums.whole() * self.model.scale, script)
    }

    /// The log-odds of a sum of weights.
    fn calibrated(&self, sum: f32, script: Script) -> f32 {
        let line = self.model.calibration(script);
        sum.mul_add(line.slope, line.offset)
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
        self.with_located(turn, None, |located, known| self.judged(located, known).0)
    }

    fn assess(&self, turn: &Message<'_>) -> Assessment {
        self.with_located(turn, None, |located, known| self.assessed(located, known))
    }

    fn assess_for(&self, turn: &Message<'_>, caller: Option<&str>) -> Assessment {
        let known = self.known.as_ref().and_then(|known| known.of(caller));
        self.with_located(turn, known, |located, known| self.assessed(located, known))
    }

    fn segment_counts(&self) -> Option<SegmentCounts> {
        self.known.as_ref().map(|known| known.counts())
    }

    fn gain_reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let Some(turn) = last_user(request) else { return Vec::new() };
        let values = self.with_located(turn, None, |located, _| benefit_features(located));
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

/// What a question gains back that was cut out of a turn, in log-odds: its neighbours lower its score by about so much.
/// **Source:** the wrapper check's half `dev`: flips .056 without it, .049 with 0.2 to 0.8.
const CUT_OUT: f32 = 0.4;

/// Stands for what is left out of a text around its question.
const LEFT_OUT: &str = " [..] ";

/// Namespaces of the layout.
pub(super) const NAMESPACES: usize = Namespace::ALL.len();

/// Adds weights, namespace by namespace.
struct Sums<'m, 'k> {
    /// A copy of the model's weights for look-ups, so that none goes through the model.
    weights: &'m [u8],
    seed: u32,
    bits: u32,
    added: [Total; NAMESPACES],
    /// The segment cache.
    known: Option<Known<'k>>,
}

impl<'m> Sums<'m, '_> {
    fn new(model: &'m Model) -> Self {
        let added = [Total::default(); NAMESPACES];
        Self { weights: model.weights(), seed: model.seed, bits: model.bits, added, known: None }
    }

    fn total(&self, namespace: Namespace) -> Total {
        self.added.get(namespace as usize).copied().unwrap_or_default()
    }

    /// Adds what a part of a segment comes to in two namespaces, by `look` if it is not known.
    fn take_part(
        &mut self,
        segment: usize,
        part: Part,
        namespaces: [Namespace; 2],
        look: impl FnOnce(&mut Self),
    ) {
        if let Some(totals) = self.known.as_ref().and_then(|known| known.part(segment, part)) {
            for (namespace, total) in namespaces.into_iter().zip(totals) {
                if let Some(added) = self.added.get_mut(namespace as usize) {
                    added.sum += total.sum;
                    added.count = added.count.saturating_add(total.count);
                }
            }
            return;
        }
        let before = namespaces.map(|namespace| self.total(namespace));
        look(self);
        let after = namespaces.map(|namespace| self.total(namespace));
        if let Some(known) = &mut self.known {
            let [first, second] = after;
            let [first_before, second_before] = before;
            known.keep(segment, part, [first.since(first_before), second.since(second_before)]);
        }
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

impl Sink for Sums<'_, '_> {
    const BY_SEGMENT: bool = true;

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

    fn words(&mut self, segment: usize, letters: &[char], words: &[Word]) {
        let namespaces = [Namespace::Word, Namespace::Stem];
        self.take_part(segment, Part::Words, namespaces, |sums| each_word(letters, words, sums));
    }

    fn ask(&mut self, segment: usize, sentence: Sentence<'_>, namespace: Namespace) {
        let last = namespace == Namespace::LastAsk;
        let part = if last { Part::LastAsk } else { Part::FirstAsk };
        // Nothing of a sentence is a mark of shape.
        let namespaces = [namespace, Namespace::Shape];
        self.take_part(segment, part, namespaces, |sums| ask(sentence, namespace, sums));
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
mod tests;
