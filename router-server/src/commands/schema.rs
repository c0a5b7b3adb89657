//! `schema`: the JSON Schema of the configuration.

use crate::console;

use super::Failure;

pub(super) fn run() -> Result<(), Failure> {
    Ok(console::say(format_args!("{:#}", router_core::config::schema()))?)
}
