//! The locator's weights of features whose values are small numbers, by family, kind and value: grades, steps, counts.
//!
//! Such a feature is hashed like any other, for training too. But there are only some thousand of them, so that a scorer
//! looks each up once when it is made; then a feature costs an addition and a look instead of a hash.
//!
//! Not done here: the features (`relevance.rs`, `surroundings.rs`).

use super::relevance::Group;
use super::words::BASIS;
use super::words::step;

/// Families of features: those of one family and kind differ by their value alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    /// Shape, label and place.
    Shape = 0,
    /// What stands before and after.
    Neighbours = 1,
    /// How the first sum compares with those around it.
    Context = 2,
    /// The same with shape.
    ContextShape = 3,
}

const ALL: [Family; 4] = [Family::Shape, Family::Neighbours, Family::Context, Family::ContextShape];

/// The most kinds of a family.
const KINDS: usize = 20;

/// How many values of each kind are looked up; 0 for hashes. A greater value is hashed, so that these numbers change nothing but the
/// time.
const VALUES: [[u16; KINDS]; ALL.len()] = [
    [14, 9, 9, 9, 20, 38, 30, 20, 148, 32, 28, 0, 0, 28, 140, 64, 112, 0, 4, 0],
    [9, 9, 72, 72, 1_160, 1_160, 224, 224, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        33, 544, 1_408, 1_408, 544, 136, 352, 316, 108, 508, 652, 1_268, 912, 154, 384, 140, 0, 0,
        0, 0,
    ],
    [340, 22, 176, 88, 170, 170, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/// The values of one kind that are looked up: where they start among the weights, and how many they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    start: u32,
    count: u32,
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when compiling: a wrong index would not compile"
)]
const PLACES: [[Values; KINDS]; ALL.len()] = {
    let mut places = [[Values { start: 0, count: 0 }; KINDS]; ALL.len()];
    let (mut family, mut start) = (0, 0);
    while family < ALL.len() {
        let mut kind = 0;
        while kind < KINDS {
            let count = VALUES[family][kind] as u32;
            places[family][kind] = Values { start, count };
            start += count;
            kind += 1;
        }
        family += 1;
    }
    places
};

impl Family {
    /// The group in which its weights are added.
    pub(super) fn group(self) -> Group {
        match self {
            Self::Shape => Group::Shape,
            Self::Neighbours => Group::Neighbours,
            Self::Context => Group::Context,
            Self::ContextShape => Group::ContextShape,
        }
    }

    /// The hash of a value.
    #[inline]
    pub(super) fn hash(self, kind: u32, value: u32) -> u32 {
        let basis = match self {
            Self::Shape => BASIS ^ 0x51,
            Self::Neighbours => BASIS ^ 0x61,
            Self::Context | Self::ContextShape => BASIS ^ 0x71,
        };
        step(step(basis, kind), value)
    }
}

/// Kinds of a family, from the first on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    pub(super) family: Family,
    pub(super) first: u32,
}

impl Kinds {
    /// Their values that are looked up.
    #[inline]
    pub(super) fn values(self) -> impl Iterator<Item = Values> {
        let first = usize::try_from(self.first).unwrap_or(KINDS);
        let kinds = PLACES.get(self.family as usize).and_then(|kinds| kinds.get(first..));
        kinds.unwrap_or_default().iter().copied()
    }
}

/// What features of segments are handed to: the number of the segment, and a value for each of some kinds.
pub(super) trait Marks {
    fn marks<const N: usize>(&mut self, segment: usize, kinds: Kinds, values: [u32; N]);
}

/// Takes hashes in place of values.
#[cfg(feature = "train")]
pub(super) struct Hashed<F>(pub(super) F);

#[cfg(feature = "train")]
impl<F: FnMut(usize, Group, u32)> Marks for Hashed<F> {
    fn marks<const N: usize>(&mut self, segment: usize, kinds: Kinds, values: [u32; N]) {
        let Kinds { family, first } = kinds;
        for (kind, value) in (first..).zip(values) {
            (self.0)(segment, family.group(), family.hash(kind, value));
        }
    }
}

/// The pairs of weights by value.
#[derive(Debug)]
pub(super) struct SmallWeights(Box<[[u8; 2]]>);

impl SmallWeights {
    /// The weights by what finds the pair of a hash in a group.
    pub(super) fn new(pair: impl Fn(Group, u32) -> [u8; 2]) -> Self {
        let mut pairs = Vec::new();
        for (family, kinds) in ALL.into_iter().zip(VALUES) {
            for (kind, values) in (0..).zip(kinds) {
                let all = 0..u32::from(values);
                pairs.extend(all.map(|value| pair(family.group(), family.hash(kind, value))));
            }
        }
        Self(pairs.into_boxed_slice())
    }

    /// The pair of a value; `None` if it is to be hashed.
    #[inline]
    pub(super) fn pair(&self, kind: Values, value: u32) -> Option<[u8; 2]> {
        if value >= kind.count {
            return None;
        }
        self.0.get(usize::try_from(kind.start + value).unwrap_or(usize::MAX)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_pair_of_its_hash_or_none() {
        let pair = |group: Group, hash: u32| {
            let [low, high, ..] = (hash ^ group as u32).to_le_bytes();
            [low, high]
        };
        let weights = SmallWeights::new(pair);
        for (family, kinds) in ALL.into_iter().zip(VALUES) {
            let places = Kinds { family, first: 0 }.values();
            for ((kind, values), place) in (0..).zip(kinds).zip(places) {
                for value in (0..u32::from(values) + 3).chain([u32::MAX, u32::MAX - 500]) {
                    let expected = pair(family.group(), family.hash(kind, value));
                    let known = value < u32::from(values);
                    let found = weights.pair(place, value);
                    assert_eq!(found, known.then_some(expected), "{family:?} {kind} {value}");
                }
            }
            assert_eq!(Kinds { family, first: 20 }.values().count(), 0);
        }
    }
}
