//! The program: its defaults serve, its help helps, its faults are named.

use super::support::*;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_azure-emulator");

#[tokio::test]
async fn serves_its_defaults() {
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0", "--seed", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.split_whitespace().last().unwrap().to_owned();
    let request = body("hi", json!({"model": "gpt-4o-ptu", "max_tokens": 3}));
    let sent = client().post(format!("{url}/openai/v1/chat/completions")).json(&request).send();
    let answer = sent.await;
    child.kill().unwrap();
    child.wait().unwrap();
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    assert_eq!(answer["model"], "gpt-4o-2024-11-20");
}

#[test]
fn helps_and_names_faults() {
    let run = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (ok, help) = run(&["serve", "--help"]);
    assert!(ok && help.contains("--config <FILE>") && help.contains("/emulator/script"));
    let (ok, config) = run(&["config"]);
    assert!(ok && config.contains("[deployments.gpt-4o-ptu]"));
    let (ok, fault) = run(&["serve", "--config", "/nowhere/at/all.toml"]);
    assert!(!ok && fault.contains("/nowhere/at/all.toml"), "{fault}");
}
