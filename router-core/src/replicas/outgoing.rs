//! Data that waits to be sent to other replicas: values by key that each can look up, and changes of
//! the state.
//!
//! Filled while requests are served, emptied by the sync loop. The lock is held for a few
//! instructions. While Redis is unavailable, values wait; their number is bounded, and the oldest
//! are dropped first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::Changes;

/// A key and its value; `None` if the key is to be deleted.
pub(super) type SharedValue = (Box<str>, Option<Box<str>>);

/// Data that waits to be sent to other replicas.
#[derive(Debug, Default)]
pub struct Outgoing {
    changes: Arc<Changes>,
    values: Mutex<VecDeque<SharedValue>>,
}

/// The most values that wait: the default number of remembered stored responses, so that the owners recorded during a long
/// outage are not lost.
const MOST_VALUES: usize = 100_000;

impl Outgoing {
    /// Changes of the state of deployments.
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Sets the value of a key for all replicas, or deletes the key.
    pub fn set(&self, key: &str, value: Option<&str>) {
        let mut values = self.lock();
        if values.len() >= MOST_VALUES {
            values.pop_front();
        }
        values.push_back((key.into(), value.map(Into::into)));
        drop(values);
        self.changes.wake();
    }

    /// The oldest `most` values; they keep waiting until [`Self::delivered`].
    pub fn oldest(&self, most: usize) -> Vec<SharedValue> {
        self.lock().iter().take(most).cloned().collect()
    }

    /// Removes the oldest values, which have arrived. True if more are waiting.
    pub fn delivered(&self, values: &[SharedValue]) -> bool {
        let mut held = self.lock();
        for value in values {
            // Values at the front may have been dropped meanwhile.
            if held.front() == Some(value) {
                held.pop_front();
            }
        }
        !held.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SharedValue>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_wait_until_they_are_delivered_and_their_number_is_bounded() {
        let outgoing = Outgoing::default();
        outgoing.set("a", Some("1"));
        outgoing.set("b", None);
        let first = outgoing.oldest(1);
        assert_eq!(first, [("a".into(), Some("1".into()))]);
        assert_eq!(outgoing.oldest(9).len(), 2, "nothing is gone before it is delivered");
        assert!(outgoing.delivered(&first));
        assert!(!outgoing.delivered(&outgoing.oldest(9)));
        for number in 0..=MOST_VALUES {
            outgoing.set(&number.to_string(), Some("1"));
        }
        assert_eq!(&*outgoing.oldest(1)[0].0, "1");
        assert_eq!(outgoing.oldest(usize::MAX).len(), MOST_VALUES);
    }
}
