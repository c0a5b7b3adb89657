//! The setting of a simulation: the configuration's deployments, with PTU counts scaled to the
//! demand, and the pay-as-you-go price of each call.

use std::sync::Arc;
use std::time::Duration;

use azure_emulator::bucket::BucketSettings;
use router_core::chat::Usage;
use router_core::config::Config;
use router_core::deployment::Billing;
use router_core::deployment::Catalog;
use router_core::deployment::Deployment;
use router_core::deployment::Provisioned;
use router_core::deployment::pricing;
use router_core::task::Task;
use router_core::units::DeploymentName;
use router_core::units::ModelName;
use router_core::units::Usd;

use super::workload::Call;

/// Number of PTUs of the provisioned deployments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Enough that the mean demand is this multiple of their throughput.
    Load(f64),
    /// Total for the chat role's model; 0 removes its provisioned deployments.
    Ptu(f64),
}

/// The stage of one play.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The configuration, scaled.
    pub config: Config,
    /// The calls, in the order of time.
    pub calls: Arc<[Call]>,
    /// The deployments of each task that has calls.
    pub pools: Vec<Pool>,
    /// From the first call to the last.
    pub span: Duration,
    /// Provisioned answers carry the utilization header.
    pub utilization_header: bool,
}

/// The deployments that serve the calls of one task.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The task.
    pub task: Task,
    /// The model: the first of the role.
    pub model: ModelName,
    /// Its provisioned deployments.
    pub tanks: Vec<Tank>,
    /// By whose price its calls are valued.
    priced: Arc<Deployment>,
    /// Prompt tokens that an output token counts as on a PTU.
    ratio: f64,
    /// The share of cached prompt tokens that counts nothing on a PTU.
    discount: f64,
}

/// One provisioned deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Tank {
    /// Its name in the configuration.
    pub name: DeploymentName,
    /// Settings of its bucket.
    pub settings: BucketSettings,
}

/// The reason why a configuration cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageFault {
    /// No deployment serves the role's first model.
    #[error("roles.{}: no deployment serves its first model", task.as_str())]
    NoDeployment {
        /// The role.
        task: Task,
    },
    /// The model has no price, so that nothing can be said about savings.
    #[error("models.{model}.usd_per_million_tokens: needed to tell what is saved")]
    NoPrice {
        /// The model.
        model: ModelName,
    },
    /// There is nothing to size.
    #[error("roles.chat: no provisioned deployment serves its first model")]
    NotProvisioned,
    /// The model is not sold in steps that are known.
    #[error(
        "models.{model}.ptu: global_min, global_step, regional_min, regional_step: needed to tell what is sold"
    )]
    NoSizes {
        /// The model.
        model: ModelName,
    },
    /// A provisioned deployment whose throughput is not known.
    #[error("deployments.{deployment}: input_tpm_per_ptu and output_ratio are not known")]
    NoRate {
        /// The deployment.
        deployment: DeploymentName,
    },
}

impl Stage {
    /// Sets the stage; `window` overrides the buckets' size.
    ///
    /// # Errors
    /// The configuration lacks what a play needs to know.
    pub fn set(
        mut config: Config,
        calls: Vec<Call>,
        scale: Scale,
        window: Option<Duration>,
    ) -> Result<Self, StageFault> {
        let span = calls.last().map_or(Duration::ZERO, |last| last.at);
        let mut pools = Vec::new();
        for task in Task::ALL {
            if calls.iter().any(|call| call.task == task) {
                let pool = Pool::of(&config, task)?;
                let factor = pool.factor(&calls, span, scale);
                config.catalog = scaled(&config.catalog, &pool.model, factor, window);
                pools.push(Pool::of(&config, task)?);
            }
        }
        Ok(Self { config, calls: calls.into(), pools, span, utilization_header: false })
    }

    /// Sets the stage as the configuration has it, without pools: for plays that are not measured against others.
    pub fn as_configured(config: Config, calls: Vec<Call>) -> Self {
        let span = calls.last().map_or(Duration::ZERO, |last| last.at);
        Self { config, calls: calls.into(), pools: Vec::new(), span, utilization_header: false }
    }

    /// The pool of a call's task.
    pub fn pool(&self, call: &Call) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.task == call.task)
    }

    /// Cost of the call on pay-as-you-go.
    pub fn price(&self, call: &Call) -> f64 {
        self.pool(call).map_or(0.0, |pool| pool.price(&call.usage(call.output)))
    }
}

impl Pool {
    fn of(config: &Config, task: Task) -> Result<Self, StageFault> {
        let role = config.policy.role(task);
        let serving = || {
            let deployments = config.catalog.deployments().iter();
            deployments.filter(|known| role.models.first() == Some(&known.model.name))
        };
        let pay_as_you_go = serving().find(|known| !known.billing.is_provisioned());
        let Some(priced) = pay_as_you_go.or_else(|| serving().next()) else {
            return Err(StageFault::NoDeployment { task });
        };
        let model = priced.model.name.clone();
        if pricing::pay_as_you_go_cost(priced, &Usage::default()).is_none() {
            return Err(StageFault::NoPrice { model });
        }
        let mut tanks = Vec::new();
        let mut ratio = priced.model.ptu.map_or(1.0, |rate| rate.output_ratio);
        let discount = config.capacity.cached_discount;
        for deployment in serving() {
            if let Billing::Provisioned(provisioned) = &deployment.billing {
                let name = deployment.name.clone();
                let settings = bucket(provisioned, discount)
                    .ok_or(StageFault::NoRate { deployment: name.clone() })?;
                ratio = settings.output_ratio;
                tanks.push(Tank { name, settings });
            }
        }
        Ok(Self { task, model, tanks, priced: Arc::clone(priced), ratio, discount })
    }

    /// Cost of an answer on pay-as-you-go, in dollars.
    pub fn price(&self, usage: &Usage) -> f64 {
        pricing::pay_as_you_go_cost(&self.priced, usage).map_or(0.0, Usd::as_f64)
    }

    /// Normalized tokens of an answer on a PTU.
    pub fn normalized(&self, usage: &Usage) -> f64 {
        normalized(usage, self.ratio, self.discount)
    }

    /// Normalized tokens per second that all its PTUs serve.
    pub fn rate(&self) -> f64 {
        self.tanks.iter().map(Tank::rate).sum()
    }

    /// By how much its PTU counts change.
    fn factor(&self, calls: &[Call], span: Duration, scale: Scale) -> f64 {
        let own = calls.iter().filter(|call| call.task == self.task);
        let demand: f64 = own.map(|call| self.normalized(&call.usage(call.output))).sum();
        match scale {
            Scale::Load(load) => demand / span.as_secs_f64() / load / self.rate(),
            Scale::Ptu(ptu) if self.task == Task::Chat => {
                ptu / self.tanks.iter().map(|tank| tank.settings.ptu).sum::<f64>()
            }
            Scale::Ptu(_) => 1.0,
        }
    }
}

impl Tank {
    /// Normalized tokens per second.
    pub fn rate(&self) -> f64 {
        self.settings.ptu * self.settings.input_tpm_per_ptu / 60.0
    }
}

/// Bucket settings of a provisioned deployment; `None` if its throughput is unknown.
pub(super) fn bucket(provisioned: &Provisioned, discount: f64) -> Option<BucketSettings> {
    let Provisioned { ptu, rate, window, .. } = *provisioned;
    let rate = rate?;
    Some(BucketSettings {
        window,
        cached_discount: discount,
        ..BucketSettings::new(ptu, rate.input_tpm_per_ptu, rate.output_ratio)
    })
}

/// Normalized tokens of an answer on a PTU.
pub(super) fn normalized(usage: &Usage, ratio: f64, discount: f64) -> f64 {
    let cached = usage.cached.min(usage.prompt).as_f64();
    ratio.mul_add(usage.completion.as_f64(), usage.prompt.as_f64() - discount * cached)
}

/// The catalog with the PTUs of one model scaled; deployments that have none left are gone.
fn scaled(catalog: &Catalog, model: &ModelName, factor: f64, size: Option<Duration>) -> Catalog {
    let deployments = catalog.deployments().iter().map(|known| {
        let mut deployment = Deployment::clone(known);
        if let Billing::Provisioned(Provisioned { ptu, window, .. }) = &mut deployment.billing
            && deployment.model.name == *model
        {
            *ptu *= factor;
            *window = size.unwrap_or(*window);
        }
        deployment
    });
    Catalog::new(deployments.filter(|deployment| match &deployment.billing {
        Billing::Provisioned(provisioned) => provisioned.ptu > 0.0,
        Billing::PayAsYouGo(_) => true,
    }))
}
