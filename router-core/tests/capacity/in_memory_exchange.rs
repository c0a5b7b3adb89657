//! A fake of the exchange, for tests in paused time: it keeps what Redis would keep, without a socket.
//!
//! A round trip takes a given time. The exchange can be unavailable, and its answers can be lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use router_core::replicas::{Answer, Entry, Exchange, ExchangeFault, Pull, Push};
use tokio::time::Instant;

/// An exchange within one process. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct InMemoryExchange(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    trip: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    unavailable: bool,
    /// Writes are applied, and their answers are lost.
    unanswered: bool,
    /// The number of changes that are no longer kept.
    dropped: usize,
    changes: Vec<Entry>,
    cooldowns: BTreeMap<Box<str>, u64>,
    routers: BTreeMap<Box<str>, u64>,
    spent: BTreeMap<Box<str>, Box<str>>,
    values: BTreeMap<Box<str>, Box<str>>,
}

/// The most changes that are kept.
const CHANGES_KEPT: usize = 10_000;

/// The value of a claimed key.
const CLAIMED: &str = "1";

/// The time that its clock shows when it begins.
const BEGINNING: u64 = 1_700_000_000_000_000;

impl InMemoryExchange {
    /// An empty exchange; a round trip takes `trip`.
    pub(crate) fn new(now: Instant, trip: Duration) -> Self {
        Self(Arc::new(Shared { began: now, trip, held: Mutex::default() }))
    }

    /// Makes it unavailable, or available again.
    pub(crate) fn lose(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// While this is set, it applies all writes, and its answers are lost.
    pub(crate) fn lose_answers(&self, unanswered: bool) {
        self.lock().unanswered = unanswered;
    }

    /// Drops everything, like a Redis that was restarted without persistence.
    pub(crate) fn clear(&self) {
        let mut held = self.lock();
        let dropped = held.dropped + held.changes.len();
        let (unavailable, unanswered) = (held.unavailable, held.unanswered);
        *held = Held { unavailable, unanswered, dropped, ..Held::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of its clock.
    pub(crate) fn micros(&self, now: Instant) -> u64 {
        let since = (now - self.0.began).as_micros();
        BEGINNING.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    async fn visit<T>(&self, act: impl FnOnce(&mut Held, u64) -> T) -> Result<T, ExchangeFault> {
        let half = self.0.trip / 2;
        tokio::time::sleep(half).await;
        let done = {
            let mut held = self.lock();
            if held.unavailable {
                return Err(ExchangeFault("the exchange is unavailable".into()));
            }
            let done = act(&mut held, self.micros(Instant::now()));
            if held.unanswered {
                return Err(ExchangeFault("the answer is lost".into()));
            }
            done
        };
        tokio::time::sleep(half).await;
        Ok(done)
    }
}

impl Exchange for InMemoryExchange {
    fn sync<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull> {
        Box::pin(self.visit(move |held, micros| {
            held.write(push);
            let end = held.dropped + held.changes.len();
            let read = push.read.as_ref().and_then(|read| read.parse().ok()).unwrap_or(0_usize);
            let unread = held.changes.iter().skip(read.saturating_sub(held.dropped));
            let current = held.cooldowns.iter().filter(|(_, end)| **end > micros);
            Pull {
                micros,
                read: Some(end.to_string().into()),
                changes: unread.cloned().collect(),
                more: false,
                cooldowns: current.map(|(name, end)| (name.clone(), *end)).collect(),
                replicas: push.beat.then_some(held.routers.len()),
                spent: push.all_spent.then(|| held.spent.clone().into_iter().collect()),
                spent_count: push.beat.then(|| u64::try_from(held.spent.len()).unwrap_or(u64::MAX)),
            }
        }))
    }

    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>> {
        let found =
            |held: &mut Held, _| keys.iter().map(|key| held.values.get(key).cloned()).collect();
        Box::pin(self.visit(found))
    }

    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool> {
        let claimed = |held: &mut Held, _| held.values.insert(key.into(), CLAIMED.into()).is_none();
        Box::pin(self.visit(claimed))
    }
}

impl Held {
    fn write(&mut self, push: &Push) {
        if let Some(text) = &push.change {
            let (run, text) = (push.run.clone(), text.clone());
            self.changes.push(Entry { run, micros: push.micros, text });
            let over = self.changes.len().saturating_sub(CHANGES_KEPT);
            self.changes.drain(..over);
            self.dropped += over;
        }
        for (name, end) in &push.cooldowns {
            let held = self.cooldowns.entry(name.clone()).or_default();
            *held = (*held).max(*end);
        }
        for name in &push.recovered {
            self.cooldowns.remove(name);
        }
        if push.beat {
            let ttl = u64::try_from(push.ttl.as_micros()).unwrap_or(u64::MAX);
            self.routers.insert(push.run.clone(), push.micros);
            self.routers.retain(|_, at| at.abs_diff(push.micros) <= ttl);
            self.cooldowns.retain(|_, end| *end > push.micros);
        }
        self.spent.extend(push.spent.iter().cloned());
        for ended in &push.ended {
            self.spent.remove(ended);
        }
        for (key, value) in &push.values {
            match value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(key),
            };
        }
    }
}
