//! Model records: what each model accepts, can do and costs. The module root.

mod medium;
mod prices;
mod record;
#[cfg(test)]
pub(crate) mod sample;

pub(crate) use medium::Media;
pub use medium::Medium;
pub(crate) use prices::{LongContext, TierRates};
pub use prices::{Prices, Rates, ServiceTier};
pub use record::{
    Abilities, CapField, Effort, Efforts, InstructionRole, ModelRecord, PtuSize, Sampling,
};
pub(crate) use record::{PtuRate, PtuSizes};
