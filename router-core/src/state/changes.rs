//! Changes that other replicas should learn soon: conversations that moved, and a wake-up after a cooldown.
//!
//! Filled while requests are served, emptied by `replicas`. The lock is held for a few instructions.
//! If it is not emptied, the oldest moves are dropped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::capacity::CacheAffinity;
use crate::capacity::Conversation;

/// A conversation and the deployment that now holds its prompt cache.
pub(crate) type Move = (Conversation, CacheAffinity);

/// Changes that other replicas should learn soon.
#[derive(Debug, Default)]
pub struct Changes {
    wake: Notify,
    moved: Mutex<VecDeque<Move>>,
}

/// The most moves that are kept.
const MOST_MOVED: usize = 2_048;

impl Changes {
    /// Requests a sync before the next one is due.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until a sync is requested.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Records that a conversation was answered by this deployment.
    pub fn moved(&self, conversation: Conversation, home: CacheAffinity) {
        let mut moved = self.lock();
        if moved.len() >= MOST_MOVED {
            moved.pop_front();
        }
        moved.push_back((conversation, home));
    }

    /// Removes and returns all moves, oldest first.
    pub(crate) fn take_moved(&self) -> Vec<Move> {
        std::mem::take(&mut *self.lock()).into()
    }

    /// Puts moves that could not be sent in front of newer ones.
    pub(crate) fn put_back(&self, moved: Vec<Move>) {
        let mut held = self.lock();
        let mut moved = VecDeque::from(moved);
        moved.append(&mut held);
        moved.drain(..moved.len().saturating_sub(MOST_MOVED));
        *held = moved;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Move>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::units::Tokens;

    #[test]
    fn moves_stay_in_their_order_and_their_number_is_bounded() {
        let changes = Changes::default();
        let home = CacheAffinity {
            deployment: "ptu".try_into().unwrap(),
            until: Instant::now() + Duration::from_secs(1),
            prefix: Tokens(1),
            spilled: false,
        };
        let numbers = |moved: &[Move]| -> Vec<u64> {
            moved.iter().map(|(conversation, _)| conversation.number()).collect()
        };
        changes.moved(Conversation::numbered(1), home.clone());
        let unsent = changes.take_moved();
        changes.moved(Conversation::numbered(2), home.clone());
        changes.put_back(unsent);
        assert_eq!(numbers(&changes.take_moved()), [1, 2]);
        for number in 0..5_000 {
            changes.moved(Conversation::numbered(number), home.clone());
        }
        let moved = changes.take_moved();
        assert_eq!((moved.len(), numbers(&moved)[0]), (MOST_MOVED, 5_000 - 2_048));
    }
}
