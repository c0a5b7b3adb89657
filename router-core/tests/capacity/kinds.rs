//! Each kind of 429 has its own consequence.

use crate::world::{Truth, World, call, config, router};
use router_core::router::ModelRouter;

const SMALL: Truth = Truth { prompt: 300, output: 20 };
const LARGE: Truth = Truth { prompt: 9_000, output: 20 };

async fn goes_to(router: &ModelRouter<World>, world: &World, truth: Truth) -> String {
    router.chat(call(world, truth, Some(50), &[])).await.unwrap();
    world.seen().last().unwrap().deployment.clone()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_size_keeps_only_large_requests_away() {
    let (router, world, _) = router(&config(&[("ptu", 150)], true, ""), 1.0);
    let peak = "exceeds the maximum usage size allowed during peak load";
    world.script("ptu", (429, peak, 20_000));
    assert_eq!(goes_to(&router, &world, LARGE).await, "payg");
    assert_eq!(goes_to(&router, &world, SMALL).await, "ptu");
    assert_eq!(goes_to(&router, &world, LARGE).await, "payg");
    tokio::time::sleep(std::time::Duration::from_secs(21)).await;
    assert_eq!(goes_to(&router, &world, LARGE).await, "ptu");
}

#[tokio::test(start_paused = true)]
async fn exhausted_capacity_of_a_region_says_nothing_about_other_pools() {
    let (router, world, _) = router(&config(&[("ptu", 150)], true, ""), 1.0);
    let busy = "The service is temporarily unable to process your request";
    world.script("ptu", (429, busy, 5_000));
    assert_eq!(goes_to(&router, &world, SMALL).await, "payg");
    assert_eq!(goes_to(&router, &world, SMALL).await, "payg");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(goes_to(&router, &world, SMALL).await, "ptu");
}

#[tokio::test(start_paused = true)]
async fn a_flex_tier_without_room_is_asked_again_without_the_tier() {
    let (router, world, _) = router(&config(&[("ptu", 150)], true, ""), 1.0);
    world.script("ptu", (429, "flex capacity is not available", 5_000));
    assert_eq!(goes_to(&router, &world, SMALL).await, "ptu");
    assert_eq!(world.seen().len(), 2);
    assert_eq!(goes_to(&router, &world, SMALL).await, "ptu");
}
