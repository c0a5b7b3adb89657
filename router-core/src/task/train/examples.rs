//! Rows as buckets: what the learner and the measurements read, made once.
//!
//! Not done here: learning.

use std::collections::HashMap;

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::task::LinearScorer;
use crate::task::Score;
use crate::task::Scorer;
use crate::task::Task;
use crate::task::benefit::FEATURES;
use crate::task::benefit::features;
use crate::task::conversation::last_user;
use crate::task::features::Namespace;
use crate::task::features::Sink;
use crate::task::features::bucket;
use crate::task::features::walk;
use crate::task::linear::NAMESPACES;
use crate::task::locate::Located;
use crate::task::model::Model;
use crate::task::sample::Sample;
use crate::task::shape::Mark;
use crate::task::shape::Script;
use crate::task::words::Span;

use super::located::unmarked;
use super::rows::Row;

/// One labelled turn: its buckets, namespace by namespace.
#[derive(Debug, Clone)]
pub(super) struct Example {
    /// The label.
    pub(super) task: Task,
    /// The script of the turn.
    pub(super) script: Script,
    /// All buckets, those of one namespace together.
    pub(super) buckets: Box<[u32]>,
    /// The end of each namespace in `buckets`.
    pub(super) ends: [usize; NAMESPACES],
}

impl Example {
    /// The buckets of each namespace in which something was seen.
    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let starts = std::iter::once(0).chain(self.ends);
        starts.zip(self.ends).enumerate().filter_map(|(namespace, (start, end))| {
            let group = self.buckets.get(start..end).unwrap_or_default();
            (!group.is_empty()).then_some((namespace, group))
        })
    }

    /// Puts the buckets of each namespace together.
    pub(super) fn new(task: Task, script: Script, groups: &[Vec<u32>]) -> Self {
        let mut ends = [0; NAMESPACES];
        let mut end = 0;
        for (place, group) in
            ends.iter_mut().zip(groups.iter().chain(std::iter::repeat(&Vec::new())))
        {
            end += group.len();
            *place = end;
        }
        Self { task, script, buckets: groups.concat().into(), ends }
    }
}

/// Collects buckets.
struct Buckets {
    seed: u32,
    bits: u32,
    groups: [Vec<u32>; NAMESPACES],
}

impl Sink for Buckets {
    fn gram(&mut self, namespace: Namespace, hash: u32, _span: Span) {
        let bucket = bucket(self.seed, namespace, hash, self.bits);
        if let Some(group) = self.groups.get_mut(namespace as usize) {
            group.push(u32::try_from(bucket).unwrap_or_default());
        }
    }

    fn mark(&mut self, _mark: Mark, hash: u32) {
        self.gram(Namespace::Shape, hash, Span::default());
    }
}

/// The question of each row's last user turn, in the order of the rows; a row without one is an empty example.
pub(super) fn examples(rows: &[Row], locator: &Model, seed: u32, bits: u32) -> Vec<Example> {
    let mut sample = Sample::new();
    let read = |row: &Row| {
        let groups = std::array::from_fn(|_| Vec::new());
        let mut buckets = Buckets { seed, bits: WHOLE, groups };
        let script = with_last_turn(row, |turn| {
            sample.read(turn);
            unmarked(&mut sample);
            walk(&Located::find(locator, sample.text()), &mut buckets)
        });
        Example::new(row.task, script.unwrap_or(Script::Latin), &buckets.groups)
    };
    let mut examples: Vec<Example> = rows.iter().map(read).collect();
    let support = Support::of(rows, &examples);
    for gram in examples.iter_mut().flat_map(|example| &mut example.buckets) {
        *gram = if support.holds(*gram) { *gram >> (WHOLE - bits) } else { NOWHERE };
    }
    examples
}

/// Bits of a hash before it becomes a bucket.
const WHOLE: u32 = 32;
/// The bucket of an n-gram that is not learned.
const NOWHERE: u32 = u32::MAX;
/// Of fewer families, such as those of a team's own traffic, all n-grams are learned.
const FAMILIES: usize = 20;
/// Bits of a hash by which its support is known.
const KNOWN: u32 = 26;

/// The n-grams that occur in rows of several families of sources: what only one source says does not transfer to others, and
/// would share its bucket with what does.
struct Support {
    /// The family that was last seen with an n-gram, from 1; 0 for none.
    last: Vec<u16>,
    /// Did the family change?
    several: Vec<bool>,
    /// Are there families enough to tell?
    applies: bool,
}

impl Support {
    fn of(rows: &[Row], examples: &[Example]) -> Self {
        let mut numbers: HashMap<&str, u16> = HashMap::new();
        let mut support =
            Self { last: vec![0; 1 << KNOWN], several: vec![false; 1 << KNOWN], applies: false };
        for (row, example) in rows.iter().zip(examples) {
            let next = u16::try_from(numbers.len() + 1).unwrap_or(u16::MAX);
            let family = *numbers.entry(row.family()).or_insert(next);
            for at in example.buckets.iter().map(|&gram| place(gram)) {
                let places = (support.last.get_mut(at), support.several.get_mut(at));
                let (Some(last), Some(several)) = places else { continue };
                *several |= *last != 0 && *last != family;
                *last = family;
            }
        }
        support.applies = numbers.len() >= FAMILIES;
        support
    }

    fn holds(&self, gram: u32) -> bool {
        !self.applies || self.several.get(place(gram)).copied().unwrap_or_default()
    }
}

fn place(gram: u32) -> usize {
    usize::try_from(gram >> (WHOLE - KNOWN)).unwrap_or_default()
}

/// The score of a turn, the features of its benefit, and its question as buckets of the benefit's correction.
pub(super) fn gain_example(
    scorer: &LinearScorer,
    turn: &Message<'_>,
    sample: &mut Sample,
    bits: u32,
) -> (Score, [f32; FEATURES], Example) {
    sample.read(turn);
    let model = scorer.model();
    let located = Located::find(model, sample.text());
    let groups = std::array::from_fn(|_| Vec::new());
    let mut buckets = Buckets { seed: model.seed, bits, groups };
    let script = walk(&located, &mut buckets);
    let example = Example::new(Task::Reasoning, script, &buckets.groups);
    (scorer.score_turn(turn), features(&located), example)
}

/// Runs `read` over the last user turn of a row.
pub(super) fn with_last_turn<T>(row: &Row, read: impl FnOnce(&Message<'_>) -> T) -> Option<T> {
    let request: ChatRequest<'_> = row.request().ok()?;
    last_user(&request).map(read)
}
