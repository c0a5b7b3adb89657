//! `config show`: prints all layers as one file. Credentials appear as names and are never read.

use router_core::clock;
use router_core::config::Layers;

use crate::args::ConfigCommand;
use crate::config::Config;
use crate::config::Written;
use crate::console;

use super::Failure;

/// A configuration with faults is not shown: a fault may be a secret in the wrong place.
pub(super) fn run(what: &ConfigCommand) -> Result<(), Failure> {
    let ConfigCommand::Show { files, redacted } = what;
    let layers = Layers::of_process(&files.found()?, clock::day(clock::wall()));
    let version = Config::of_layers(&layers)?.router.version;
    let written = Written::read(&layers)?;
    let (written, kind) = if *redacted {
        (written.redacted(), "redacted")
    } else {
        (written, "files and environment")
    };
    let text = written.to_toml().map_err(|fault| Failure::Files(fault.to_string()))?;
    Ok(console::say(format_args!("# {kind}, version {version}\n\n{}", text.trim_end()))?)
}
