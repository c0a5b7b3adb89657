//! From traffic to a better configuration: a server writes a log under load, and what reads logs reads this one. Each
//! program runs as its user runs it.
#![cfg(feature = "lab")]
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
use router_core::log_line::{Log, LoggedRequest};
use router_core::units::Day;
use router_server::Config;
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
        Deployment::provisioned("ptu", "gpt-4o", bucket).prompt_cache(Duration::from_secs(60)),
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
            "[deployments.{name}]\nendpoint = \"azure\"\nmodel = \"{model}\"\n\
             azure_deployment = \"{name}\"\nbilling = \"{billing}\"\narea = \"global\"\n"
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
    let kinds: [fn(&str) -> String; 8] = [
        |about| format!("Translate into French: we sell {about}."),
        |about| format!("{about} 고객에게 보낼 감사 인사를 두 문장으로 써 줘."),
        |about| format!("Prove step by step that the optimal price of {about} is unique."),
        |about| format!("{about} 재고가 부족할 확률을 단계별로 유도해 줘."),
        |about| format!("Which do you like better, {about} or rain? Answer in one word."),
        |about| format!("Plan a schedule for four workers who make {about} so that none idles."),
        |about| format!("Summarize: the shop for {about} opens at nine and closes at six."),
        |about| {
            format!("Write a function that sorts {about} by weight and explain its complexity.")
        },
    ];
    let about = ["bicycles", "green tea", "steel bridges", "old violins", "train tickets"];
    let all = about.iter().flat_map(|about| kinds.map(|kind| format!("{} ({MARK})", kind(about))));
    all.collect()
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
    format!("[request_log]\npath = \"{}\"", path.display())
}

fn read(path: &PathBuf) -> Vec<LoggedRequest> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(MARK) && !text.contains("violins"), "{text}");
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
    // Requests that name a model, and a prompt long enough for the cache, twice.
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
    simulated_and_sized(path, today, &logged);
    let threshold = calibrated(path, today, &logged);

    // Set: on the same requests the share is the configured one, to within one request.
    let second = folder.path().join("second.jsonl");
    let more = format!("{}\n[routing]\nthreshold = {threshold}", logging(&second));
    let tomorrow = config(&folder, "tomorrow.toml", emulator.url(), &more);
    serve(&tomorrow, &requests[..40]).await;
    let held = as_f64(reasoning(&read(&second)));
    assert!((held - 0.3 * 40.0).abs() <= 1.0, "{held} of 40 by {threshold}");
    replayed(path, [today, tomorrow.to_str().unwrap()], &logged, held);
}

/// Every call is there, at the price that was recorded.
fn simulated_and_sized(path: &str, today: &str, logged: &[LoggedRequest]) {
    let simulated = report(&["simulate", "--trace", path, "--config", today, "--json"]);
    // The replay does not use the model that a caller named: its tokens count as chat.
    let of_task = |request: &LoggedRequest| match request.decision.task.as_deref() {
        Some("reasoning") => request.outcome.reasoning_usd,
        _ => request.outcome.chat_usd,
    };
    let recorded = sum(logged, of_task);
    let all = simulated["all_payg_usd"].as_f64().unwrap();
    assert!((all - recorded).abs() < 0.1 * recorded, "{all}, {recorded}");
    assert_eq!(simulated["policies"][0]["visible_failures"], 0);
    let words =
        ["size", "--trace", path, "--config", today, "--ptu-hourly-usd", "1", "--most", "20"];
    let sized = report(&[&words[..], &["--json"]].concat());
    assert_eq!(sized["calls"].as_u64(), u64::try_from(logged.len()).ok(), "{sized}");
}

/// The threshold for three of ten.
fn calibrated(path: &str, today: &str, logged: &[LoggedRequest]) -> f64 {
    let words = ["calibrate", "--log", path, "--target-share", "0.3", "--config", today];
    let found = report(&[&words[..], &["--json"]].concat());
    assert_eq!((&found["requests"], &found["scored"]), (&json!(45), &json!(40)));
    let present = found["present"]["share"].as_f64().unwrap();
    // One of those that reason was hinted: its caller decided.
    assert!(near(present * 40.0, as_f64(reasoning(logged) - 1)));
    assert!(
        found["found"]["pay_as_you_go_usd"].as_f64()
            < found["present"]["pay_as_you_go_usd"].as_f64()
    );
    let threshold = found["found"]["threshold"].as_f64().unwrap();
    let text = program(&words);
    assert!(text.contains(&format!("[routing] threshold = {threshold}")), "{text}");
    assert!(text.contains("only 40 scored requests") && text.contains("hysteresis"), "{text}");
    threshold
}

/// The present configuration costs what it cost, the other what its threshold makes of it.
fn replayed(path: &str, [today, tomorrow]: [&str; 2], logged: &[LoggedRequest], held: f64) {
    let words = ["replay", "--log", path, "--config", today, "--vs", tomorrow];
    let replayed = report(&[&words[..], &["--json"]].concat());
    let [before, after] = [&replayed["configs"][0], &replayed["configs"][1]];
    let figure = |side: &Value, name: &str| side[name].as_f64().unwrap();
    let paid = sum(logged, |request| request.outcome.cost_usd);
    assert!(near(figure(before, "pay_as_you_go_usd"), paid), "{before} {paid}");
    let reasons = |it: &&LoggedRequest| it.decision.task.as_deref() == Some("reasoning");
    let was = as_f64(logged.iter().filter(reasons).count());
    assert!(near(figure(before, "reasoning_share") * 45.0, was), "{before}");
    assert!(near(figure(before, "named_share") * 45.0, 1.0), "{before}");
    assert!(near(figure(after, "reasoning_share") * 45.0, held + 1.0), "{after}");
    assert!(figure(after, "total_usd") < figure(before, "total_usd"));
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

/// Two requests a second for two and a half minutes, a third of which were judged to need reasoning.
fn busy_log(folder: &TempDir) -> PathBuf {
    let lines = (0..300).map(|index| {
        let (task, score) = if index % 3 == 0 { ("reasoning", 0.8) } else { ("chat", 0.2) };
        let reasoning = if task == "reasoning" { 400 } else { 0 };
        let line = json!({
            "at_unix_ms": 1_790_000_000_000_u64 + 500 * index, "operation": "chat", "streamed": index % 2 == 0,
            "score": score, "threshold": 0.5, "decided_by": "score", "task": task, "residency": "global",
            "priority": "interactive", "prompt_tokens": 2_000, "cached_tokens": 0, "max_tokens": 1_000,
            "completion_tokens": 150 + reasoning, "reasoning_tokens": reasoning, "error": null,
        });
        format!("{line}\n")
    });
    let path = folder.path().join("busy.jsonl");
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

#[test]
fn replay_tells_what_more_throughput_another_threshold_and_observing_change() {
    let folder = tempfile::tempdir().unwrap();
    let log = busy_log(&folder);
    let config = |name: &str, more: &str| {
        config(&folder, name, "http://127.0.0.1:9", more).to_str().unwrap().to_owned()
    };
    let small = config("small.toml", "");
    let text = std::fs::read_to_string(&small).unwrap().replace("ptu = 100", "ptu = 15");
    std::fs::write(&small, text).unwrap();
    let figure = |side: &Value, name: &str| side[name].as_f64().unwrap();
    let replayed = |other: &str| {
        let words = ["replay", "--log", log.to_str().unwrap(), "--config", &small, "--vs", other];
        let found = report(&[&words[..], &["--json", "--ptu-hourly-usd", "1"]].concat());
        assert_eq!((&found["requests"], &found["played"]), (&json!(300), &json!(300)));
        [found["configs"][0].clone(), found["configs"][1].clone()]
    };
    // More throughput: less goes elsewhere, and the PTUs are paid for.
    let [before, after] = replayed(&config("large.toml", ""));
    assert!(near(figure(&before, "reasoning_share"), 1.0 / 3.0), "{before}");
    assert!(figure(&before, "provisioned_share") < 0.5, "{before}");
    assert!(near(figure(&after, "provisioned_share"), 2.0 / 3.0), "{after}");
    let used = [&before, &after].map(|side| figure(side, "ptu_used_share"));
    assert!(used[0] > 0.9 && (0.7..0.9).contains(&used[1]), "{used:?}");
    assert!(figure(&before, "pay_as_you_go_usd") > figure(&after, "pay_as_you_go_usd"));
    assert!(near(figure(&before, "ptu_usd") / 15.0, figure(&after, "ptu_usd") / 100.0));
    assert!(figure(&before, "fallbacks") > 10.0 && figure(&after, "fallbacks") == 0.0);
    // Another threshold, and observed scores: nothing is scored again, everything is decided again.
    let higher = replayed(&config("higher.toml", "[routing]\nthreshold = 0.9"));
    let observing = replayed(&config("observing.toml", "[routing]\nmode = \"observe\""));
    for [_, after] in [&higher, &observing] {
        assert!(figure(after, "reasoning_share") == 0.0, "{after}");
        assert_eq!(after["answers_by_deployment"]["o1"], Value::Null);
    }
    assert_eq!(higher[1]["p99_ms"], observing[1]["p99_ms"]);
    let everything = "[routing]\nthreshold = 0.1";
    let [before, after] = replayed(&config("lower.toml", everything));
    // Answers without hidden reasoning get as much as the others had: 550 tokens each, at o1's price.
    let o1 = 300.0 * (2_000.0 * 15.0 + 550.0 * 60.0) / 1e6;
    assert!(near(figure(&after, "pay_as_you_go_usd"), o1), "{after}");
    assert!(figure(&after, "p50_ms") > figure(&before, "p50_ms"));
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
    assert!(told.contains("no request in the log can be replayed"), "{told}");
}

/// Two lines of a log, of two days and two teams.
const SPENT: &str = r#"{"at_unix_ms":1795046400000,"key":"app","team":"search","task":"chat","status":200,"model":"gpt-5.4","deployment":"ptu","billing":"provisioned","prompt_tokens":1000,"completion_tokens":100,"cost_usd":0.0,"pay_as_you_go_usd":0.004,"reasoning_usd":0.01}
{"at_unix_ms":1795132800000,"key":"nightly","team":"data","task":"reasoning","status":200,"model":"gpt-5.6-sol","deployment":"payg","billing":"pay_as_you_go","prompt_tokens":500,"completion_tokens":400,"cost_usd":0.02,"pay_as_you_go_usd":0.02}
"#;

#[test]
fn a_report_adds_up_a_log_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    std::fs::write(&log, SPENT).unwrap();
    let report = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
        command.args(["report", "--log"]).arg(&log).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = report(&["--by", "team"]);
    assert!(table.starts_with("team") && table.contains("data") && table.contains("0.0200"));
    let csv = report(&["--by", "day,team", "--format", "csv"]);
    assert!(csv.starts_with("day,team,requests,"), "{csv}");
    assert!(csv.contains("2026-11-19,search,1,0,1,1000,"), "{csv}");
    let json: Value = serde_json::from_str(&report(&["--format", "json"])).unwrap();
    assert_eq!((&json["from"], &json["to"]), (&json!("2026-11-19"), &json!("2026-11-20")));
    assert_eq!(json["total"]["requests"], 2);
    let later = report(&["--since", "2026-11-20", "--format", "json"]);
    assert!(later.contains("nightly") && !later.contains("\"app\""), "{later}");
    let page = folder.path().join("report.html");
    report(&["--format", "html", "--out", page.to_str().unwrap()]);
    assert!(std::fs::read_to_string(page).unwrap().contains("<td class=\"n\">nightly</td>"));
}
