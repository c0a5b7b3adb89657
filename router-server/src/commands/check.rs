//! `check`: all faults of a configuration at once, or a summary of what it says.

use std::path::PathBuf;

use router_core::clock;
use router_core::config::raw::Raw;
use router_core::config::{Config, Layers, RequestLog, Tls};
use router_core::policy::Mode;
use router_core::task::Task;
use router_core::units::ModelName;
use router_core::upstream::HttpUpstream;

use crate::args::Check;
use crate::console;
use crate::record_file;
use crate::tls::Handshakes;
use crate::traces::TraceFault;

use super::Failure;

/// Checks the files; warnings are told and change nothing.
pub(super) fn run(check: &Check) -> Result<(), Failure> {
    let layers = Layers::of_process(&check.files.config, clock::day(clock::wall()));
    let config = match layers.check() {
        Ok(config) => config,
        Err(faults) => {
            let files = layers.raw().map(|raw| unread_of(&raw)).unwrap_or_default();
            let faults = faults.0.iter().map(ToString::to_string);
            return Err(Failure::Files(faults.chain(files).collect::<Vec<_>>().join("\n")));
        }
    };
    for warning in &config.warnings {
        console::complain(format_args!("warning: {warning}"));
    }
    let endpoints = HttpUpstream::check(&config.endpoints, config.limits.connect_timeout);
    let mut faults = unread(config.request_log.as_ref(), config.server.tls.as_ref());
    faults.extend(endpoints.iter().map(ToString::to_string));
    faults.extend(TraceFault::of_build(&config).map(|fault| fault.to_string()));
    if !faults.is_empty() {
        return Err(Failure::Files(faults.join("\n")));
    }
    Ok(console::say(summary(&config))?)
}

/// What is wrong with the files of the request log and of certificates. Those of secrets may be there only where the
/// server runs.
fn unread(log: Option<&RequestLog>, tls: Option<&Tls>) -> Vec<String> {
    let log = log.and_then(|log| record_file::probe(log).err());
    let tls = tls.map(Handshakes::faults).unwrap_or_default();
    let tls = tls.iter().map(ToString::to_string);
    log.iter().map(ToString::to_string).chain(tls).collect()
}

/// The same where the configuration has other faults, as far as it names those files, so that all is told at once.
fn unread_of(raw: &Raw) -> Vec<String> {
    let named = |path: &Option<PathBuf>| path.clone().filter(|path| path.file_name().is_some());
    let log =
        named(&raw.request_log.path).map(|path| RequestLog { path, max_bytes: None, keep: 1 });
    let tls = raw.server.tls.as_ref().and_then(|tls| {
        let (certificate, key) = named(&tls.certificate).zip(named(&tls.key))?;
        Some(Tls { certificate, key, client_ca: named(&tls.client_ca) })
    });
    unread(log.as_ref(), tls.as_ref())
}

/// What the configuration says, in a few lines.
fn summary(config: &Config) -> String {
    let mut lines = Vec::new();
    let mut line = |said: String| lines.push(said);
    for task in Task::ALL {
        let role = config.policy.role(task);
        let models: Vec<&str> = role.models.iter().map(ModelName::as_str).collect();
        line(format!("role {:<12}{}", task.as_str(), models.join(", then ")));
    }
    line(format!(
        "residency        {}; prefer {}",
        config.policy.residency,
        config.policy.prefer.as_str()
    ));
    line(format!("scores           {}", mode(config)));
    line(format!("listens at       {}", config.server.listen));
    if let Some(log) = &config.request_log {
        line(format!("request log      {}", log.path.display()));
    }
    let keys: Vec<&str> = config.keys.iter().map(|key| key.name.as_str()).collect();
    let keys =
        if keys.is_empty() { "none: nobody is asked for one".to_owned() } else { keys.join(", ") };
    line(format!("keys             {keys}"));
    line(String::new());
    line(row(["deployment", "model", "billing", "area", "endpoint"]));
    for found in config.catalog.deployments() {
        let area = found.area.to_string();
        line(row([
            found.name.as_str(),
            found.model.name.as_str(),
            found.billing.as_str(),
            &area,
            found.endpoint.as_str(),
        ]));
    }
    let warnings = match config.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        several => format!(", {several} warnings"),
    };
    line(String::new());
    line(format!("no faults{warnings}"));
    lines.join("\n")
}

fn mode(config: &Config) -> String {
    match config.policy.mode {
        Mode::Route => format!(
            "choose the role, from {} on reasoning",
            config.scoring.signals.threshold.value()
        ),
        Mode::Observe(role) => format!("are only observed: role {role} serves all that is scored"),
    }
}

fn row([name, model, billing, area, endpoint]: [&str; 5]) -> String {
    format!("{name:<20} {model:<20} {billing:<14} {area:<22} {endpoint}").trim_end().to_owned()
}
