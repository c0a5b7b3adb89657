//! Syncs with the other replicas in the background.
//!
//! No request waits for a sync: each process decides by its own state. [`Replicas::run`] syncs every
//! few milliseconds, sooner after a cooldown. While the exchange is unavailable, the process continues
//! alone and reports it.
//!
//! No task is spawned here: the embedding program runs [`Replicas::run`] and ends it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::decision::Moment;
use crate::ledger::Ledger;
use crate::state::CapacityState;

use super::exchange::{Exchange, ExchangeFault};
use super::outgoing::Outgoing;
use super::sync_settings::SyncSettings;
use super::sync_state::{Local, SyncState, Trip};

/// The state of the exchange with the other replicas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplicaStatus {
    /// True if the last sync succeeded.
    pub connected: bool,
    /// The number of replicas, this one included; 1 while it is not connected.
    pub replicas: usize,
    /// The time since the last successful sync; `None` before the first.
    pub age: Option<Duration>,
    /// The duration of the last successful sync.
    pub trip: Duration,
    /// The number of successful syncs.
    pub syncs: u64,
    /// The number of failed syncs.
    pub failures: u64,
}

impl fmt::Display for ReplicaStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.connected, self.age) {
            (true, _) => write!(out, "connected, {} replicas", self.replicas),
            (false, Some(age)) => write!(out, "alone for {} s", age.as_secs()),
            (false, None) => write!(out, "alone since the start"),
        }
    }
}

/// The exchange of state with the other replicas.
#[derive(Debug)]
pub struct Replicas {
    exchange: Box<dyn Exchange>,
    settings: SyncSettings,
    outgoing: Arc<Outgoing>,
    local: Mutex<Option<Local>>,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    connected: bool,
    replicas: usize,
    synced: Option<Instant>,
    trip: Duration,
    syncs: u64,
    failures: u64,
    /// True once the loss of the exchange has been logged.
    logged: bool,
}

impl Replicas {
    /// The replicas that share this exchange. Nothing happens before [`Replicas::run`].
    pub fn new(exchange: impl Exchange + 'static, settings: SyncSettings) -> Arc<Self> {
        Arc::new(Self {
            exchange: Box::new(exchange),
            settings,
            outgoing: Arc::default(),
            local: Mutex::default(),
            status: Mutex::default(),
        })
    }

    /// The data that waits to be sent.
    pub fn outgoing(&self) -> &Arc<Outgoing> {
        &self.outgoing
    }

    /// Sets the state of this process that is shared from now on. The ledger stays the same for the life of the process.
    pub(crate) fn attach(&self, deployments: Arc<CapacityState>, ledger: Arc<Ledger>) {
        let local = Local { deployments, ledger };
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = Some(local);
    }

    /// The state of the exchange.
    pub fn status(&self, now: Instant) -> ReplicaStatus {
        let Status { connected, replicas, synced, trip, syncs, failures, .. } = *self.lock();
        let age = synced.map(|synced| now.saturating_duration_since(synced));
        ReplicaStatus { connected, replicas, age, trip, syncs, failures }
    }

    /// The values of keys, in the order of the keys; nothing if they cannot be read within the budget.
    pub async fn find(&self, keys: &[Box<str>]) -> Vec<Option<Box<str>>> {
        if !self.lock().connected {
            return Vec::new();
        }
        let found = tokio::time::timeout(self.settings.budget, self.exchange.find(keys));
        found.await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Claims a key: true for the first caller of all replicas, false for any other. `None` if that cannot be decided within
    /// the budget.
    pub async fn claim(&self, key: &str) -> Option<bool> {
        if !self.lock().connected {
            return None;
        }
        let claimed = tokio::time::timeout(self.settings.budget, self.exchange.claim(key));
        claimed.await.ok().and_then(Result::ok)
    }

    /// Syncs again and again, until it is dropped.
    pub async fn run(&self) {
        let mut state = SyncState::new(self.settings.clone(), Arc::clone(&self.outgoing));
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.sync(&mut state).await {
                Ok(true) => {
                    failures = 0;
                    continue;
                }
                Ok(false) => failures = 0,
                Err(fault) => {
                    failures += 1;
                    self.failed(&fault, &mut state);
                    let pause = self.settings.sync.saturating_mul(1 << failures.min(6));
                    tokio::time::sleep(pause.min(self.settings.patience())).await;
                    continue;
                }
            }
            tokio::time::sleep_until(began + self.settings.soonest()).await;
            tokio::select! {
                biased;
                () = self.outgoing.changes().woken() => {}
                () = tokio::time::sleep_until(began + self.settings.sync) => {}
            }
        }
    }

    /// One sync; true if another one should follow at once.
    async fn sync(&self, state: &mut SyncState) -> Result<bool, ExchangeFault> {
        let Some(local) = self.local() else { return Ok(false) };
        let (began, patience) = (moment(), self.settings.patience());
        let push = state.push(&local, began);
        let pull = tokio::time::timeout(patience, self.exchange.sync(&push)).await;
        let pull = pull.map_err(|_| ExchangeFault("no answer in time".into()))??;
        let trip = Trip { began: began.now, ended: moment() };
        if trip.ended.now - trip.began > patience {
            // The process was paused, and the exchange's time in the answer is an old one.
            return Err(ExchangeFault("the answer was late".into()));
        }
        let more = state.pull(pull, &local, trip);
        self.synced(state, trip);
        Ok(more)
    }

    fn synced(&self, state: &SyncState, Trip { began, ended }: Trip) {
        let mut status = self.lock();
        let before = status.synced;
        status.syncs += 1;
        status.replicas = state.replicas();
        status.synced = Some(ended.now);
        status.trip = ended.now - began;
        let joined = !std::mem::replace(&mut status.connected, true);
        status.logged = false;
        let replicas = status.replicas;
        drop(status);
        if joined {
            let alone = before.map(|before| ended.now.saturating_duration_since(before));
            let alone = alone.map(|alone| alone.as_millis());
            tracing::info!(replicas, alone_ms = ?alone, "connected to the other replicas");
        }
    }

    fn failed(&self, fault: &ExchangeFault, state: &mut SyncState) {
        let mut status = self.lock();
        status.failures += 1;
        status.connected = false;
        status.replicas = 1;
        let logged = std::mem::replace(&mut status.logged, true);
        drop(status);
        if !logged {
            tracing::warn!(%fault, "the other replicas are unreachable: this router continues alone");
        }
        if let Some(local) = self.local() {
            state.failed(&local, moment());
        }
    }

    fn local(&self) -> Option<Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moment() -> Moment {
    Moment { now: Instant::now(), today: clock::day(clock::wall()) }
}
