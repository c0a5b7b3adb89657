//! Several routers that behave nearly like one: tells the others what was learned here, and learns from them.
//!
//! No request waits for this. Each process decides by its own state; [`Replicas::run`] meets the others every few
//! milliseconds, sooner when a deployment has refused, and puts in what they told. Where they cannot be met, the process goes
//! on alone and says so; when they are there again it joins as a newcomer, so nothing is counted twice.
//!
//! No task is spawned here: who starts the server runs it and ends it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::decision::Moment;
use crate::ledger::Ledger;

use super::exchange::{Exchange, ExchangeFault};
use super::in_process::InProcess;
use super::key_usage::Settled;
use super::member::{Here, Meeting, Member, name};
use super::outgoing::Outbox;
use super::sync_settings::Pace;

/// How it stands with the other replicas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplicaStatus {
    /// True while they are met.
    pub connected: bool,
    /// How many there are, this one included, as far as is known.
    pub replicas: usize,
    /// Since the last meeting; `None` where there was none yet.
    pub age: Option<Duration>,
    /// How long the last meeting took.
    pub trip: Duration,
    /// How many meetings there were.
    pub meetings: u64,
    /// How many failed.
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

/// The other replicas, as seen from here.
#[derive(Debug)]
pub struct Replicas {
    exchange: Box<dyn Exchange>,
    pace: Pace,
    outbox: Arc<Outbox>,
    /// The life of this process's accounts.
    run: Box<str>,
    here: Mutex<Option<Here>>,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    connected: bool,
    replicas: usize,
    met: Option<Instant>,
    trip: Duration,
    meetings: u64,
    failures: u64,
    /// The loss was logged.
    said: bool,
}

impl Replicas {
    /// Those who meet at this place. Nothing happens before [`Replicas::run`].
    pub fn new(exchange: impl Exchange + 'static, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            exchange: Box::new(exchange),
            outbox: Arc::new(Outbox::every(pace.sync)),
            pace,
            run: name(),
            here: Mutex::default(),
            status: Mutex::default(),
        })
    }

    /// Where a state puts what the others should know.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// From now on these are the state of this process and its keys' accounts: what the others tell goes there. The accounts
    /// are the same for as long as it lives.
    pub fn attach(&self, state: Arc<InProcess>, ledger: Arc<Ledger>) {
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = Some(Here { state, ledger });
    }

    /// How it stands now.
    pub fn status(&self, now: Instant) -> ReplicaStatus {
        let Status { connected, replicas, met, trip, meetings, failures, .. } = *self.lock();
        let age = met.map(|met| now.saturating_duration_since(met));
        ReplicaStatus { connected, replicas, age, trip, meetings, failures }
    }

    /// What the others keep under these keys, in their order; nothing where they cannot be asked within the budget.
    pub async fn find(&self, keys: &[Box<str>]) -> Vec<Option<Box<str>>> {
        if !self.lock().connected {
            return Vec::new();
        }
        let asked = tokio::time::timeout(self.pace.budget, self.exchange.find(keys));
        asked.await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Takes a key for this replica: true for the first one that asks. `None` if the others cannot be asked within the budget.
    pub async fn claim(&self, key: &str) -> Option<bool> {
        if !self.lock().connected {
            return None;
        }
        let asked = tokio::time::timeout(self.pace.budget, self.exchange.claim(key));
        asked.await.ok().and_then(Result::ok)
    }

    /// Meets the others again and again, until it is dropped.
    pub async fn run(&self) {
        let mut member = Member::new(Instant::now(), &self.run);
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let more = match self.meet(&mut member).await {
                Ok(more) => {
                    failures = 0;
                    more
                }
                Err(fault) => {
                    failures += 1;
                    self.failed(&fault, &mut member);
                    false
                }
            };
            if more {
                continue;
            }
            if failures > 0 {
                let pause = self.pace.sync.saturating_mul(1 << failures.min(6));
                tokio::time::sleep(pause.min(self.pace.patience())).await;
                continue;
            }
            tokio::time::sleep_until(began + self.pace.soonest()).await;
            tokio::select! {
                biased;
                () = self.outbox.rung() => {}
                () = tokio::time::sleep_until(began + self.pace.sync) => {}
            }
        }
    }

    /// One meeting; true where there is more to read at once.
    async fn meet(&self, member: &mut Member) -> Result<bool, ExchangeFault> {
        let Some(here) = self.here() else { return Ok(false) };
        let began = Instant::now();
        if member.silent(began) > self.pace.ttl {
            member.begin_anew(began);
        }
        let today = clock::day(clock::wall());
        let push = member.push(&here, &self.outbox, &self.pace, Moment::new(began, today));
        let pull = tokio::time::timeout(self.pace.patience(), self.exchange.meet(&push));
        let pull = pull.await.map_err(|_| ExchangeFault("no answer in time".into()))??;
        let now = Instant::now();
        let more = pull.more;
        let moment = Moment::new(now, today);
        let meeting = Meeting { began, moment, first: member.is_new() };
        member.pull(pull, &here, meeting, &self.pace);
        self.met(member, now - began, now);
        Ok(more || member.has_more())
    }

    fn met(&self, member: &Member, trip: Duration, now: Instant) {
        let mut status = self.lock();
        let before = status.met;
        status.meetings += 1;
        status.replicas = member.replicas();
        status.met = Some(now);
        status.trip = trip;
        let joined = !std::mem::replace(&mut status.connected, true);
        status.said = false;
        let replicas = status.replicas;
        drop(status);
        if joined {
            let alone = before.map(|before| now.saturating_duration_since(before).as_millis());
            tracing::info!(replicas, alone_ms = ?alone, "connected to the other replicas");
        }
    }

    fn failed(&self, fault: &ExchangeFault, member: &mut Member) {
        let now = Instant::now();
        let mut status = self.lock();
        status.failures += 1;
        status.connected = false;
        status.replicas = 1;
        let said = std::mem::replace(&mut status.said, true);
        drop(status);
        if !said {
            tracing::warn!(%fault, "the other replicas are unreachable: this router continues alone");
        }
        let Some(here) = self.here() else { return };
        // What others used grows old, and nobody tells it anew.
        let moment = Moment::new(now, clock::day(clock::wall()));
        member.settle(&here, moment, &self.pace, Settled::All);
        if member.silent(now) > self.pace.ttl {
            // Nobody comes before us, and what nobody will hear need not be kept.
            here.state.leave(Duration::ZERO);
            drop((here.state.untold(), self.outbox.take_homes()));
        }
    }

    fn here(&self) -> Option<Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
