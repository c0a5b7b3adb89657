//! The history of the last seven days in steps of five lengths, from 5 s for a quarter of an hour to an hour for a week.
//!
//! A request is added to the open finest step only. When that step ends, it is added to the coarser ones. Closed steps never
//! change and are shared, so that views are computed outside the lock. Memory is bounded by [`MOST_CELLS`].

use std::collections::VecDeque;
use std::sync::Arc;

use router_core::fallback::Ended;
use router_core::record::{RequestRecord, Settlement};
use serde::{Deserialize, Serialize};

use super::cell::{Group, Sums};
use super::names::{Id, NONE, Names};

/// A stretch of time that a page shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Range {
    #[default]
    QuarterHour,
    Hour,
    SixHours,
    Day,
    Week,
}

impl Range {
    /// All, finest first.
    pub(crate) const ALL: [Self; 5] =
        [Self::QuarterHour, Self::Hour, Self::SixHours, Self::Day, Self::Week];

    /// Its word on the page and in queries.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QuarterHour => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The range of a word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.as_str() == word)
    }

    /// The length of a step in milliseconds, and how many are kept.
    pub(super) fn steps(self) -> (u64, usize) {
        match self {
            Self::QuarterHour => (5_000, 180),
            Self::Hour => (20_000, 180),
            Self::SixHours => (120_000, 180),
            Self::Day => (600_000, 144),
            Self::Week => (3_600_000, 168),
        }
    }
}

/// Groups of one step; requests of further groups are folded together.
const MOST_GROUPS: usize = 512;

/// The same once all steps together hold [`MOST_CELLS`].
const FEW_GROUPS: usize = 32;

/// Cells of all steps together, each of some hundred bytes: 10 to 20 MB at most.
const MOST_CELLS: usize = 40_000;

/// The level of a provisioned deployment: sums over samples, one each second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) samples: u32,
    /// Shares of the capacity: tokens of finished calls that have not drained yet, and what running calls have reserved.
    pub(super) used: f64,
    pub(super) reserved: f64,
    /// The highest utilization; 1.0 is full.
    pub(super) peak: f64,
    /// The deployment's cost in this time; 0 without a price.
    pub(super) usd: f64,
}

impl Level {
    fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        self.used += other.used;
        self.reserved += other.reserved;
        self.peak = self.peak.max(other.peak);
        self.usd += other.usd;
    }
}

/// Attempts at one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    pub(super) all: u32,
    /// 429s.
    pub(super) throttled: u32,
    /// Faults of the upstream.
    pub(super) faults: u32,
    /// 401, 403, 404 or 410.
    pub(super) refused: u32,
}

impl Attempts {
    pub(super) fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.throttled += other.throttled;
        self.faults += other.faults;
        self.refused += other.refused;
    }
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// Milliseconds since 1970, divided by the length of the step.
    pub(super) index: u64,
    /// Seconds of it during which the router ran.
    pub(super) seconds: u32,
    pub(super) cells: Vec<(Group, Sums)>,
    pub(super) levels: Vec<(Id, Level)>,
    pub(super) attempts: Vec<(Id, Attempts)>,
}

/// The value of a key in a sorted list; a default one is inserted if there is none.
fn entry<K: Ord + Copy, V: Default>(list: &mut Vec<(K, V)>, key: K) -> Option<&mut V> {
    let at = match list.binary_search_by_key(&key, |(known, _)| *known) {
        Ok(at) => at,
        Err(at) => {
            list.insert(at, (key, V::default()));
            at
        }
    };
    list.get_mut(at).map(|(_, value)| value)
}

impl Bucket {
    fn cell(&mut self, group: Group, most: usize) -> Option<&mut Sums> {
        let known = self.cells.binary_search_by_key(&group, |(known, _)| *known).is_ok();
        let group = if known || self.cells.len() < most { group } else { group.folded() };
        entry(&mut self.cells, group)
    }

    fn merge(&mut self, other: &Self, most: usize) {
        self.seconds += other.seconds;
        for (group, sums) in &other.cells {
            if let Some(known) = self.cell(*group, most) {
                known.merge(sums);
            }
        }
        for (id, level) in &other.levels {
            if let Some(known) = entry(&mut self.levels, *id) {
                known.merge(level);
            }
        }
        for (id, attempts) in &other.attempts {
            if let Some(known) = entry(&mut self.attempts, *id) {
                known.merge(attempts);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.seconds == 0 && self.cells.is_empty()
    }
}

/// The steps of one length.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tier {
    /// Oldest first.
    closed: VecDeque<Arc<Bucket>>,
    open: Bucket,
}

impl Tier {
    /// Closes the open step if another is due.
    fn roll(&mut self, index: u64, kept: usize) -> Option<Arc<Bucket>> {
        if index <= self.open.index {
            return None;
        }
        let next = Bucket { index, ..Bucket::default() };
        let done = Arc::new(std::mem::replace(&mut self.open, next));
        if done.is_empty() {
            return None;
        }
        self.closed.push_back(Arc::clone(&done));
        while self.closed.len() > kept {
            self.closed.pop_front();
        }
        Some(done)
    }
}

/// All steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rollup {
    /// The first sample, in milliseconds since 1970; 0 before it.
    since_ms: u64,
    pub(super) names: Names,
    /// In the order of [`Range::ALL`].
    tiers: Vec<Tier>,
    #[serde(skip)]
    cells: usize,
}

impl Default for Rollup {
    fn default() -> Self {
        Self {
            since_ms: 0,
            names: Names::default(),
            tiers: vec![Tier::default(); Range::ALL.len()],
            cells: 0,
        }
    }
}

impl Rollup {
    /// True if a history from a file has the form that this program continues.
    pub(super) fn is_whole(&self) -> bool {
        let kept = |(tier, range): (&Tier, Range)| tier.closed.len() <= range.steps().1;
        self.tiers.len() == Range::ALL.len()
            && self.tiers.iter().zip(Range::ALL).all(kept)
            && self.names.find("") == Some(NONE)
    }

    /// The beginning of the history, in milliseconds since 1970.
    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms
    }

    fn most(&self) -> usize {
        if self.cells < MOST_CELLS { MOST_GROUPS } else { FEW_GROUPS }
    }

    /// Adds a request that has ended.
    pub(super) fn add(&mut self, record: &RequestRecord) {
        let group = Group::of(record, &mut self.names);
        let most = self.most();
        let Some(Tier { open, .. }) = self.tiers.first_mut() else { return };
        if let Some(sums) = open.cell(group, most) {
            sums.add(record);
        }
        for step in &record.attempts {
            let id = self.names.id(step.deployment.name.as_str());
            let Some(attempts) = entry(&mut open.attempts, id) else { continue };
            attempts.all += 1;
            attempts.throttled += u32::from(matches!(step.ended, Ended::Throttled(..)));
            attempts.faults += u32::from(step.ended.is_fault());
            attempts.refused += u32::from(matches!(step.ended, Ended::Misconfigured(_)));
        }
    }

    /// Adds the usage of an answer made in the background, whose request was added when it ended.
    pub(super) fn settle(&mut self, settlement: &Settlement) {
        let group = Group::of_settlement(settlement, &mut self.names);
        let most = self.most();
        let open = self.tiers.first_mut().map(|tier| &mut tier.open);
        if let Some(sums) = open.and_then(|open| open.cell(group, most)) {
            sums.used(&settlement.answer);
        }
    }

    /// Adds the levels of the provisioned deployments at the end of a second.
    pub(super) fn sample<'l>(
        &mut self,
        wall_ms: u64,
        levels: impl Iterator<Item = (&'l str, Level)>,
    ) {
        if self.since_ms == 0 {
            self.since_ms = wall_ms;
        }
        self.advance(wall_ms);
        let Some(Tier { open, .. }) = self.tiers.first_mut() else { return };
        open.seconds += 1;
        for (name, level) in levels {
            let id = self.names.id(name);
            if let Some(known) = entry(&mut open.levels, id) {
                known.merge(&level);
            }
        }
    }

    fn advance(&mut self, wall_ms: u64) {
        let most = self.most();
        let mut steps = Range::ALL.into_iter().map(Range::steps).zip(&mut self.tiers);
        let Some(((finest, kept), tier)) = steps.next() else { return };
        let Some(done) = tier.roll(wall_ms / finest, kept) else { return };
        for ((step, kept), tier) in steps {
            tier.roll(done.index * finest / step, kept);
            tier.open.merge(&done, most);
            tier.roll(wall_ms / step, kept);
        }
        let cells = |tier: &Tier| tier.closed.iter().map(|one| one.cells.len()).sum::<usize>();
        self.cells = self.tiers.iter().map(cells).sum();
    }

    /// The steps of a range, oldest first; the last one is not over yet.
    pub(super) fn range(&self, range: Range, wall_ms: u64) -> Vec<Arc<Bucket>> {
        let (step, kept) = range.steps();
        let place = Range::ALL.into_iter().position(|known| known == range).unwrap_or_default();
        let (Some(tier), Some(finest)) = (self.tiers.get(place), self.tiers.first()) else {
            return Vec::new();
        };
        let mut open = tier.open.clone();
        if place > 0 {
            open.index = open.index.max(wall_ms / step);
            open.merge(&finest.open, MOST_GROUPS);
        }
        let first = (wall_ms / step).saturating_sub(u64::try_from(kept).unwrap_or_default());
        let closed = tier.closed.iter().filter(|bucket| bucket.index > first).cloned();
        closed.chain([Arc::new(open)]).collect()
    }

    /// The finest steps of the last `ms`.
    pub(super) fn last(&self, ms: u64, wall_ms: u64) -> impl Iterator<Item = &Bucket> {
        let first = wall_ms.saturating_sub(ms) / Range::QuarterHour.steps().0;
        let finest = self.tiers.first().into_iter();
        let steps = finest.flat_map(|tier| {
            tier.closed.iter().map(|bucket| &**bucket).chain(std::iter::once(&tier.open))
        });
        steps.filter(move |bucket| bucket.index >= first)
    }
}

#[cfg(test)]
mod tests;
