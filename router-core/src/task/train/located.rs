//! Composed rows as segments with labels: what the locator learns from.
//!
//! Not done here: composing (`compose.rs`), learning (`locator.rs`).

use crate::task::Task;
use crate::task::linear::root;
use crate::task::locate::bucket;
use crate::task::relevance::FIRST_GROUPS;
use crate::task::relevance::GROUPS;
use crate::task::relevance::Group;
use crate::task::relevance::Text;
use crate::task::relevance::features;
use crate::task::sample::Sample;
use crate::task::segment::Segment;
use crate::task::shape::Script;
use crate::task::small_weights::Hashed;
use crate::task::surroundings::FirstLook;
use crate::task::surroundings::surroundings;

use super::compose::CLOSE;
use super::compose::CLOSE_UNKNOWN;
use super::compose::OPEN;
use super::compose::OPEN_UNKNOWN;
use super::examples::Example;
use super::examples::with_last_turn;
use super::learn::Dice;
use super::rows::Row;

/// The label of a segment whose label is hidden.
const HIDDEN: u32 = 7;
/// The shares of rows that hide their words, and their labels: the shape has to do then.
const NO_WORDS: f64 = 0.15;
const NO_LABELS: f64 = 0.2;

/// The knowledge of a letter of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is part of the question.
    Question,
    /// It is not.
    Other,
    /// Nothing is known of it.
    Nothing,
}

/// Takes the marks out of a turn; returns what is known of each letter.
pub(super) fn unmarked(sample: &mut Sample) -> Vec<Known> {
    let mut state = Known::Other;
    let mut known = Vec::new();
    sample.retain(|letter| {
        match letter {
            OPEN => state = Known::Question,
            OPEN_UNKNOWN => state = Known::Nothing,
            CLOSE | CLOSE_UNKNOWN => state = Known::Other,
            _ => {
                known.push(state);
                return true;
            }
        }
        false
    });
    known
}

/// The way from a segment to buckets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    /// Start of the hashes.
    pub(super) seed: u32,
    /// Bits of a bucket.
    pub(super) bits: u32,
}

type Groups = [Vec<u32>; GROUPS];

impl Buckets {
    fn push(self, groups: &mut [Groups], at: usize, group: Group, hash: u32) {
        let bucket = bucket(self.seed, group, hash, self.bits);
        if let Some(group) = groups.get_mut(at).and_then(|all| all.get_mut(group as usize)) {
            group.push(u32::try_from(bucket).unwrap_or_default());
        }
    }
}

/// The segments of one composed row, with their labels: `Reasoning` stands for the question.
pub(super) struct Located {
    segments: Vec<Segment>,
    seen: Vec<u128>,
    /// The weight of each segment: a row of many lines must not outweigh many rows.
    pub(super) count: f32,
    /// The label of each segment in the second look; `None` if nothing is known.
    labels: Vec<Option<Task>>,
    /// Each segment for the first look. Of several sentences only those that ask are sure to ask by themselves.
    pub(super) first: Vec<(Option<Task>, Example)>,
}

/// The segments of composed rows.
pub(super) fn located(rows: &[Row], buckets: Buckets) -> Vec<Located> {
    let mut sample = Sample::new();
    let mut dice = Dice(u64::from(buckets.seed));
    let one = |row: &Row| {
        let (no_words, no_labels) = (dice.chance() < NO_WORDS, dice.chance() < NO_LABELS);
        with_last_turn(row, |turn| {
            sample.read(turn);
            let known = unmarked(&mut sample);
            let text = sample.text();
            let mut segments = text.segments.to_vec();
            for segment in segments.iter_mut().filter(|_| no_labels) {
                segment.label = u32::from(segment.label != 0) * HIDDEN;
            }
            let mut groups: Vec<Groups> = Vec::new();
            groups.resize_with(segments.len(), Default::default);
            let text = Text { segments: &segments, ..text };
            let seen = features(text, |at, group, hash| {
                if !(no_words && group == Group::Words) {
                    buckets.push(&mut groups, at, group, hash);
                }
            });
            let labels: Vec<Option<Task>> =
                segments.iter().map(|segment| label(&known, segment)).collect();
            Located {
                count: count(row, segments.len()),
                seen: seen.get(..segments.len()).unwrap_or_default().to_vec(),
                first: first(text.letters, &segments, &labels, &groups),
                segments,
                labels,
            }
        })
    };
    rows.iter().filter_map(one).collect()
}

fn count(row: &Row, segments: usize) -> f32 {
    let root = root(u16::try_from(segments).unwrap_or(u16::MAX));
    if row.source.ends_with(":bare") && segments > 3 { 1.2 / root } else { 1.6 / root.max(1.6) }
}

fn label(known: &[Known], segment: &Segment) -> Option<Task> {
    let inside = known.get(segment.span.start..segment.span.end).unwrap_or_default();
    let most = |what| inside.iter().filter(|&&one| one == what).count() * 2 > inside.len();
    if most(Known::Question) {
        Some(Task::Reasoning)
    } else {
        most(Known::Other).then_some(Task::Chat)
    }
}

fn first(
    letters: &[char],
    segments: &[Segment],
    labels: &[Option<Task>],
    groups: &[Groups],
) -> Vec<(Option<Task>, Example)> {
    let asked = labels.iter().filter(|label| **label == Some(Task::Reasoning)).count();
    let asks = |segment: &Segment| {
        let text = letters.get(segment.span.start..segment.span.end);
        asked == 1 || text.is_some_and(|text| text.contains(&'?'))
    };
    let all = segments.iter().zip(groups).zip(labels).map(|((segment, groups), label)| {
        let sure = label.filter(|task| *task == Task::Chat || asks(segment));
        let groups = groups.get(..FIRST_GROUPS).unwrap_or_default();
        (sure, Example::new(sure.unwrap_or(Task::Chat), Script::Latin, groups))
    });
    all.collect()
}

impl Located {
    /// The examples of the second look, after sums of the first.
    pub(super) fn second(&self, buckets: Buckets, sums: &[f32]) -> Vec<Example> {
        let mut groups: Vec<Groups> = Vec::new();
        groups.resize_with(self.segments.len(), Default::default);
        for ((_, example), groups) in self.first.iter().zip(&mut groups) {
            for (number, seen) in example.groups() {
                if let Some(group) = groups.get_mut(number) {
                    group.extend(seen);
                }
            }
        }
        let look = FirstLook { segments: &self.segments, sums, seen: &self.seen };
        let push = |at, group, hash| buckets.push(&mut groups, at, group, hash);
        surroundings(look, &mut Hashed(push));
        let labelled = self.labels.iter().zip(&groups);
        let known = labelled.filter_map(|(label, groups)| Some(((*label)?, groups)));
        known.map(|(label, groups)| Example::new(label, Script::Latin, groups)).collect()
    }
}
