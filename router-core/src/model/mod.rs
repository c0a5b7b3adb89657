//! What each model takes, does and costs. The door of the room.

pub mod record;
#[cfg(test)]
pub(crate) mod sample;

pub use record::{
    Abilities, CapField, Effort, Efforts, InstructionRole, LongContext, ModelRecord, Prices,
    PtuRate, PtuSize, PtuSizes, Sampling,
};
