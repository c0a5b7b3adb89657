//! The prompt cache: how many tokens of a prompt the deployment has seen before.
//!
//! The real cache needs 1,024 tokens, compares the beginning, and grows in steps of 128 tokens.
//! Here a hash of the beginning is kept for each step, for a configurable time. Overflow to other
//! machines is not emulated.
//!
//! **Source:** Azure OpenAI docs, "prompt caching".

use crate::dice::fingerprint;
use crate::wire::tokens;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

const FIRST: u64 = 1_024;
const STEP: u64 = 128;

/// Beyond so many beginnings the stale ones are thrown away, and if none is stale, all.
const MOST: usize = 100_000;

/// The beginnings of prompts that one deployment has read.
#[derive(Debug, Clone)]
pub(crate) struct PromptCache {
    keep: Duration,
    seen: HashMap<u64, Instant>,
}

impl PromptCache {
    /// An empty cache that forgets after `keep`.
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, seen: HashMap::new() }
    }

    /// Tokens of a prompt that were read before.
    pub(crate) fn known(&self, now: Instant, prompt: &Beginnings) -> u64 {
        let is_kept = |at: &Instant| now.saturating_duration_since(*at) <= self.keep;
        let known =
            prompt.0.iter().rev().find(|(_, hash)| self.seen.get(hash).is_some_and(is_kept));
        known.map_or(0, |(length, _)| *length)
    }

    /// From now on the whole prompt counts as read.
    pub(crate) fn remember(&mut self, now: Instant, prompt: &Beginnings) {
        if self.seen.len() > MOST {
            let keep = self.keep;
            self.seen.retain(|_, at| now.saturating_duration_since(*at) <= keep);
            if self.seen.len() > MOST {
                self.seen.clear();
            }
        }
        self.seen.extend(prompt.0.iter().map(|(_, hash)| (*hash, now)));
    }
}

/// The beginnings of a prompt of 1,024, 1,152, ... tokens, each with its hash.
#[derive(Debug, Default)]
pub(crate) struct Beginnings(Vec<(u64, u64)>);

impl Beginnings {
    pub(crate) fn of(prompt: &str) -> Self {
        Self(beginnings(prompt))
    }
}

fn beginnings(prompt: &str) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let (mut thousandths, mut next, mut hash) = (0_u64, FIRST, 0_u64);
    let mut letter_bytes = [0_u8; 4];
    for letter in prompt.chars() {
        thousandths += tokens::thousandths(letter);
        let bytes = letter.encode_utf8(&mut letter_bytes).as_bytes();
        hash = hash.rotate_left(5).wrapping_mul(0x0100_0000_01B3) ^ fingerprint(bytes);
        if thousandths >= next * 1_000 {
            found.push((next, hash));
            next += STEP;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache: &mut PromptCache, now: Instant, prompt: &str) -> u64 {
        let prompt = Beginnings::of(prompt);
        let known = cache.known(now, &prompt);
        cache.remember(now, &prompt);
        known
    }

    #[test]
    fn steps_of_128_from_1024_on() {
        let now = Instant::now();
        let mut cache = PromptCache::new(Duration::from_secs(60));
        let shared = "abcd".repeat(1_300);
        assert_eq!(read(&mut cache, now, &format!("{shared} first question")), 0);
        assert_eq!(read(&mut cache, now, &format!("{shared} another question")), 1_280);
        assert_eq!(read(&mut cache, now, &format!("X{shared}")), 0, "one letter differs");
        assert_eq!(read(&mut cache, now, "short"), 0);
        assert_eq!(read(&mut cache, now, "short"), 0);
    }

    #[test]
    fn forgets() {
        let now = Instant::now();
        let mut cache = PromptCache::new(Duration::from_secs(60));
        let prompt = "한국어 문장 ".repeat(400);
        read(&mut cache, now, &prompt);
        let later = now + Duration::from_secs(60);
        assert!(read(&mut cache, later, &prompt) >= 1_024);
        assert_eq!(read(&mut cache, later + Duration::from_secs(61), &prompt), 0);
    }
}
