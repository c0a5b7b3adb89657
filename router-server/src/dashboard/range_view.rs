//! Sums over a range of time for the page: where requests went, how full PTUs were, times, money, users.
//!
//! It works on shared steps and holds no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::cell::{Group, Sums};
use super::counts::{Counts, SCORES};
use super::entry::rounded;
use super::filter::{Chosen, Filter};
use super::names::{Id, NONE, Names};
use super::outcome::{Outcome, WAYS};
use super::rollup::{Attempts, Bucket, Level, Range};

/// A range, as the page draws it.
#[derive(Debug, Serialize)]
pub(super) struct RangeView {
    range: &'static str,
    step_ms: u64,
    /// The beginning of the first step; the last one contains now.
    start_ms: u64,
    end_ms: u64,
    /// The time in this range during which the router ran.
    covered_ms: u64,
    totals: TotalsView,
    /// One value for each step; `null` if the router did not run.
    ways: Vec<Option<[u64; WAYS]>>,
    net_usd: Vec<Option<f64>>,
    ptu: BTreeMap<Box<str>, LevelSteps>,
    routes: Vec<RouteView>,
    speed: Vec<SpeedView>,
    keys: Vec<UserView>,
    teams: Vec<UserView>,
    attempts: BTreeMap<Box<str>, Attempts>,
    scores: Scores,
    waits: Waits,
}

/// Sums over the range.
#[derive(Debug, Default, Serialize)]
struct TotalsView {
    requests: u64,
    ways: BTreeMap<&'static str, u64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    paid_usd: f64,
    unpriced: u64,
    saved_by_choice_usd: f64,
    saved_by_ptu_usd: f64,
    ptu_usd: f64,
    /// Saved by choice and by PTU, minus the cost of the PTUs.
    net_usd: f64,
    /// The same for 24 hours at the rate of the range; `null` in the first minute.
    net_per_day_usd: Option<f64>,
    observed_usd: f64,
    would_usd: f64,
}

/// Shares of the capacity, step by step.
#[derive(Debug, Default, Serialize)]
struct LevelSteps {
    used: Vec<Option<f64>>,
    reserved: Vec<Option<f64>>,
    idle: Vec<Option<f64>>,
    peak: Vec<Option<f64>>,
    throttled: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    deployment: Box<str>,
    cause: Box<str>,
    way: &'static str,
    requests: u64,
}

#[derive(Debug, Serialize)]
struct SpeedView {
    deployment: Box<str>,
    answers: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    streams: u64,
    first_p50_ms: Option<f64>,
    first_p95_ms: Option<f64>,
    paid_usd: f64,
}

#[derive(Debug, Serialize)]
struct UserView {
    name: Box<str>,
    team: Box<str>,
    requests: u64,
    unanswered: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    paid_usd: f64,
    saved_usd: f64,
}

#[derive(Debug, Serialize)]
struct Scores {
    chat: [u64; SCORES],
    reasoning: [u64; SCORES],
}

#[derive(Debug, Serialize)]
struct Waits {
    entered: u64,
    in_vain: u64,
    entered_p50_ms: Option<f64>,
    entered_p95_ms: Option<f64>,
}

/// A day in milliseconds.
const DAY_MS: f64 = 86_400_000.0;

/// A rate per day needs this much of recorded time.
const LEAST_COVERED_MS: u64 = 60_000;

/// Dollars are rounded to a billionth.
const NANO: f64 = 1e9;

/// The inputs of a range view.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: Range,
    pub(super) filter: Filter,
    pub(super) steps: Vec<Arc<Bucket>>,
    pub(super) names: Names,
    pub(super) at_ms: u64,
}

impl Cut {
    /// Computes the view.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^52")]
    pub(super) fn view(&self) -> RangeView {
        let (step_ms, kept) = self.range.steps();
        let last = self.at_ms / step_ms;
        let first = (last + 1).saturating_sub(u64::try_from(kept).unwrap_or_default());
        let chosen = self.filter.chosen(&self.names);
        let by_index: BTreeMap<u64, &Bucket> =
            self.steps.iter().map(|bucket| (bucket.index, &**bucket)).collect();
        let steps = || (first..=last).map(|index| by_index.get(&index).copied());
        let all = self.groups(&chosen);
        let mut sum = Sums::default();
        for (_, sums) in &all {
            sum.merge(sums);
        }
        let covered: u64 = self.steps.iter().map(|bucket| u64::from(bucket.seconds) * 1_000).sum();
        let mut totals = totals(&all, &sum);
        // The cost of a PTU belongs to no single key or task: under such a filter it is left out.
        totals.ptu_usd =
            rounded(self.steps.iter().map(|step| self.ptu_usd(step, &chosen)).sum(), NANO);
        totals.net_usd =
            rounded(totals.saved_by_choice_usd + totals.saved_by_ptu_usd - totals.ptu_usd, NANO);
        let per_day = || rounded(totals.net_usd * DAY_MS / covered as f64, 1e6);
        totals.net_per_day_usd = (covered >= LEAST_COVERED_MS).then(per_day);
        let net = |bucket: &Bucket| {
            let cells = bucket.cells.iter().filter(|(group, _)| chosen.has(*group));
            let saved = cells.map(|(_, sums)| sums.saved_by_choice_usd + sums.saved_by_ptu_usd);
            rounded(saved.sum::<f64>() - self.ptu_usd(bucket, &chosen), NANO)
        };
        RangeView {
            range: self.range.as_str(),
            step_ms,
            start_ms: first * step_ms,
            end_ms: self.at_ms,
            covered_ms: covered,
            ways: steps().map(|step| step.map(|bucket| ways(bucket, &chosen))).collect(),
            net_usd: steps().map(|step| step.map(net)).collect(),
            ptu: self.levels(&chosen, &steps().collect::<Vec<_>>()),
            routes: self.routes(&all),
            speed: self.speed(&all),
            keys: self.users(&all, |group| (group.key, group.team)),
            teams: self.users(&all, |group| (group.team, NONE)),
            attempts: self.attempts(&chosen),
            scores: Scores {
                chat: sum.chat_scores.scores(),
                reasoning: sum.reasoning_scores.scores(),
            },
            waits: Waits {
                entered: sum.entered.total(),
                in_vain: sum.held_in_vain.total(),
                entered_p50_ms: quantile(&sum.entered, 0.5),
                entered_p95_ms: quantile(&sum.entered, 0.95),
            },
            totals,
        }
    }

    /// The chosen groups over all steps.
    fn groups(&self, chosen: &Chosen<'_>) -> Vec<(Group, Sums)> {
        let mut all: BTreeMap<Group, Sums> = BTreeMap::new();
        for (group, sums) in self.steps.iter().flat_map(|bucket| &bucket.cells) {
            if chosen.has(*group) {
                all.entry(*group).or_default().merge(sums);
            }
        }
        all.into_iter().collect()
    }

    fn ptu_usd(&self, bucket: &Bucket, chosen: &Chosen<'_>) -> f64 {
        if self.filter.key.is_some() || self.filter.task.is_some() {
            return 0.0;
        }
        let levels = bucket.levels.iter().filter(|(id, _)| chosen.has_deployment(*id));
        levels.map(|(_, level)| level.usd).sum()
    }

    fn name(&self, id: Id) -> Box<str> {
        self.names.name(id).into()
    }

    fn levels(
        &self,
        chosen: &Chosen<'_>,
        steps: &[Option<&Bucket>],
    ) -> BTreeMap<Box<str>, LevelSteps> {
        let ids = steps.iter().flatten().flat_map(|bucket| &bucket.levels).map(|(id, _)| *id);
        let ids: BTreeSet<Id> = ids.filter(|id| chosen.has_deployment(*id)).collect();
        let of = |id: Id| {
            let mut found = LevelSteps::default();
            for step in steps {
                let level = step.and_then(|bucket| value(&bucket.levels, id));
                let [used, reserved, idle, peak] = shares(level);
                found.used.push(used);
                found.reserved.push(reserved);
                found.idle.push(idle);
                found.peak.push(peak);
                let attempts = step.and_then(|bucket| value(&bucket.attempts, id));
                found.throttled.push(attempts.map_or(0, |attempts| attempts.throttled));
            }
            found
        };
        ids.into_iter().map(|id| (self.name(id), of(id))).collect()
    }

    fn routes(&self, all: &[(Group, Sums)]) -> Vec<RouteView> {
        let mut routes: BTreeMap<(Id, Id, u8), u64> = BTreeMap::new();
        for (group, sums) in all {
            *routes.entry((group.deployment, group.cause, group.way)).or_default() += sums.requests;
        }
        let view = |((deployment, cause, way), requests)| RouteView {
            deployment: self.name(deployment),
            cause: self.name(cause),
            way: Outcome::ALL.get(usize::from(way)).map_or("", |way| way.as_str()),
            requests,
        };
        let mut routes: Vec<RouteView> = routes.into_iter().map(view).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.requests));
        routes
    }

    fn speed(&self, all: &[(Group, Sums)]) -> Vec<SpeedView> {
        let mut sums: BTreeMap<Id, Sums> = BTreeMap::new();
        for (group, more) in all.iter().filter(|(group, _)| group.deployment != NONE) {
            sums.entry(group.deployment).or_default().merge(more);
        }
        let view = |(id, sums): (Id, Sums)| SpeedView {
            deployment: self.name(id),
            answers: sums.total.total(),
            p50_ms: quantile(&sums.total, 0.5),
            p95_ms: quantile(&sums.total, 0.95),
            streams: sums.first.total(),
            first_p50_ms: quantile(&sums.first, 0.5),
            first_p95_ms: quantile(&sums.first, 0.95),
            paid_usd: rounded(sums.paid_usd, NANO),
        };
        sums.into_iter().map(view).collect()
    }

    fn users(&self, all: &[(Group, Sums)], by: fn(&Group) -> (Id, Id)) -> Vec<UserView> {
        let mut users: BTreeMap<(Id, Id), (Sums, u64)> = BTreeMap::new();
        for (group, sums) in all {
            let (known, unanswered) = users.entry(by(group)).or_default();
            known.merge(sums);
            if group.way == Outcome::Unanswered.number() {
                *unanswered += sums.requests;
            }
        }
        let view = |((name, team), (sums, unanswered)): ((Id, Id), (Sums, u64))| UserView {
            name: self.name(name),
            team: self.name(team),
            requests: sums.requests,
            unanswered,
            prompt_tokens: sums.prompt,
            completion_tokens: sums.completion,
            paid_usd: rounded(sums.paid_usd, NANO),
            saved_usd: rounded(sums.saved_by_choice_usd + sums.saved_by_ptu_usd, NANO),
        };
        let mut users: Vec<UserView> = users.into_iter().map(view).collect();
        users.sort_by_key(|user| std::cmp::Reverse(user.requests));
        users
    }

    fn attempts(&self, chosen: &Chosen<'_>) -> BTreeMap<Box<str>, Attempts> {
        let mut all: BTreeMap<Box<str>, Attempts> = BTreeMap::new();
        for (id, attempts) in self.steps.iter().flat_map(|bucket| &bucket.attempts) {
            if chosen.has_deployment(*id) {
                all.entry(self.name(*id)).or_default().merge(attempts);
            }
        }
        all
    }
}

fn totals(all: &[(Group, Sums)], sum: &Sums) -> TotalsView {
    let count = |way: Outcome| {
        let of_way = all.iter().filter(|(group, _)| group.way == way.number());
        (way.as_str(), of_way.map(|(_, sums)| sums.requests).sum())
    };
    TotalsView {
        requests: sum.requests,
        ways: Outcome::ALL.into_iter().map(count).collect(),
        prompt_tokens: sum.prompt,
        completion_tokens: sum.completion,
        paid_usd: rounded(sum.paid_usd, NANO),
        unpriced: sum.unpriced,
        saved_by_choice_usd: rounded(sum.saved_by_choice_usd, NANO),
        saved_by_ptu_usd: rounded(sum.saved_by_ptu_usd, NANO),
        observed_usd: rounded(sum.observed_usd, NANO),
        would_usd: rounded(sum.would_usd, NANO),
        ..TotalsView::default()
    }
}

fn ways(bucket: &Bucket, chosen: &Chosen<'_>) -> [u64; WAYS] {
    let mut ways = [0; WAYS];
    for (group, sums) in bucket.cells.iter().filter(|(group, _)| chosen.has(*group)) {
        if let Some(count) = ways.get_mut(usize::from(group.way)) {
            *count += sums.requests;
        }
    }
    ways
}

fn value<V>(list: &[(Id, V)], id: Id) -> Option<&V> {
    let at = list.binary_search_by_key(&id, |(known, _)| *known).ok()?;
    list.get(at).map(|(_, value)| value)
}

/// Used, reserved, idle and the peak, as shares of the capacity. The first three add up to 1 unless the deployment is over-full.
fn shares(level: Option<&Level>) -> [Option<f64>; 4] {
    let Some(level) = level.filter(|level| level.samples > 0) else { return [None; 4] };
    let samples = f64::from(level.samples);
    let short = |share: f64| Some(rounded(share, 1e4));
    let (used, reserved) = (level.used / samples, level.reserved / samples);
    let idle = (1.0 - rounded(used, 1e4) - rounded(reserved, 1e4)).max(0.0);
    [short(used), short(reserved), short(idle), short(level.peak)]
}

fn quantile(times: &Counts, share: f64) -> Option<f64> {
    times.quantile_ms(share).map(f64::round)
}
