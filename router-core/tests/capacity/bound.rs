//! Where no pay-as-you-go deployment may serve: other provisioned ones first, then the line, then 429 with the wait.

use std::time::Duration;

use router_core::error::RouteError;
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
    assert!(error.kind().ends_with("_exhausted"), "{}", error.kind());
    assert!(error.wait().unwrap() > Duration::from_secs(3), "{:?}", error.wait());
    // Now the twin knows: nothing is sent, the wait is told at once.
    let (sent, began) = (world.seen().len(), Instant::now());
    let error = router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap_err();
    assert!(error.wait().unwrap() > Duration::from_secs(3));
    assert_eq!((world.seen().len(), began.elapsed()), (sent, Duration::ZERO));
}
