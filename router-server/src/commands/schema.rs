//! `schema`: the JSON Schema of the configuration.

use crate::config;
use crate::console;

use super::Failure;

pub(super) fn run() -> Result<(), Failure> {
    Ok(console::say(format_args!("{:#}", config::schema()))?)
}
