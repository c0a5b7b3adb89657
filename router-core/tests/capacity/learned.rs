//! Learned caps: a tighter cap that the caller cannot notice, and never a truncation that the caller did not request.

use futures_util::future::join_all;
use router_core::response::Body;
use serde_json::Value;

use crate::world::{Truth, World, call, config, router};
use router_core::router::ModelRouter;

async fn finish(
    router: &ModelRouter<World>,
    world: &World,
    output: u64,
    cap: Option<u64>,
) -> Value {
    let response = router.chat(call(world, Truth { prompt: 300, output }, cap, &[])).await.unwrap();
    let Body::Full(body) = response.body else { return Value::Null };
    serde_json::from_slice(&body).unwrap()
}

/// 300 answers of 1 to 300 tokens.
async fn teach(router: &ModelRouter<World>, world: &World) {
    join_all((1..=300).map(|output| finish(router, world, output, None))).await;
}

#[tokio::test(start_paused = true)]
async fn a_learned_cap_is_sent_and_an_answer_it_cuts_is_asked_again() {
    let cfg = config(&[("ptu", 1_500)], true, "reserve = \"learned\"");
    let (router, world, _) = router(&cfg, 1.0);
    assert_eq!(finish(&router, &world, 100, None).await["choices"][0]["finish_reason"], "stop");
    assert_eq!(world.seen().last().unwrap().cap, None, "nothing learned yet");
    teach(&router, &world).await;
    finish(&router, &world, 100, None).await;
    let cap = world.seen().last().unwrap().cap.unwrap();
    // After 300 of the 1,000 answers that its quantile takes, the longest has a margin of 1.44.
    assert!((420..=460).contains(&cap), "{cap}");
    let before = world.seen().len();
    let answer = finish(&router, &world, 2_000, None).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 2_000);
    let caps: Vec<_> = world.seen()[before..].iter().map(|seen| seen.cap).collect();
    assert_eq!(caps, [Some(cap), None]);
}

#[tokio::test(start_paused = true)]
async fn a_truncation_that_the_caller_asked_for_is_passed_on() {
    let cfg = config(&[("ptu", 1_500)], true, "reserve = \"learned\"");
    let (router, world, _) = router(&cfg, 1.0);
    teach(&router, &world).await;
    let before = world.seen().len();
    let answer = finish(&router, &world, 2_000, Some(40)).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let caps: Vec<_> = world.seen()[before..].iter().map(|seen| seen.cap).collect();
    assert_eq!(caps, [Some(40)], "a cap tighter than ours stays, and nothing is asked again");
}

#[tokio::test(start_paused = true)]
async fn without_the_option_caps_are_the_callers() {
    let (router, world, _) = router(&config(&[("ptu", 1_500)], true, ""), 1.0);
    teach(&router, &world).await;
    finish(&router, &world, 100, Some(4_096)).await;
    assert_eq!(world.seen().last().unwrap().cap, Some(4_096));
}
