//! The dashboard's data: access control, sums that match what was sent, what is wrong with its cause, filters, a history that
//! survives a restart, and no content.
//!
//! `tests/dashboard/run.py` checks its appearance and usability in a browser.

use std::time::Duration;

use azure_emulator::Step;
use reqwest::Response;
use serde_json::{Value, json};

use crate::keys::{ask_as, key, with_keys};
use crate::support::{Answer, Bench, Layout, PATIENCE};

/// The next events of a feed, as name and value.
struct Feed {
    response: Response,
    rest: String,
}

impl Feed {
    async fn open(bench: &Bench) -> Self {
        let response = bench.client.get(bench.url("/dashboard/events")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, rest: String::new() }
    }

    /// `None` if the server has ended it.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let (name, data) = event.split_once('\n').unwrap();
                let name = name.strip_prefix("event: ").unwrap().to_owned();
                let value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                self.rest = rest.into();
                return Some((name, value));
            }
            let piece = self.response.chunk().await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The first event from now on for which this holds.
    async fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let (_, value) = self.next().await.unwrap();
                if holds(&value) {
                    return value;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }
}

/// A range as the page reads it.
async fn range(bench: &Bench, query: &str) -> Value {
    let answer = bench.get(&format!("/dashboard/range?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The range once this many requests have ended.
async fn range_of(bench: &Bench, requests: u64) -> Value {
    let read = async {
        loop {
            let view = range(bench, "range=15m").await;
            if view["totals"]["requests"] == requests {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

/// The troubles of a kind.
fn of_kind<'v>(now: &'v Value, kind: &str) -> Vec<&'v Value> {
    now["problems"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).collect()
}

#[tokio::test]
async fn a_feed_sends_the_present_state_each_second() {
    let bench = Layout::pair().start().await;
    let mut feed = Feed::open(&bench).await;
    let (name, first) = feed.next().await.unwrap();
    assert_eq!(name, "now");
    let names: Vec<_> =
        first["deployments"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["chat_payg", "chat_ptu", "o1_payg"]);
    let level = &first["deployments"][1]["ptu_level"];
    let part = |name: &str| level[name].as_f64().unwrap();
    assert!((part("used") + part("reserved") + part("idle") - part("capacity")).abs() < 1e-9);
    let mut second = first["second"].as_u64().unwrap();
    for _ in 0..2 {
        let (name, next) = feed.next().await.unwrap();
        second += 1;
        assert_eq!((name.as_str(), next["second"].as_u64()), ("now", Some(second)));
        assert_eq!(next["boot"], first["boot"]);
    }
}

#[tokio::test]
async fn sums_and_requests_are_those_of_what_was_sent_and_nothing_that_was_said() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000));
    let said =
        json!({"messages": [{"role": "user", "content": "zebra crossing"}], "user": "zebra"});
    bench.ask("chat", said.clone()).await;
    bench.ask("chat", said.clone()).await;
    bench.ask("zebra", said).await;
    let view = range_of(&bench, 3).await;
    let totals = &view["totals"];
    assert_eq!(
        [&totals["ways"]["spilled"], &totals["ways"]["refused"], &totals["ways"]["unanswered"]],
        [2, 1, 0],
        "an unknown model is the caller's mistake"
    );
    assert_eq!(
        view["attempts"]["chat_ptu"],
        json!({"all": 1, "throttled": 1, "faults": 0, "refused": 0})
    );
    let speed = &view["speed"][0];
    assert_eq!((&speed["deployment"], &speed["answers"]), (&json!("chat_payg"), &json!(2)));
    assert!(speed["p95_ms"].as_f64() >= speed["p50_ms"].as_f64());
    let routes = view["routes"].as_array().unwrap();
    let route = |cause: &str| {
        let found = routes.iter().find(|one| one["cause"] == cause);
        found.map(|one| (one["deployment"].as_str().unwrap(), one["requests"].as_u64().unwrap()))
    };
    assert_eq!(route("throttled"), Some(("chat_payg", 1)));
    assert_eq!(route("full"), Some(("chat_payg", 1)));
    assert_eq!(route("model_not_found"), Some(("", 1)));

    assert!(!view.to_string().contains("zebra"), "{view}");
    let decisions = &view["decisions"];
    let words = |at: usize| {
        let one = &decisions[at];
        [&one["deployment"], &one["cause"], &one["error"]]
            .map(|word| word.as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(words(0), ["-", "model_not_found", "model_not_found"]);
    assert_eq!(words(1), ["chat_payg", "full", "-"]);
    assert_eq!(words(2), ["chat_payg", "throttled", "-"]);
    // The trail of attempts, what was passed over, and the price.
    let trail = &decisions[2]["trail"];
    assert_eq!((&trail[0]["outcome"], &trail[0]["wait_ms"]), (&json!("throttled"), &json!(60_000)));
    assert_eq!(
        (&trail[1]["deployment"], &trail[1]["outcome"]),
        (&json!("chat_payg"), &json!("served"))
    );
    assert_eq!(decisions[1]["passed_over"], json!([{"deployment": "chat_ptu", "why": "full"}]));
    assert!(decisions[1]["cost_usd"].as_f64().unwrap() > 0.0);
    // gpt-4o twice on pay-as-you-go saves nothing by PTU; o1 would have been dearer.
    assert_eq!(totals["saved_by_ptu_usd"], 0.0);
    let dollars = |key: &str| totals[key].as_f64().unwrap();
    assert!(dollars("saved_by_choice_usd") > 0.0, "{totals}");
    assert!((dollars("net_usd") - dollars("saved_by_choice_usd")).abs() < 1e-9);
}

#[tokio::test]
async fn a_range_is_filtered_and_an_unknown_one_is_refused() {
    let bench = Layout::pair().start().await;
    let said = json!({"messages": [{"role": "user", "content": "hello"}]});
    bench.ask("chat", said.clone()).await;
    bench.ask("o1", said).await;
    range_of(&bench, 2).await;
    for (filter, expected) in [
        ("deployment=o1_payg", 1),
        ("task=chat", 1),
        ("task=named", 1),
        ("task=reasoning", 0),
        ("deployment=o1_payg&task=chat", 0),
        ("key=nobody", 0),
        ("", 2),
    ] {
        let view = range(&bench, &format!("range=7d&{filter}")).await;
        assert_eq!(view["totals"]["requests"], expected, "{filter}");
        assert_eq!(view["decisions"].as_array().unwrap().len(), expected, "{filter}");
    }
    let refused = bench.get("/dashboard/range?range=2h").await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"));
    assert!(refused.text.contains("15m, 1h, 6h, 24h, 7d"), "{}", refused.text);
}

#[tokio::test]
async fn what_is_wrong_is_listed_with_cause_time_and_remedy() {
    let bench = Layout::pair().start().await;
    let mut feed = Feed::open(&bench).await;
    for name in ["chat_payg", "chat_ptu"] {
        bench.emulator.script(name, Step::deployment_not_found());
    }
    for _ in 0..10 {
        bench.ask("chat", json!({})).await;
    }
    let now = feed.until(|now| of_kind(now, "error_rate").len() == 1).await;
    let refused = of_kind(&now, "deployment_refused");
    assert_eq!(refused.len(), 2, "{}", now["problems"]);
    for one in refused {
        assert_eq!(one["severity"], "critical");
        assert!(one["title"].as_str().unwrap().contains("404 DeploymentNotFound"), "{one}");
        assert!(one["action"].as_str().unwrap().contains("azure_deployment"), "{one}");
        assert!(one["docs"].as_str().unwrap().ends_with("troubleshooting.md#deployment_refused"));
        assert!(one["since_ms"].as_u64() <= now["at_ms"].as_u64());
    }
    let rate = of_kind(&now, "error_rate")[0];
    assert!(rate["cause"].as_str().unwrap().contains("upstream_misconfigured"), "{rate}");
    let view = range_of(&bench, 10).await;
    assert_eq!(view["totals"]["ways"]["unanswered"], 10);
    let metrics = bench.get("/metrics").await.text;
    assert!(metrics.contains("model_router_unanswered_total 10"), "one meaning everywhere");
}

#[tokio::test]
async fn the_history_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let layout = || Layout::pair().text("server.state_dir", state.to_str().unwrap());
    let bench = layout().start().await;
    bench.ask("chat", json!({})).await;
    let before = range_of(&bench, 1).await;
    let Bench { server, .. } = bench;
    server.stop().await;
    let bench = layout().start().await;
    bench.ask("chat", json!({})).await;
    let after = range_of(&bench, 2).await;
    assert_eq!(after["decisions"].as_array().unwrap().len(), 1, "requests themselves are not kept");
    assert!(after["covered_ms"].as_u64() >= before["covered_ms"].as_u64());
    let file = std::fs::read_to_string(state.join("dashboard.json")).unwrap();
    assert!(file.contains("chat_ptu"), "{file}");
}

#[tokio::test]
async fn the_page_is_whole_and_guarded() {
    let bench = Layout::pair().start().await;
    let page = bench.get("/").await;
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    let files = page.text.split('"').filter(|path| path.starts_with("/dashboard/"));
    for path in files {
        let file = bench.get(path).await;
        assert_eq!(
            (file.status, file.header("x-content-type-options")),
            (200, Some("nosniff")),
            "{path}"
        );
        assert!(!file.text.is_empty());
    }
}

const PATHS: [&str; 5] =
    ["/", "/dashboard/state", "/dashboard/events", "/dashboard/range", "/dashboard/main.js"];

#[tokio::test]
async fn it_is_absent_where_callers_shall_see_little() {
    let bench = Layout::pair().text("server.expose", "minimal").start().await;
    for path in PATHS {
        assert_eq!(bench.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn with_keys_it_is_for_operators_in_a_browser_too() {
    let layout = with_keys(Layout::pair(), &["ops", "team"]).set("keys.ops.operator", true);
    let bench = layout.text("server.expose", "minimal").start().await;
    for path in PATHS {
        let ask = || bench.client.get(bench.url(path));
        let refused = Answer::of(ask()).await;
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "), "{path}");
        assert_eq!(Answer::of(ask().bearer_auth(key("team"))).await.status, 403, "{path}");
        for shown in [ask().bearer_auth(key("ops")), ask().basic_auth("me", Some(key("ops")))] {
            assert_eq!(shown.send().await.unwrap().status(), 200, "{path}");
        }
    }
    ask_as(&bench, "team", "chat").await;
    let read = bench.client.get(bench.url("/dashboard/range?key=team")).bearer_auth(key("ops"));
    let found = async {
        loop {
            let view = Answer::of(read.try_clone().unwrap()).await.json();
            if view["totals"]["requests"] == 1 {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let view = tokio::time::timeout(PATIENCE, found).await.unwrap();
    assert_eq!(
        (&view["decisions"][0]["key"], &view["keys"][0]["name"]),
        (&json!("team"), &json!("team"))
    );
}

#[tokio::test]
async fn an_operator_tries_a_prompt_with_the_login_of_the_browser() {
    let layout = with_keys(Layout::pair(), &["ops", "team"]).set("keys.ops.operator", true);
    let bench = layout.start().await;
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "Prove it."}]});
    let ask = |path: &str, name: &str| {
        let post = bench.client.post(bench.url(path)).json(&body);
        Answer::of(post.basic_auth("me", Some(key(name))))
    };
    let decision = ask("/v1/route", "ops").await;
    assert_eq!(decision.status, 200, "{}", decision.text);
    assert!(decision.json()["plan"].is_array());
    assert_eq!(ask("/v1/route", "team").await.status, 403);
    // Elsewhere a browser's login is no key, because browsers send it unasked.
    assert_eq!(ask("/v1/chat/completions", "ops").await.status, 401);
}

#[tokio::test]
async fn so_many_may_watch_and_no_more_until_one_goes() {
    let bench = Layout::pair().start().await;
    let mut feeds = Vec::new();
    for _ in 0..32 {
        feeds.push(Feed::open(&bench).await);
    }
    let refused = bench.get("/dashboard/events").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "router_overloaded"));
    drop(feeds.pop());
    let freed = async {
        while bench.client.get(bench.url("/dashboard/events")).send().await.unwrap().status() != 200
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn an_open_page_does_not_delay_the_end() {
    let bench = Layout::pair().set("server.drain_ms", 600_000).start().await;
    let mut feed = Feed::open(&bench).await;
    feed.next().await.unwrap();
    let Bench { server, .. } = bench;
    tokio::time::timeout(PATIENCE, server.stop()).await.unwrap();
    while feed.next().await.is_some() {}
}
