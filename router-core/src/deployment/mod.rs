//! Deployments: the catalog, residency areas and pricing. The module root.

mod catalog;
mod hosted_tools;
pub mod pricing;
mod residency;
#[cfg(test)]
pub(crate) mod sample;

pub(crate) use catalog::ToolPrices;
pub use catalog::{Api, Billing, Budget, Catalog, Deployment, EndpointName, Price, Provisioned};
pub use residency::{Area, AreaFault, Residency};
