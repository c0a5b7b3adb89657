//! This process's side of a sync: composes the data to write, and applies the data read.
//!
//! Nothing counts as delivered before the exchange has answered. After an unclear failure everything
//! is written again, which changes nothing if it had arrived (`exchange`).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::time::Instant;

use crate::decision::Moment;
use crate::ledger::Ledger;
use crate::state::CapacityState;

use super::change::Change;
use super::exchange::{Entry, Pull, Push};
use super::key_usage::KeyUsage;
use super::outgoing::{Outgoing, SharedValue};
use super::shared_clock::SharedClock;
use super::shared_cooldowns::{SharedCooldowns, Written};
use super::shared_quotas::SharedQuotas;
use super::sync_settings::SyncSettings;
use super::usage_report::is_run;

/// The state of this process that is shared.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) deployments: Arc<CapacityState>,
    pub(super) ledger: Arc<Ledger>,
}

/// The progress of this process: the data that it has written and read so far.
#[derive(Debug)]
pub(super) struct SyncState {
    settings: SyncSettings,
    outgoing: Arc<Outgoing>,
    /// A name that identifies this run of the process.
    run: Box<str>,
    clock: Option<SharedClock>,
    read: Option<Box<str>>,
    beat: Option<Instant>,
    replicas: usize,
    usage: KeyUsage,
    quotas: SharedQuotas,
    cooldowns: SharedCooldowns,
    sending: Sending,
}

/// The data that the running sync writes.
#[derive(Debug, Default)]
struct Sending {
    change: Change,
    cooldowns: Written,
    values: Vec<SharedValue>,
}

/// The start and the end of a sync.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trip {
    pub(super) began: Instant,
    pub(super) ended: Moment,
}

/// A router announces itself this many times in `ttl_ms`.
const BEATS: u32 = 3;

/// The most values that one sync writes.
const VALUES_AT_ONCE: usize = 2_048;

impl SyncState {
    pub(super) fn new(settings: SyncSettings, outgoing: Arc<Outgoing>) -> Self {
        let run = random_name();
        Self {
            settings,
            outgoing,
            usage: KeyUsage::of(run.clone()),
            run,
            clock: None,
            read: None,
            beat: None,
            replicas: 1,
            quotas: SharedQuotas::default(),
            cooldowns: SharedCooldowns::default(),
            sending: Sending::default(),
        }
    }

    /// The number of replicas at the last beat, this one included.
    pub(super) fn replicas(&self) -> usize {
        self.replicas
    }

    /// Composes the data to write now.
    pub(super) fn push(&mut self, local: &Local, moment: Moment) -> Push {
        let now = moment.now;
        let ttl = self.settings.ttl;
        let mut push =
            Push { run: self.run.clone(), read: self.read.clone(), ttl, ..Push::default() };
        self.sending.values = self.outgoing.oldest(VALUES_AT_ONCE);
        if let Some(clock) = self.clock {
            push.micros = clock.micros(now);
            push.beat = self.beat.is_none_or(|last| last + ttl / BEATS <= now);
            let own = local.ledger.all_own(moment);
            self.sending.change = Change {
                usage: self.usage.changes(&own, push.beat),
                moved: self.outgoing.changes().take_moved(),
                quotas: self.quotas.changes(&local.deployments),
            };
            let change = &self.sending.change;
            push.change = (!change.is_empty()).then(|| change.written(&clock).into());
            self.sending.cooldowns = self.cooldowns.changes(&local.deployments, &clock, now);
        }
        push.cooldowns.clone_from(&self.sending.cooldowns.cooldowns);
        push.recovered.clone_from(&self.sending.cooldowns.recovered);
        push.values.clone_from(&self.sending.values);
        push.spent = self.usage.unwritten();
        push.ended = self.usage.ended();
        push.all_spent = self.usage.wants_spent();
        push
    }

    /// The sync has succeeded. True if there is more to write or to read at once.
    pub(super) fn pull(&mut self, pull: Pull, local: &Local, trip: Trip) -> bool {
        let Trip { began, ended: moment } = trip;
        let joined = self.clock.is_none();
        let clock = SharedClock::new(began + (moment.now - began) / 2, pull.micros);
        self.clock = Some(clock);
        self.read = pull.read.or(self.read.take());
        let Sending { change, cooldowns, values } = std::mem::take(&mut self.sending);
        self.usage.delivered(change.usage);
        self.quotas.delivered(change.quotas);
        let more_values = self.outgoing.delivered(&values);
        self.cooldowns.take_turns(self.replicas, place_of(&self.run));
        self.cooldowns.apply(&pull.cooldowns, &cooldowns, &local.deployments, &clock);
        for entry in pull.changes {
            self.apply(&entry, local, &clock, moment);
        }
        if let Some(replicas) = pull.replicas {
            self.beat = Some(moment.now);
            self.replicas = replicas.max(1);
        }
        if let Some(count) = pull.spent_count {
            self.usage.compare_count(count, moment);
        }
        if let Some(spent) = pull.spent {
            self.usage.merge_spent(&spent, moment, self.settings.ttl);
        }
        self.inform(local, moment, pull.replicas.is_some());
        joined || pull.more || more_values
    }

    /// The sync has failed; its data may have arrived.
    pub(super) fn failed(&mut self, local: &Local, moment: Moment) {
        let Sending { change, .. } = std::mem::take(&mut self.sending);
        self.outgoing.changes().put_back(change.moved);
        self.usage.failed();
        self.cooldowns.forget();
        (self.read, self.beat, self.replicas) = (None, None, 1);
        // Usage elsewhere ages while it is not reported.
        self.inform(local, moment, true);
    }

    fn apply(&mut self, entry: &Entry, local: &Local, clock: &SharedClock, moment: Moment) {
        if entry.run == self.run || !is_run(&entry.run) {
            return;
        }
        let written = clock.local(entry.micros).map(|written| written.min(moment.now));
        let Change { usage, moved, quotas } = Change::read(&entry.text, clock);
        for report in usage {
            self.usage.merge(&entry.run, report, written, moment.today);
        }
        for (conversation, home) in moved {
            if home.until > moment.now {
                local.deployments.affinity().merge(conversation, home);
            }
        }
        for quota in quotas {
            if let Some(written) = written {
                self.quotas.count(&entry.run, &quota, written, &local.deployments);
            }
        }
    }

    fn inform(&mut self, local: &Local, moment: Moment, all: bool) {
        self.usage.inform(&local.ledger, moment, self.settings.ttl, all);
    }
}

/// A number of a run's own between 0 and 1: its name is a random number.
fn place_of(run: &str) -> f64 {
    let start = run.get(..8).and_then(|start| u32::from_str_radix(start, 16).ok());
    f64::from(start.unwrap_or_default()) / f64::from(u32::MAX)
}

/// A name that no other run has, on this host or another.
fn random_name() -> Box<str> {
    // The standard library's only source of randomness is the keys of its hasher.
    format!("{:016x}", RandomState::new().hash_one(std::process::id())).into()
}
