//! Limits and budgets of keys hold for all routers together, over a real Redis that dies and loses its data.
//!
//! No test here depends on durations: changes of one router count at another after a sync of each.

use serde_json::json;

use super::fleet::{Fleet, Got, OPERATOR, client, post, redis, redis_is_here, send};

/// The hashes of the keys below.
const KEYS: &str = r#"
            [keys.operator]
            hashes = ["sha256:4d5b403de79a9df0975e243afd8f933c9121c03a41afc5e7cebb712cb9aa8200"]
            operator = true
            [keys.team]
            hashes = ["sha256:d60671480511313ea74aa05929e8e723234898d3393fa53b873d4967f9802319"]
            requests_per_minute = 10
            [keys.burst]
            hashes = ["sha256:7266ebcede8786078fc5a657e61e665876c1f0f1a93bea97b4ffe54d8b1a9d41"]
            requests_per_minute = 20
            [keys.spender]
            hashes = ["sha256:0e7e59cb39000d10e952024a79f0902cd555e325e19002d54830a8dfebd53410"]
            deployments = ["payg"]
            monthly_budget_usd = 0.01
"#;
const TEAM: &str = "mr-team-of-replicas";
const BURST: &str = "mr-burst-of-replicas";
const SPENDER: &str = "mr-spender-of-replicas";

/// Sends a request with a key and a cap on its answer.
async fn ask(fleet: &Fleet, router: usize, key: &str, tokens: u64) -> Got {
    let body = json!({"model": "gpt-4o", "max_tokens": tokens,
        "messages": [{"role": "user", "content": "Say hello."}]});
    let mut request = post(&fleet.routers[router].url, "/v1/chat/completions", &body);
    let shown = format!("Bearer {key}").parse().unwrap();
    request.headers_mut().insert("authorization", shown);
    send(&client(), request).await.unwrap()
}

/// Asserts that a router refuses the key for its spent budget.
async fn is_spent(fleet: &Fleet, router: usize) {
    let got = ask(fleet, router, SPENDER, 1).await;
    assert_eq!(got.body["error"]["code"], "insufficient_quota", "{}", got.body);
}

/// Uses up the rate of one key at both routers.
async fn a_rate_is_shared(fleet: &Fleet) {
    for (router, requests) in [(0, 6), (1, 4)] {
        for number in 0..requests {
            let got = ask(fleet, router, TEAM, 1).await;
            assert_eq!(got.status, 200, "{router}, {number}: {}", got.body);
        }
        fleet.synced(router, 1 - router).await;
    }
    for router in [0, 1] {
        let got = ask(fleet, router, TEAM, 1).await;
        assert_eq!(got.body["error"]["code"], "rate_limit_exceeded", "{}", got.body);
        assert!(got.headers.contains_key("retry-after-ms"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_one_for_both_routers() {
    if !redis_is_here() {
        return;
    }
    let fleet = Fleet::with(2, KEYS).await;
    a_rate_is_shared(&fleet).await;
    // All at once: neither router knows yet what the other admits, and neither admits more than the limit itself.
    let asked = (0..80).map(|number| ask(&fleet, number % 2, BURST, 1));
    let admitted = futures_util::future::join_all(asked).await;
    let admitted = admitted.iter().filter(|got| got.status == 200).count();
    assert!((20..=40).contains(&admitted), "{admitted}");
    fleet.synced(0, 1).await;
    fleet.synced(1, 0).await;
    for router in [0, 1] {
        assert_eq!(ask(&fleet, router, BURST, 1).await.status, 429);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_outlives_the_router_that_spent_it_and_the_redis_that_kept_it() {
    if !redis_is_here() {
        return;
    }
    let mut fleet = Fleet::with(2, KEYS).await;
    // An answer of 20 tokens or more costs 0.0002 dollars or more.
    let mut answers = 0;
    while ask(&fleet, 0, SPENDER, 100).await.status == 200 {
        answers += 1;
        assert!(answers <= 50, "50 of them cost more than the budget");
    }
    is_spent(&fleet, 0).await;
    fleet.synced(0, 1).await;
    is_spent(&fleet, 1).await;
    fleet.routers[0].process.kill();
    // A new router has read the spending once it is connected.
    fleet.add();
    fleet.routers[2].until(|replicas| replicas["connected"] == true).await;
    is_spent(&fleet, 2).await;
    // Without Redis they continue with the last figures.
    fleet.redis.kill();
    for router in [1, 2] {
        fleet.routers[router].until(|replicas| replicas["connected"] == false).await;
        is_spent(&fleet, router).await;
        assert_eq!(ask(&fleet, router, OPERATOR, 1).await.status, 200);
    }
    // Redis returns empty; the routers restore the spending of the killed one.
    fleet.redis = redis(fleet.port);
    fleet.redis_says(&["HKEYS", "{model-router}:spent"], |names| names.contains("spender")).await;
    for router in [1, 2] {
        fleet.routers[router].process.kill();
    }
    fleet.add();
    fleet.routers[3].until(|replicas| replicas["connected"] == true).await;
    is_spent(&fleet, 3).await;
    let lives = ["PTTL", "{model-router}:spent"];
    assert!(fleet.ask_redis(&lives).parse::<i64>().unwrap() > 0, "nothing stays for ever");
    let kept = fleet.ask_redis(&["HGETALL", "{model-router}:spent"]);
    assert!(!kept.contains("sha256") && !kept.contains("mr-"), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_shared_after_the_clock_of_redis_was_set_back() {
    if !redis_is_here() {
        return;
    }
    let fleet = Fleet::with(2, KEYS).await;
    // An entry from before: its id is in the future, and so are all ids after it.
    let (changes, future) = ("{model-router}:changes", "9999999999999-0");
    fleet.ask_redis(&[
        "XADD",
        changes,
        future,
        "run",
        "other",
        "at",
        "9999999999999000",
        "text",
        "",
    ]);
    a_rate_is_shared(&fleet).await;
    fleet.all_connected(2).await;
}
