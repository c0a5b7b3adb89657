//! Records each request and its end: complete, cut by a script, or left by the caller.
//!
//! Tests read it to see what a router really sent, and whether hanging up on the router reached
//! its upstream. The journal is bounded; the oldest entries leave first.

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// End of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has not.
    InFlight,
    /// The whole answer was handed over.
    Complete,
    /// The caller was gone before that.
    HungUp,
    /// A script dropped the connection.
    Cut,
}

impl End {
    /// Form in which the admin endpoint writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Complete => "complete",
            Self::HungUp => "hung_up",
            Self::Cut => "cut",
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Counted from 1.
    pub number: u64,
    /// `POST`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// After the `?`.
    pub query: Option<String>,
    /// The deployment it reached.
    pub deployment: Option<String>,
    /// Arrival of its last byte.
    pub received: Instant,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as sent.
    pub body: Bytes,
    /// The status it was answered with.
    pub status: Option<u16>,
    /// End of the request.
    pub end: End,
    /// When.
    pub ended: Option<Instant>,
}

impl Entry {
    /// The body as JSON; `None` when it is none.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text; `None` when absent or not readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// All requests of an emulator.
#[derive(Debug)]
pub(crate) struct Journal {
    length: usize,
    inside: Mutex<Inside>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: VecDeque<Entry>,
    count: u64,
}

impl Journal {
    pub(crate) fn new(length: usize) -> Arc<Self> {
        let inside = Mutex::new(Inside::default());
        Arc::new(Self { length: length.max(1), inside, changed: watch::Sender::new(0) })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request down. `entry.number` is set here.
    pub(crate) fn open(self: &Arc<Self>, mut entry: Entry) -> Ticket {
        let number = {
            let mut inside = self.inside();
            inside.count += 1;
            entry.number = inside.count;
            while inside.entries.len() >= self.length {
                inside.entries.pop_front();
            }
            inside.entries.push_back(entry);
            inside.count
        };
        self.note();
        Ticket { journal: Arc::clone(self), number, open: true }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.inside().entries.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.inside().entries.clear();
        self.note();
    }

    /// Changes the entry of that number, if it is still held.
    pub(crate) fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        {
            // Numbers run on without gaps, so the first one says where all others are.
            let mut inside = self.inside();
            let first = inside.entries.front().map_or(u64::MAX, |entry| entry.number);
            let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some(entry) = index.and_then(|index| inside.entries.get_mut(index)) {
                change(entry);
            }
        }
        self.note();
    }

    /// Waits until `condition` accepts the entries; returns false if `within` passes first.
    pub(crate) async fn wait_for(
        &self,
        mut condition: impl FnMut(&[Entry]) -> bool,
        within: Duration,
    ) -> bool {
        let mut changed = self.changed.subscribe();
        let seen = async {
            while !condition(self.inside().entries.make_contiguous()) {
                if changed.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(within, seen).await.unwrap_or(false)
    }

    fn note(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

/// Holds a request open in the journal; dropped unfinished, the caller has hung up.
#[derive(Debug)]
pub(crate) struct Ticket {
    journal: Arc<Journal>,
    number: u64,
    open: bool,
}

impl Ticket {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn answered(&self, status: u16) {
        self.journal.change(self.number, |entry| entry.status = Some(status));
    }

    pub(crate) fn finish(&mut self, end: End) {
        if std::mem::take(&mut self.open) {
            let now = Instant::now();
            self.journal.change(self.number, |entry| {
                entry.end = end;
                entry.ended = Some(now);
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.finish(End::HungUp);
    }
}
