//! One replica's part in the meetings: what it brings, what it makes of what it finds, and who else is there.
//!
//! A batch that may have arrived or not is brought again under its old number until it is known to have; the others hear each
//! number once. Whoever was silent for longer than the others wait comes back under a new name: what it had open was
//! taken off by them meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::decision::Moment;
use crate::ledger::Ledger;

use super::delta::Delta;
use super::exchange::{Pull, Push};
use super::in_process::InProcess;
use super::key_usage::{Accounts, Settled};
use super::outgoing::{MOST_KEPT, Outbox};
use super::sync_settings::Pace;
use super::wire::{Batch, Report, SharedClock};

/// What of this process is told, and where what is heard goes.
#[derive(Debug, Clone)]
pub(super) struct Here {
    /// What is known of the deployments.
    pub(super) state: Arc<InProcess>,
    /// The accounts of keys.
    pub(super) ledger: Arc<Ledger>,
}

/// One replica's part in the meetings.
#[derive(Debug)]
pub(super) struct Member {
    name: Box<str>,
    number: u64,
    born: Instant,
    met: Option<Instant>,
    clock: Option<SharedClock>,
    read: Option<Box<str>>,
    /// Brought, and not known to have arrived.
    pending: Option<(u64, Box<str>)>,
    /// To be kept for all, the oldest first; they outlast any silence, because nobody else knows them.
    kept: VecDeque<(Box<str>, Option<Box<str>>)>,
    /// How many of them were brought to the meeting under way.
    brought: usize,
    /// Whose reports may go.
    gone: Vec<Box<str>>,
    /// When it asked last who is there.
    beat: Option<Instant>,
    peers: BTreeMap<Box<str>, Peer>,
    accounts: Accounts,
}

#[derive(Debug, Default)]
struct Peer {
    /// The last number heard.
    heard: u64,
    /// What it said last of itself; `None` before, and after it was given up.
    report: Option<Report>,
}

/// When a meeting began, and when and on which day it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting {
    pub(super) began: Instant,
    pub(super) moment: Moment,
    /// True at the first one.
    pub(super) first: bool,
}

/// Who is there is asked so often within the time after which a silent one is gone.
const BEATS: u32 = 6;

/// After so many times the time after which it counts as gone, nothing of a replica is kept.
const FORGOTTEN: u32 = 10;

/// For how long the order of turns stays.
const TURN: Duration = Duration::from_secs(1);

/// The most values that one meeting brings to be kept.
const KEPT_AT_ONCE: usize = 2_048;

/// The most replicas that are told apart.
const MOST_PEERS: usize = 1_024;

impl Member {
    /// A newcomer; the accounts are of this run.
    pub(super) fn new(now: Instant, run: &str) -> Self {
        Self::with(now, Accounts::of(run.into()))
    }

    /// It was away for so long that it comes back as a newcomer; the run is the same.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        let none = Accounts::of(Box::default());
        let mut accounts = std::mem::replace(&mut self.accounts, none);
        accounts.rejoin();
        let kept = std::mem::take(&mut self.kept);
        *self = Self { kept, ..Self::with(now, accounts) };
    }

    fn with(now: Instant, accounts: Accounts) -> Self {
        Self {
            name: name(),
            number: 0,
            born: now,
            met: None,
            clock: None,
            read: None,
            pending: None,
            kept: VecDeque::new(),
            brought: 0,
            gone: Vec::new(),
            beat: None,
            peers: BTreeMap::new(),
            accounts,
        }
    }

    /// Since when it has met nobody.
    pub(super) fn silent(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.met.unwrap_or(self.born))
    }

    /// How many replicas there are, this one included.
    pub(super) fn replicas(&self) -> usize {
        1 + self.peers.values().filter(|peer| peer.report.is_some()).count()
    }

    /// True before the first meeting.
    pub(super) fn is_new(&self) -> bool {
        self.clock.is_none()
    }

    /// What it brings now.
    pub(super) fn push(
        &mut self,
        Here { state, ledger }: &Here,
        outbox: &Outbox,
        pace: &Pace,
        Moment { now, today }: Moment,
    ) -> Push {
        let beat = self.beat.is_none_or(|last| last + pace.ttl / BEATS <= now);
        let mut report = None;
        let held = outbox.take();
        self.kept.extend(held.kept);
        self.kept.drain(..self.kept.len().saturating_sub(MOST_KEPT));
        self.brought = self.kept.len().min(KEPT_AT_ONCE);
        if let Some(clock) = self.clock {
            let (own, micros) = (ledger.all_own(Moment { now, today }), clock.micros(now));
            if self.pending.is_none() {
                let homes = held.homes.into();
                let statement = self.accounts.changes(&own, micros);
                let bulletin = Batch { news: state.untold(), homes, statement };
                if !bulletin.is_empty() {
                    self.number += 1;
                    self.pending = Some((self.number, bulletin.written(&clock).into()));
                }
            } else {
                outbox.put_back(held.homes);
            }
            report = beat.then(|| {
                let (replica, buckets) = (self.name.clone(), state.buckets(now));
                let statement = self.accounts.live(&own, micros);
                Report { replica, micros, buckets, statement }.written().into()
            });
        } else {
            // What was added before it came is in its level, which it takes from the others and they from it.
            drop(state.untold());
        }
        Push {
            replica: self.name.clone(),
            micros: self.clock.map_or(0, |clock| clock.micros(now)),
            read: self.read.clone(),
            batch: self.pending.clone(),
            beat,
            report,
            gone: std::mem::take(&mut self.gone),
            spent: self.accounts.unkept(),
            ended: self.accounts.ended(),
            all_spent: self.accounts.wants_spent(),
            kept: self.kept.iter().take(self.brought).cloned().collect(),
        }
    }

    /// True if it has more to bring than one meeting takes.
    pub(super) fn has_more(&self) -> bool {
        !self.kept.is_empty()
    }

    /// What it makes of what it found; the meeting took from `began` to `now`.
    pub(super) fn pull(&mut self, pull: Pull, here: &Here, meeting: Meeting, pace: &Pace) {
        let Meeting { began, moment, first } = meeting;
        let (state, now) = (&here.state, moment.now);
        let clock = SharedClock::new(began + (now - began) / 2, pull.micros);
        self.clock = Some(clock);
        self.met = Some(now);
        self.read = pull.read.or(self.read.take());
        self.pending = None;
        self.kept.drain(..self.brought.min(self.kept.len()));
        self.brought = 0;
        self.accounts.kept();
        for batch in pull.batches {
            if batch.replica == self.name || first {
                continue;
            }
            if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(&batch.replica) {
                continue;
            }
            let peer = self.peers.entry(batch.replica).or_default();
            if batch.number > peer.heard {
                peer.heard = batch.number;
                let Batch { news, homes, statement } = Batch::read(&batch.text, &clock);
                for (deployment, news) in news {
                    state.hear(&deployment, &news, now);
                }
                for (conversation, home) in homes {
                    state.affinity.hear(conversation, home);
                }
                if let Some(statement) = statement {
                    self.accounts.hear(statement, &clock, moment);
                }
            }
        }
        let beat = pull.reports.is_some();
        if let Some(reports) = pull.reports {
            // A newcomer's first report follows at once: it has a clock only now.
            self.beat = (!first).then_some(now);
            self.hear_reports(&reports, state, meeting, pace);
            self.take_turn(state, now - began, pace);
        }
        if let Some(count) = pull.spent_count {
            self.accounts.count(count, moment);
        }
        if let Some(spent) = pull.spent {
            self.accounts.hear_spent(&spent, moment, pace.ttl);
        }
        self.settle(here, moment, pace, if beat { Settled::All } else { Settled::Heard });
    }

    /// Tells the ledger what others have used: of the keys in `scope`.
    pub(super) fn settle(&mut self, here: &Here, moment: Moment, pace: &Pace, scope: Settled) {
        self.accounts.settle(&here.ledger, moment, pace.ttl, scope);
    }

    fn hear_reports(
        &mut self,
        reports: &[Box<str>],
        state: &Arc<InProcess>,
        meeting: Meeting,
        pace: &Pace,
    ) {
        let Some(clock) = self.clock else { return };
        let now = Instant::now();
        let today = meeting.moment.today;
        for text in reports {
            let Some(mut report) = Report::read(text).filter(|report| report.replica != self.name)
            else {
                continue;
            };
            // A report from before the shared clock was set back is as old as one that is far behind.
            let ago = clock.away(report.micros, now);
            if let Some(statement) = report.statement.take() {
                self.accounts.hear(statement, &clock, Moment { now, today });
            }
            if ago > pace.ttl {
                if ago > pace.ttl * FORGOTTEN {
                    self.gone.push(report.replica);
                }
                continue;
            }
            if meeting.first {
                state.adopt(&report.buckets, ago, now);
            }
            if self.peers.len() < MOST_PEERS || self.peers.contains_key(&report.replica) {
                let replica = report.replica.clone();
                self.peers.entry(replica).or_default().report = Some(report);
            }
        }
        for peer in self.peers.values_mut() {
            let gone = |report: &mut Report| clock.away(report.micros, now) > pace.ttl;
            if let Some(report) = peer.report.take_if(gone) {
                for (deployment, _, spare) in &report.buckets {
                    let given = Delta::Added { at: now, tokens: -spare };
                    state.hear(deployment, &[given], now);
                }
            }
        }
        if self.peers.len() > MOST_PEERS / 2 {
            self.peers.retain(|_, peer| peer.report.is_some());
        }
    }

    /// Room that frees is seen by all replicas at once. They take it by turns: each leaves the room that drains while news of
    /// those before it travels. The order changes every second.
    fn take_turn(&self, state: &Arc<InProcess>, trip: Duration, pace: &Pace) {
        let Some(clock) = self.clock else { return };
        let seconds =
            Duration::from_micros(clock.micros(Instant::now())).as_secs() / TURN.as_secs();
        let live = self.peers.iter().filter(|(_, peer)| peer.report.is_some());
        let (all, before) = live.fold((1, 0), |(all, before), (name, _)| {
            (all + 1, before + u32::from(*name < self.name))
        });
        let shift = u32::try_from(seconds % u64::from(all)).unwrap_or_default();
        let place = (before + shift) % all;
        state.leave((pace.sync + trip) * place);
    }
}

/// A name unlike any other: of a replica, and of a run.
pub(super) fn name() -> Box<str> {
    // The hasher's keys are the one source of chance in the standard library.
    format!("{:016x}", RandomState::new().hash_one(std::process::id())).into()
}
