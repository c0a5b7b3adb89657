//! Shares state between replicas of the router through Redis. The module root.

#[cfg(feature = "http-client")]
mod change;
#[cfg(feature = "http-client")]
mod cooldown_reason;
#[cfg(feature = "http-client")]
mod exchange;
#[cfg(feature = "http-client")]
mod kept_spending;
#[cfg(feature = "http-client")]
mod key_usage;
#[cfg(feature = "http-client")]
mod other_run;
mod outgoing;
#[cfg(feature = "redis")]
mod redis_address;
#[cfg(feature = "redis")]
mod redis_exchange;
#[cfg(feature = "http-client")]
mod shared_clock;
#[cfg(feature = "http-client")]
mod shared_cooldowns;
#[cfg(feature = "http-client")]
mod shared_quotas;
#[cfg(feature = "http-client")]
mod sync_loop;
mod sync_settings;
#[cfg(feature = "http-client")]
mod sync_state;
#[cfg(feature = "http-client")]
mod usage_report;

#[cfg(feature = "http-client")]
pub use exchange::{Answer, Entry, Exchange, ExchangeFault, Pull, Push};
pub use outgoing::Outgoing;
#[cfg(feature = "redis")]
pub(crate) use redis_address::{Password, RedisAddress};
#[cfg(feature = "redis")]
pub(crate) use redis_exchange::RedisExchange;
#[cfg(feature = "http-client")]
pub use sync_loop::{ReplicaStatus, Replicas};
pub use sync_settings::SyncSettings;
