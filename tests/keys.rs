//! Authentication: keys in every header that clients use, on every path; none without configured
//! keys.

use reqwest::RequestBuilder;
use router_core::units::Day;
use serde_json::json;

use crate::support::{Answer, Bench, Layout, PATIENCE, checked, logs, question};

/// The outcome of one of these tests.
const TEAM: &str = "mr_team_0123456789abcdefghijk";

/// A layout with keys: each a name and its key.
pub(crate) fn with_keys(layout: Layout, keys: &[&str]) -> Layout {
    keys.iter().fold(layout, |layout, name| {
        layout.set(&format!("keys.{name}.hashes"), format_args!("[{:?}]", hash(&key(name))))
    })
}

/// The key of a name in these tests.
pub(crate) fn key(name: &str) -> String {
    format!("mr_{name}_0123456789abcdefghijk")
}

/// A client that shows a key with each request.
pub(crate) fn client_of(name: &str) -> reqwest::Client {
    let shown = format!("Bearer {}", key(name)).parse().unwrap();
    let headers = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, shown)]);
    reqwest::Client::builder().timeout(PATIENCE).default_headers(headers).build().unwrap()
}

/// A key's hash, as config takes it, made by the program's own rule: SHA-256.
pub(crate) fn hash(key: &str) -> String {
    router_server::key_hash(key).to_string()
}

/// A chat request that shows a key.
pub(crate) async fn ask_as(bench: &Bench, name: &str, model: &str) -> Answer {
    Answer::of(bench.request(&question(model, json!({}))).bearer_auth(key(name))).await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    let error = &answer.json()["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{answer:?}");
}

#[tokio::test]
async fn a_key_is_asked_for_on_every_path_and_read_from_every_header() {
    let layout = with_keys(Layout::pair(), &["team"]);
    let bench = layout.start().await;
    let body = question("chat", json!({}));
    let dated = "/openai/deployments/chat_payg/chat/completions?api-version=2024-10-21";
    for path in ["/v1/chat/completions", "/openai/v1/chat/completions", dated] {
        let ask = || bench.client.post(bench.url(path)).json(&body);
        assert_refused(&Answer::of(ask()).await, 401, "invalid_api_key");
        let wrong: [fn(RequestBuilder) -> RequestBuilder; 3] = [
            |ask| ask.header("api-key", "mr_wrong"),
            |ask| ask.bearer_auth("mr_team_0123456789abcdefghijK"),
            |ask| ask.basic_auth("team", Some(key("team"))),
        ];
        for show in wrong {
            assert_refused(&Answer::of(show(ask())).await, 401, "invalid_api_key");
        }
        let right: [fn(RequestBuilder) -> RequestBuilder; 4] = [
            |ask| ask.header("api-key", key("team")),
            |ask| ask.header("x-api-key", key("team")),
            |ask| ask.bearer_auth(key("team")),
            |ask| ask.bearer_auth("placeholder").header("api-key", key("team")),
        ];
        for show in right {
            assert_eq!(Answer::of(show(ask())).await.status, 200, "{path}");
        }
    }
    let unnamed = bench.get("/v1/models").await;
    assert_eq!(unnamed.header("www-authenticate"), Some("Bearer"));
    for path in ["/v1/models", "/openai/models", "/v1/responses/resp_1", "/v1/nothing", "/metrics"]
    {
        assert_refused(&bench.get(path).await, 401, "invalid_api_key");
    }
    for path in ["/healthz", "/health", "/readyz", "/openapi.json"] {
        assert_eq!(bench.get(path).await.status, 200, "{path}");
    }
    assert_eq!(bench.get("/readyz?verbose").await.status, 401);
}

#[tokio::test]
async fn operators_see_what_others_do_not() {
    let layout = with_keys(Layout::pair(), &["team", "watch"]).set("keys.watch.operator", true);
    let bench = layout.start().await;
    let get = |path: &str, name: &str| bench.client.get(bench.url(path)).bearer_auth(key(name));
    for path in ["/", "/dashboard/state", "/metrics", "/readyz?verbose=1"] {
        assert_refused(&Answer::of(get(path, "team")).await, 403, "not_allowed_for_key");
        assert_eq!(Answer::of(get(path, "watch")).await.status, 200, "{path}");
    }
    // A browser shows the key as a password, for pages alone.
    for path in ["/", "/dashboard/state", "/metrics"] {
        let browsed = bench.client.get(bench.url(path)).basic_auth("me", Some(key("watch")));
        assert_eq!(Answer::of(browsed).await.status, 200);
    }
    let events = bench.client.get(bench.url("/dashboard/events"));
    assert_eq!(events.send().await.unwrap().status(), 401);
    let asked = bench.get("/metrics").await;
    assert!(asked.header("www-authenticate").unwrap().starts_with("Basic "));
    let route = |name| {
        let route = bench.client.post(bench.url("/v1/route"));
        Answer::of(route.json(&question("auto", json!({}))).bearer_auth(key(name)))
    };
    assert_refused(&route("team").await, 403, "not_allowed_for_key");
    assert_eq!(route("watch").await.status, 200);
    let counted = Answer::of(get("/metrics", "watch")).await.text;
    for line in [
        "model_router_unauthorized_total{cause=\"not_operator\"} 5",
        "model_router_unauthorized_total{cause=\"missing\"} 2",
    ] {
        assert!(counted.contains(line), "{line}\n{counted}");
    }
}

#[tokio::test]
async fn keys_change_without_a_gap_and_end_on_their_day() {
    let both = format!("[{:?}, {:?}]", hash("mr_old_key_of_the_team_01"), hash(TEAM));
    let layout = with_keys(Layout::pair(), &["off", "over"])
        .set("keys.team.hashes", both)
        .set("keys.off.enabled", false)
        .text("keys.over.expires", "2020-01-31");
    let bench = layout.start().await;
    let show = |key: &str| {
        Answer::of(bench.request(&question("chat", json!({}))).bearer_auth(key.to_owned()))
    };
    for good in ["mr_old_key_of_the_team_01", TEAM] {
        assert_eq!(show(good).await.status, 200);
    }
    for bad in [key("off"), key("over")] {
        let answer = show(&bad).await;
        assert_refused(&answer, 401, "invalid_api_key");
        assert!(answer.text.contains("expired"), "{answer:?}");
    }
}

#[tokio::test]
async fn keys_open_every_address_and_none_bind_the_router_to_this_machine() {
    let text = |layout: &Layout| layout.toml("http://127.0.0.1:9");
    let today = Day::try_from("2026-11-02").unwrap();
    let wide = || Layout::pair().text("server.listen", "0.0.0.0:0");
    let fault = router_server::Config::from_toml(&text(&wide()), today).unwrap_err();
    assert!(fault.to_string().contains("[keys.NAME]"), "{fault}");
    let keyed = with_keys(wide(), &["team"]);
    let server = router_server::start(&checked(&text(&keyed))).await.unwrap();
    server.stop().await;
    let config =
        checked(&text(&with_keys(Layout::pair(), &["team"]).set("server.allow_anonymous", true)));
    let told: Vec<String> = config.router.warnings.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.contains("every caller must show one")), "{told:?}");
}

#[tokio::test]
async fn a_callers_key_is_never_shown() {
    let bench = with_keys(Layout::pair(), &["team", "watch"])
        .set("keys.watch.operator", true)
        .start()
        .await;
    let wrong = "mr_hidden_wrong_key_0123456789";
    let answers = [
        ask_as(&bench, "team", "chat").await,
        ask_as(&bench, "team", "no-such-model").await,
        Answer::of(bench.request(&question("chat", json!({}))).bearer_auth(wrong)).await,
        Answer::of(bench.client.get(bench.url("/metrics")).bearer_auth(key("watch"))).await,
    ];
    let kept = format!("{:?} {answers:?} {:?}", logs::lines(), bench.server);
    for secret in [wrong, &key("team"), &key("watch")] {
        assert!(!kept.contains(secret), "{secret} is shown: {kept}");
    }
    let sent = bench.asked("chat_ptu");
    assert!(!format!("{sent:?}").contains(&key("team")), "it went upstream");
    let own = |line: &String| line.contains("\"request\"") && line.contains("\"key\":\"team\"");
    assert!(logs::lines().iter().any(own), "the log names the key's name");
}

#[test]
fn a_hash_is_sha256_as_other_programs_make_it() {
    // `printf foo | sha256sum`
    let known = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    assert_eq!(hash("foo"), known);
}

#[tokio::test]
async fn keys_come_and_go_with_the_configuration_and_what_they_used_stays() {
    let layout = with_keys(Layout::pair(), &["team"]).set("keys.team.requests_per_minute", 2);
    let bench = layout.clone().start().await;
    let change = |layout: &Layout| bench.server.reload(checked(&layout.toml(bench.emulator.url())));
    for expected in [200, 200] {
        assert_eq!(ask_as(&bench, "team", "chat").await.status, expected);
        change(&layout).unwrap();
    }
    assert_eq!(ask_as(&bench, "team", "chat").await.code(), "rate_limit_exceeded");
    change(&layout.clone().set("keys.team.requests_per_minute", 3)).unwrap();
    assert_eq!(ask_as(&bench, "team", "chat").await.status, 200, "one more than before");
    assert_eq!(ask_as(&bench, "new", "chat").await.status, 401);
    change(&with_keys(Layout::pair(), &["new"])).unwrap();
    assert_eq!(ask_as(&bench, "new", "chat").await.status, 200);
    assert_eq!(ask_as(&bench, "team", "chat").await.status, 401, "taken out, gone at once");
}

#[tokio::test]
async fn the_last_key_cannot_be_taken_out_of_a_server_that_others_reach() {
    let wide = with_keys(Layout::pair(), &["team"]).text("server.listen", "0.0.0.0:0");
    let server = router_server::start(&checked(&wide.toml("http://127.0.0.1:9"))).await.unwrap();
    // On paper it listens at this machine alone; the socket that is open does not.
    let open = checked(&Layout::pair().toml("http://127.0.0.1:9"));
    let fault = server.reload(open).unwrap_err().to_string();
    assert!(fault.contains("0.0.0.0:0 is reached from other machines"), "{fault}");
    server.stop().await;
}
