//! Output for other programs: completions, man pages, the effective configuration, its schema.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use router_core::config::Layers;
use router_core::units::Day;
use router_server::Config;
use router_server::args::CommandLine;
use serde_json::Value;

fn program(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    command.args(words).envs(environment.iter().copied()).output().unwrap()
}

fn said(words: &[&str]) -> String {
    let output = program(words, &[]);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn commands() -> BTreeSet<String> {
    CommandLine::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn completions_know_every_command_and_bash_reads_them() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
    let script = said(&["completions", "bash"]);
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
    assert_eq!(program(&["completions", "tcsh"], &[]).status.code(), Some(2));
}

#[test]
fn the_man_page_names_every_command_and_each_has_its_own() {
    let page = said(&["man"]);
    assert!(page.starts_with(".ie") && page.contains("\n.TH router-server 1"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    said(&["man", "--out", out.to_str().unwrap()]);
    for command in commands() {
        let name = format!("router\\-server\\-{}(1)", command.replace('-', "\\-"));
        assert!(page.contains(&name), "{command}");
        let own = std::fs::read_to_string(out.join(format!("router-server-{command}.1"))).unwrap();
        assert!(own.contains(".TH"), "{command}");
    }
    assert!(out.join("router-server.1").is_file());
    assert!(out.join("router-server-config-show.1").is_file());
}

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    assert!(files.len() >= 6);
    files
}

fn today() -> Day {
    Day::try_from("2026-11-23").unwrap()
}

#[test]
fn what_is_shown_is_the_same_configuration() {
    for file in shipped() {
        let shown = said(&["config", "show", "--config", file.to_str().unwrap()]);
        let again = Config::from_toml(&shown, today()).unwrap();
        let layers = Layers { files: vec![file.clone()], environment: Vec::new(), today: today() };
        assert_eq!(
            again.router.version,
            Config::of_layers(&layers).unwrap().router.version,
            "{}\n{shown}",
            file.display()
        );
        assert!(shown.contains(&*again.router.version), "{shown}");
    }
}

#[test]
fn later_layers_are_in_what_is_shown_and_faults_show_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let over = folder.path().join("over.toml");
    std::fs::write(&over, "[limits]\nhold_ms = 77\n").unwrap();
    let local = shipped().into_iter().find(|file| file.ends_with("local.toml")).unwrap();
    let files = [local.to_str().unwrap(), over.to_str().unwrap()];
    let words = ["config", "show", "--config", files[0], files[1]];
    let output = program(&words, &[("ROUTER__SERVER__DRAIN_MS", "4321")]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("hold_ms = 77") && shown.contains("drain_ms = 4321"), "{shown}");

    let output = program(&words, &[("ROUTER__SERVER__DRAIN_MS", "soon")]);
    assert!(output.stdout.is_empty() && output.status.code() == Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("ROUTER__SERVER__DRAIN_MS"));
}

#[test]
fn what_is_redacted_is_gone_and_the_rest_still_loads() {
    for file in shipped() {
        let words = ["config", "show", "--redacted", "--config", file.to_str().unwrap()];
        let shown = said(&words);
        let again = Config::from_toml(&shown, today()).map_err(|faults| faults.to_string());
        let again = again.unwrap();
        let plain = std::fs::read_to_string(&file).unwrap();
        let plain = Config::from_toml(&plain, today()).unwrap();
        assert_eq!(
            again.router.catalog.deployments().len(),
            plain.router.catalog.deployments().len()
        );
        assert_eq!(again.router.keys.len(), plain.router.keys.len());
        for secret in [
            "contoso",
            "AZURE_OPENAI_EAST_KEY",
            "OPENAI_API_KEY",
            "CONTOSO_NORTH_SECRET",
            "seoul_token",
            "5f70bf18",
            "2c624232",
            "5f6a8c2e",
        ] {
            // The example's own model has the name of a company; names stay.
            let shown = shown.replace("contoso-reasoner", "");
            assert!(!shown.contains(secret), "{}: {secret}\n{shown}", file.display());
        }
    }
}

/// A file of TOML as JSON.
fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn the_schema_takes_what_is_shipped_and_refuses_what_is_misspelt() {
    let schema: Value = serde_json::from_str(&said(&["schema"])).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in shipped() {
        let text = std::fs::read_to_string(&file).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(&json(&text)).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", file.display());
    }
    for (text, fault) in [
        ("[server]\nlisten_at = \"127.0.0.1:1\"", "listen_at"),
        ("[deployments.one]\nmodle = \"o1\"", "modle"),
        ("[limits]\nhold_ms = \"soon\"", "soon"),
        ("[endpoints.one]\napi_key = \"the-key-itself\"", "object"),
        ("[severs]", "severs"),
    ] {
        let told: Vec<String> =
            validator.iter_errors(&json(text)).map(|fault| fault.to_string()).collect();
        assert!(told.iter().any(|told| told.contains(fault)), "{text}: {told:?}");
    }
    let listen = schema.pointer("/$defs/Server/properties/listen").unwrap();
    assert_eq!(listen.get("type").unwrap(), "string", "null cannot be written in TOML");
    assert!(listen.get("description").unwrap().as_str().unwrap().contains("127.0.0.1:8080"));
}
