//! The hash of the first characters of a system prompt. It identifies an application by its prompt without storing the prompt.
//!
//! System prompts often end with variable text (a date, a user's name), so a hash covers a fixed number of characters from the
//! start and states that number. It is written as `256:0f1e2d3c4b5a6978`.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::chat::ChatRequest;
use crate::chat::Message;

/// The most characters that a hash covers.
pub(crate) const MOST_HASHED: u32 = 8_192;

/// The lengths for which `explain` prints a hash, in addition to that of the whole prompt.
const OFFERED: [u32; 3] = [64, 256, 1_024];

/// The hash of the first characters of a text.
///
/// ```
/// use router_core::policy::PrefixHash;
/// let hash = PrefixHash::of(["You are a ", "translator. Today is Monday."].into_iter(), 21);
/// assert_eq!(hash, PrefixHash::of(["You are a translator. Today is Friday."].into_iter(), 21));
/// assert_eq!(hash.map(|hash| PrefixHash::try_from(hash.to_string().as_str())), hash.map(Ok));
/// assert_eq!(PrefixHash::of(["short"].into_iter(), 21), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixHash {
    characters: u32,
    hash: u64,
}

/// The text is not a prefix hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a number of characters from 1 to {MOST_HASHED}, a colon and 16 hexadecimal digits, as `router-server explain` prints them"
)]
pub struct PrefixHashFault;

impl PrefixHash {
    /// The hash of the first `characters` of the texts together; `None` if they have fewer.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>, characters: u32) -> Option<Self> {
        let mut hasher = Xxh3::new();
        let mut missing = usize::try_from(characters).ok()?;
        for text in texts {
            if missing == 0 {
                break;
            }
            if let Some((end, _)) = text.char_indices().nth(missing) {
                hasher.update(text.get(..end)?.as_bytes());
                missing = 0;
            } else {
                hasher.update(text.as_bytes());
                missing -= text.chars().count();
            }
        }
        (missing == 0).then(|| Self { characters, hash: hasher.digest() })
    }

    /// The hashes that a rule may use for the instructions of a request: of several lengths, and of the whole prompt.
    pub fn offered(request: &ChatRequest<'_>) -> Vec<Self> {
        let Some(instructions) = instructions(request) else { return Vec::new() };
        let whole = instructions.texts().flat_map(str::chars).take(MOST_HASHED as usize).count();
        let whole = u32::try_from(whole).unwrap_or(MOST_HASHED);
        let lengths = OFFERED.into_iter().filter(|length| *length < whole);
        let lengths = lengths.chain((whole > 0).then_some(whole));
        lengths.filter_map(|length| Self::of(instructions.texts(), length)).collect()
    }

    /// The number of characters that it covers.
    pub fn characters(self) -> u32 {
        self.characters
    }
}

/// The first message that carries instructions: the system prompt.
pub(super) fn instructions<'r, 'a>(request: &'r ChatRequest<'a>) -> Option<&'r Message<'a>> {
    request.messages().iter().find(|message| message.role.instructs())
}

impl TryFrom<&str> for PrefixHash {
    type Error = PrefixHashFault;
    fn try_from(text: &str) -> Result<Self, PrefixHashFault> {
        let (characters, hash) = text.split_once(':').ok_or(PrefixHashFault)?;
        let characters = characters.parse().ok().filter(|count| (1..=MOST_HASHED).contains(count));
        let digits = hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        let hash = u64::from_str_radix(hash, 16).ok().filter(|_| digits);
        match (characters, hash) {
            (Some(characters), Some(hash)) => Ok(Self { characters, hash }),
            _ => Err(PrefixHashFault),
        }
    }
}

impl fmt::Display for PrefixHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{:016x}", self.characters, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_characters_and_is_the_same_in_every_release() {
        let korean = PrefixHash::of(["당신은 번역가입니다."].into_iter(), 3).unwrap();
        assert_eq!(korean, PrefixHash::of(["당", "신은!"].into_iter(), 3).unwrap());
        // Configurations hold it: it must never change.
        assert_eq!(
            PrefixHash::of(["abc"].into_iter(), 3).unwrap().to_string(),
            "3:78af5f94892f3950"
        );
        for wrong in [
            "",
            "3",
            "0:78af5f94892f3950",
            "8193:78af5f94892f3950",
            "3:78af5f94892f395",
            "3:+8af5f94892f3950",
        ] {
            assert_eq!(PrefixHash::try_from(wrong), Err(PrefixHashFault), "{wrong}");
        }
    }

    #[test]
    fn hashes_of_several_lengths_are_offered() {
        let body = serde_json::json!({"messages": [{"role": "system", "content": "a".repeat(300)},
            {"role": "user", "content": "x"}]})
        .to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let lengths = PrefixHash::offered(&request).into_iter().map(PrefixHash::characters);
        assert_eq!(lengths.collect::<Vec<_>>(), [64, 256, 300]);
        let body = r#"{"messages":[{"role":"user","content":"x"}]}"#;
        assert!(PrefixHash::offered(&ChatRequest::parse(body.as_bytes()).unwrap()).is_empty());
    }
}
