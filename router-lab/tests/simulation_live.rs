//! The simulator against the world it simulates: the same calls over real sockets, through the router, to the emulator, in
//! real time. Half a minute, because that is what real time costs.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::wire::tokens;
use azure_emulator::{Deployment, Emulator, Latency, Settings};
use clap::Parser;
use futures_util::StreamExt;
use http::HeaderMap;
use prometheus::Registry;
use router_core::config::Config;
use router_core::response::{Body, Response};
use router_core::router::{ChatCall, ModelRouter};
use router_core::units::Day;
use router_lab::simulation::generate::generate;
use router_lab::simulation::routed;
use router_lab::simulation::stage::{Scale, Stage};
use router_lab::simulation::tally::ServedBy;
use router_lab::simulation::workload::{self, Call};
use router_lab::simulation_args::{Generated, Scenario};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

fn config(url: &str) -> Config {
    let text = format!(
        r#"
        [roles]
        reasoning.models = ["gpt-4o"]
        chat.models = ["gpt-4o"]
        [endpoints.azure]
        url = "{url}"
        api = "azure_v1"
        anonymous = true
        [deployments.ptu]
        endpoint = "azure"
        model = "gpt-4o"
        azure_deployment = "ptu"
        billing = "provisioned"
        area = "global"
        ptu = 15
        [deployments.payg]
        endpoint = "azure"
        model = "gpt-4o"
        azure_deployment = "payg"
        billing = "pay_as_you_go"
        area = "global"
        "#
    );
    Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap()
}

/// The part of the command line that makes a scenario.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    scenario: Scenario,
}

fn scenario() -> Scenario {
    let line = "simulate --generate bursty --max-tokens mixed --streamed-share 0.4";
    Line::try_parse_from(line.split(' ')).unwrap().scenario
}

/// Half a minute of calls, whose prompts count in the simulation what the emulator counts.
fn calls() -> Vec<Call> {
    let mut arrivals = generate(Generated::Diurnal, 5);
    // The busy hour of the day, from its first call on.
    arrivals.retain(|arrival| (1_700..1_730).contains(&arrival.at.as_secs()));
    let first = arrivals.first().unwrap().at;
    for arrival in &mut arrivals {
        arrival.at -= first;
    }
    let mut calls = workload::calls(&arrivals, &scenario());
    for (index, call) in calls.iter_mut().enumerate() {
        call.output = call.output.min(400);
        let body: Value = serde_json::from_slice(&routed::body(index, call)).unwrap();
        let text = body["messages"][0]["content"].as_str().unwrap();
        call.prompt = tokens::count(text) + tokens::PER_MESSAGE + tokens::PRIMING;
    }
    calls
}

/// The size of the buckets: small, so that half a minute fills and drains them often.
const WINDOW: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_and_live_agree() {
    let calls = calls();
    let before =
        Stage::set(config("http://127.0.0.1:9"), calls.clone(), Scale::Load(1.0), Some(WINDOW));
    let mut stage = before.unwrap();
    stage.utilization_header = true; // the emulator sends it
    let simulated = routed::play(&stage, &|_| {}).unwrap();
    let by_ptu = |index: usize| simulated.fates[index].by == ServedBy::Provisioned;
    let simulated = saved(&stage, by_ptu);

    let live = live(&stage).await;
    let live = saved(&stage, |index| live[index]);
    assert!((simulated - live).abs() <= 0.05, "{} calls: {simulated}, {live}", calls.len());
    // The agreement must mean something: neither nothing nor everything goes to the PTU.
    assert!((0.2..0.99).contains(&live), "{live}");
}

/// The PTU's share of the calls, by their pay-as-you-go price.
fn saved(stage: &Stage, by_ptu: impl Fn(usize) -> bool) -> f64 {
    let prices = stage.calls.iter().map(|call| stage.price(call)).enumerate();
    let (mut all, mut saved) = (0.0, 0.0);
    for (index, price) in prices {
        all += price;
        saved += if by_ptu(index) { price } else { 0.0 };
    }
    saved / all
}

/// Sends every call at its time; tells of each whether the PTU answered.
async fn live(stage: &Stage) -> Vec<bool> {
    let latency = Latency {
        first_token: workload::FIRST_TOKEN,
        tokens_per_second: workload::TOKENS_PER_SECOND,
    };
    let bucket = stage.pools[0].tanks[0].settings;
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let ptu = Deployment::provisioned("ptu", "gpt-4o", bucket).latency(latency);
    let payg = Deployment::pay_as_you_go("payg", "gpt-4o", quota).latency(latency);
    let emulator = Emulator::start(Settings::new().deployment(ptu).deployment(payg)).await.unwrap();
    // The stage's catalog, at the emulator's address.
    let mut config = config(emulator.url());
    config.catalog = stage.config.catalog.clone();
    let router = ModelRouter::new(&config, &Registry::new()).unwrap();
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for (index, call) in stage.calls.iter().copied().enumerate() {
        tokio::time::sleep_until(began + call.at).await;
        let router = router.clone();
        under_way.spawn(async move { (index, one(&router, index, &call).await) });
    }
    let mut by_ptu = vec![false; stage.calls.len()];
    for (index, served) in under_way.join_all().await {
        by_ptu[index] = served;
    }
    emulator.stop().await;
    by_ptu
}

async fn one(router: &ModelRouter, index: usize, call: &Call) -> bool {
    let mut body: Value = serde_json::from_slice(&routed::body(index, call)).unwrap();
    body["metadata"] = json!({"emulator_output_tokens": call.output.to_string()});
    let mut headers = HeaderMap::new();
    headers.insert("x-router-task", "chat".parse().unwrap());
    let received = Instant::now();
    let asked = ChatCall { headers, received, ..ChatCall::of_body(body.to_string()) };
    let Response { status, headers, body } = router.chat(asked).await.unwrap();
    if let Body::Stream(mut stream) = body {
        while stream.next().await.is_some() {}
    }
    assert!(status.is_success(), "{status}");
    headers["x-router-billing"] == "provisioned"
}
