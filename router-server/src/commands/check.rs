//! `check`: lists all faults of a configuration, or summarizes it, as text or JSON.
//!
//! It sends nothing; `check --live` is in `live_check`.

use std::path::PathBuf;

use router_core::clock;
use router_core::config::{Fault, Layers, Origin};
use router_core::policy::Mode;
use router_core::task::Task;
use router_core::units::ModelName;
use router_core::upstream::HttpUpstream;
use serde_json::{Value, json};

use crate::args::Check;
use crate::config::Config;
use crate::config::RequestLog;
use crate::config::Tls;
use crate::config::Written;
use crate::console;
use crate::console::Paint;
use crate::console::Tone;
use crate::record_file;
use crate::tls::Handshakes;
use crate::traces::TraceFault;

use super::Failure;
use super::live_check;
use super::live_check::Found;
use super::loose_caps;

/// Result of a check.
#[derive(Default)]
struct Report {
    config: Option<Config>,
    faults: Vec<Note>,
    warnings: Vec<Note>,
}

/// A fault or a warning: a line, and its parts as far as they are known.
struct Note {
    line: String,
    origin: Option<String>,
    key: Option<String>,
    problem: String,
}

impl Note {
    fn of(fault: &Fault) -> Self {
        let origin = match &fault.origin {
            Origin::Unnamed => None,
            Origin::Shipped => Some("shipped model records".to_owned()),
            Origin::File(path) => Some(path.display().to_string()),
            Origin::Environment => Some(fault.key.variable()),
        };
        let key = Some(fault.key.to_string()).filter(|key| !key.is_empty());
        Self { line: fault.to_string(), origin, key, problem: fault.problem.clone() }
    }

    fn of_line(line: String) -> Self {
        Self { problem: line.clone(), line, origin: None, key: None }
    }

    fn json(&self) -> Value {
        json!({"origin": self.origin, "key": self.key, "problem": self.problem})
    }
}

/// Checks the files; warnings are printed and change nothing.
pub(super) async fn run(check: &Check) -> Result<(), Failure> {
    let report = report(&check.files.found()?);
    let sound = report.config.as_ref().filter(|_| report.faults.is_empty());
    let live = match sound.filter(|_| check.live) {
        Some(config) => Some(live_check::ask(config).await),
        None => None,
    };
    if check.json {
        console::say(format_args!("{:#}", as_json(&report, live.as_deref())))?;
    } else {
        say(&report, live.as_deref())?;
    }
    if !report.faults.is_empty() {
        let lines = report.faults.into_iter().map(|note| note.line).collect::<Vec<_>>();
        return Err(if check.json { Failure::Reported } else { Failure::Files(lines.join("\n")) });
    }
    let live = live.unwrap_or_default();
    match live.iter().filter(|found| !found.is_fine()).count() {
        0 => Ok(()),
        failed => Err(Failure::Live { failed, asked: live.len() }),
    }
}

fn report(files: &[PathBuf]) -> Report {
    let layers = Layers::of_process(files, clock::day(clock::wall()));
    let config = match Config::of_layers(&layers) {
        Ok(config) => config,
        Err(faults) => {
            let files = Written::read(&layers);
            let files = files.map(|written| unread_of(&written)).unwrap_or_default();
            let mut faults: Vec<Note> = faults.0.iter().map(Note::of).collect();
            faults.extend(files.into_iter().map(Note::of_line));
            return Report { faults, ..Report::default() };
        }
    };
    let endpoints =
        HttpUpstream::check(&config.router.endpoints, config.router.limits.connections());
    let mut faults = unread(config.request_log.as_ref(), config.server.tls.as_ref());
    faults.extend(endpoints.iter().map(ToString::to_string));
    faults.extend(TraceFault::of_build(&config).map(|fault| fault.to_string()));
    let loose = loose_caps::advice(&config).map(Note::of_line);
    let (strict, warnings): (Vec<&Fault>, Vec<&Fault>) =
        config.router.warnings.iter().partition(|warning| warning.strict);
    Report {
        faults: strict
            .into_iter()
            .map(Note::of)
            .chain(faults.into_iter().map(Note::of_line))
            .collect(),
        warnings: warnings.into_iter().map(Note::of).chain(loose).collect(),
        config: Some(config),
    }
}

/// The report as text: warnings to standard error, the summary to standard output.
fn say(report: &Report, live: Option<&[Found]>) -> Result<(), Failure> {
    let paint = Paint::of_errors();
    for warning in &report.warnings {
        let word = paint.tone(Tone::Careful, "warning:");
        console::complain(format_args!("{word} {}", warning.line));
    }
    let sound = report.config.as_ref().filter(|_| report.faults.is_empty());
    let Some(config) = sound else { return Ok(()) };
    let paint = Paint::of_output();
    console::say(summary(config, paint))?;
    if let Some(live) = live {
        console::say(format_args!("\n{}", live_check::text(live, paint)))?;
    }
    Ok(())
}

/// The report as JSON. Its names are a public interface.
fn as_json(report: &Report, live: Option<&[Found]>) -> Value {
    let notes = |notes: &[Note]| notes.iter().map(Note::json).collect::<Vec<_>>();
    let deployments = report.config.iter().flat_map(|config| config.router.catalog.deployments());
    let deployments: Vec<Value> = deployments
        .map(|found| {
            json!({
                "name": found.name.as_str(),
                "model": found.model.name.as_str(),
                "azure_deployment": &*found.azure_deployment,
                "billing": found.billing.as_str(),
                "area": found.area.to_string(),
                "endpoint": found.endpoint.as_str(),
                "enabled": found.enabled,
            })
        })
        .collect();
    json!({
        "object": "config.check",
        "ok": report.faults.is_empty() && live.unwrap_or_default().iter().all(Found::is_fine),
        "version": report.config.as_ref().map(|config| &*config.router.version),
        "faults": notes(&report.faults),
        "warnings": notes(&report.warnings),
        "deployments": deployments,
        "live": live.map(|live| live.iter().map(Found::json).collect::<Vec<_>>()),
    })
}

/// The faults of the request log's file and of certificates. Files of secrets may exist only on the host where the
/// server runs.
fn unread(log: Option<&RequestLog>, tls: Option<&Tls>) -> Vec<String> {
    let log = log.and_then(|log| record_file::probe(log).err());
    let tls = tls.map(Handshakes::faults).unwrap_or_default();
    let tls = tls.iter().map(ToString::to_string);
    log.iter().map(ToString::to_string).chain(tls).collect()
}

/// The same for a configuration with other faults, as far as it names those files, so that all faults appear at once.
fn unread_of(written: &Written) -> Vec<String> {
    let raw = &written.tables;
    let named = |path: &Option<PathBuf>| path.clone().filter(|path| path.file_name().is_some());
    let log =
        named(&raw.request_log.path).map(|path| RequestLog { path, max_bytes: None, keep: 1 });
    let tls = raw.server.tls.as_ref().and_then(|tls| {
        let (certificate, key) = named(&tls.certificate).zip(named(&tls.key))?;
        Some(Tls { certificate, key, client_ca: named(&tls.client_ca) })
    });
    unread(log.as_ref(), tls.as_ref())
}

/// Summary of the configuration in a few lines.
fn summary(config: &Config, paint: Paint) -> String {
    let mut lines = Vec::new();
    let mut line = |said: String| lines.push(said);
    for task in Task::ALL {
        let role = config.router.policy.role(task);
        let models: Vec<&str> = role.models.iter().map(ModelName::as_str).collect();
        line(format!("role {:<12}{}", task.as_str(), models.join(", then ")));
    }
    line(format!(
        "residency        {}; prefer {}",
        config.router.policy.residency,
        config.router.policy.prefer.as_str()
    ));
    line(format!("scores           {}", mode(config)));
    line(format!("listens at       {}", config.server.listen));
    if let Some(log) = &config.request_log {
        line(format!("request log      {}", log.path.display()));
    }
    let keys: Vec<&str> = config.router.keys.iter().map(|key| key.name.as_str()).collect();
    let keys =
        if keys.is_empty() { "none: nobody is asked for one".to_owned() } else { keys.join(", ") };
    line(format!("keys             {keys}"));
    line(String::new());
    line(deployments(config, paint));
    let warnings = match config.router.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        several => format!(", {several} warnings"),
    };
    line(String::new());
    line(format!("{}{warnings}", paint.tone(Tone::Good, "no faults")));
    lines.join("\n")
}

fn deployments(config: &Config, paint: Paint) -> String {
    let heading = ["deployment", "model", "billing", "area", "endpoint"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(config.router.catalog.deployments().iter().map(|found| {
        vec![
            found.name.to_string(),
            found.model.name.to_string(),
            found.billing.as_str().to_owned(),
            found.area.to_string(),
            found.endpoint.to_string(),
        ]
    }));
    console::table(&rows, paint)
}

fn mode(config: &Config) -> String {
    match config.router.policy.mode {
        Mode::Route => format!(
            "choose the role, from {} on reasoning",
            config.router.scoring.signals.threshold.value()
        ),
        Mode::Observe(role) => format!("are only observed: role {role} serves all that is scored"),
    }
}
