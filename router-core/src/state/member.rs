//! One replica's part in the meetings: what it brings, what it makes of what it finds, and who else is there.
//!
//! A batch that may have arrived or not is brought again under its old number until it is known to have; the others hear each
//! number once. Whoever was silent for longer than the others wait comes back under a new name: what it had open was
//! taken off by them meanwhile.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Pull, Push};
use super::in_process::InProcess;
use super::news::News;
use super::outbox::Outbox;
use super::pace::Pace;
use super::wire::{Bulletin, Report, SharedClock};

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
    kept: Vec<(Box<str>, Option<Box<str>>)>,
    /// Whose reports may go.
    gone: Vec<Box<str>>,
    /// When it asked last who is there.
    beat: Option<Instant>,
    peers: BTreeMap<Box<str>, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    /// The last number heard.
    heard: u64,
    /// What it said last of itself; `None` before, and after it was given up.
    report: Option<Report>,
}

/// Who is there is asked so often within the time after which a silent one is gone.
const BEATS: u32 = 6;

/// After so many times the time after which it counts as gone, nothing of a replica is kept.
const FORGOTTEN: u32 = 10;

/// For how long the order of turns stays.
const TURN: Duration = Duration::from_secs(1);

/// The most replicas that are told apart.
const MOST_PEERS: usize = 1_024;

impl Member {
    /// A newcomer.
    pub(super) fn new(now: Instant) -> Self {
        // The hasher's keys are the one source of chance in the standard library.
        let name = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        Self {
            name: name.into(),
            number: 0,
            born: now,
            met: None,
            clock: None,
            read: None,
            pending: None,
            kept: Vec::new(),
            gone: Vec::new(),
            beat: None,
            peers: BTreeMap::new(),
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

    /// What it brings now.
    pub(super) fn push(
        &mut self,
        state: &Arc<InProcess>,
        outbox: &Outbox,
        pace: &Pace,
        now: Instant,
    ) -> Push {
        let beat = self.beat.is_none_or(|last| last + pace.ttl / BEATS <= now);
        let mut report = None;
        let held = outbox.take();
        self.kept.extend(held.kept);
        if let Some(clock) = self.clock {
            if self.pending.is_none() {
                let homes = held.homes.into();
                let bulletin = Bulletin { news: state.untold(), homes };
                if !bulletin.is_empty() {
                    self.number += 1;
                    self.pending = Some((self.number, bulletin.written(&clock).into()));
                }
            } else {
                outbox.put_back(held.homes);
            }
            let buckets = state.buckets(now);
            let (replica, micros) = (self.name.clone(), clock.micros(now));
            report = beat.then(|| Report { replica, micros, buckets }.written().into());
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
            kept: self.kept.clone(),
        }
    }

    /// What it makes of what it found; the meeting took from `began` to `now`.
    pub(super) fn pull(
        &mut self,
        pull: Pull,
        state: &Arc<InProcess>,
        (began, now): (Instant, Instant),
        pace: &Pace,
    ) {
        let joined = self.clock.is_none();
        let clock = SharedClock::new(began + (now - began) / 2, pull.micros);
        self.clock = Some(clock);
        self.met = Some(now);
        self.read = pull.read.or(self.read.take());
        self.pending = None;
        self.kept.clear();
        for batch in pull.batches {
            if batch.replica == self.name || joined {
                continue;
            }
            if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(&batch.replica) {
                continue;
            }
            let peer = self.peers.entry(batch.replica).or_default();
            if batch.number > peer.heard {
                peer.heard = batch.number;
                let Bulletin { news, homes } = Bulletin::read(&batch.text, &clock);
                for (deployment, news) in news {
                    state.hear(&deployment, &news, now);
                }
                for (conversation, home) in homes {
                    state.affinity.hear(conversation, home);
                }
            }
        }
        if let Some(reports) = pull.reports {
            // A newcomer's first report follows at once: it has a clock only now.
            self.beat = (!joined).then_some(now);
            self.hear_reports(&reports, state, joined.then_some(now), pace);
            self.take_turn(state, now - began, pace);
        }
    }

    fn hear_reports(
        &mut self,
        reports: &[Box<str>],
        state: &Arc<InProcess>,
        joined: Option<Instant>,
        pace: &Pace,
    ) {
        let Some(clock) = self.clock else { return };
        let now = Instant::now();
        for text in reports {
            let Some(report) = Report::read(text).filter(|report| report.replica != self.name)
            else {
                continue;
            };
            let said = clock.local(report.micros).unwrap_or(now);
            let ago = now.saturating_duration_since(said);
            if ago > pace.ttl {
                if ago > pace.ttl * FORGOTTEN {
                    self.gone.push(report.replica);
                }
                continue;
            }
            if joined.is_some() {
                state.adopt(&report.buckets, ago, now);
            }
            if self.peers.len() < MOST_PEERS || self.peers.contains_key(&report.replica) {
                let replica = report.replica.clone();
                self.peers.entry(replica).or_default().report = Some(report);
            }
        }
        for peer in self.peers.values_mut() {
            let gone = |report: &mut Report| {
                let said = clock.local(report.micros);
                said.is_none_or(|said| now.saturating_duration_since(said) > pace.ttl)
            };
            if let Some(report) = peer.report.take_if(gone) {
                for (deployment, _, spare) in &report.buckets {
                    let given = News::Added { at: now, tokens: -spare };
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
