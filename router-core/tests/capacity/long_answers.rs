//! The head of a whole answer comes with its end: a long one is no fault.

use crate::world::{Truth, call, config, router};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_takes_longer_than_a_first_byte_may_is_waited_for() {
    let (router, world, _) = router(&config(&[("ptu", 1_500)], true, ""), 1.0);
    for cap in [None, Some(4_000)] {
        let (before, began) = (world.seen().len(), Instant::now());
        let long = Truth { prompt: 500, output: 4_000 };
        router.chat(call(&world, long, cap, &[])).await.unwrap();
        assert!(began.elapsed().as_secs() > 60, "longer than the role's limit: {began:?}");
        assert_eq!(world.seen().len() - before, 1, "asked once");
    }
}
