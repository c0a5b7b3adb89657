//! Stored responses: `store` is true unless the caller sets it. Bounded: the oldest are dropped
//! first.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;

const MOST: usize = 1_000;

/// The stored responses of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    responses: Mutex<VecDeque<(String, Value)>>,
}

impl Stored {
    pub(crate) fn keep(&self, id: &str, response: Value) {
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        while responses.len() >= MOST {
            responses.pop_front();
        }
        responses.push_back((id.to_owned(), response));
    }

    pub(crate) fn find(&self, id: &str) -> Option<Value> {
        let responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        responses.iter().find(|(known, _)| known == id).map(|(_, response)| response.clone())
    }

    /// True if there was one to forget.
    pub(crate) fn forget(&self, id: &str) -> bool {
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        let before = responses.len();
        responses.retain(|(known, _)| known != id);
        responses.len() < before
    }
}
