//! Deployments for tests of later modules: the design pair with both kinds of billing.

use std::sync::Arc;
use std::time::Duration;

use super::catalog::{Api, Billing, Budget, Deployment, Price, Provisioned};
use super::residency::Area;
use crate::model::sample;
use crate::units::DeploymentName;

/// A pay-as-you-go deployment, processed anywhere.
pub(crate) fn pay_as_you_go(name: &str, model: &str) -> Deployment {
    Deployment {
        name: DeploymentName::try_from(name).unwrap(),
        model: Arc::new(sample::record(model)),
        billing: Billing::PayAsYouGo(Budget::default()),
        area: Area::Global,
        endpoint: DeploymentName::try_from("main").unwrap(),
        azure_deployment: model.into(),
        api: Api::AzureDated { version: "2024-10-21".into() },
        max_in_flight: None,
        enabled: true,
        order: Deployment::USUAL_ORDER,
        weight: None,
        price: Price::default(),
        quota_pool: None,
        service_tiers: Vec::new(),
        service_tier: None,
    }
}

/// A provisioned deployment, processed anywhere.
pub(crate) fn provisioned(name: &str, model: &str, ptu: f64) -> Deployment {
    let rate = sample::record(model).ptu;
    let window = Duration::from_secs(10);
    Deployment {
        billing: Billing::Provisioned(Provisioned { ptu, rate, window, usd_per_hour: None }),
        ..pay_as_you_go(name, model)
    }
}
