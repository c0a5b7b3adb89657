//! Requests that pay-as-you-go may not serve: other provisioned deployments first, then the queue, then 429 with the wait.

use std::time::Duration;

use router_core::error::RouteError;
use router_core::router::ChatCall;
use router_core::stored::Caller;
use tokio::time::Instant;

use crate::world::{Truth, call, config, router};

const SMALL: Truth = Truth { prompt: 500, output: 60 };

#[tokio::test(start_paused = true)]
async fn another_provisioned_deployment_comes_before_any_wait() {
    let (router, world, _) = router(&config(&[("one", 15), ("two", 15)], false, ""), 1.0);
    world.fill("one", 6_250.0 + 3_000.0);
    let began = Instant::now();
    for _ in 0..2 {
        router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap();
    }
    let seen = world.seen();
    assert_eq!((seen[0].deployment.as_str(), seen[0].status), ("one", 429));
    assert!(seen[1..].iter().all(|seen| seen.deployment == "two" && seen.status == 200));
    assert_eq!(seen[1].at, began);
}

#[tokio::test(start_paused = true)]
async fn it_is_held_as_long_as_config_says_and_then_told_the_wait() {
    let cfg = config(&[("ptu", 15)], false, "bound_wait_ms = 3000");
    let (router, world, _) = router(&cfg, 1.0);
    world.fill("ptu", 6_250.0 + 1_250.0);
    let began = Instant::now();
    router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap();
    let waited = world.seen().last().unwrap().at - began;
    assert!((2_000..=2_010).contains(&waited.as_millis()), "{waited:?}");
    world.fill("ptu", 12_500.0);
    let began = Instant::now();
    let error = router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap_err();
    assert!(began.elapsed() <= Duration::from_millis(3_001));
    assert!(matches!(error, RouteError::Sending { .. } | RouteError::Refused(_)), "{error:?}");
    assert!(error.kind().as_str().ends_with("_exhausted"), "{}", error.kind());
    assert!(error.wait().unwrap() > Duration::from_secs(3), "{:?}", error.wait());
    // Now the twin knows: nothing is sent, and the wait is reported at once.
    let (sent, began) = (world.seen().len(), Instant::now());
    let error = router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap_err();
    assert!(error.wait().unwrap() > Duration::from_secs(3));
    assert_eq!((world.seen().len(), began.elapsed()), (sent, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_caller_does_not_have_is_refused_at_once() {
    let (router, world, _) = router(&config(&[("ptu", 15)], false, ""), 1.0);
    world.fill("ptu", 6_250.0 + 3_000.0);
    // The twin learns from the first refusal how full the deployment is.
    drop(router.chat(call(&world, SMALL, Some(100), &[("x-router-max-wait-ms", "0")])).await);
    let sent = world.seen().len();
    for (name, value) in [
        ("x-router-max-wait-ms", "2000"),
        ("x-stainless-timeout", "3"),
        ("x-stainless-read-timeout", "3"),
    ] {
        let began = Instant::now();
        let error =
            router.chat(call(&world, SMALL, Some(100), &[(name, value)])).await.unwrap_err();
        assert_eq!((world.seen().len(), began.elapsed()), (sent, Duration::ZERO), "{name}");
        assert!(error.wait().unwrap() > Duration::from_secs(3), "{name}");
    }
    // Ten seconds are usual for chat.
    router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap();
    world.fill("ptu", 25_000.0);
    drop(router.chat(call(&world, SMALL, Some(100), &[("x-router-max-wait-ms", "0")])).await);
    let began = Instant::now();
    router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_backlog_delays_another_by_one_request() {
    let (router, world, _) = router(&config(&[("ptu", 15)], false, ""), 1.0);
    let large = Truth { prompt: 1_500, output: 60 };
    world.fill("ptu", 6_250.0 + 1_250.0);
    drop(router.chat(call(&world, SMALL, Some(100), &[("x-router-max-wait-ms", "0")])).await);
    let mut waiting = tokio::task::JoinSet::new();
    let mut ask = |key: &str, truth: Truth| {
        let caller = Caller::named(key);
        let asked = ChatCall { caller, ..call(&world, truth, Some(100), &[]) };
        let router = router.clone();
        waiting.spawn(async move { router.chat(asked).await });
    };
    (0..8).for_each(|_| ask("heavy", large));
    tokio::time::sleep(Duration::from_millis(100)).await;
    ask("light", SMALL);
    let before = world.seen().len();
    while waiting.join_next().await.is_some() {}
    let served: Vec<u64> = world.seen()[before..]
        .iter()
        .filter(|seen| seen.status == 200)
        .map(|seen| world.truth(seen.row).prompt)
        .collect();
    let light = served.iter().position(|prompt| *prompt == SMALL.prompt);
    assert!(light.is_some_and(|place| place <= 1), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_left_the_queue_is_never_sent() {
    let (router, world, registry) = router(&config(&[("ptu", 15)], false, ""), 1.0);
    world.fill("ptu", 6_250.0 + 1_250.0);
    drop(router.chat(call(&world, SMALL, Some(100), &[("x-router-max-wait-ms", "0")])).await);
    let sent = world.seen().len();
    let asked = router.chat(call(&world, SMALL, Some(100), &[]));
    drop(tokio::time::timeout(Duration::from_secs(1), asked).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.seen().len(), sent);
    let left =
        registry.gather().into_iter().find(|one| one.name() == "model_router_queue_left_total");
    let left = left.unwrap();
    let gave_up = left
        .get_metric()
        .iter()
        .find(|one| one.get_label().iter().any(|label| label.value() == "gave_up"));
    assert!((gave_up.unwrap().get_counter().get_value() - 1.0).abs() < 1e-9);
}
