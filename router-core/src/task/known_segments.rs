//! Caches the features of segments, because sentences repeat: templates, instructions, documents, histories.
//!
//! An entry holds sums and hashes, never text. Its key is a keyed hash of the segment's words and of the caller's key, so the
//! duration of a request reveals nothing about other callers' texts. The tables have a fixed size, and a new entry replaces the
//! older one of its set. They are not a `moka` cache, because a look-up there takes 750 instructions, half of what a hit saves.
//!
//! Not done here: whole turns (`remembered.rs`), and features that depend on neighbouring segments (`relevance.rs`).

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::relevance::Edges;
use super::relevance::Text;
use super::relevance::WALKED;
use super::segment::Segment;
use super::segments::MOST;
use super::words::Word;

/// The features of a segment alone: sums of weights, and the edges that its neighbours read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    /// Sums of its words and pairs of words.
    pub(super) words: Added,
    /// Sums of its first and last words.
    pub(super) ends: Added,
    /// Its edges.
    pub(super) edges: Edges,
}

/// Sums of the weights of one group in both models, and their number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Added {
    pub(super) first: i32,
    pub(super) second: i32,
    pub(super) count: u16,
}

impl Added {
    /// Adds a pair of weights.
    #[inline]
    pub(super) fn add(&mut self, [first, second]: [u8; 2]) {
        self.first += i32::from(i8::from_le_bytes([first]));
        self.second += i32::from(i8::from_le_bytes([second]));
        self.count += 1;
    }
}

/// Sum of weights and number of n-grams of one namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) sum: i32,
    pub(super) count: u16,
}

impl Total {
    /// The difference from an earlier total.
    pub(super) fn since(self, before: Self) -> Self {
        Self { sum: self.sum - before.sum, count: self.count - before.count }
    }
}

/// A part of what a segment adds to the score if it belongs to the question. The numbers distinguish keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// Its words, and starts and ends of Korean ones.
    Words = 1,
    /// The sentence that is asked first.
    FirstAsk = 2,
    /// The sentence that is asked last.
    LastAsk = 3,
}

/// Tables that threads use in turn: each takes one that is free, beginning with its own.
const TABLES: usize = 4;
/// Entries of a set: the places that a key may take.
const WAYS: usize = 2;

/// The most words of a segment that its features depend on, ends of lines included.
const LOOKED_AT: usize = 2 * WALKED + 8;

/// Entries by key; no entry has the key 0.
#[derive(Debug, Default)]
struct Table {
    own: Vec<[(u64, Own); WAYS]>,
    parts: Vec<[(u64, [Total; 2]); WAYS]>,
}

/// The cache.
#[derive(Debug)]
pub(super) struct KnownSegments {
    tables: [Mutex<Table>; TABLES],
    /// Number of sets of a table: a power of two. A table allocates them at its first use.
    sets: usize,
    keys: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Hits and misses of the segment cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Segments whose features were known.
    pub hits: u64,
    /// Segments whose features were computed.
    pub misses: u64,
}

impl KnownSegments {
    /// A cache of so many segments; `None` for 0.
    pub(super) fn new(most: usize) -> Option<Self> {
        let sets = 1 << (most / (TABLES * WAYS)).max(1).ilog2();
        (most > 0).then(|| Self {
            tables: std::array::from_fn(|_| Mutex::new(Table::default())),
            sets,
            keys: RandomState::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// A caller's view of the cache; `None` while other threads use all tables.
    pub(super) fn of(&self, caller: Option<&str>) -> Option<Known<'_>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            /// The table that a thread tries first.
            static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        let own = OWN.with(|own| *own);
        let mut tries = (own..own + TABLES).filter_map(|at| self.tables.get(at % TABLES));
        let mut table = tries.find_map(|table| table.try_lock().ok())?;
        if table.own.is_empty() {
            table.own.resize(self.sets, Default::default());
            table.parts.resize(self.sets, Default::default());
        }
        let seed = self.keys.hash_one(caller);
        Some(Known { all: self, table, seed, keys: [0; MOST], hits: 0, misses: 0 })
    }

    pub(super) fn counts(&self) -> SegmentCounts {
        let [hits, misses] = [&self.hits, &self.misses].map(|count| count.load(Ordering::Relaxed));
        SegmentCounts { hits, misses }
    }
}

/// One caller's view of the cache while one turn is read.
pub(super) struct Known<'k> {
    all: &'k KnownSegments,
    table: MutexGuard<'k, Table>,
    seed: u64,
    /// The keys of the turn's segments; 0 for one whose parts are not remembered.
    keys: [u64; MOST],
    hits: u64,
    misses: u64,
}

impl Known<'_> {
    /// The features of a segment alone, computed by `look` on a miss.
    pub(super) fn own(&mut self, at: usize, text: Text<'_>, look: impl FnOnce() -> Own) -> Own {
        let Some(segment) = text.segments.get(at) else { return look() };
        let words = segment.words(text.words);
        let key = self.key(segment, words);
        if let Some(place) = self.keys.get_mut(at).filter(|_| words.len() <= LOOKED_AT) {
            *place = key;
        }
        if let Some(own) = find(&self.table.own, key) {
            self.hits += 1;
            return own;
        }
        self.misses += 1;
        let own = look();
        keep(&mut self.table.own, key, own);
        own
    }

    /// What a part of a segment of the same turn adds to the score; `None` on a miss.
    pub(super) fn part(&self, at: usize, part: Part) -> Option<[Total; 2]> {
        find(&self.table.parts, self.key_of_part(at, part)?)
    }

    /// Stores what a part adds to the score.
    pub(super) fn keep(&mut self, at: usize, part: Part, totals: [Total; 2]) {
        if let Some(key) = self.key_of_part(at, part) {
            keep(&mut self.table.parts, key, totals);
        }
    }

    fn key_of_part(&self, at: usize, part: Part) -> Option<u64> {
        let key = self.keys.get(at).copied().filter(|key| *key != 0)?;
        Some(finish(mix(key, part as u64)))
    }

    /// Hashes all that [`super::relevance::own`] reads of a segment: of each word its hash, its length and its letters by script.
    fn key(&self, segment: &Segment, words: &[Word]) -> u64 {
        let mut hash = self.seed;
        let mut end = segment.span.start;
        for word in words.get(..LOOKED_AT).unwrap_or(words) {
            hash = mix(hash, word.identity(word.start() > end));
            end = word.end();
        }
        let form = u64::from(segment.ending) << 1 | u64::from(segment.fenced);
        let length = u64::try_from(words.len()).unwrap_or_default();
        let form = length << 8 | form;
        finish(mix(hash, form))
    }
}

/// The entry of a key.
#[inline]
fn find<T: Copy>(table: &[[(u64, T); WAYS]], key: u64) -> Option<T> {
    let set = table.get(set_of(table.len(), key))?;
    set.iter().find(|(known, _)| *known == key).map(|(_, entry)| *entry)
}

/// Puts an entry in the place of the older one of its set.
fn keep<T: Copy>(table: &mut [[(u64, T); WAYS]], key: u64, entry: T) {
    let at = set_of(table.len(), key);
    if let Some([first, second]) = table.get_mut(at) {
        *second = std::mem::replace(first, (key, entry));
    }
}

/// The set of a key among a power of two of them.
#[inline]
fn set_of(sets: usize, key: u64) -> usize {
    usize::try_from(key).unwrap_or_default() & sets.saturating_sub(1)
}

/// Spreads what the low bits of a product lack; never 0.
#[inline]
fn finish(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ hash >> 32).max(1)
}

#[inline]
fn mix(hash: u64, with: u64) -> u64 {
    (hash.rotate_left(23) ^ with).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.all.hits.fetch_add(self.hits, Ordering::Relaxed);
        self.all.misses.fetch_add(self.misses, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::SegmentCounts;
    use crate::chat::ChatRequest;
    use crate::task::LinearScorer;
    use crate::task::Scorer;

    const TEXTS: [&str; 4] = [
        "Use the context to answer.\n\nThe depot opens at six. Trucks wait at gate two.\n\nQuestion: How many primes lie below 50?\n\nAnswer:",
        "Ticket abc: it failed again. The depot opens at six. Why is that?\n- one\n- two\n```\nlet a = 1;\n```",
        "두 수의 합이 7이고 곱이 12일 때 두 수를 구해줘. 한국어로 답변해줘.\n\nThe depot opens at six.",
        "Thanks",
    ];

    fn body(text: &str) -> String {
        serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string()
    }

    #[test]
    fn what_is_remembered_changes_no_score() {
        let plain = LinearScorer::shipped().unwrap();
        for most in [0, 1, 8, 4_096] {
            let remembering = plain.clone().remembering(most);
            for text in TEXTS.iter().cycle().take(12) {
                let body = body(text);
                let request = ChatRequest::parse(body.as_bytes()).unwrap();
                let turn = &request.messages()[0];
                let found = remembering.assess_for(turn, Some("key"));
                assert_eq!(found, plain.assess(turn), "{most}: {text:?}");
            }
        }
    }

    #[test]
    fn each_caller_has_segments_of_its_own() {
        let scorer = LinearScorer::shipped().unwrap().remembering(4_096);
        let body = body(TEXTS[0]);
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let look = |caller| {
            scorer.assess_for(&request.messages()[0], caller);
            scorer.segment_counts().unwrap()
        };
        let SegmentCounts { hits: 0, misses } = look(Some("one")) else { panic!("a hit") };
        assert!(misses > 3);
        assert_eq!(look(Some("one")), SegmentCounts { hits: misses, misses });
        for (caller, times) in [(Some("two"), 2), (None, 3)] {
            let counts = look(caller);
            assert_eq!(
                counts,
                SegmentCounts { hits: misses, misses: times * misses },
                "{caller:?}"
            );
        }
        assert_eq!(LinearScorer::shipped().unwrap().segment_counts(), None);
    }
}
