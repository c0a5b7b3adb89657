//! Web pages of other sites: which may call, by which host names, what a preflight request gets without a key, and what a
//! page can read.

use http::Method;
use serde_json::json;

use crate::keys::{ask_as, key, with_keys};
use crate::support::{Answer, Bench, Layout, question};

const APP: &str = "https://app.example.com";

fn preflight(bench: &Bench, origin: &str) -> impl Future<Output = Answer> {
    let request = bench.client.request(Method::OPTIONS, bench.url("/v1/chat/completions"));
    Answer::of(
        request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type"),
    )
}

#[tokio::test]
async fn a_listed_page_asks_without_a_key_whether_it_may_and_then_with_one() {
    let layout = with_keys(Layout::pair(), &["page"]);
    let bench = layout.set("server.cors_origins", format!("[{APP:?}]")).start().await;
    let allowed = preflight(&bench, APP).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), Some(APP));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("authorization,content-type"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    let ask = |origin: &'static str, key: Option<String>| {
        let ask = bench.request(&question("chat", json!({}))).header("origin", origin);
        Answer::of(match key {
            Some(key) => ask.bearer_auth(key),
            None => ask,
        })
    };
    let answer = ask(APP, Some(key("page"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
    // The page reads why it was refused.
    let refused = ask(APP, None).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_api_key"));
    assert_eq!(refused.header("access-control-allow-origin"), Some(APP));
    // A page that is not listed cannot read the answer.
    let other = "https://other.example.com";
    assert_eq!(preflight(&bench, other).await.header("access-control-allow-origin"), None);
    let answer = ask(other, Some(key("page"))).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_the_setting_no_page_is_answered() {
    let bench = with_keys(Layout::pair(), &["page"]).start().await;
    let refused = preflight(&bench, APP).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert_eq!(ask_as(&bench, "page", "chat").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_listed_page_reaches_a_router_without_keys_and_no_other_does() {
    let bench = Layout::pair().set("server.cors_origins", format!("[{APP:?}]")).start().await;
    let ask = async |origin: &str| {
        Answer::of(bench.request(&question("chat", json!({}))).header("origin", origin)).await
    };
    let answer = ask(APP).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(ask("https://other.example.com").await.code(), "origin_not_allowed");
}

/// The status of a question that names this host, with the error's code.
async fn named(bench: &Bench, host: &str) -> (u16, String) {
    let answer = Answer::of(bench.request(&question("chat", json!({}))).header("host", host)).await;
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

#[tokio::test]
async fn a_router_without_keys_that_others_reach_answers_to_no_name_that_a_stranger_can_own() {
    let layout = Layout::pair()
        .text("server.listen", "0.0.0.0:0")
        .set("server.allow_anonymous", true)
        .set("server.hosts", "[\"ai.example.com\"]");
    let bench = layout.clone().start().await;
    for host in
        ["localhost", "10.1.2.3:8080", "router", "router.ai.svc.cluster.local", "ai.example.com"]
    {
        assert_eq!(named(&bench, host).await, (200, String::new()), "{host}");
    }
    for host in ["rebound.example.net", "rebound.example.net:8080", "127.0.0.1.example.net"] {
        assert_eq!(named(&bench, host).await, (403, "host_not_allowed".into()), "{host}");
        // Neither metrics nor the dashboard.
        for path in ["/metrics", "/", "/dashboard/data"] {
            let get = bench.client.get(bench.url(path)).header("host", host);
            assert_eq!(Answer::of(get).await.status, 403, "{path}");
        }
    }
    // The dashboard of a router that is reached by its address posts from its own page.
    let own = bench.request(&question("chat", json!({}))).header("host", "10.1.2.3:8080");
    assert_eq!(Answer::of(own.header("origin", "http://10.1.2.3:8080")).await.status, 200);
    let other = bench.request(&question("chat", json!({}))).header("host", "10.1.2.3:8080");
    let other = Answer::of(other.header("origin", "http://10.1.2.4:8080")).await;
    assert_eq!(other.code(), "origin_not_allowed");
    let every = layout.set("server.hosts", "[\"*\"]").start().await;
    assert_eq!(named(&every, "rebound.example.net").await.0, 200);
}

#[tokio::test]
async fn with_keys_every_host_name_is_answered() {
    let bench = with_keys(Layout::pair(), &["team"]).start().await;
    let ask = bench.request(&question("chat", json!({}))).header("host", "rebound.example.net");
    assert_eq!(Answer::of(ask.bearer_auth(key("team"))).await.status, 200);
}
