//! Builds the exchange between replicas from config.

use std::sync::Arc;

use crate::config::Config;
use crate::state::Replicas;

use super::build_fault::BuildFault;

/// The replicas that config names; `None` where it names none.
#[cfg(feature = "redis")]
pub(super) fn replicas_of(config: &Config) -> Result<Option<Arc<Replicas>>, BuildFault> {
    use crate::state::ExchangeFault;
    use crate::state::RedisAddress;
    use crate::state::RedisExchange;

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
            Arc::new(read) as crate::state::redis::Password
        }),
        prefix: settings.prefix.clone(),
        patience: settings.pace.patience(),
        keep: settings.pace.keep(),
    };
    // A password that is not there is found at the start, not at the first meeting.
    if let Some(password) = &address.password {
        password().map_err(BuildFault::Replicas)?;
    }
    let exchange = RedisExchange::new(address).map_err(BuildFault::Replicas)?;
    Ok(Some(Replicas::new(exchange, settings.pace.clone())))
}

/// This build meets nobody.
#[cfg(not(feature = "redis"))]
pub(super) fn replicas_of(config: &Config) -> Result<Option<Arc<Replicas>>, BuildFault> {
    match &config.replicas {
        None => Ok(None),
        Some(_) => Err(BuildFault::NoReplicas),
    }
}
