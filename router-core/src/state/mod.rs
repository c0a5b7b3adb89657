//! Where capacity lives: a snapshot to decide from, events to learn from. The door of the room.

#[cfg(feature = "http-client")]
mod accounts;
#[cfg(feature = "http-client")]
pub mod board;
pub mod capacity_state;
pub mod event;
#[cfg(feature = "http-client")]
pub mod exchange;
pub mod in_process;
#[cfg(feature = "http-client")]
mod member;
pub mod news;
pub mod outbox;
pub mod pace;
#[cfg(feature = "redis")]
pub mod redis;
pub mod renewal;
#[cfg(feature = "http-client")]
pub mod replicas;
#[cfg(feature = "http-client")]
mod shared;
#[cfg(feature = "http-client")]
pub mod statement;
#[cfg(feature = "http-client")]
pub mod wire;

#[cfg(feature = "http-client")]
pub use board::Board;
pub use capacity_state::CapacityState;
pub use event::{Closed, Cooldowns, Event, Turn};
#[cfg(feature = "http-client")]
pub use exchange::{Batch, Exchange, ExchangeFault, Pull, Push};
pub use in_process::InProcess;
pub use news::{Chronicle, News};
pub use outbox::Outbox;
pub use pace::Pace;
#[cfg(feature = "redis")]
pub use redis::{RedisAddress, RedisExchange};
pub use renewal::{Kept, Renewal};
#[cfg(feature = "http-client")]
pub use replicas::{ReplicaStatus, Replicas};
