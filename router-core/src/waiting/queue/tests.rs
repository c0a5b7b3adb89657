//! Tests of the queue's order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::waiting::request::MOST_PASSES;

const SECOND: Duration = Duration::from_secs(1);

fn queue(order: QueueOrder) -> Queue {
    let mut queue = Queue::default();
    queue.set_order(order, Instant::now());
    queue
}

fn request(key: u64, since: Instant) -> Request {
    let standing_wait = Some(2 * SECOND);
    let priority = Priority::Interactive;
    let (weight, entry_level, blocks) = (100.0, 1.0, false);
    Request { priority, key, weight, entry_level, blocks, since, standing_wait }
}

fn join(queue: &mut Queue, request: Request, now: Instant) -> u64 {
    queue.join(request, 256, now).unwrap().number
}

fn first(queue: &Queue, now: Instant) -> Option<(u64, Request)> {
    queue.front(now).map(|one| (one.number, one.waiter.request)).next()
}

fn enter_first(queue: &mut Queue, now: Instant) -> Option<(u64, Request)> {
    let (number, request) = first(queue, now)?;
    queue.entered(&request, Some(number), now);
    queue.leave(number);
    Some((number, request))
}

/// Lets everybody in, one after the other.
fn order_of(queue: &mut Queue, now: Instant) -> Vec<u64> {
    let mut order = Vec::new();
    while let Some((number, _)) = enter_first(queue, now) {
        order.push(number);
    }
    order
}

#[test]
fn a_burst_is_served_oldest_first_and_a_standing_queue_newest_first() {
    let start = Instant::now();
    for (order, waited, expected) in [
        (QueueOrder::Fair, SECOND / 2, [0, 1, 2]),
        (QueueOrder::Fair, 3 * SECOND / 2, [2, 1, 0]),
        (QueueOrder::ControlledDelay, 3 * SECOND / 2, [2, 1, 0]),
        (QueueOrder::FirstCome, 3 * SECOND / 2, [0, 1, 2]),
    ] {
        let mut queue = queue(order);
        for number in 0..3 {
            let since = start + Duration::from_millis(number);
            join(&mut queue, request(1, since), since);
        }
        assert_eq!(order_of(&mut queue, start + waited), expected, "{order:?} {waited:?}");
    }
}

#[test]
fn a_request_leaves_a_standing_queue_early_and_a_burst_never() {
    let start = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    let number = join(&mut queue, request(1, start), start);
    assert_eq!(queue.leaves_at(number), Some(start + 2 * SECOND));
    assert_eq!(queue.position(number, start + 2 * SECOND), Position::Next, "nobody follows");
    let newer = join(&mut queue, request(1, start + SECOND), start + SECOND);
    assert_eq!(queue.position(number, start + 2 * SECOND), Position::Shed);
    queue.leave(number);
    queue.leave(newer);
    // A lane that drained meanwhile is not standing.
    let late = start + 2 * SECOND;
    let number = join(&mut queue, request(1, start), late);
    join(&mut queue, request(1, late), late);
    assert_eq!(queue.position(number, late + SECOND / 2), Position::Next);
    assert_eq!(queue.position(number, late + SECOND), Position::Shed);
    // A request with another deployment to go to leaves by its own time limit.
    let elsewhere = Request { standing_wait: None, ..request(2, start) };
    let number = join(&mut queue, elsewhere, start);
    assert_eq!(queue.leaves_at(number), None);
}

#[test]
fn interactive_requests_go_first() {
    let now = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    let batch = Request { priority: Priority::Batch, ..request(1, now) };
    let (first, second) = (join(&mut queue, batch, now), join(&mut queue, request(2, now), now));
    assert_eq!(order_of(&mut queue, now), [second, first]);
}

#[test]
fn a_key_with_many_requests_delays_another_by_one() {
    let now = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    for _ in 0..10 {
        join(&mut queue, request(1, now), now);
    }
    enter_first(&mut queue, now).unwrap();
    let light = join(&mut queue, request(2, now), now);
    assert_eq!(queue.position(light, now), Position::Next);
    assert!(queue.ahead_of(&request(2, now), now) <= 100.0);
    assert!((queue.ahead_of(&request(1, now), now) - 1_000.0).abs() < 1e-9);
}

#[test]
fn what_fits_passes_but_not_for_ever() {
    let now = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    let large = Request { entry_level: 0.2, ..request(1, now) };
    let large = join(&mut queue, large, now);
    for round in 0..=MOST_PASSES {
        let small = join(&mut queue, request(1, now), now);
        let may = queue.position(small, now) == Position::Next;
        assert_eq!(may, round < MOST_PASSES, "{round}");
        queue.entered(&request(1, now), Some(small), now);
        queue.leave(small);
    }
    assert_eq!(queue.position(large, now), Position::Next);
}

#[test]
fn a_request_that_blocks_lets_a_few_of_its_key_go_first_and_delays_no_other_key() {
    let now = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    let blocking = Request { blocks: true, ..request(1, now) };
    let blocking = join(&mut queue, blocking, now);
    let small: Vec<u64> = (0..6).map(|_| join(&mut queue, request(1, now), now)).collect();
    assert_eq!(order_of(&mut queue, now)[..6], [&small[..4], &[blocking], &small[4..5]].concat());
    // It is first if only it waits, and in the turn of its key.
    let other = join(&mut queue, request(2, now), now);
    let blocking = Request { blocks: true, ..request(1, now) };
    let blocking = join(&mut queue, blocking, now);
    assert_eq!(queue.position(blocking, now), Position::Behind);
    enter_first(&mut queue, now).unwrap();
    assert_eq!(queue.position(blocking, now), Position::Next);
    assert_eq!(queue.position(other, now), Position::Shed);
}

#[test]
fn in_a_full_queue_the_key_with_the_largest_backlog_makes_way() {
    let now = Instant::now();
    let mut queue = queue(QueueOrder::Fair);
    let heavy: Vec<u64> = (0..4).map(|_| join(&mut queue, request(1, now), now)).collect();
    assert!(queue.join(request(1, now), 4, now).is_none(), "its own");
    let light = queue.join(request(2, now), 4, now).unwrap();
    assert_eq!(queue.position(heavy[3], now), Position::Shed);
    assert_eq!(queue.len(), 4);
    assert_ne!(queue.position(light.number, now), Position::Shed);
    let batch = Request { priority: Priority::Batch, ..request(3, now) };
    assert!(queue.join(batch, 4, now).is_none(), "nobody makes way for batch");
    let mut plain = super::tests::queue(QueueOrder::FirstCome);
    join(&mut plain, request(1, now), now);
    assert!(plain.join(request(2, now), 1, now).is_none());
}

proptest! {
    /// While two keys wait, neither gets more than the other by more than two requests' weight.
    #[test]
    fn keys_that_wait_get_the_same(
        weights in proptest::collection::vec((1.0..500.0_f64, 0..2_u64), 20..80),
    ) {
        let now = Instant::now();
        let mut queue = queue(QueueOrder::Fair);
        for (weight, key) in &weights {
            join(&mut queue, Request { weight: *weight, ..request(*key, now) }, now);
        }
        let mut got = [0.0_f64; 2];
        while (0..2).all(|key| queue.waiting().any(|one| one.waiter.request.key == key)) {
            let (_, request) = enter_first(&mut queue, now).unwrap();
            got[usize::try_from(request.key).unwrap()] += request.weight;
            prop_assert!((got[0] - got[1]).abs() <= 1_000.0, "{got:?}");
        }
    }

    /// An empty queue remembers nothing, whatever happened before.
    #[test]
    fn an_empty_queue_is_as_new(keys in proptest::collection::vec(0..5_u64, 1..40)) {
        let now = Instant::now();
        let mut queue = queue(QueueOrder::Fair);
        let numbers: Vec<u64> =
            keys.iter().map(|key| join(&mut queue, request(*key, now), now)).collect();
        for number in numbers {
            queue.leave(number);
        }
        prop_assert!(queue.is_empty() && queue.lanes.is_empty());
    }
}
