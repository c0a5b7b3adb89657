//! Model records: what each model accepts, can do and costs. The module root.

pub mod medium;
pub mod prices;
pub mod record;
#[cfg(test)]
pub(crate) mod sample;

pub use medium::{Media, Medium};
pub use prices::{LongContext, Prices, Rates, ServiceTier, TierRates};
pub use record::{
    Abilities, CapField, Effort, Efforts, InstructionRole, ModelRecord, PtuRate, PtuSize, PtuSizes,
    Sampling,
};
