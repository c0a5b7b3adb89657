//! The page that says how to control the emulator: every example on it runs, and it names everything there is.

use super::support::*;
use azure_emulator::config;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const PAGE: &str = include_str!("../../../docs/emulator.md");

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let parts = PAGE.split(start.as_str()).skip(1);
    parts.filter_map(|part| Some(part.split_once("\n```")?.0.to_owned())).collect()
}

/// The program with its defaults, and its address; it ends with the test.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_azure-emulator"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let first = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_command_of_the_page_runs() {
    let program = Program::start();
    let commands = blocks("sh");
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let command = command.replace("http://127.0.0.1:8900", &program.url);
        let output = Command::new("sh").args(["-euc", &command]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}\n{text}");
        assert!(!output.stdout.is_empty(), "{command}");
    }
}

#[test]
fn the_configuration_of_the_page_is_read() {
    for toml in blocks("toml") {
        let settings = config::read(&toml).unwrap();
        assert_eq!(settings.resource.as_deref(), Some("kr"));
        assert_eq!(settings.deployments.len(), 2);
    }
}

#[test]
fn every_key_of_a_step_is_on_the_page() {
    let source = include_str!("../../src/script/written.rs");
    let fields = |name: &str| -> Vec<String> {
        let start = format!("struct {name} {{");
        let body = source.split(start.as_str()).nth(1).unwrap().split("\n}").next().unwrap();
        let fields = body.lines().filter_map(|line| line.trim().split_once(": "));
        fields.map(|(field, _)| field.to_owned()).filter(|field| !field.contains('/')).collect()
    };
    for field in [fields("WrittenStep"), fields("WrittenStream")].concat() {
        assert!(PAGE.contains(&field), "{field}");
    }
    let named = source.split("fn named(").nth(1).unwrap().split("other =>").next().unwrap();
    for name in named.split('"').skip(1).step_by(2) {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test]
async fn encrypted_reasoning_is_read_by_its_resource_alone() {
    use azure_emulator::Settings;
    use serde_json::{Value, json};
    let [one, same, other] = ["kr", "kr", "us"].map(|name| Settings::new().resource(name));
    let (one, same, other) =
        (start_with(one).await, start_with(same).await, start_with(other).await);
    let turn = async |emulator: &azure_emulator::Emulator, model: &str, input: Value| {
        let body = json!({"model": model, "input": input, "store": false,
            "include": ["reasoning.encrypted_content"]});
        let url = format!("{}/openai/v1/responses", emulator.url());
        client().post(url).json(&body).send().await.unwrap()
    };
    let made: Value = turn(&one, "o3", json!("Solve it.")).await.json().await.unwrap();
    let item = made["output"][0].clone();
    assert_eq!(item["type"], "reasoning");
    assert!(item["encrypted_content"].as_str().unwrap().starts_with("gAAAA"));
    let again = json!([item, {"role": "user", "content": "Go on."}]);
    for emulator in [&one, &same] {
        assert_eq!(turn(emulator, "o3", again.clone()).await.status(), 200);
        assert_eq!(turn(emulator, "o1", again.clone()).await.status(), 200, "all of its models");
    }
    let (status, error) = error_of(turn(&other, "o3", again.clone()).await).await;
    assert_eq!((status, error["code"].as_str()), (400, Some("invalid_encrypted_content")));
    let (status, error) = error_of(turn(&one, "payg", again).await).await;
    assert_eq!((status, error["param"].as_str()), (400, Some("input")));
}
