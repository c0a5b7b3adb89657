//! Where capacity lives: a snapshot to decide from, events to learn from. The door of the room.

pub mod delta;
pub mod event;
#[cfg(feature = "http-client")]
pub mod exchange;
#[cfg(feature = "http-client")]
pub mod in_memory_exchange;
pub mod in_process;
#[cfg(feature = "http-client")]
mod key_usage;
#[cfg(feature = "http-client")]
mod member;
pub mod outgoing;
mod quota_pool;
#[cfg(feature = "redis")]
pub mod redis;
pub mod renewal;
#[cfg(feature = "http-client")]
pub mod replicas;
#[cfg(feature = "http-client")]
mod shared;
pub mod sync_settings;
#[cfg(feature = "http-client")]
pub mod usage_report;
#[cfg(feature = "http-client")]
pub mod wire;

pub use delta::{ChangeLog, Delta};
pub use event::{Cooldowns, Event, NoRoom, Turn};
#[cfg(feature = "http-client")]
pub use exchange::{Batch, Exchange, ExchangeFault, Pull, Push};
#[cfg(feature = "http-client")]
pub use in_memory_exchange::InMemoryExchange;
pub use in_process::InProcess;
pub use outgoing::Outbox;
#[cfg(feature = "redis")]
pub use redis::{RedisAddress, RedisExchange};
pub use renewal::{Kept, Renewal};
#[cfg(feature = "http-client")]
pub use replicas::{ReplicaStatus, Replicas};
pub use sync_settings::Pace;
