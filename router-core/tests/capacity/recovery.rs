//! After faults: one request tries, then more and more follow.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::world::{Truth, call, config, router};

const SMALL: Truth = Truth { prompt: 500, output: 60 };

#[tokio::test(start_paused = true)]
async fn one_request_tries_a_deployment_that_comes_back_and_more_follow() {
    for (status, message, rest) in [
        (404, "DeploymentNotFound", Duration::from_secs(61)),
        (503, "down", Duration::from_secs(2)),
    ] {
        let (router, world, _) = router(&config(&[("ptu", 1_500)], true, ""), 1.0);
        world.script("ptu", (status, message, 0));
        router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap();
        sleep(rest).await;
        let tried = async |many: usize| {
            let before = world.seen().len();
            let calls = (0..many).map(|_| router.chat(call(&world, SMALL, Some(100), &[])));
            assert!(join_all(calls).await.iter().all(Result::is_ok));
            let seen = world.seen();
            seen[before..].iter().filter(|seen| seen.deployment == "ptu").count()
        };
        assert_eq!(tried(50).await, 1, "{status}: nobody knows yet");
        let early = tried(50).await;
        assert!((1..=4).contains(&early), "{status}: {early}");
        sleep(Duration::from_secs(11)).await;
        assert_eq!(tried(50).await, 50, "{status}: it is back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_nowhere_else_to_go_tries_as_well() {
    let (router, world, _) = router(&config(&[("ptu", 1_500)], false, ""), 1.0);
    world.script("ptu", (503, "down", 0));
    router.chat(call(&world, SMALL, Some(100), &[])).await.unwrap_err();
    sleep(Duration::from_secs(2)).await;
    let calls = (0..5).map(|_| router.chat(call(&world, SMALL, Some(100), &[])));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
}
