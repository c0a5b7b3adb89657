//! Caches the sizes of long texts that repeat: system prompts, documents and earlier turns of a conversation.
//!
//! Hashing a text costs a fifth of counting its tokens. Each thread has a small table of keyed hashes and numbers, never of
//! text. The hash is keyed by the caller, so the duration of a request reveals nothing about other callers' texts.
//!
//! Not done here: counting (`tokens.rs`).

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::tokens::Size;

/// Shorter texts, in bytes, are always counted: a look-up costs as much.
const SHORTEST: usize = 512;
/// Entries of a thread's table, a power of two; they take 32 KB.
const MOST: usize = 1_024;

thread_local! {
    static KNOWN: RefCell<Vec<(u64, Size)>> = const { RefCell::new(Vec::new()) };
}

/// One caller's view of the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownSizes {
    seed: u64,
}

impl KnownSizes {
    /// The view of a caller, named by its key.
    pub(super) fn of(caller: Option<&str>) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { seed: KEYS.hash_one(caller) }
    }

    /// The size of a text, computed by `count` on a miss.
    pub(super) fn size(self, text: &str, count: impl FnOnce(&str) -> Size) -> Size {
        if text.len() < SHORTEST {
            return count(text);
        }
        let key = xxh3_64_with_seed(text.as_bytes(), self.seed);
        let at = usize::try_from(key).unwrap_or_default() % MOST;
        KNOWN.with_borrow_mut(|known| {
            if known.is_empty() {
                known.resize(MOST, (0, Size::default()));
            }
            match known.get_mut(at) {
                Some((known, size)) if *known == key && size.characters > 0 => *size,
                Some(place) => {
                    let size = count(text);
                    *place = (key, size);
                    size
                }
                None => count(text),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::units::Tokens;

    #[test]
    fn a_long_text_is_counted_once_for_each_caller() {
        let counted = Cell::new(0);
        let count = |text: &str| {
            counted.set(counted.get() + 1);
            Size { tokens: Tokens(7), characters: text.len() as u64 }
        };
        let (one, two) = (KnownSizes::of(Some("one")), KnownSizes::of(Some("two")));
        let long = "a".repeat(SHORTEST);
        let other = "b".repeat(SHORTEST);
        let short = "a".repeat(SHORTEST - 1);
        for (known, text, times) in
            [(one, &long, 1), (one, &other, 1), (two, &long, 1), (one, &short, 3)]
        {
            counted.set(0);
            for _ in 0..3 {
                let size = known.size(text, count);
                assert_eq!(size, Size { tokens: Tokens(7), characters: text.len() as u64 });
            }
            assert_eq!(counted.get(), times, "{}", text.len());
        }
    }
}
