//! The dashboard's data: the page with its access control, totals that match what was sent, and no
//! content.
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

    /// `None` where the server has ended it.
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

#[tokio::test]
async fn a_feed_tells_everything_first_and_then_each_second() {
    let bench = Layout::pair().start().await;
    let mut feed = Feed::open(&bench).await;
    let (name, state) = feed.next().await.unwrap();
    assert_eq!((name.as_str(), state["totals"]["requests"].as_u64()), ("state", Some(0)));
    let names: Vec<_> =
        state["deployments"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["chat_payg", "chat_ptu", "o1_payg"]);
    let mut second = state["second"].as_u64().unwrap();
    for _ in 0..2 {
        let (name, tick) = feed.next().await.unwrap();
        second += 1;
        assert_eq!((name.as_str(), tick["second"].as_u64()), ("tick", Some(second)));
        assert_eq!(tick["boot"], state["boot"]);
        assert!(tick.get("history").is_none());
    }
}

#[tokio::test]
async fn sums_and_decisions_are_those_of_what_was_sent_and_nothing_that_was_said() {
    let bench = Layout::pair().start().await;
    let mut feed = Feed::open(&bench).await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000));
    let said =
        json!({"messages": [{"role": "user", "content": "zebra crossing"}], "user": "zebra"});
    bench.ask("chat", said.clone()).await;
    bench.ask("chat", said.clone()).await;
    bench.ask("zebra", said).await;
    let tick = feed.until(|tick| tick["totals"]["requests"] == 3).await;
    let ways = &tick["totals"]["ways"];
    assert_eq!((&ways["spilled"], &ways["failed"]), (&json!(2), &json!(1)));
    let spills = &tick["totals"]["spills"];
    let spilled = |cause: &str| {
        let of = |one: &&Value| one["cause"] == cause && one["deployment"] == "chat_ptu";
        spills.as_array().unwrap().iter().find(of).map(|one| one["requests"].as_u64().unwrap())
    };
    assert_eq!((spilled("throttled"), spilled("full")), (Some(1), Some(1)), "{spills}");
    let ptu = &tick["deployments"][1];
    assert_eq!((&ptu["standing"], &ptu["throttled"]), (&json!("full"), &json!(1)), "{ptu}");
    assert!(ptu["for_ms"].as_u64().unwrap() > 50_000);

    let state = bench.get("/dashboard/state").await;
    assert!(!state.text.contains("zebra"), "{}", state.text);
    let decisions = &state.json()["decisions"];
    let told = |at: usize| {
        let one = &decisions[at];
        [&one["deployment"], &one["cause"], &one["error"]]
            .map(|word| word.as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(told(0), ["-", "model_not_found", "model_not_found"]);
    assert_eq!(told(1), ["chat_payg", "full", "-"]);
    assert_eq!(told(2), ["chat_payg", "throttled", "-"]);
    // gpt-4o twice on pay-as-you-go, which saves nothing; o1 would have been dearer.
    let money = &state.json()["totals"]["money"];
    assert_eq!(money["saved_payg_usd"], 0.0);
    let dollars = |key: &str| money[key].as_f64().unwrap();
    assert!(
        (dollars("reasoning_usd") - dollars("paid_usd") - dollars("saved_reasoning_usd")).abs()
            < 1e-9
    );
    assert!(dollars("saved_reasoning_usd") > 0.0, "{money}");
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

#[tokio::test]
async fn it_is_not_there_where_callers_shall_see_little() {
    let bench = Layout::pair().text("server.expose", "minimal").start().await;
    for path in ["/", "/dashboard/state", "/dashboard/events", "/dashboard/main.js"] {
        assert_eq!(bench.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn with_keys_it_is_for_operators_in_a_browser_too() {
    let layout = with_keys(Layout::pair(), &["ops", "team"]).set("keys.ops.operator", true);
    let bench = layout.text("server.expose", "minimal").start().await;
    for path in ["/", "/dashboard/state", "/dashboard/events", "/dashboard/main.js"] {
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
    let state = bench.client.get(bench.url("/dashboard/state")).bearer_auth(key("ops"));
    // An ended request is reported when its second ends.
    let told = async {
        loop {
            let state = Answer::of(state.try_clone().unwrap()).await.json();
            if let Some(key) = state["decisions"][0]["key"].as_str() {
                return key.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap(), "team");
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
async fn a_page_that_watches_does_not_hold_up_the_end() {
    let bench = Layout::pair().set("server.drain_ms", 600_000).start().await;
    let mut feed = Feed::open(&bench).await;
    feed.next().await.unwrap();
    let Bench { server, .. } = bench;
    tokio::time::timeout(PATIENCE, server.stop()).await.unwrap();
    while feed.next().await.is_some() {}
}
