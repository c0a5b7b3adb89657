//! Simulates overload without pay-as-you-go: clients disconnect after a time, keys compete, and
//! only answers in time count.

use std::collections::HashMap;
use std::time::Duration;

use azure_emulator::dice::Dice;
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue};
use router_core::capacity::{QueueOrder, Reserve};
use router_core::deployment::{Catalog, Deployment};
use router_core::response::{Body, Response};
use router_core::router::{ChatCall, ModelRouter};
use router_core::stored::Caller;
use serde::Serialize;
use tokio::time::Instant;

use crate::simulation_args::Overload;

use super::cloud::Cloud;
use super::routed;
use super::routed::PlayFault;
use super::stage::Stage;
use super::tally::{milliseconds, quantile, share};
use super::workload::{Call, as_f64};

/// Queue policy for a full deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// First come, first served, until the deadline; reservations as asked.
    FirstCome,
    /// The newest first in a standing queue, keys not distinguished; reservations as asked.
    ControlledDelay,
    /// The defaults.
    Router,
}

impl Policy {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::FirstCome, Self::ControlledDelay, Self::Router];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstCome => "first-come",
            Self::ControlledDelay => "codel",
            Self::Router => "router",
        }
    }

    fn apply(self, stage: &mut Stage) {
        let deadline = stage.config.limits.deadline;
        let capacity = &mut stage.config.capacity;
        match self {
            Self::FirstCome => {
                capacity.queue_order = QueueOrder::FirstCome;
                capacity.reserve = Some(Reserve::Asked);
                capacity.bound_wait = Some(deadline);
            }
            Self::ControlledDelay => {
                capacity.queue_order = QueueOrder::ControlledDelay;
                capacity.reserve = Some(Reserve::Asked);
            }
            Self::Router => {}
        }
    }
}

/// The figures of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub policy: &'static str,
    /// Normalized tokens of answers that arrived in time, as a share of what the PTUs could serve.
    pub goodput_share: f64,
    /// Requests.
    pub requests: usize,
    /// Answers that arrived in time.
    pub answered: usize,
    /// 429s that arrived in time.
    pub refused: usize,
    /// Clients that hung up.
    pub gave_up: usize,
    /// Normalized tokens spent for clients that hung up, as a share of what the PTUs could serve.
    pub wasted_share: f64,
    /// The median time to a whole answer.
    pub answer_p50_ms: f64,
    /// Its 90th percentile.
    pub answer_p90_ms: f64,
    /// The median time to a 429.
    pub refusal_p50_ms: f64,
    /// Jain's index of what each key got of its max-min fair share: 1 is fair.
    pub fairness: f64,
    /// Time from the fall of the load to half the capacity until the last request that is refused or delayed.
    pub recovery_ms: f64,
}

/// After the span, the load falls to this share of the capacity for this time.
const CALM_LOAD: f64 = 0.5;
const CALM: Duration = Duration::from_secs(30);

/// A request of the calm that takes so much longer than its answer is delayed.
const DELAYED: Duration = Duration::from_secs(1);

/// Outcome of a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered(Duration),
    Refused(Duration),
    GaveUp,
}

/// The stage without pay-as-you-go deployments.
#[must_use]
pub fn without_spill(mut stage: Stage) -> Stage {
    let deployments = stage.config.catalog.deployments().iter();
    let provisioned = deployments.filter(|one| one.billing.is_provisioned());
    stage.config.catalog = Catalog::new(provisioned.map(|one| Deployment::clone(one)));
    stage
}

/// Plays the stage under a policy.
///
/// # Errors
/// The router cannot be built of the stage's configuration.
pub fn play(
    stage: &Stage,
    policy: Policy,
    overload: &Overload,
    seed: u64,
) -> Result<Figures, PlayFault> {
    let mut stage = stage.clone();
    policy.apply(&mut stage);
    let storm = stage.calls.len();
    stage.calls = stage.calls.iter().copied().chain(calm(&stage, seed)).collect();
    let keys = keys(&stage, overload, seed);
    let (mut fates, spent) = routed::in_virtual_time(|| all(&stage, &keys, overload))?;
    let after = fates.split_off(storm);
    let recovery = recovery(stage.calls.iter().skip(storm).zip(after), stage.span);
    let recovery_ms = milliseconds(recovery);
    Ok(Figures { recovery_ms, ..figures(&stage, policy, &keys, &fates, &spent) })
}

/// Load after the span: calls like its first ones, but fewer.
fn calm(stage: &Stage, seed: u64) -> Vec<Call> {
    let demand: f64 = stage.calls.iter().map(|call| tokens(stage, call)).sum();
    let kept = CALM_LOAD * room(stage) / demand.max(1.0);
    let mut dice = Dice::new(seed, b"calm");
    let first = stage.calls.iter().take_while(|call| call.at < CALM);
    let few = first.filter(|_| dice.share() < kept);
    few.map(|call| Call { at: call.at + stage.span, ..*call }).collect()
}

/// Time after the span at which the last refused or delayed call arrived.
fn recovery<'c>(calls: impl Iterator<Item = (&'c Call, Fate)>, span: Duration) -> Duration {
    let harmed = calls.filter(|(call, fate)| match fate {
        Fate::Answered(took) => *took > call.ideal() + DELAYED,
        Fate::Refused(_) | Fate::GaveUp => true,
    });
    harmed.map(|(call, _)| call.at.saturating_sub(span)).max().unwrap_or_default()
}

/// Normalized tokens of a call.
fn tokens(stage: &Stage, call: &Call) -> f64 {
    stage.pool(call).map_or(0.0, |pool| pool.normalized(&call.usage(call.output)))
}

/// Normalized tokens that the PTUs can serve in the span.
fn room(stage: &Stage) -> f64 {
    stage.pools.iter().map(|pool| pool.rate() * stage.span.as_secs_f64()).sum()
}

/// The key of each call.
fn keys(stage: &Stage, overload: &Overload, seed: u64) -> Vec<usize> {
    let rates = &overload.keys.0;
    let all: f64 = rates.iter().sum();
    let mut dice = Dice::new(seed, b"keys");
    let draw = |_: &Call| {
        let mut left = dice.share() * all;
        let found = rates.iter().position(|rate| {
            left -= rate;
            left < 0.0
        });
        found.unwrap_or(rates.len() - 1)
    };
    stage.calls.iter().map(draw).collect()
}

async fn all(
    stage: &Stage,
    keys: &[usize],
    overload: &Overload,
) -> Result<(Vec<Fate>, Vec<f64>), PlayFault> {
    let cloud = Cloud::new(stage.clone(), Instant::now())?;
    let router = routed::router(&stage.config, cloud.clone())?;
    let mut fates = vec![Fate::GaveUp; stage.calls.len()];
    let calls = stage.calls.iter().copied().zip(keys.iter().copied()).enumerate();
    let work = calls.map(|(index, (call, key))| {
        let client = Client { router: router.clone(), index, call, key };
        let (timeout, header) = (overload.client_timeout, overload.timeout_header);
        (call.at, async move { (index, client.ask(timeout, header).await) })
    });
    let told = |(index, fate): (usize, Fate)| {
        if let Some(place) = fates.get_mut(index) {
            *place = fate;
        }
    };
    routed::at_their_times(work, &|_| {}, told).await;
    let spent = cloud.meter().spent.iter().map(|spent| spent.provisioned_tokens).collect();
    Ok((fates, spent))
}

struct Client {
    router: ModelRouter<Cloud>,
    index: usize,
    call: Call,
    key: usize,
}

impl Client {
    async fn ask(self, timeout: Duration, header: bool) -> Fate {
        let began = Instant::now();
        let mut headers = routed::headers(self.index, &self.call);
        if let Ok(seconds) = HeaderValue::from_str(&timeout.as_secs_f64().to_string())
            && header
        {
            headers.insert(HeaderName::from_static("x-stainless-read-timeout"), seconds);
        }
        let call = ChatCall {
            headers,
            received: began,
            caller: Caller::named(&format!("key_{}", self.key)),
            ..ChatCall::of_body(routed::body(self.index, &self.call))
        };
        let work = async {
            match self.router.chat(call).await {
                Ok(response) => whole(response).await,
                Err(_) => false,
            }
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(true) => Fate::Answered(began.elapsed()),
            Ok(false) => Fate::Refused(began.elapsed()),
            Err(_) => Fate::GaveUp,
        }
    }
}

/// True if the whole answer came and is one.
async fn whole(response: Response) -> bool {
    let success = response.status.is_success();
    match response.body {
        Body::Full(_) => success,
        Body::Stream(mut stream) => {
            let mut sound = success;
            while let Some(bytes) = stream.next().await {
                sound &= bytes.is_ok();
            }
            sound
        }
    }
}

fn figures(
    stage: &Stage,
    policy: Policy,
    keys: &[usize],
    fates: &[Fate],
    spent: &[f64],
) -> Figures {
    let (tokens, room) = (|call: &Call| tokens(stage, call), room(stage));
    let (mut good, mut wasted) = (0.0, 0.0);
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    let (mut asked, mut got) = (HashMap::new(), HashMap::new());
    for (((call, fate), key), spent) in stage.calls.iter().zip(fates).zip(keys).zip(spent) {
        *asked.entry(*key).or_insert(0.0) += tokens(call);
        let got: &mut f64 = got.entry(*key).or_insert(0.0);
        match fate {
            Fate::Answered(took) => {
                good += tokens(call);
                *got += tokens(call);
                answers.push(*took);
            }
            Fate::Refused(took) => refusals.push(*took),
            Fate::GaveUp => wasted += spent,
        }
    }
    answers.sort_unstable();
    refusals.sort_unstable();
    let shares = fair_shares(&asked, good);
    let ratios = shares.iter().map(|(key, fair)| got.get(key).map_or(0.0, |got| got / fair));
    Figures {
        policy: policy.as_str(),
        goodput_share: share(good, room),
        requests: fates.len(),
        answered: answers.len(),
        refused: refusals.len(),
        gave_up: fates.len() - answers.len() - refusals.len(),
        wasted_share: share(wasted, room),
        answer_p50_ms: milliseconds(quantile(&answers, 50)),
        answer_p90_ms: milliseconds(quantile(&answers, 90)),
        refusal_p50_ms: milliseconds(quantile(&refusals, 50)),
        fairness: jain(&ratios.collect::<Vec<_>>()),
        recovery_ms: 0.0,
    }
}

/// The max-min fair division of what was served: no key gets more than it asked, and what one leaves goes to the others.
fn fair_shares(asked: &HashMap<usize, f64>, served: f64) -> HashMap<usize, f64> {
    let mut left: Vec<(usize, f64)> = asked.iter().map(|(key, tokens)| (*key, *tokens)).collect();
    left.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut shares = HashMap::new();
    let mut rest = served;
    let mut count = left.len();
    for (key, tokens) in left {
        let fair = (rest / as_f64(u64::try_from(count).unwrap_or(u64::MAX))).min(tokens);
        shares.insert(key, fair.max(f64::MIN_POSITIVE));
        rest -= fair;
        count -= 1;
    }
    shares
}

/// Jain's fairness index.
///
/// **Source:** Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", 1984.
fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let count = as_f64(u64::try_from(values.len()).unwrap_or(u64::MAX));
    share(sum * sum, count * squares)
}

/// The share of the capacity that a policy reaches which knows each answer's length, reserves no more, serves the oldest
/// request that can still be answered in time, and never wastes a token.
pub fn omniscient(stage: &Stage, overload: &Overload) -> f64 {
    let (mut good, mut room_all) = (0.0, 0.0);
    for pool in &stage.pools {
        let rate = pool.rate();
        room_all += rate * stage.span.as_secs_f64();
        let capacity: f64 =
            pool.tanks.iter().map(|tank| tank.rate() * tank.settings.window.as_secs_f64()).sum();
        let own: Vec<&Call> = stage.calls.iter().filter(|call| call.task == pool.task).collect();
        let (mut level, mut at) = (0.0_f64, 0.0_f64);
        for call in own {
            let arrived = call.at.as_secs_f64();
            if arrived > at {
                level = rate.mul_add(at - arrived, level).max(0.0);
                at = arrived;
            }
            // It enters when the level is back at the capacity, if it can still be answered then.
            let start = at + ((level - capacity) / rate).max(0.0);
            let latest = (call.at + overload.client_timeout).saturating_sub(call.ideal());
            if start <= latest.as_secs_f64() {
                level = rate.mul_add(at - start, level).max(0.0);
                at = start;
                let tokens = pool.normalized(&call.usage(call.output));
                level += tokens;
                good += tokens;
            }
        }
    }
    share(good, room_all)
}
