//! A reload while requests are served: new requests use the new configuration, running ones finish
//! under the old one, and the state of deployments that stay is kept.

use std::time::Duration;

use azure_emulator::Step;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::{Answer, Bench, Layout, PATIENCE, checked, question};

/// Runs another configuration before the same emulator.
#[track_caller]
pub(crate) fn change(bench: &Bench, layout: &Layout) {
    bench.server.reload(checked(&layout.toml(bench.emulator.url()))).unwrap();
}

/// A request on a connection that is kept open; the head of its answer.
async fn asked_on(connection: &mut TcpStream, body: &Value) -> String {
    let body = body.to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
    let request = format!("{head}{}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let count = connection.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the connection was closed");
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if rest.len() >= length.parse().unwrap() {
            return head.to_owned();
        }
    }
}

#[tokio::test]
async fn an_open_connection_meets_the_new_configuration_at_its_next_request() {
    let layout = Layout::pair().set("routing.threshold", 1.0);
    let bench = layout.clone().start().await;
    let mut connection = TcpStream::connect(bench.server.addr()).await.unwrap();
    let body = question("auto", json!({}));
    assert!(asked_on(&mut connection, &body).await.contains("x-router-task: chat"));
    change(&bench, &layout.clone().set("routing.threshold", 0.0));
    assert!(asked_on(&mut connection, &body).await.contains("x-router-task: reasoning"));
    change(&bench, &layout.payg("another", "gpt-4o-mini"));
    assert!(asked_on(&mut connection, &body).await.contains("x-router-task: chat"));
    assert_eq!(bench.ask("gpt-4o-mini", json!({})).await.status, 502, "not at the emulator");
}

#[tokio::test]
async fn a_stream_under_way_ends_under_the_old_configuration() {
    let layout = Layout::pair();
    let bench = layout.clone().start().await;
    let step = Step::normal().text("one two three").pause_after(1, Duration::from_millis(300));
    bench.emulator.script("chat_ptu", step);
    let body = question("chat", json!({"stream": true}));
    let response = bench.request(&body).send().await.unwrap();
    let headers = response.headers().clone();
    let in_flight = "model_router_deployment_in_flight{deployment=\"chat_ptu\"}";
    assert!(bench.metric(in_flight).await > 0.5);
    change(&bench, &Layout::empty().payg("chat_payg", "gpt-4o").payg("o1_payg", "o1"));
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_payg", false);
    assert!(!bench.get("/metrics").await.text.contains(in_flight), "it is no longer there");
    let answer = Answer { status: 200, headers, text: response.text().await.unwrap() };
    answer.assert_answered_by("chat_ptu", true);
    assert_eq!(answer.content(), "one two three");
    change(&bench, &layout);
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
    assert!(bench.metric(in_flight).await < 0.5);
}

#[tokio::test]
async fn a_deployment_that_stays_is_not_asked_before_the_wait_it_asked_for() {
    let layout = Layout::pair();
    let bench = layout.clone().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000));
    bench.ask("chat", json!({})).await.assert_answered_by("chat_payg", false);
    for (threshold, ptu) in [(0.2, 100), (0.3, 100), (0.3, 200)] {
        let changed = layout.clone().set("routing.threshold", threshold);
        change(&bench, &changed.set("deployments.chat_ptu.ptu", ptu));
        bench.ask("chat", json!({})).await.assert_answered_by("chat_payg", false);
    }
    assert_eq!(bench.counts(["chat_ptu"]), [1], "it was asked early");
    // A different Azure deployment under the same name has requested no wait.
    let other = layout.text("deployments.chat_ptu.azure_deployment", "chat_payg");
    change(&bench, &other);
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("chat_ptu")), "{answer:?}");
}

#[tokio::test]
async fn a_cooldown_of_pay_as_you_go_is_carried_on_too() {
    let layout = Layout::empty().payg("one", "gpt-4o").payg("two", "gpt-4o").payg("o1_payg", "o1");
    let bench = layout.clone().start().await;
    bench.emulator.script("one", Step::throttled([("retry-after", "30")]).forever());
    for _ in 0..3 {
        bench.ask("chat", json!({})).await.assert_answered_by("two", false);
        change(&bench, &layout);
    }
    assert!(bench.counts(["one"]) <= [1]);
    let verbose = bench.get("/readyz?verbose").await.json();
    let standing = |name: &str| {
        let all = verbose["deployments"].as_array().unwrap().iter();
        all.filter(|one| one["deployment"] == name).map(|one| one["cooling"].clone()).next()
    };
    if bench.counts(["one"]) == [1] {
        assert_eq!(standing("one").unwrap()["cause"], "throttled", "{verbose}");
    }
    assert_eq!(standing("two").unwrap(), Value::Null, "{verbose}");
}

#[tokio::test]
async fn those_who_wait_keep_their_turn_and_enter_when_there_is_room() {
    let layout = Layout::pair().set("capacity.max_wait_ms", 10_000);
    let bench = layout.clone().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(400));
    // A new conversation, which stays at its deployment.
    let hurried = bench.request(&question("chat", json!({})));
    let hurried = hurried.header("x-router-max-wait-ms", "0").header("x-router-session", "other");
    let began = Instant::now();
    Answer::of(hurried).await.assert_answered_by("chat_payg", false);
    let changes = async {
        while bench.metric("model_router_in_flight").await < 4.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..5 {
            change(&bench, &layout);
        }
        change(&bench, &layout.clone().set("deployments.chat_ptu.ptu", 99));
    };
    let asks = join_all((0..4).map(|_| bench.ask("chat", json!({"max_tokens": 50}))));
    let (answers, ()) = tokio::join!(asks, changes);
    for answer in answers {
        answer.assert_answered_by("chat_ptu", false);
    }
    assert!(began.elapsed() >= Duration::from_millis(400), "it was asked early");
    assert!(bench.metric("model_router_in_flight").await < 0.5);
}

#[tokio::test]
async fn a_storm_of_changes_loses_no_request_and_leaks_no_count() {
    let layout = Layout::pair();
    let bench = layout.clone().start().await;
    let changes = async {
        for number in 0..60u32 {
            let changed = layout.clone().set("routing.threshold", f64::from(number % 10) / 10.0);
            let changed = changed.set("deployments.chat_ptu.ptu", 90 + number % 7);
            let changed = changed.set("capacity.conversations_max", 1_000 + number % 2);
            let changed = changed.set("limits.stored_responses", 1_000 + number % 3);
            change(&bench, &changed);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let caller = |caller: usize| {
        let bench = &bench;
        async move {
            for number in 0..30 {
                let model = ["auto", "chat", "reasoning"][number % 3];
                let streamed = (caller + number).is_multiple_of(2);
                let answer = bench.ask_in_form(model, streamed).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(!streamed || answer.is_whole_stream(), "{answer:?}");
            }
        }
    };
    tokio::join!(join_all((0..8).map(caller)), changes);
    let text = bench.get("/metrics").await.text;
    let in_flight =
        text.lines().filter(|line| line.contains("in_flight") && !line.starts_with('#'));
    for line in in_flight {
        assert!(line.ends_with(" 0"), "{line}");
    }
    let count = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!((count("model_router_decisions_total") - 240.0).abs() < 0.5, "counted on and once");
    assert!((count("model_router_config_reloads_total{result=\"success\"}") - 60.0).abs() < 0.5);
}

#[tokio::test]
async fn what_cannot_change_while_it_runs_keeps_its_value_and_is_told() {
    let layout = Layout::pair();
    let bench = layout.clone().start().await;
    let moved = layout.clone().text("server.listen", "127.0.0.1:1").text("server.log", "json");
    change(&bench, &moved.set("routing.threshold", 0.9));
    let config = bench.get("/readyz?verbose").await.json()["config"].clone();
    assert_eq!(config["last_reload"]["needs_restart"], json!(["server.listen", "server.log"]));
    assert_eq!(config["last_reload"]["successful"], true);
    // A configuration that must not be served is refused as a whole.
    let mut open = checked(&layout.toml(bench.emulator.url()));
    open.server.listen = "0.0.0.0:0".parse().unwrap();
    bench.server.reload(open).unwrap();
    assert_eq!(bench.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_request_log_goes_on_with_one_line_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let logged = |name: &str| Layout::pair().text("request_log.path", path(name).to_str().unwrap());
    let bench = logged("one.jsonl").start().await;
    let lines = |name: &str| {
        std::fs::read_to_string(path(name)).map_or(0, |text| text.matches('\n').count())
    };
    for (name, count) in [("one.jsonl", 1), ("one.jsonl", 2), ("two.jsonl", 1)] {
        change(&bench, &logged(name));
        bench.ask("chat", json!({})).await;
        // It is written a moment after the answer.
        let began = Instant::now();
        while lines(name) < count && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    change(&bench, &Layout::pair());
    bench.ask("chat", json!({})).await;
    let Bench { server, .. } = bench;
    server.stop().await;
    assert_eq!((lines("one.jsonl"), lines("two.jsonl")), (2, 1));
}
