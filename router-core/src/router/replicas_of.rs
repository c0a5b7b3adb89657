//! Builds the exchange between replicas from config.

use std::sync::Arc;

use crate::config::Config;
use crate::replicas::Replicas;

use super::build_fault::BuildFault;

/// The replicas of the configured Redis; `None` without one.
#[cfg(feature = "redis")]
pub(super) fn replicas_of(config: &Config) -> Result<Option<Arc<Replicas>>, BuildFault> {
    use crate::replicas::ExchangeFault;
    use crate::replicas::RedisAddress;
    use crate::replicas::RedisExchange;

    let Some(settings) = &config.replicas else { return Ok(None) };
    let password = settings.password.clone();
    let address = RedisAddress {
        url: settings.url.clone(),
        username: settings.username.clone(),
        password: password.map(|source| {
            let read = move || match source.read() {
                Ok(secret) => Ok(secret.expose().into()),
                Err(fault) => Err(ExchangeFault(fault.to_string().into())),
            };
            Arc::new(read) as crate::replicas::Password
        }),
        prefix: settings.prefix.clone(),
        patience: settings.sync.patience(),
    };
    // A password that is not there is found at the start, not at the first sync.
    if let Some(password) = &address.password {
        password().map_err(BuildFault::Replicas)?;
    }
    let exchange = RedisExchange::new(address).map_err(BuildFault::Replicas)?;
    Ok(Some(Replicas::new(exchange, settings.sync.clone())))
}

/// This build cannot share state.
#[cfg(not(feature = "redis"))]
pub(super) fn replicas_of(config: &Config) -> Result<Option<Arc<Replicas>>, BuildFault> {
    match &config.replicas {
        None => Ok(None),
        Some(_) => Err(BuildFault::NoReplicas),
    }
}
