//! Caches the scores of repeated turns: instructions, and earlier turns of a conversation.
//!
//! A turn's score depends only on the turn, so caching changes nothing but the time. The last turn
//! is nearly always new and is not looked up. The cache holds a keyed hash and a number, never a
//! text.

use std::hash::{BuildHasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::chat::Content;
use crate::chat::Message;
use crate::chat::Part;

use super::kind::Score;

/// The most scores kept; some hundred bytes each.
const MOST: u64 = 16_384;

/// A turn longer than this, in bytes, is scored again: of a long one only parts are read, and to hash it whole costs as much.
const LONGEST: usize = 65_536;

/// Scores by the hash of their turn.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    scores: moka::sync::Cache<u64, Score>,
    keys: RandomState,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { scores: moka::sync::Cache::new(MOST), keys: RandomState::new() }
    }
}

impl Remembered {
    /// The score of a turn, by `score` if it is not known yet.
    pub(super) fn score(
        &self,
        turn: &Message<'_>,
        caller: Option<&str>,
        score: impl FnOnce() -> Score,
    ) -> Score {
        if turn.texts().map(str::len).sum::<usize>() > LONGEST {
            return score();
        }
        let key = self.key(turn, caller);
        if let Some(known) = self.scores.get(&key) {
            return known;
        }
        let new = score();
        self.scores.insert(key, new);
        new
    }

    /// All that a scorer sees of a turn, and whose it is: the time of a request says nothing of other callers' turns.
    fn key(&self, turn: &Message<'_>, caller: Option<&str>) -> u64 {
        let mut key = self.keys.hash_one((caller, turn.role, turn.calls_tools));
        let mut add = |kind: u64, text: &str| {
            key = xxh3_64_with_seed(text.as_bytes(), key.wrapping_add(kind));
        };
        match &turn.content {
            Content::Empty => {}
            Content::Text(text) => add(1, text),
            Content::Parts(parts) => {
                add(2, "");
                for part in parts {
                    match part {
                        Part::Text(text) => add(3, text),
                        Part::Image => add(4, ""),
                        Part::Attached(_) | Part::Other => add(5, ""),
                    }
                }
            }
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::chat::ChatRequest;

    #[test]
    fn a_turn_is_scored_once_and_another_turn_is_another() {
        let body =
            |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
        let long = format!("\"{}\"", "a".repeat(LONGEST + 1));
        let bodies =
            [r#""a""#, r#""b""#, r#"[{"type":"text","text":"a"}]"#, "null", &long].map(body);
        let remembered = Remembered::default();
        let mut times = Vec::new();
        for body in &bodies {
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let turn = &request.messages()[0];
            let scored = Cell::new(0_u8);
            for _ in 0..3 {
                let own = 0.1 * f32::from(u8::try_from(times.len()).unwrap());
                let score = remembered.score(turn, None, || {
                    scored.set(scored.get() + 1);
                    Score::nearest(own)
                });
                assert!((score.value() - Score::nearest(own).value()).abs() < 1e-6, "{body:.60}");
            }
            times.push(scored.get());
        }
        assert_eq!(times, [1, 1, 1, 1, 3], "the long one is scored each time");
    }
}
