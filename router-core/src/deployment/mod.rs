//! Deployments: the catalog, residency areas and pricing. The module root.

pub mod catalog;
mod hosted_tools;
pub mod pricing;
pub mod residency;
#[cfg(test)]
pub(crate) mod sample;

pub use catalog::{
    Api, Billing, Budget, Catalog, Deployment, EndpointName, Price, Provisioned, ToolPrices,
};
pub use residency::{Area, AreaFault, Residency};
