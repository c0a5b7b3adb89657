//! The limits of a key: what is refused and for how long, and what counts, however a request ends.

use std::time::Duration;

use azure_emulator::{End, Step};
use futures_util::StreamExt as _;
use router_core::decision::Moment;
use router_core::error::RouteError;
use router_core::ledger::Allowance;
use router_core::response::Body;
use router_core::router::ChatCall;
use router_core::stored::Caller;
use router_core::units::Usd;
use router_core::upstream::Unreachable;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::keys::{ask_as, key, with_keys};
use crate::support::memory::{Canned, InMemory};
use crate::support::{Answer, Bench, Layout, PATIENCE, question};

/// A call of the key `team`.
fn call(allowance: Allowance, more: Value) -> ChatCall {
    let mut call = ChatCall::of_body(question("chat", more).to_string());
    call.caller = Caller::named("team");
    call.allowance = allowance;
    call
}

fn good() -> InMemory {
    InMemory::new(&Layout::pair(), |attempt, _| Ok(Canned::good(attempt)))
}

/// The wait in the answer to a refused call, in milliseconds.
async fn refused(router: &InMemory, call: ChatCall) -> (String, Option<u128>) {
    let error = router.read(call).await.unwrap_err();
    (error.kind().as_str().to_owned(), error.wait().map(|wait| wait.as_millis()))
}

#[tokio::test(start_paused = true)]
async fn requests_a_minute_are_counted_to_the_moment() {
    let router = good();
    let three = Allowance { requests_per_minute: Some(3), ..Allowance::default() };
    let began = Instant::now();
    for second in [0u64, 10, 20] {
        tokio::time::sleep_until(began + Duration::from_secs(second)).await;
        router.read(call(three, json!({}))).await.unwrap();
    }
    tokio::time::sleep_until(began + Duration::from_secs(30)).await;
    // The first of them was entered in the 10 ms after it began.
    let (kind, wait) = refused(&router, call(three, json!({}))).await;
    assert_eq!((kind.as_str(), wait), ("rate_limit_exceeded", Some(30_010)));
    assert_eq!(router.arrived().len(), 3, "nothing is sent");
    tokio::time::sleep(Duration::from_millis(30_009)).await;
    assert_eq!(refused(&router, call(three, json!({}))).await.1, Some(1));
    tokio::time::sleep(Duration::from_millis(1)).await;
    router.read(call(three, json!({}))).await.unwrap();
    // Another key has an account of its own.
    let mut other = call(three, json!({}));
    other.caller = Caller::named("other");
    router.read(other).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokens_are_set_aside_by_the_cap_and_counted_as_they_were_used() {
    let router = good();
    let used = |router: &InMemory| {
        let today = router_core::clock::day(router_core::clock::wall());
        router.router.ledger().used("team", Moment::new(Instant::now(), today))
    };
    let thousand = Allowance { tokens_per_minute: Some(1_000), ..Allowance::default() };
    // Each sets aside its cap of 900 and uses 11.
    for done in 1..=8 {
        router.read(call(thousand, json!({"max_tokens": 900}))).await.unwrap();
        assert_eq!((used(&router).tokens, used(&router).in_flight), (done * 11, 0));
    }
    let (kind, wait) = refused(&router, call(thousand, json!({"max_tokens": 990}))).await;
    assert_eq!(kind, "rate_limit_exceeded");
    assert!(wait.is_some_and(|wait| (59_000..=60_010).contains(&wait)), "{wait:?}");
    // A cap beyond all tokens of a minute waits for an empty one; then it is let in.
    assert!(refused(&router, call(thousand, json!({"max_tokens": 5_000}))).await.1.is_some());
    tokio::time::sleep(Duration::from_secs(61)).await;
    router.read(call(thousand, json!({"max_tokens": 5_000}))).await.unwrap();
    // A prompt beyond them never fits, and no client shall wait for that.
    let few = Allowance { tokens_per_minute: Some(5), ..Allowance::default() };
    let (kind, wait) = refused(&router, call(few, json!({}))).await;
    assert_eq!((kind.as_str(), wait), ("rate_limit_exceeded", None));
}

#[tokio::test(start_paused = true)]
async fn what_fails_gives_its_tokens_back_and_what_hangs_up_pays_its_prompt() {
    let used = |router: &InMemory| {
        let today = router_core::clock::day(router_core::clock::wall());
        router.router.ledger().used("team", Moment::new(Instant::now(), today))
    };
    let plenty = Allowance { tokens_per_minute: Some(1_000), ..Allowance::default() };
    for script in [Err(Unreachable::Connect), Ok(Canned::of(503, "{}"))] {
        let router = InMemory::new(&Layout::pair(), move |_, _| script.clone());
        router.read(call(plenty, json!({"max_tokens": 500}))).await.unwrap_err();
        let used = used(&router);
        assert_eq!((used.requests, used.tokens, used.in_flight), (1, 0, 0));
    }
    // A refusal of the upstream costs nothing, an answer that does not tell its usage what was set aside.
    let untold = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"hi"}}]}"#;
    for (status, body, least) in [(400, "{}", 0), (200, untold, 500)] {
        let router = InMemory::new(&Layout::pair(), move |_, _| Ok(Canned::of(status, body)));
        router.read(call(plenty, json!({"max_tokens": 500}))).await.unwrap();
        let after = used(&router);
        assert!((least..least + 30).contains(&after.tokens), "{status}: {after:?}");
        assert!(after.in_flight == 0 && (status == 200 || after.tokens == 0), "{after:?}");
    }
    // Gone before the answer.
    let router = InMemory::new(&Layout::pair(), |attempt, _| {
        Ok(Canned { delay: Duration::from_secs(5), ..Canned::good(attempt) })
    });
    let asking = router.read(call(plenty, json!({"max_tokens": 500})));
    assert!(tokio::time::timeout(Duration::from_secs(1), asking).await.is_err());
    let after = used(&router);
    assert!((5..30).contains(&after.tokens) && after.in_flight == 0, "{after:?}");
    // Gone in the middle of a stream: set aside until then.
    let router = InMemory::new(&Layout::pair(), |attempt, _| {
        Ok(Canned { pause: Duration::from_secs(3), ..Canned::good(attempt) })
    });
    let answer = router.router.chat(call(plenty, json!({"max_tokens": 500, "stream": true}))).await;
    let Body::Stream(mut stream) = answer.unwrap().body else { panic!("no stream") };
    assert!(stream.next().await.is_some());
    assert!(used(&router).tokens > 500 && used(&router).in_flight == 1);
    drop(stream);
    let after = used(&router);
    assert!((5..30).contains(&after.tokens) && after.in_flight == 0, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn money_is_counted_as_it_was_paid_and_then_no_client_tries_again() {
    let router = InMemory::new(
        &Layout::empty().payg("chat_payg", "gpt-4o").payg("o1", "o1"),
        |attempt, _| Ok(Canned::good(attempt)),
    );
    // An answer costs 10 * 2.5 + 1 * 10 millionths.
    let budget =
        |dollars| Allowance { daily_budget: Usd::of_dollars(dollars), ..Allowance::default() };
    for _ in 0..3 {
        router.read(call(budget(0.000_100), json!({}))).await.unwrap();
    }
    let error = router.read(call(budget(0.000_100), json!({}))).await.unwrap_err();
    assert_eq!(
        (error.kind().as_str(), error.wait(), error.may_retry()),
        ("insufficient_quota", None, false)
    );
    assert!(error.to_string().contains("daily budget of 0.000100 USD is spent"), "{error}");
    router.read(call(budget(0.000_200), json!({}))).await.unwrap();
    let month = Allowance { monthly_budget: Usd::of_dollars(0.000_140), ..Allowance::default() };
    let error = router.read(call(month, json!({}))).await.unwrap_err();
    assert!(matches!(error, RouteError::Limit(reached) if reached.is_spent()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn money_set_aside_for_requests_under_way_is_not_given_twice() {
    let slow = |attempt: &router_core::upstream::Attempt, _: usize| {
        Ok(Canned { delay: Duration::from_secs(5), ..Canned::good(attempt) })
    };
    let router = InMemory::new(&Layout::empty().payg("chat_payg", "gpt-4o").payg("o1", "o1"), slow);
    // Expected to cost some 512 * 10 millionths, more than there is; the first is let in all the same.
    let cent = Allowance { daily_budget: Usd::of_dollars(0.005), ..Allowance::default() };
    let first = router.read(call(cent, json!({})));
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        refused(&router, call(cent, json!({}))).await
    };
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(second, ("rate_limit_exceeded".to_owned(), Some(1_000)));
    router.read(call(cent, json!({}))).await.unwrap();
}

#[tokio::test]
async fn callers_read_the_wait_and_whether_to_try_again() {
    let bench = with_keys(Layout::pair(), &["two", "poor", "watch"])
        .set("keys.two.requests_per_minute", 2)
        .set("keys.poor.daily_budget_usd", 0.01)
        .set("keys.poor.deployments", "[\"chat_payg\"]")
        .set("keys.watch.operator", true)
        .start()
        .await;
    for _ in 0..2 {
        assert_eq!(ask_as(&bench, "two", "chat").await.status, 200);
    }
    let full = ask_as(&bench, "two", "chat").await;
    assert_eq!((full.status, full.code().as_str()), (429, "rate_limit_exceeded"), "{full:?}");
    let wait = full.number("retry-after-ms");
    assert!((55_000..=60_010).contains(&wait), "{full:?}");
    assert_eq!(full.number("retry-after"), wait.div_ceil(1_000));
    assert_eq!(full.header("x-should-retry"), Some("true"));
    assert_eq!(full.json()["error"]["type"], "rate_limit_error");

    bench.emulator.script("chat_payg", Step::normal().text(&"word ".repeat(3_000)));
    assert_eq!(ask_as(&bench, "poor", "chat").await.status, 200);
    let spent = ask_as(&bench, "poor", "chat").await;
    assert_eq!((spent.status, spent.code().as_str()), (429, "insufficient_quota"), "{spent:?}");
    assert_eq!(spent.json()["error"]["type"], "insufficient_quota");
    assert_eq!(spent.header("x-should-retry"), Some("false"));
    assert_eq!(spent.header("retry-after"), None);
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [2, 1]);

    let metrics = bench.client.get(bench.url("/metrics")).bearer_auth(key("watch"));
    let metrics = Answer::of(metrics).await.text;
    for line in [
        "model_router_key_requests_total{error=\"\",key=\"two\"} 2",
        "model_router_key_requests_total{error=\"rate_limit_exceeded\",key=\"two\"} 1",
        "model_router_key_requests_total{error=\"insufficient_quota\",key=\"poor\"} 1",
        "model_router_key_tokens_total{key=\"poor\",model=\"gpt-4o\",token_type=\"output\"} ",
        "model_router_key_cost_usd_total{key=\"poor\",model=\"gpt-4o\"} 0.0",
        "model_router_key_cost_usd_total{key=\"two\",model=\"gpt-4o\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_keys_rates_is_told_and_nobody_elses() {
    let bench = with_keys(Layout::pair(), &["two", "free"])
        .set("keys.two.requests_per_minute", 2)
        .set("keys.two.tokens_per_minute", 10_000)
        .start()
        .await;
    let told = |answer: &Answer, what: &str| {
        let header = |of: &str| answer.header(&format!("x-ratelimit-{of}-{what}"));
        ["limit", "remaining", "reset"].map(|of| header(of).map(str::to_owned))
    };
    let first = ask_as(&bench, "two", "chat").await;
    let [limit, remaining, reset] = told(&first, "requests");
    assert_eq!((limit.as_deref(), remaining.as_deref()), (Some("2"), Some("1")));
    assert!(reset.is_some_and(|reset| reset.starts_with("1m0") || reset.starts_with("59.")));
    let usage = first.json()["usage"]["total_tokens"].as_u64().unwrap();
    let [limit, remaining, _] = told(&first, "tokens");
    assert_eq!(limit.as_deref(), Some("10000"));
    assert_eq!(
        remaining,
        Some((10_000 - usage).to_string()),
        "what was used, not what was set aside"
    );
    let body = question("chat", json!({"stream": true, "max_tokens": 4_000}));
    let stream = Answer::of(bench.request(&body).bearer_auth(key("two"))).await;
    assert_eq!(told(&stream, "requests")[1].as_deref(), Some("0"));
    let left: u64 = told(&stream, "tokens")[1].as_ref().unwrap().parse().unwrap();
    assert!(left <= 6_000, "its cap is set aside: {left}");
    let full = ask_as(&bench, "two", "chat").await;
    assert_eq!((full.status, told(&full, "requests")[1].as_deref()), (429, Some("0")));
    // The emulator reports the quota of a pay-as-you-go deployment, which is not the key's.
    let free = ask_as(&bench, "free", "chat_payg").await;
    assert_eq!(free.status, 200);
    assert_eq!([told(&free, "requests"), told(&free, "tokens")].concat(), [const { None }; 6]);
}

fn in_flight(bench: &Bench, name: &str) -> u64 {
    let today = router_core::clock::day(router_core::clock::wall());
    bench.server.router().ledger().used(name, Moment::new(Instant::now(), today)).in_flight
}

#[tokio::test]
async fn requests_under_way_are_bounded_until_they_end_however_they_do() {
    let bench = with_keys(Layout::pair(), &["one"]).set("keys.one.max_in_flight", 1).start().await;
    for streamed in [false, true] {
        bench.emulator.script("chat_ptu", Step::hang());
        let body = question("chat", json!({"stream": streamed}));
        let asking = bench.request(&body).bearer_auth(key("one")).send();
        let meanwhile = async {
            let arrived = |entries: &[azure_emulator::Entry]| {
                entries.iter().any(|entry| entry.end == End::InFlight)
            };
            assert!(bench.emulator.wait_for(arrived, PATIENCE).await);
            let second = ask_as(&bench, "one", "chat").await;
            assert_eq!((second.status, second.code().as_str()), (429, "rate_limit_exceeded"));
            assert_eq!(second.number("retry-after-ms"), 1_000);
        };
        tokio::select! {
            answer = asking => panic!("answered: {answer:?}"),
            () = meanwhile => {}
        }
        let gone = |entries: &[azure_emulator::Entry]| {
            !entries.iter().any(|entry| entry.end == End::InFlight)
        };
        assert!(bench.emulator.wait_for(gone, PATIENCE).await, "the hang-up went upstream");
        assert_eq!(in_flight(&bench, "one"), 0);
        assert_eq!(ask_as(&bench, "one", "chat").await.status, 200);
    }
}
