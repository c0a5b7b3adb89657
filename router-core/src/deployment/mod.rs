//! Which deployments are there, where do they process, what do they cost, and in what order are they tried?

pub mod catalog;
mod hosted_tools;
pub mod pricing;
pub mod residency;
#[cfg(test)]
pub(crate) mod sample;

pub use catalog::{Api, Billing, Budget, Catalog, Deployment, EndpointName, Price, Provisioned};
pub use residency::{Area, AreaFault, Residency};
