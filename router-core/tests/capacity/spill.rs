//! Wait or spill: by the millisecond, in order, never all at once.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::world::{Truth, call, config, router};

const SMALL: Truth = Truth { prompt: 500, output: 60 };

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_held_and_a_long_one_spills_at_once() {
    // 15 PTU drain 625 tokens a second.
    for (over, header, deployment, held) in [
        (200.0, None, "ptu", 320..=330),
        (250.0, None, "ptu", 400..=410),
        (400.0, None, "payg", 0..=1),
        (400.0, Some("1000"), "ptu", 640..=650),
        (200.0, Some("0"), "payg", 0..=1),
    ] {
        let (router, world, _) = router(&config(&[("ptu", 15)], true, ""), 1.0);
        world.fill("ptu", 6_250.0 + over);
        let hints: Vec<_> = header.map(|wait| ("x-router-max-wait-ms", wait)).into_iter().collect();
        let began = Instant::now();
        router.chat(call(&world, SMALL, Some(100), &hints)).await.unwrap();
        let seen = world.seen();
        let last = seen.last().unwrap();
        assert_eq!(last.deployment, deployment, "{over} {header:?}");
        let waited = (last.at - began).as_millis();
        assert!(held.contains(&waited), "{over} {header:?}: {waited} ms");
        // The twin did not know the others' load; one 429 has shown it.
        assert_eq!(seen.iter().filter(|seen| seen.status == 429).count(), 1);
        assert!(world.utilization("ptu") <= 1.2);
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_enter_one_by_one_interactive_first_and_the_oldest_first() {
    let cfg = config(&[("ptu", 15)], true, "max_wait_ms = 60000");
    let (router, world, _) = router(&cfg, 1.0);
    world.fill("ptu", 6_250.0 + 600.0);
    let (router, world) = (&router, &world);
    let asks = (0..8u64).map(|number| async move {
        sleep(Duration::from_millis(number)).await;
        let priority = if number % 2 == 0 { "batch" } else { "interactive" };
        let hints = [("x-router-priority", priority)];
        router.chat(call(world, SMALL, Some(100), &hints)).await.unwrap()
    });
    join_all(asks).await;
    let admitted: Vec<_> = world.seen().into_iter().filter(|seen| seen.status == 200).collect();
    // Rows are numbered in the order of arrival. The one that met the 429 stands in line like the others.
    let order: Vec<usize> = admitted.iter().map(|seen| seen.row).collect();
    assert_eq!(order, [1, 3, 5, 7, 0, 2, 4, 6]);
    assert!(admitted.iter().all(|seen| seen.deployment == "ptu"));
    // Each reserves 900 tokens, which drain in 1.44 s: no two entered together.
    for pair in admitted.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(300), "{admitted:?}");
    }
    let refused = world.seen().len() - admitted.len();
    assert!(refused <= 2, "{refused} refused");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_caller_hangs_up_leaves_the_line() {
    let cfg = config(&[("ptu", 15)], true, "max_wait_ms = 60000");
    let (router, world, _) = router(&cfg, 1.0);
    world.fill("ptu", 6_250.0 + 1_250.0);
    router.chat(call(&world, Truth { prompt: 100, output: 9 }, Some(10), &[])).await.unwrap();
    world.fill("ptu", 6_250.0);
    let first = call(&world, SMALL, Some(100), &[]);
    let second = call(&world, SMALL, Some(100), &[]);
    let impatient = tokio::time::timeout(Duration::from_millis(50), router.chat(first));
    let (impatient, second) = tokio::join!(impatient, router.chat(second));
    assert!(impatient.is_err());
    second.unwrap();
    let served: Vec<usize> =
        world.seen().iter().filter(|seen| seen.status == 200).map(|seen| seen.row).collect();
    assert_eq!(served, [0, 2], "the one that hung up was never sent");
}

#[tokio::test(start_paused = true)]
async fn batch_leaves_head_room_for_interactive() {
    let (router, world, _) = router(&config(&[("ptu", 15)], true, "max_wait_ms = 0"), 1.0);
    // The twin must have seen the load itself: one large call in flight fills 85 %.
    let large = call(&world, Truth { prompt: 300, output: 500 }, Some(1_250), &[]);
    let batch = [("x-router-priority", "batch")];
    let (batch, interactive) =
        (call(&world, SMALL, Some(100), &batch), call(&world, SMALL, Some(100), &[]));
    let later = async {
        sleep(Duration::from_millis(20)).await;
        router.chat(batch).await.unwrap();
        router.chat(interactive).await.unwrap();
    };
    let (large, ()) = tokio::join!(router.chat(large), later);
    large.unwrap();
    let went: Vec<String> = world.seen().into_iter().map(|seen| seen.deployment).collect();
    assert_eq!(went, ["ptu", "payg", "ptu"]);
}
