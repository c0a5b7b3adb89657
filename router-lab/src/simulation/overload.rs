//! Simulates overload without pay-as-you-go: clients disconnect after a time, keys compete, and
//! only answers in time count.

use std::time::Duration;

use azure_emulator::dice::Dice;
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue};
use router_core::capacity::{QueueOrder, Reserve};
use router_core::deployment::{Catalog, Deployment};
use router_core::response::{Body, Response};
use router_core::router::{ChatCall, ModelRouter};
use router_core::stored::Caller;
use tokio::time::Instant;

use crate::simulation_args::Overload;

use super::cloud::Cloud;
use super::overload_figures::{Fate, Figures, Outcome};
use super::routed;
use super::routed::PlayFault;
use super::stage::Stage;
use super::tally::milliseconds;
use super::workload::Call;

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

/// After the span, the load falls to this share of the capacity for this time.
const CALM_LOAD: f64 = 0.5;
const CALM: Duration = Duration::from_secs(30);

/// A request of the calm that takes so much longer than its answer is delayed.
const DELAYED: Duration = Duration::from_secs(1);

/// The stage without pay-as-you-go deployments.
#[must_use]
pub fn without_spill(mut stage: Stage) -> Stage {
    let deployments = stage.config.catalog.deployments().iter();
    let provisioned = deployments.filter(|one| one.billing.is_provisioned());
    stage.config.catalog = Catalog::new(provisioned.map(|one| Deployment::clone(one)));
    stage
}

/// A play under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Its figures.
    pub figures: Figures,
    /// The requests of the span, in the order of time.
    pub outcomes: Vec<Outcome>,
}

/// Plays the stage under a policy, twice: as it is for the figures, and with a calm after it for the recovery. Requests of the
/// calm would take the place of the last ones that wait.
///
/// # Errors
/// The router cannot be built of the stage's configuration.
pub fn play(
    stage: &Stage,
    policy: Policy,
    overload: &Overload,
    seed: u64,
) -> Result<Played, PlayFault> {
    let mut stage = stage.clone();
    policy.apply(&mut stage);
    let outcomes = outcomes(&stage, overload, seed)?;
    let figures = Figures::of(policy.as_str(), &outcomes, room(&stage));
    let span = stage.span;
    let (storm, calm) = (stage.calls.len(), calm(&stage, seed));
    stage.calls = stage.calls.iter().copied().chain(calm).collect();
    let after = self::outcomes(&stage, overload, seed)?.split_off(storm);
    let recovery_ms = milliseconds(recovery(stage.calls.iter().skip(storm).zip(after), span));
    Ok(Played { figures: Figures { recovery_ms, ..figures }, outcomes })
}

/// The outcomes of all calls of the stage.
fn outcomes(stage: &Stage, overload: &Overload, seed: u64) -> Result<Vec<Outcome>, PlayFault> {
    let keys = keys(stage, overload, seed);
    let (fates, spent) = routed::in_virtual_time(|| all(stage, &keys, overload))?;
    let ends = fates.into_iter().zip(spent);
    let calls = stage.calls.iter().zip(keys).zip(ends);
    let outcomes = calls.map(|((call, key), (fate, spent))| Outcome {
        at: call.at,
        key,
        tokens: tokens(stage, call),
        spent,
        idle: call.ideal(),
        fate,
    });
    Ok(outcomes.collect())
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
fn recovery<'c>(calls: impl Iterator<Item = (&'c Call, Outcome)>, span: Duration) -> Duration {
    let harmed = calls.filter(|(call, outcome)| match outcome.fate {
        Fate::Answered(took) => took > call.ideal() + DELAYED,
        Fate::Refused(_) | Fate::GaveUp => true,
    });
    harmed.map(|(call, _)| call.at.saturating_sub(span)).max().unwrap_or_default()
}

/// Normalized tokens of a call.
fn tokens(stage: &Stage, call: &Call) -> f64 {
    stage.pool(call).map_or(0.0, |pool| pool.normalized(&call.usage(call.output)))
}

/// Normalized tokens that the PTUs can serve in the span.
pub(crate) fn room(stage: &Stage) -> f64 {
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
