//! From traffic to a better configuration: a server writes a log under load, and what reads logs reads this one. Each
//! program runs as its user runs it.
#![cfg(feature = "simulate")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]
#![expect(clippy::indexing_slicing, reason = "serde_json gives null for what is not there")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings};
use http::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use router_core::config::Config;
use router_core::units::Day;
use router_server::request_record::{Log, LoggedRequest};
use router_server::start;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A word that callers write and that no log may have.
const MARK: &str = "xylophone";

async fn emulator() -> Emulator {
    let quick = Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 };
    let quota = || QuotaSettings::new(1_000_000, 1_000_000_000);
    let bucket = BucketSettings::new(10_000.0, 10_000.0, 4.0);
    let settings = [
        Deployment::provisioned("ptu", "gpt-4o", bucket),
        Deployment::pay_as_you_go("payg", "gpt-4o", quota()),
        Deployment::pay_as_you_go("o1", "o1", quota()),
    ]
    .into_iter()
    .fold(Settings::new().seed(7), |all, one| all.deployment(one.latency(quick)));
    Emulator::start(settings).await.unwrap()
}

/// A configuration file; `more` are lines at its top.
fn config(folder: &TempDir, name: &str, url: &str, more: &str) -> PathBuf {
    let deployment = |name: &str, model: &str, billing: &str| {
        format!(
            "[deployments.{name}]\nendpoint = \"azure\"\nmodel = \"{model}\"\nbilling = \"{billing}\"\narea = \"global\"\n"
        )
    };
    let text = format!(
        "{more}\n[server]\nlisten = \"127.0.0.1:0\"\n[roles]\nreasoning.models = [\"o1\"]\nchat.models = [\"gpt-4o\"]\n\
         [endpoints.azure]\nurl = \"{url}\"\napi = \"azure\"\napi_version = \"2024-12-01-preview\"\nanonymous = true\n\
         {}ptu = 100\n{}{}",
        deployment("ptu", "gpt-4o", "provisioned"),
        deployment("payg", "gpt-4o", "pay_as_you_go"),
        deployment("o1", "o1", "pay_as_you_go"),
    );
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn load(path: &Path) -> Config {
    let text = std::fs::read_to_string(path).unwrap();
    Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap()
}

/// Forty questions of both kinds and in both languages, no two alike.
fn questions() -> Vec<String> {
    let kinds: [fn(usize) -> String; 8] = [
        |n| format!("Translate number {n} into French."),
        |n| format!("{n}번 고객에게 보낼 감사 인사를 두 문장으로 써 줘."),
        |n| format!("Prove step by step that the square root of {} is irrational.", 2 * n + 3),
        |n| format!("동전 {n}개를 던질 때 앞면이 짝수 번 나올 확률을 단계별로 유도해 줘."),
        |n| format!("Which is larger, {n} or {}? Answer in one word.", n + 1),
        |n| {
            format!(
                "Plan a schedule for {n} workers and {} machines so that no machine idles.",
                n + 2
            )
        },
        |n| format!("Summarize this in {n} words: the shop opens at nine and closes at six."),
        |n| format!("Write a function that finds the {n}-th prime and explain its complexity."),
    ];
    (0..40).map(|index| format!("{} ({MARK})", kinds[index % kinds.len()](index / 8 + 2))).collect()
}

fn asking(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 60, "messages": [{"role": "user", "content": text}]})
}

/// Sends requests to a server of this configuration, one after another, and stops it.
async fn serve(config: &Path, requests: &[(Value, Option<&'static str>)]) {
    let running = start(&load(config)).await.unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    for (body, task) in requests {
        let mut request = Request::post(format!("{}/v1/chat/completions", running.url()));
        request = request.header("content-type", "application/json");
        if let Some(task) = task {
            request = request.header("x-router-task", *task);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
    }
    running.stop().await;
}

fn logging(path: &Path) -> String {
    format!("[request_log]\npath = {path:?}")
}

fn read(path: &PathBuf) -> Vec<LoggedRequest> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(MARK) && !text.contains("prime"), "{text}");
    Log::read(std::slice::from_ref(path)).unwrap().requests
}

fn reasoning(requests: &[LoggedRequest]) -> usize {
    let scored = requests.iter().filter(|request| request.decision.score.is_some());
    scored.filter(|request| request.decision.task.as_deref() == Some("reasoning")).count()
}

fn program(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn report(words: &[&str]) -> Value {
    serde_json::from_str(&program(words)).unwrap()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 0.01 * one.abs().max(other.abs()) + 1e-9
}

fn sum(requests: &[LoggedRequest], figure: fn(&LoggedRequest) -> Option<f64>) -> f64 {
    requests.iter().filter_map(figure).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_written_under_load_is_read_by_all_that_read_logs() {
    let (folder, emulator) = (tempfile::tempdir().unwrap(), emulator().await);
    let log = folder.path().join("requests.jsonl");
    let today = config(&folder, "today.toml", emulator.url(), &logging(&log));
    let questions = questions();
    let mut requests: Vec<_> = questions.iter().map(|text| (asking("auto", text), None)).collect();
    // Who names what they want, and a prompt long enough for the cache, twice.
    requests.push((asking("o1", "Hello"), None));
    requests.push((asking("chat", "Hello"), None));
    requests.push((asking("auto", "Hello"), Some("reasoning")));
    let long = "The terms of the contract are as follows. ".repeat(300);
    requests.extend([(asking("chat", &long), None), (asking("chat", &long), None)]);
    serve(&today, &requests).await;
    let logged = read(&log);
    assert_eq!(logged.len(), requests.len());
    let cached: u64 = logged.iter().filter_map(|request| request.outcome.cached_tokens).sum();
    assert!(cached >= 1_024, "{cached}");
    let (path, today) = (log.to_str().unwrap(), today.to_str().unwrap());

    // Simulated and sized: every call is there, at the price that was recorded.
    let simulated = report(&["simulate", "--trace", path, "--config", today, "--json"]);
    let of_task = |request: &LoggedRequest| match request.decision.task.as_deref() {
        Some("reasoning") => request.outcome.reasoning_usd,
        _ => request.outcome.chat_usd,
    };
    // Which model a caller named is not played: its tokens count as chat.
    let recorded = sum(&logged, of_task);
    let all = simulated["all_payg_usd"].as_f64().unwrap();
    assert!((all - recorded).abs() < 0.1 * recorded, "{all}, {recorded}");
    assert_eq!(simulated["policies"][0]["visible_failures"], 0);
    let words =
        ["size", "--trace", path, "--config", today, "--ptu-hourly-usd", "1", "--most", "20"];
    let sized = report(&[&words[..], &["--json"]].concat());
    let chats = logged.len() - reasoning(&logged);
    assert!(sized["calls"].as_u64().unwrap() >= u64::try_from(chats).unwrap(), "{sized}");

    // Calibrated, and set: on the same requests the share is what was wished, to within one.
    let target = 0.3;
    let words = ["calibrate", "--log", path, "--target-share", "0.3", "--config", today];
    let found = report(&[&words[..], &["--json"]].concat());
    assert_eq!((&found["requests"], &found["scored"]), (&json!(45), &json!(40)));
    assert!(near(
        found["present"]["share"].as_f64().unwrap() * 40.0,
        as_f64(reasoning(&logged) - 1)
    ));
    let threshold = found["found"]["threshold"].as_f64().unwrap();
    let text = program(&words);
    assert!(text.contains(&format!("[routing] threshold = {threshold}")), "{text}");
    assert!(text.contains("only 40 scored requests") && text.contains("hysteresis"), "{text}");
    let second = folder.path().join("second.jsonl");
    let more = format!("{}\n[routing]\nthreshold = {threshold}", logging(&second));
    let tomorrow = config(&folder, "tomorrow.toml", emulator.url(), &more);
    serve(&tomorrow, &requests[..40]).await;
    let held = as_f64(reasoning(&read(&second)));
    assert!((held - target * 40.0).abs() <= 1.0, "{held} of 40 by {threshold}");

    // Replayed: the present configuration costs what it cost, the other what its threshold makes of it.
    let tomorrow = tomorrow.to_str().unwrap();
    let words = ["replay", "--log", path, "--config", today, "--vs", tomorrow];
    let replayed = report(&[&words[..], &["--json"]].concat());
    let [before, after] = [&replayed["configs"][0], &replayed["configs"][1]];
    let figure = |side: &Value, name: &str| side[name].as_f64().unwrap();
    let paid = sum(&logged, |request| request.outcome.cost_usd);
    assert!(near(figure(before, "pay_as_you_go_usd"), paid), "{before} {paid}");
    let was =
        as_f64(logged.iter().filter(|it| it.decision.task.as_deref() == Some("reasoning")).count());
    assert!(near(figure(before, "reasoning_share") * 45.0, was), "{before}");
    assert!(near(figure(before, "named_share") * 45.0, 1.0), "{before}");
    assert!(near(figure(after, "reasoning_share") * 45.0, held + 1.0), "{after}");
    assert_eq!(held < was - 1.0, figure(after, "total_usd") < figure(before, "total_usd"));
    for side in [before, after] {
        assert_eq!((&side["failures"], &side["fallbacks"]), (&json!(0), &json!(0)));
        assert!(figure(side, "p50_ms") > 300.0 && figure(side, "p99_ms") >= figure(side, "p50_ms"));
    }
    assert_eq!(replayed, report(&[&words[..], &["--json"]].concat()), "twice the same");
    let text = program(&words);
    for row in ["today", "tomorrow", "reasoning %", "429s of upstreams", "p95 ms", "change"] {
        assert!(text.contains(row), "{row} in\n{text}");
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn refused(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_router-server")).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{words:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_no_log_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let unscored = write("unscored.jsonl", "{\"at_unix_ms\":1,\"prompt_tokens\":5}\n");
    let broken = write("broken.jsonl", "{\"at_unix_ms\":1}\n{\"at_unix_ms\":\"x\"}\n");
    let calibrate = |path: &str| refused(&["calibrate", "--target-share", "0.2", "--log", path]);
    assert!(calibrate(&unscored).contains("no request in the log was scored"));
    assert!(calibrate(&broken).contains("broken.jsonl: line 2: expected a line of a request log"));
    assert!(calibrate("no/such.jsonl").contains("no/such.jsonl: "));
    let config = config(&folder, "c.toml", "http://127.0.0.1:9", "");
    let told = refused(&["replay", "--log", &unscored, "--config", config.to_str().unwrap()]);
    assert!(told.contains("no request in the log can be played"), "{told}");
}
