//! Replicas over a real Redis: real router processes in front of one emulated PTU deployment. Redis and routers are stopped
//! and killed. Without `redis-server`, these tests report that they are skipped.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]
#![expect(clippy::panic, reason = "a helper that cannot continue reports why")]

mod conversations;
mod fleet;
mod shared_keys;

use std::time::Duration;

use azure_emulator::dice::Dice;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use fleet::{Fleet, Got, PATIENCE, RATE, WINDOW, client, get, post, redis, redis_is_here, send};

/// One request of a load, and the time at which it is sent.
struct Arrival {
    at: Duration,
    router: usize,
    words: usize,
    cap: u64,
}

/// Arrivals of `load` times the deployment's throughput, the same in every run.
fn arrivals(load: f64, seconds: f64) -> Vec<Arrival> {
    let mut dice = Dice::new(11, b"replicas");
    let (mut at, mut all) = (0.0, Vec::new());
    // 60 words and a frame are some 75 tokens; answers of 60 tokens count four times.
    let mean = 75.0 + 4.0 * 60.0;
    while at < seconds {
        let words = usize::try_from(dice.roll() % 100).unwrap() + 10;
        let (cap, router) = (150 + dice.roll() % 250, usize::try_from(dice.roll() % 12).unwrap());
        all.push(Arrival { at: Duration::from_secs_f64(at), router, words, cap });
        at += -(1.0 - dice.share()).max(1e-9).ln() * mean / RATE / load;
    }
    all
}

/// The router that got a request, and its answer; `None` if the router was not reachable.
type Came = (usize, Option<Got>);

/// Starts a load in the background.
fn begin(urls: &[String], arrivals: Vec<Arrival>) -> JoinSet<Came> {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    let client = client();
    for (number, arrival) in arrivals.into_iter().enumerate() {
        let (client, to) = (client.clone(), arrival.router % urls.len());
        let text = format!("{number} {}", "word ".repeat(arrival.words));
        let body = json!({"model": "gpt-4o", "max_tokens": arrival.cap,
            "messages": [{"role": "user", "content": text}]});
        let request = post(&urls[to], "/v1/chat/completions", &body);
        under_way.spawn(async move {
            tokio::time::sleep_until(began + arrival.at).await;
            let answer = tokio::time::timeout(PATIENCE, send(&client, request)).await;
            (to, answer.unwrap_or_default())
        });
    }
    under_way
}

fn urls(fleet: &Fleet) -> Vec<String> {
    fleet.routers.iter().map(|router| router.url.clone()).collect()
}

const SECONDS: f64 = 10.0;

/// The share of the PTU's throughput since `began` that answers used, without the reservations that have not drained yet.
fn used(fleet: &Fleet, answers: &[Came], began: Instant) -> f64 {
    let tokens = |got: &Got| {
        let of = |name: &str| got.body["usage"][name].as_f64().unwrap();
        of("prompt_tokens") + 4.0 * of("completion_tokens")
    };
    let answers = answers.iter().filter_map(|(_, got)| got.as_ref());
    let at_ptu = answers.filter(|got| got.headers["x-router-deployment"] == "ptu");
    let left = fleet.emulator.utilization("ptu").unwrap() * RATE * WINDOW;
    (at_ptu.map(tokens).sum::<f64>() - left) / RATE / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "docs/replicas.md repeats the figures")]
async fn two_and_four_routers_waste_at_most_three_points_more_than_one() {
    if !redis_is_here() {
        return;
    }
    let mut found = Vec::new();
    for count in [1, 2, 4] {
        let fleet = Fleet::start(count).await;
        let began = Instant::now();
        let answers = begin(&urls(&fleet), arrivals(1.5, SECONDS)).join_all().await;
        let used = used(&fleet, &answers, began);
        assert!(answers.iter().all(|(_, got)| got.as_ref().is_some_and(|got| got.status == 200)));
        let refused = fleet.emulator.requests_to("ptu").into_iter();
        let refused = refused.filter(|entry| entry.status == Some(429)).count();
        println!("{count} routers: {:.1} % of the PTU, {refused} refusals", 100.0 * used);
        found.push(used);
    }
    assert!(found[0] > 0.9, "{found:?}");
    assert!(found[0] - found[1] <= 0.03 && found[0] - found[2] <= 0.03, "{found:?}");
}

/// A deployment in two service tiers.
const TIERED: &str = r#"
[deployments.tiered]
endpoint = "azure"
model = "gpt-4.1"
azure_deployment = "tiered"
billing = "pay_as_you_go"
area = "global"
tiers = ["default", "flex"]
[models."gpt-4.1".usd_per_million_tokens.flex]
input = 1.0
output = 4.0
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_tier_is_known_to_the_other_router_and_the_default_tier_stays_open() {
    if !redis_is_here() {
        return;
    }
    let fleet = Fleet::with(2, TIERED).await;
    let ask = async |router: usize| {
        let messages = json!([{"role": "user", "content": "Say hello."}]);
        let body = json!({"model": "gpt-4.1", "messages": messages});
        let mut request = post(&fleet.routers[router].url, "/v1/chat/completions", &body);
        request.headers_mut().insert("x-router-priority", HeaderValue::from_static("batch"));
        let got = send(&client(), request).await.unwrap();
        assert_eq!(got.status, 200, "{}", got.body);
        ["x-router-tier", "x-router-attempts"].map(|name| got.headers[name].clone())
    };
    assert_eq!(ask(0).await, ["flex", "1"]);
    assert_eq!(ask(0).await, ["default", "2"]);
    fleet.synced(0, 1).await;
    assert_eq!(ask(1).await, ["default", "1"], "it does not ask again");
    fleet
        .redis_says(&["ZRANGE", "{model-router}:cooldowns", "0", "-1"], |said| {
            said.contains("tiered throttled flex")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_dies_and_comes_back_loses_no_request() {
    if !redis_is_here() {
        return;
    }
    let mut fleet = Fleet::start(2).await;
    let load = begin(&urls(&fleet), arrivals(0.8, 8.0));
    fleet.redis.signal("STOP");
    for router in &fleet.routers {
        router.until(|replicas| replicas["connected"] == false).await;
        let began = Instant::now();
        let got = get(&format!("{}/v1/responses/resp_unknown", router.url)).await.unwrap();
        assert_eq!(got.status, 404);
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        assert!(router.metric("model_router_replicas_sync_failures_total").await > 0.0);
    }
    fleet.redis.signal("CONT");
    fleet.all_connected(2).await;
    fleet.redis.kill();
    for router in &fleet.routers {
        router.until(|replicas| replicas["connected"] == false).await;
        assert!(router.metric("model_router_replicas_connected").await.abs() < 1e-9);
    }
    fleet.redis = redis(fleet.port);
    fleet.all_connected(2).await;
    let answers = load.join_all().await;
    let lost = answers.iter().filter(|(_, got)| got.as_ref().is_none_or(|got| got.status != 200));
    assert_eq!(lost.count(), 0);
    // No request waited: each answer reports the router's own time.
    let overhead = |got: &Got| got.headers["x-router-overhead-us"].to_str().unwrap().parse::<u64>();
    let slow = answers.iter().filter_map(|(_, got)| got.as_ref());
    let mut slow: Vec<u64> = slow.map(|got| overhead(got).unwrap()).collect();
    slow.sort_unstable();
    assert!(slow[slow.len() * 9 / 10] < 50_000, "{slow:?}");
    for router in &fleet.routers {
        // Once for the hang, once for the kill.
        let said = router.logged().matches("continues alone").count();
        assert!((1..=3).contains(&said), "{}", router.logged());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_router_takes_only_its_own_requests_with_it() {
    if !redis_is_here() {
        return;
    }
    let mut fleet = Fleet::start(2).await;
    let load = begin(&urls(&fleet), arrivals(1.2, 6.0));
    let busy = |entries: &[azure_emulator::Entry]| entries.len() > 40;
    assert!(fleet.emulator.wait_for(busy, PATIENCE).await);
    fleet.routers[1].process.kill();
    fleet.routers[0].until(|replicas| replicas["known"] == 1).await;
    let answers = load.join_all().await;
    let answered = |(_, got): &&Came| got.as_ref().is_some_and(|got| got.status == 200);
    let (kept, died): (Vec<_>, Vec<_>) = answers.iter().partition(|(to, _)| *to == 0);
    assert_eq!(kept.iter().filter(|one| !answered(one)).count(), 0);
    assert!(died.iter().any(|one| !answered(one)), "it was killed under load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_stored_through_one_router_is_found_through_another() {
    if !redis_is_here() {
        return;
    }
    let fleet = Fleet::start(2).await;
    let [one, other] = [0, 1].map(|number: usize| fleet.routers[number].url.clone());
    let body = json!({"model": "gpt-4o", "input": "Say hello.", "store": true});
    let made = send(&client(), post(&one, "/v1/responses", &body)).await.unwrap();
    assert_eq!(made.status, 200, "{}", made.body);
    let id = made.body["id"].as_str().unwrap();
    let by = Instant::now() + PATIENCE;
    let mut found = Value::Null;
    while found["id"] != id && Instant::now() < by {
        found = get(&format!("{other}/v1/responses/{id}")).await.unwrap().body;
    }
    assert_eq!(found["id"], id);
    let follow = json!({"model": "gpt-4o", "input": "Go on.", "previous_response_id": id});
    let followed = send(&client(), post(&other, "/v1/responses", &follow)).await.unwrap();
    assert_eq!(followed.headers["x-router-deployment"], made.headers["x-router-deployment"]);
    // A deletion applies to all routers.
    let delete = Request::delete(format!("{other}/v1/responses/{id}"));
    let deleted = send(&client(), delete.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(deleted.status, 200, "{}", deleted.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_stored_during_a_long_outage_are_found_after_it() {
    if !redis_is_here() {
        return;
    }
    let mut fleet = Fleet::start(2).await;
    fleet.redis.kill();
    for router in &fleet.routers {
        router.until(|replicas| replicas["connected"] == false).await;
    }
    let [one, other] = [0, 1].map(|number: usize| fleet.routers[number].url.clone());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let body = json!({"model": "gpt-4o", "input": "Say hello.", "store": true});
        let made = send(&client(), post(&one, "/v1/responses", &body)).await.unwrap();
        ids.push(made.body["id"].as_str().unwrap().to_owned());
    }
    // An outage longer than `ttl_ms`.
    let alone = |replicas: &Value| replicas["sync_age_ms"].as_u64().is_some_and(|age| age > 4_000);
    fleet.routers[0].until(alone).await;
    fleet.redis = redis(fleet.port);
    fleet.all_connected(2).await;
    for id in &ids {
        let (url, by) = (format!("{other}/v1/responses/{id}"), Instant::now() + PATIENCE);
        let mut found = Value::Null;
        while found["id"] != **id && Instant::now() < by {
            found = get(&url).await.unwrap().body;
        }
        assert_eq!(found["id"], **id, "{}", fleet.routers[0].logged());
    }
}
