//! Remembers which deployment holds a conversation's prompt cache.
//!
//! A turn goes to the deployment that answered the previous one while its prompt is likely still
//! cached. A conversation that had to leave a full provisioned deployment stays at its new one for
//! a while: moving every turn back and forth would lose the cache on both sides. Expiry is decided
//! by the time in the value; the cache's own expiry only cleans up.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use crate::chat::ChatRequest;
use crate::chat::Role;
use crate::units::DeploymentName;
use crate::units::Tokens;

use super::settings::Settings;

/// A conversation: the session that the caller names, else its first messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conversation(u64);

/// This much of a text identifies it; long prompts need not be hashed completely.
const HASHED_BYTES: usize = 4_096;

/// A caller's part of a prompt is cached from this length on, in steps of the second.
///
/// **Source:** Microsoft, "Prompt caching".
const CACHED_LEAST: u64 = 1_024;
const CACHED_STEP: u64 = 128;

impl Conversation {
    /// The conversation with a number that another replica sent.
    pub fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// Its number, the same in all replicas of one build.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The conversation of a request.
    pub fn of(request: &ChatRequest<'_>, session: Option<&str>) -> Self {
        let mut hasher = DefaultHasher::new();
        if let Some(session) = session {
            session.hash(&mut hasher);
            return Self(hasher.finish());
        }
        request.prompt_cache_key().hash(&mut hasher);
        for message in request.messages() {
            for text in message.texts() {
                // A text by its own hash, which takes a tenth of the time.
                let head = text.as_bytes().get(..HASHED_BYTES).unwrap_or(text.as_bytes());
                (text.len(), xxh3_64(head)).hash(&mut hasher);
            }
            if message.role == Role::User {
                break;
            }
        }
        Self(hasher.finish())
    }
}

/// The deployment that answered a conversation last, and the prompt cache it should still hold.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheAffinity {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The time until which its cache is expected to hold.
    pub until: Instant,
    /// The prompt and the answer of that turn: what the next turn's prompt begins with.
    pub prefix: Tokens,
    /// True if the conversation moved there because a provisioned deployment was full.
    pub spilled: bool,
}

impl CacheAffinity {
    /// The part of a prompt that should be in the cache.
    pub fn cached(&self, prompt: Tokens) -> Tokens {
        let shared = self.prefix.0.min(prompt.0);
        Tokens(if shared < CACHED_LEAST { 0 } else { shared - shared % CACHED_STEP })
    }
}

/// The homes of conversations.
#[derive(Debug)]
pub(crate) struct Affinity {
    /// A turn changes its conversation's home in place: to insert again costs several times as much.
    homes: moka::sync::Cache<Conversation, Arc<Mutex<CacheAffinity>>>,
    keep: Duration,
}

/// A lock that a panic left behind still holds a whole value.
fn lock(home: &Mutex<CacheAffinity>) -> MutexGuard<'_, CacheAffinity> {
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Affinity {
    /// None yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let homes = moka::sync::Cache::builder()
            .max_capacity(settings.conversations_max)
            .time_to_idle(settings.affinity.saturating_mul(2).max(Duration::from_secs(1)))
            .build();
        Self { homes, keep: settings.affinity }
    }

    /// The same homes under new settings.
    #[must_use]
    pub(crate) fn renewed(&self, settings: &Settings) -> Self {
        let most = self.homes.policy().max_capacity();
        if self.keep == settings.affinity && most == Some(settings.conversations_max) {
            return Self { homes: self.homes.clone(), keep: self.keep };
        }
        let renewed = Self::new(settings);
        self.homes.iter().for_each(|(conversation, home)| {
            renewed.homes.insert(*conversation, home);
        });
        renewed
    }

    /// The home of a conversation.
    pub(crate) fn home(&self, conversation: Conversation, now: Instant) -> Option<CacheAffinity> {
        let home = self.homes.get(&conversation)?;
        let home = lock(&home);
        (home.until > now).then(|| home.clone())
    }

    /// Another replica answered a turn. A later turn known here stays.
    pub(crate) fn merge(&self, conversation: Conversation, home: CacheAffinity) {
        match self.homes.get(&conversation) {
            Some(known) => {
                let mut known = lock(&known);
                if known.until <= home.until {
                    *known = home;
                }
            }
            None => self.insert(conversation, home),
        }
    }

    fn insert(&self, conversation: Conversation, home: CacheAffinity) {
        self.homes.insert(conversation, Arc::new(Mutex::new(home)));
    }

    /// Records an answered turn, and returns the conversation's affinity. Further turns do not prolong the time of a spilled
    /// conversation: it may go back.
    pub(crate) fn settle(
        &self,
        conversation: Conversation,
        home: &CacheAffinity,
        now: Instant,
    ) -> CacheAffinity {
        let mut home = CacheAffinity { until: now + self.keep, ..home.clone() };
        let Some(known) = self.homes.get(&conversation) else {
            self.insert(conversation, home.clone());
            return home;
        };
        let mut before = lock(&known);
        if before.until > now && before.deployment == home.deployment && before.spilled {
            home.spilled = true;
            home.until = before.until;
        }
        before.clone_from(&home);
        home
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(body: &str, session: Option<&str>) -> Conversation {
        Conversation::of(&ChatRequest::parse(body.as_bytes()).unwrap(), session)
    }

    #[test]
    fn turns_of_one_conversation_are_one() {
        let first = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"안녕"}]}"#;
        let second = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"안녕"},
            {"role":"assistant","content":"네"},{"role":"user","content":"Go on"}]}"#;
        let other = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Bye"}]}"#;
        assert_eq!(conversation(first, None), conversation(second, None));
        assert_ne!(conversation(first, None), conversation(other, None));
        assert_eq!(conversation(first, Some("s")), conversation(other, Some("s")));
    }

    #[test]
    fn a_spill_pins_for_a_while_and_not_for_ever() {
        let settings = Settings { affinity: Duration::from_secs(100), ..Settings::default() };
        let affinity = Affinity::new(&settings);
        let (now, one) = (Instant::now(), Conversation(1));
        let home = |name: &str, spilled| CacheAffinity {
            deployment: DeploymentName::try_from(name).unwrap(),
            until: now,
            prefix: Tokens(2_000),
            spilled,
        };
        affinity.settle(one, &home("payg", true), now);
        let later = now + Duration::from_secs(60);
        affinity.settle(one, &home("payg", false), later);
        assert!(affinity.home(one, later).unwrap().spilled);
        assert_eq!(affinity.home(one, now + Duration::from_secs(101)), None);
        affinity.settle(one, &home("ptu", false), later);
        assert!(!affinity.home(one, later).unwrap().spilled);
        assert_eq!(home("ptu", false).cached(Tokens(1_999)), Tokens(1_920));
        assert_eq!(home("ptu", false).cached(Tokens(900)), Tokens(0));
    }
}
