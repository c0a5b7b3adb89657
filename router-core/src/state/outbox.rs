//! What this process has for other replicas beside news of deployments, and the bell that calls for it to be sent.
//!
//! Filled on the way of requests, emptied by whoever speaks with the replicas; both only ever take a lock for a few
//! instructions. Bounded: while nobody empties it, the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::capacity::Conversation;
use crate::capacity::Home;

/// Waiting to be told.
#[derive(Debug, Default)]
pub struct Outbox {
    bell: Notify,
    held: Mutex<Held>,
}

/// Beside news of deployments.
#[derive(Debug, Default)]
pub struct Held {
    /// Where conversations are at home now.
    pub homes: VecDeque<(Conversation, Home)>,
    /// What is to be kept for all, by its key; `None` where it is to be forgotten.
    pub kept: VecDeque<(Box<str>, Option<Box<str>>)>,
}

/// The most of each kind that waits.
const MOST: usize = 2_048;

impl Outbox {
    /// Somebody should send what there is.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until the bell rings.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A conversation is at home here now.
    pub fn moved(&self, conversation: Conversation, home: Home) {
        bounded(&mut self.lock().homes, (conversation, home));
    }

    /// All replicas should find this value under this key, or no value any longer.
    pub fn keep(&self, key: &str, value: Option<&str>) {
        bounded(&mut self.lock().kept, (key.into(), value.map(Into::into)));
        self.ring();
    }

    /// All there is; from now on it counts as sent.
    pub fn take(&self) -> Held {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, new: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(new);
}
