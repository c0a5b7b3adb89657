//! A place to meet within one process: for several routers in one program, and for tests in stopped time.
//!
//! It keeps what [`super::replicas`] expects of the shared one, without a socket: a round trip takes as long as it is told to,
//! and it can be lost and found again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Answer, Batch, Exchange, ExchangeFault, Pull, Push};

/// A place to meet within one process. Clones are the same place.
#[derive(Debug, Clone)]
pub struct InMemoryExchange(Arc<Place>);

#[derive(Debug)]
struct Place {
    began: Instant,
    trip: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lost: bool,
    /// How many batches were dropped already.
    dropped: usize,
    log: Vec<(Instant, Batch)>,
    reports: BTreeMap<Box<str>, Box<str>>,
    spent: BTreeMap<Box<str>, Box<str>>,
    values: BTreeMap<Box<str>, Box<str>>,
    trips: u64,
}

/// What was told is kept for this time.
const KEPT: Duration = Duration::from_secs(60);

/// The value of a key that was claimed.
const CLAIMED: &str = "1";

/// The shared clock does not begin at zero: nobody's does.
const BEGINNING: u64 = 1_700_000_000_000_000;

impl InMemoryExchange {
    /// An empty one; a round trip takes `trip`.
    pub fn new(now: Instant, trip: Duration) -> Self {
        Self(Arc::new(Place { began: now, trip, kept: Mutex::default() }))
    }

    /// From now on nobody reaches it, or everybody does again.
    pub fn lose(&self, lost: bool) {
        self.lock().lost = lost;
    }

    /// Forgets everything, as a place that began anew.
    pub fn clear(&self) {
        let mut kept = self.lock();
        let dropped = kept.dropped + kept.log.len();
        *kept = Kept { dropped, lost: kept.lost, trips: kept.trips, ..Kept::default() };
    }

    /// How often it was visited.
    pub fn trips(&self) -> u64 {
        self.lock().trips
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn visit<T>(
        &self,
        act: impl FnOnce(&mut Kept, Instant) -> T,
    ) -> Result<T, ExchangeFault> {
        let half = self.0.trip / 2;
        tokio::time::sleep(half).await;
        let done = {
            let mut kept = self.lock();
            kept.trips += 1;
            if kept.lost {
                return Err(ExchangeFault("the board is lost".into()));
            }
            act(&mut kept, Instant::now())
        };
        tokio::time::sleep(half).await;
        Ok(done)
    }
}

impl Exchange for InMemoryExchange {
    fn meet<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull> {
        let began = self.0.began;
        Box::pin(self.visit(move |kept, now| {
            let since = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX);
            let spent = push.all_spent.then(|| kept.spent.clone().into_iter().collect());
            kept.take(push, now);
            let end = kept.dropped + kept.log.len();
            let read = push.read.as_ref().and_then(|read| read.parse().ok()).unwrap_or(end);
            let unread = kept.log.iter().skip(read.saturating_sub(kept.dropped));
            Pull {
                micros: BEGINNING.saturating_add(since),
                read: Some(end.to_string().into()),
                batches: unread.map(|(_, batch)| batch.clone()).collect(),
                more: false,
                reports: push.beat.then(|| kept.reports.values().cloned().collect()),
                spent,
                spent_count: push.beat.then(|| u64::try_from(kept.spent.len()).unwrap_or(u64::MAX)),
            }
        }))
    }

    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>> {
        Box::pin(
            self.visit(move |kept, _| {
                keys.iter().map(|key| kept.values.get(key).cloned()).collect()
            }),
        )
    }

    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool> {
        Box::pin(
            self.visit(move |kept, _| kept.values.insert(key.into(), CLAIMED.into()).is_none()),
        )
    }
}

impl Kept {
    fn take(&mut self, push: &Push, now: Instant) {
        if let Some((number, text)) = &push.batch {
            let (replica, number) = (push.replica.clone(), *number);
            self.log.push((now, Batch { replica, number, text: text.clone() }));
        }
        let old = self.log.iter().take_while(|(at, _)| *at + KEPT < now).count();
        self.log.drain(..old);
        self.dropped += old;
        if let Some(report) = &push.report {
            self.reports.insert(push.replica.clone(), report.clone());
        }
        for gone in &push.gone {
            self.reports.remove(gone);
        }
        self.spent.extend(push.spent.iter().cloned());
        for ended in &push.ended {
            self.spent.remove(ended);
        }
        for (key, value) in &push.kept {
            match value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(key),
            };
        }
    }
}
