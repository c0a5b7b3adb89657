//! The request log: one line per request, however it ends, without content. A disk that fails or
//! hangs fails no request.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use azure_emulator::Step;
use router_core::log_line::{Log, LoggedRequest};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Answer, Bench, Layout, PATIENCE, checked, question};

/// Whatever a caller or an upstream writes has this word in it.
const MARK: &str = "xylophone";

fn layout(folder: &TempDir) -> Layout {
    Layout::pair().text("request_log.path", folder.path().join("r.jsonl").to_str().unwrap())
}

fn read(path: &Path) -> Vec<LoggedRequest> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(!text.contains(MARK), "{text}");
    let log = Log::parse(&text).unwrap();
    assert_eq!(log.torn, 0);
    log.requests
}

/// The lines, once there are so many; they are written a moment after the answer.
async fn lines(path: &Path, count: usize) -> Vec<LoggedRequest> {
    let began = Instant::now();
    loop {
        let found = read(path);
        if found.len() >= count {
            assert_eq!(found.len(), count, "{found:?}");
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn word(text: Option<&str>) -> &str {
    text.unwrap_or_default()
}

#[tokio::test]
async fn a_line_tells_what_was_decided_what_it_used_and_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let bench = layout(&folder).start().await;
    let body = question("auto", json!({"max_tokens": 9, "user": MARK, "metadata": {MARK: MARK}}));
    let request = bench.request(&body).header("x-request-id", "mine-1");
    let answer = Answer::of(request.header("x-router-session", MARK)).await;
    assert_eq!(answer.status, 200);
    bench.server.stop().await;
    let [line] = read(&folder.path().join("r.jsonl")).try_into().unwrap();
    assert_eq!(line.request_id.as_deref(), Some("mine-1"));
    assert_eq!((&line.key, line.max_tokens, line.streamed), (&None, Some(9), Some(false)));
    assert_eq!(word(line.operation.as_deref()), "chat");
    let decision = &line.decision;
    assert_eq!(word(decision.task.as_deref()), "chat");
    assert_eq!((decision.threshold, &decision.would), (Some(0.5), &None));
    assert!(decision.score.is_some_and(|score| (0.0..0.5).contains(&score)), "{line:?}");
    assert_eq!(word(decision.decided_by.as_deref()), "score");
    assert_eq!(word(decision.residency.as_deref()), "global");
    assert_eq!(word(decision.priority.as_deref()), "interactive");
    assert_eq!(word(decision.first_deployment.as_deref()), "chat_ptu");
    let outcome = &line.outcome;
    assert_eq!((outcome.status, word(outcome.deployment.as_deref())), (Some(200), "chat_ptu"));
    assert_eq!(word(outcome.billing.as_deref()), "provisioned");
    let told = &answer.json()["usage"];
    assert_eq!(outcome.prompt_tokens, told["prompt_tokens"].as_u64());
    assert_eq!(outcome.completion_tokens, told["completion_tokens"].as_u64());
    assert_eq!(outcome.cost_usd, Some(0.0), "provisioned");
    assert!(outcome.pay_as_you_go_usd > Some(0.0) && outcome.pay_as_you_go_usd == outcome.chat_usd);
    assert!(outcome.reasoning_usd > outcome.chat_usd, "{outcome:?}");
    assert_eq!((line.attempts, line.trail.len()), (Some(1), 1));
    assert_eq!((line.fallback, line.error, line.waited_ms), (None, None, Some(0)));
}

#[tokio::test]
async fn every_end_leaves_one_line_and_none_has_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let bench = layout(&folder).start().await;
    let marked = |model: &str, more: serde_json::Value| {
        let mut body = question(model, more);
        body["messages"][0]["content"] = json!(format!("Tell me of the {MARK}."));
        body
    };
    // A fallback, whole and streamed.
    for streamed in [false, true] {
        bench.emulator.script("chat_ptu", Step::throttled_ms(30));
        bench.emulator.script("chat_payg", Step::normal().text(&format!("A {MARK}!")));
        let answer = bench.chat(&marked("chat", json!({"stream": streamed}))).await;
        assert!(answer.text.contains(MARK), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let found = lines(&path, 2).await;
    for (line, streamed) in found.iter().zip([false, true]) {
        assert_eq!(word(line.fallback.as_deref()), "throttled");
        let went: Vec<_> =
            line.trail.iter().map(|step| (&*step.deployment, &*step.outcome)).collect();
        assert_eq!(went, [("chat_ptu", "throttled"), ("chat_payg", "served")]);
        assert_eq!((line.trail[0].wait_ms, line.trail[1].wait_ms), (Some(30), None));
        assert_eq!(word(line.decision.first_deployment.as_deref()), "chat_ptu");
        assert_eq!(word(line.outcome.deployment.as_deref()), "chat_payg");
        assert_eq!(
            (line.streamed, line.outcome.first_content_ms.is_some()),
            (Some(streamed), streamed)
        );
    }
    // A name that means nothing, a refusal of the upstream, a stream that breaks off, a caller that hangs up.
    bench.chat(&marked(MARK, json!({}))).await;
    bench.emulator.script("o1_payg", Step::content_filter());
    bench.chat(&marked("o1", json!({}))).await;
    bench
        .emulator
        .script("chat_payg", Step::normal().text(&format!("{MARK} {MARK} {MARK}")).cut_after(2));
    bench.chat(&marked("deployment:chat_payg", json!({"stream": true}))).await;
    lines(&path, 5).await;
    bench.emulator.script("o1_payg", Step::hang());
    let asking = bench.request(&marked("o1", json!({}))).send();
    let arrived = bench
        .emulator
        .wait_for(|all| all.iter().any(|one| one.end == azure_emulator::End::InFlight), PATIENCE);
    tokio::select! {
        answer = asking => panic!("answered: {answer:?}"),
        arrived = arrived => assert!(arrived),
    }
    let found = lines(&path, 6).await;
    let errors: Vec<_> = found.iter().map(|line| word(line.error.as_deref())).collect();
    let expected = ["", "", "model_not_found", "rejected", "stream_interrupted", "caller_hung_up"];
    assert_eq!(errors, expected);
    assert_eq!(found[2].decision, router_core::log_line::LoggedDecision::default());
    assert_eq!((found[3].outcome.status, found[3].tokens()), (Some(400), None));
    assert_eq!(found[4].outcome.usage_estimated, Some(true));
    assert!(bench.metric("model_router_request_log_lines_total{outcome=\"written\"}").await > 5.5);
}

#[tokio::test]
async fn who_moves_the_file_finds_it_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("r.jsonl"), folder.path().join("moved"));
    let bench = layout(&folder).start().await;
    bench.ask("chat", json!({})).await;
    lines(&path, 1).await;
    std::fs::rename(&path, &moved).unwrap();
    bench.ask("chat", json!({})).await;
    lines(&path, 1).await;
    assert_eq!(read(&moved).len(), 1);
}

#[tokio::test]
async fn full_files_are_kept_aside_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(&folder).set("request_log.max_bytes", 65_536).set("request_log.keep", 3);
    let bench = layout.start().await;
    let count = 120;
    for _ in 0..count {
        assert_eq!(bench.ask("auto", json!({})).await.status, 200);
    }
    bench.server.stop().await;
    let paths = ["r.jsonl", "r.jsonl.1", "r.jsonl.2"].map(|name| folder.path().join(name));
    for path in &paths {
        let size = std::fs::metadata(path).map_or(0, |found| found.len());
        assert!(size <= 65_536, "{path:?}: {size}");
    }
    assert!(paths[1].exists());
    let found: usize = paths.iter().map(|path| read(path).len()).sum();
    assert_eq!(found, count);
}

/// A disk without room: `path` leads to a device that is always full.
#[tokio::test]
async fn a_full_disk_fails_no_request() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(full, folder.path().join("r.jsonl")).unwrap();
    let bench = layout(&folder).start().await;
    for _ in 0..3 {
        bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
    }
    let failed = "model_router_request_log_lines_total{outcome=\"failed\"}";
    let began = Instant::now();
    while bench.metric(failed).await < 2.5 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A disk that hangs: a pipe without a reader, which blocks on opening.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let bench = layout(&folder).start().await;
    for _ in 0..3 {
        bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
    }
    // Now it answers again, and the lines written meanwhile arrive.
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap());
    let Bench { server, .. } = bench;
    server.stop().await;
    let text = reading.await.unwrap();
    assert_eq!(Log::parse(&text).unwrap().requests.len(), 3);
}

#[tokio::test]
async fn a_server_whose_log_cannot_be_written_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/r.jsonl");
    let layout = Layout::pair().text("request_log.path", path.to_str().unwrap());
    let fault =
        router_server::start(&checked(&layout.toml("http://127.0.0.1:9"))).await.unwrap_err();
    let told = fault.to_string();
    assert!(
        told.starts_with("request_log.path: ") && told.ends_with("missing does not exist"),
        "{told}"
    );
}
