//! What this process has for other replicas beside news of deployments, and the bell that calls for it to be sent.
//!
//! Filled on the way of requests, emptied by whoever speaks with the replicas; both only ever take a lock for a few
//! instructions. Bounded: while nobody empties it, the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::capacity::CacheAffinity;
use crate::capacity::Conversation;

/// Waiting to be told.
#[derive(Debug)]
pub struct Outbox {
    every: Duration,
    bell: Notify,
    held: Mutex<Held>,
}

/// Beside news of deployments.
#[derive(Debug, Default)]
pub struct Held {
    /// Where conversations are at home now.
    pub homes: VecDeque<(Conversation, CacheAffinity)>,
    /// What is to be kept for all, by its key; `None` where it is to be forgotten.
    pub kept: VecDeque<(Box<str>, Option<Box<str>>)>,
}

/// The most homes of conversations that wait.
const MOST_HOMES: usize = 2_048;

/// The most values that wait to be kept: as many as owners of stored responses are remembered by default, so that those of a
/// long outage are not lost.
pub(super) const MOST_KEPT: usize = 100_000;

impl Outbox {
    /// One that is emptied so often, and filled as often by others elsewhere.
    pub fn every(every: Duration) -> Self {
        Self { every, bell: Notify::new(), held: Mutex::default() }
    }

    /// How often others may change what is known here.
    pub fn interval(&self) -> Duration {
        self.every
    }

    /// Somebody should send what there is.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until the bell rings.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A conversation is at home here now.
    pub fn moved(&self, conversation: Conversation, home: CacheAffinity) {
        bounded(&mut self.lock().homes, (conversation, home), MOST_HOMES);
    }

    /// All replicas should find this value under this key, or no value any longer.
    pub fn keep(&self, key: &str, value: Option<&str>) {
        bounded(&mut self.lock().kept, (key.into(), value.map(Into::into)), MOST_KEPT);
        self.ring();
    }

    /// All there is; from now on it counts as sent.
    pub fn take(&self) -> Held {
        std::mem::take(&mut self.lock())
    }

    /// Where conversations moved; from now on it counts as sent.
    pub fn take_homes(&self) -> VecDeque<(Conversation, CacheAffinity)> {
        std::mem::take(&mut self.lock().homes)
    }

    /// These were not sent after all.
    pub fn put_back(&self, mut homes: VecDeque<(Conversation, CacheAffinity)>) {
        let mut held = self.lock();
        homes.append(&mut held.homes);
        let over = homes.len().saturating_sub(MOST_HOMES);
        homes.drain(..over);
        held.homes = homes;
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, new: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(new);
}
