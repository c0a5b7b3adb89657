//! Buckets, quotas, keys and header limits, seen from outside.

use super::support::*;
use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, End, Latency, Settings, Step};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_full_ptu_says_how_long_and_admits_after_that() {
    let emulator = started().await;
    assert!(emulator.fill("ptu", 1.1));
    let full = ask(&emulator, "ptu", &body("hi", json!({"max_tokens": 10}))).await;
    assert_eq!(full.status(), 429);
    let header = |name: &str| full.headers()[name].to_str().unwrap().to_owned();
    let wait_ms: u64 = header("retry-after-ms").parse().unwrap();
    assert!((1..=1_000).contains(&wait_ms), "10 % of 10 s less what has passed: {wait_ms}");
    assert_eq!(header("retry-after"), "1");
    let utilization = header("azure-openai-deployment-utilization");
    let percent: f64 = utilization.strip_suffix('%').unwrap().parse().unwrap();
    // Read a moment after the wait was computed, and rounded.
    assert!((100.0..=110.0).contains(&percent), "{utilization}");
    assert_eq!(error_of(full).await.1["code"], "429");
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    let admitted = ask(&emulator, "ptu", &body("hi", json!({"max_tokens": 10}))).await;
    assert_eq!(admitted.status(), 200);
    let counters = emulator.counters("ptu").unwrap();
    assert_eq!((counters.ok, counters.throttled, counters.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn the_reservation_is_given_back_at_the_end() {
    let emulator = started().await;
    let response = ask(&emulator, "ptu", &body("hi", json!({"max_tokens": 4_000}))).await;
    let utilization = response.headers()["azure-openai-deployment-utilization"].to_str().unwrap();
    assert!(utilization.ends_with('%'));
    assert!(emulator.counters("ptu").unwrap().admitted_tokens > 16_000.0);
    // 24 tokens at ratio 4 and a handful of prompt, of 6,250.
    assert!(emulator.utilization("ptu").unwrap() < 0.03);
}

#[tokio::test]
async fn quotas_show_in_headers_and_refuse() {
    let tight = Deployment::pay_as_you_go("tight", "gpt-4o", QuotaSettings::new(60, 1_000));
    let emulator = start_with(Settings::new().deployment(tight)).await;
    let first = ask(&emulator, "tight", &body("hi", json!({"max_tokens": 100}))).await;
    assert_eq!(first.headers()["x-ratelimit-limit-tokens"], "1000");
    assert_eq!(first.headers()["x-ratelimit-remaining-tokens"], "899");
    let large = ask(&emulator, "tight", &body("hi", json!({"max_tokens": 950}))).await;
    assert_eq!(large.status(), 429);
    let seconds: u64 = large.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((55..=60).contains(&seconds));
    let message = error_of(large).await.1["message"].as_str().unwrap().to_owned();
    assert!(message.contains("exceeded token rate limit"), "{message}");
    assert!(message.contains(&format!("retry after {seconds} seconds")), "{message}");
}

#[tokio::test]
async fn openai_words_its_429_in_its_own_way() {
    let tight = Deployment::pay_as_you_go("tight", "gpt-4o", QuotaSettings::new(60, 10));
    let emulator = start_with(Settings::new().deployment(tight)).await;
    let url = format!("{}/v1/chat/completions", emulator.url());
    let request = body("hi", json!({"model": "tight", "max_tokens": 50}));
    let refused = client().post(url).json(&request).send().await.unwrap();
    assert!(refused.headers()["x-ratelimit-reset-tokens"].to_str().unwrap().ends_with('s'));
    let (status, error) = error_of(refused).await;
    assert_eq!((status, &error["code"]), (429, &json!("rate_limit_exceeded")));
    assert!(error["message"].as_str().unwrap().contains("Limit 10"));
}

#[tokio::test]
async fn keys_are_asked_for_in_either_header() {
    let emulator = start_with(Settings::new().api_key("k1").api_key("k2")).await;
    let with = |name: &'static str, value: &'static str| {
        let request = body("hi", json!({}));
        client().post(dated(&emulator, "payg")).header(name, value).json(&request).send()
    };
    assert_eq!(with("api-key", "k1").await.unwrap().status(), 200);
    assert_eq!(with("authorization", "Bearer k2").await.unwrap().status(), 200);
    let (status, error) = error_of(with("api-key", "wrong").await.unwrap()).await;
    assert_eq!((status, &error["code"]), (401, &json!("401")));
    let url = format!("{}/v1/chat/completions", emulator.url());
    let openai = client().post(url).json(&body("hi", json!({}))).send().await.unwrap();
    assert_eq!(error_of(openai).await.1["code"], "invalid_api_key");
}

#[tokio::test]
async fn more_than_ten_custom_headers() {
    let emulator = started().await;
    let send = |count: usize| {
        let request = client().post(dated(&emulator, "payg")).json(&body("hi", json!({})));
        (0..count).fold(request, |request, index| request.header(format!("x-{index}"), "1")).send()
    };
    assert_eq!(send(10).await.unwrap().status(), 200);
    assert_eq!(send(11).await.unwrap().status(), 431);
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_noticed_and_its_reservation_returned() {
    let slow = Latency { first_token: Duration::from_secs(60), tokens_per_second: 1.0 };
    let bucket = BucketSettings::new(15.0, 2_500.0, 4.0);
    let deployment = Deployment::provisioned("slow", "gpt-4o", bucket).latency(slow);
    let emulator = start_with(Settings::new().deployment(deployment)).await;
    let request = body("hi", json!({"max_tokens": 1_000}));
    let sent = client().post(dated(&emulator, "slow")).json(&request).send();
    let generous = Duration::from_secs(10);
    let in_flight = emulator.wait_for(|entries| entries.len() == 1, generous);
    tokio::select! {
        biased;
        _ = sent => unreachable!("the answer takes a minute"),
        seen = in_flight => assert!(seen),
    }
    let hung_up = |entries: &[azure_emulator::Entry]| entries[0].end == End::HungUp;
    assert!(emulator.wait_for(hung_up, generous).await);
    let counters = emulator.counters("slow").unwrap();
    assert_eq!((counters.in_flight, counters.hung_up), (0, 1));
    assert!(emulator.utilization("slow").unwrap() < 0.01, "nothing had been written yet");
    assert_eq!(emulator.journal()[0].status, None);
}

#[tokio::test]
async fn hanging_up_inside_a_stream_is_noticed() {
    let slow = Latency { first_token: Duration::ZERO, tokens_per_second: 20.0 };
    let deployment =
        Deployment::pay_as_you_go("slow", "gpt-4o", QuotaSettings::new(600, 100_000)).latency(slow);
    let emulator = start_with(Settings::new().deployment(deployment)).await;
    let wish = json!({"stream": true, "metadata": {"emulator_output_tokens": 2_000}});
    let mut response = ask(&emulator, "slow", &body("hi", wish)).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let hung_up = |entries: &[azure_emulator::Entry]| entries[0].end == End::HungUp;
    assert!(emulator.wait_for(hung_up, Duration::from_secs(10)).await);
    assert_eq!(emulator.journal()[0].status, Some(200));
    assert!(emulator.counters("slow").unwrap().completion_tokens < 1_000);
}

#[tokio::test]
async fn http_2_is_spoken_and_a_cancelled_stream_noticed() {
    let emulator = started().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = body("hi", json!({"stream": true}));
    let send = || client.post(dated(&emulator, "payg")).json(&request).send();
    let response = send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let (stream, clean) = drained(response).await;
    assert!(clean && stream.ends_with("data: [DONE]\n\n"));

    emulator.script("payg", Step::normal().stall_after(1));
    let mut stalled = send().await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    drop(stalled);
    let hung_up = |entries: &[azure_emulator::Entry]| entries[1].end == End::HungUp;
    assert!(emulator.wait_for(hung_up, Duration::from_secs(10)).await);
    assert_eq!(emulator.counters("payg").unwrap().hung_up, 1);
}

#[tokio::test]
async fn the_journal_keeps_what_came_in() {
    let emulator = started().await;
    ask(&emulator, "payg", &body("hi", json!({"user": "u"}))).await;
    ask(&emulator, "nowhere", &body("hi", json!({}))).await;
    let complete =
        |entries: &[azure_emulator::Entry]| entries.iter().all(|entry| entry.end == End::Complete);
    assert!(emulator.wait_for(complete, Duration::from_secs(10)).await);
    let journal = emulator.journal();
    let statuses: Vec<_> = journal.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Some(200), Some(404)]);
    assert_eq!(journal[0].json().unwrap()["user"], "u");
    assert_eq!(journal[0].query.as_deref(), Some("api-version=2024-10-21"));
    assert_eq!(journal[0].header("content-type"), Some("application/json"));
    assert_eq!(emulator.requests_to("payg").len(), 1);
    emulator.clear_journal();
    assert!(emulator.journal().is_empty());
}

#[tokio::test]
async fn stop_closes_the_port() {
    let emulator = started().await;
    let addr = emulator.addr();
    emulator.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn settings_that_make_no_sense() {
    let bucket = BucketSettings::new(0.0, 2_500.0, 4.0);
    let settings = Settings::new().deployment(Deployment::provisioned("p", "gpt-4o", bucket));
    let fault = azure_emulator::Emulator::start(settings).await.unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::InvalidInput);
}
