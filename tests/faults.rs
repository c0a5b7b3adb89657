//! Faults of a deployment: no connection, no first byte in time, 408, 5xx, 529. The next deployment
//! answers within the same request, streamed or not, and the failed one comes last for a short
//! while.

use std::time::Duration;

use azure_emulator::{End, Step};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::memory::{Canned, InMemory};
use crate::support::{Bench, Layout, PATIENCE, question};

/// The provisioned deployment fails as scripted; pay-as-you-go answers, and the cause is reported.
async fn check(bench: &Bench, step: Step, streamed: bool, cause: &str) {
    bench.emulator.script("chat_ptu", step);
    let answer = bench.ask_in_form("chat", streamed).await;
    answer.assert_answered_by("chat_payg", streamed);
    assert_eq!(answer.header("x-router-fallback"), Some(cause), "{answer:?}");
    assert_eq!(answer.header("x-router-attempts"), Some("2"), "{answer:?}");
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 1]);
    let line = format!(
        "model_router_attempts_total{{billing=\"provisioned\",deployment=\"chat_ptu\",outcome=\"{cause}\"}}"
    );
    assert!((bench.metric(&line).await - 1.0).abs() < 1e-9, "{line}");
}

#[tokio::test]
async fn statuses_that_mean_a_fault_go_on_to_the_next_deployment() {
    for streamed in [false, true] {
        for status in [408, 500, 502, 503, 504, 529] {
            let body = json!({"error": {"code": status.to_string(), "message": "fault"}});
            let step = Step::answer(status, [], body.to_string());
            check(&Layout::pair().start().await, step, streamed, "status_5xx").await;
        }
    }
}

#[tokio::test]
async fn a_fault_that_asks_for_a_wait_is_reported_with_it_and_its_own_code() {
    let bench = Layout::empty().payg("only", "gpt-4o").payg("o1_payg", "o1").start().await;
    bench.emulator.script("only", Step::answer(503, [("retry-after-ms", "300")], "{}"));
    let started = tokio::time::Instant::now();
    // The first caller and the next ones get the same answer: nothing is full.
    loop {
        let answer = bench.ask_in_form("chat", false).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!((answer.status, answer.code().as_str()), (503, "upstream_unavailable"));
        assert!((1..=300).contains(&answer.number("retry-after-ms")), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("x-should-retry"), Some("true"));
        assert_eq!(answer.json()["error"]["type"], "server_error");
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = bench.asked("only");
    assert_eq!(asked.len(), 2);
    assert!(asked[1].received - asked[0].received >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_wait_of_one_deployment_does_not_hide_the_fault_of_another() {
    let bench = Layout::empty()
        .payg("one", "gpt-4o")
        .payg("two", "gpt-4o")
        .payg("o1_payg", "o1")
        .start()
        .await;
    bench.emulator.script("one", Step::answer(503, [("retry-after", "30")], "{}"));
    bench.emulator.script("two", Step::answer(500, [], "{}"));
    let answer = bench.ask_in_form("chat", false).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
    // The second may answer at once; the first is left alone.
    bench.ask_in_form("chat", false).await.assert_answered_by("two", false);
    assert_eq!(bench.counts(["one"]), [1]);
}

#[tokio::test]
async fn a_redirect_is_a_fault_and_is_neither_followed_nor_passed_on() {
    let redirect = |status| Step::answer(status, [("location", "https://elsewhere.example/")], "");
    for status in [301, 302, 307, 308] {
        check(&Layout::pair().start().await, redirect(status), false, "status_5xx").await;
    }
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", redirect(302));
    bench.emulator.script("chat_payg", redirect(302));
    let answer = bench.ask_in_form("chat", false).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
    assert_eq!(answer.header("location"), None);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_fault_by_its_status_alone() {
    let step = Step::answer(502, [("content-type", "text/html")], "<html>bad gateway</html>");
    check(&Layout::pair().start().await, step, false, "status_5xx").await;
}

#[tokio::test]
async fn a_connection_that_is_refused_goes_on_to_the_next_deployment() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    for streamed in [false, true] {
        let bench = Layout::pair()
            .text("endpoints.closed.url", &closed)
            .text("endpoints.closed.api", "azure")
            .text("endpoints.closed.api_version", "2024-12-01-preview")
            .set("endpoints.closed.anonymous", true)
            .text("deployments.chat_ptu.endpoint", "closed")
            .start()
            .await;
        let answer = bench.ask_in_form("chat", streamed).await;
        answer.assert_answered_by("chat_payg", streamed);
        assert_eq!(answer.header("x-router-fallback"), Some("connect"));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_goes_on_to_the_next_deployment() {
    for streamed in [false, true] {
        check(&Layout::pair().start().await, Step::reset(), streamed, "broken").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_breaks_off_in_the_middle_goes_on_to_the_next_deployment() {
    let router = InMemory::new(&Layout::pair(), |attempt, number| {
        Ok(Canned { breaks: number == 0, ..Canned::good(attempt) })
    });
    let (response, _) = router.ask(&question("chat", json!({})), &[]).await.unwrap();
    assert_eq!(response.headers["x-router-deployment"], "chat_payg");
    assert_eq!(response.headers["x-router-fallback"], "broken");
}

#[tokio::test]
async fn no_first_byte_in_time_goes_on_and_the_silent_call_is_cancelled() {
    for streamed in [false, true] {
        let bench = Layout::pair().set("roles.chat.first_byte_timeout_ms", 150).start().await;
        // A whole answer may take as long as its cap is long: so short a one is late soon.
        let body = json!({"stream": streamed, "max_tokens": 2});
        bench.emulator.script("chat_ptu", Step::hang());
        let answer = bench.ask("chat", body).await;
        answer.assert_answered_by("chat_payg", streamed);
        assert_eq!(answer.header("x-router-fallback"), Some("timeout"));
        let cancelled = |entries: &[azure_emulator::Entry]| {
            entries.iter().any(|entry| entry.end == End::HungUp)
        };
        assert!(bench.emulator.wait_for(cancelled, PATIENCE).await);
    }
}

#[tokio::test]
async fn when_all_fail_the_caller_gets_a_502_that_its_client_may_try_again() {
    for streamed in [false, true] {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_ptu", Step::server_error());
        bench.emulator.script("chat_payg", Step::unavailable());
        let answer = bench.ask_in_form("chat", streamed).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
        assert_eq!(answer.header("x-should-retry"), Some("true"));
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn when_none_answers_in_time_the_caller_gets_a_504() {
    let bench = Layout::pair()
        .set("limits.deadline_ms", 200)
        .set("limits.connect_timeout_ms", 100)
        .start()
        .await;
    bench.emulator.script("chat_ptu", Step::hang());
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"), "{answer:?}");
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "the deadline is shared");
}

#[tokio::test(start_paused = true)]
async fn the_cooldown_after_faults_grows_and_ends_with_a_good_answer() {
    // Faults for the first three attempts at the provisioned deployment, then good answers.
    let layout = Layout::pair().set("limits.fault_cooldown_ms", 1_000);
    let faults = std::sync::atomic::AtomicUsize::new(0);
    let router = InMemory::new(&layout, move |attempt, _| {
        let provisioned = attempt.deployment.name.as_str() == "chat_ptu";
        let failed = provisioned && faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3;
        Ok(if failed { Canned::of(503, "{}") } else { Canned::good(attempt) })
    });
    let body = question("chat", json!({}));
    let started = tokio::time::Instant::now();
    while router.arrived().iter().filter(|seen| seen.deployment == "chat_ptu").count() < 5 {
        router.ask(&body, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    let times: Vec<_> = router.arrived();
    let times: Vec<_> = times.iter().filter(|seen| seen.deployment == "chat_ptu").collect();
    let gaps: Vec<u128> =
        times.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis() / 100).collect();
    assert_eq!(gaps, [10, 20, 40, 0], "in tenths of a second");
}

#[tokio::test(start_paused = true)]
async fn after_two_upstreams_that_gave_up_after_minutes_no_other_is_tried() {
    for (status, seconds, attempts, again) in
        [(504, 240, 2, false), (408, 120, 2, false), (504, 5, 3, true), (500, 120, 3, true)]
    {
        let layout = ["a", "b", "c", "d"]
            .into_iter()
            .fold(Layout::empty().payg("o1_payg", "o1"), |layout, name| layout.payg(name, "gpt-4o"))
            .set("limits.retry_budget_per_second", 2.0);
        let router = InMemory::new(&layout, move |_, _| {
            Ok(Canned { delay: Duration::from_secs(seconds), ..Canned::of(status, "{}") })
        });
        let error = router.ask(&question("chat", json!({})), &[]).await.unwrap_err();
        let arrived = router.arrived().len();
        if again {
            assert!(arrived >= attempts, "{status} after {seconds} s: {arrived}");
        } else {
            assert_eq!(arrived, attempts, "{status} after {seconds} s");
            assert_eq!(error.kind().as_str(), "upstream_timeout");
        }
        assert_eq!(error.may_retry(), again, "{status} after {seconds} s");
    }
}
