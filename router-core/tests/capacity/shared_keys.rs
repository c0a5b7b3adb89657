//! Limits and budgets of a key hold for several routers together, in paused time.

use std::sync::Arc;
use std::time::Duration;

use router_core::decision::{Moment, Rules};
use router_core::ledger::{Allowance, Used};
use router_core::replicas::{Replicas, SyncSettings};
use router_core::router::ModelRouter;
use router_core::stored::Caller;
use router_core::units::Usd;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::in_memory_exchange::InMemoryExchange;
use crate::world::{Truth, World, call, config, world_of};

const TRIP: Duration = Duration::from_millis(1);
const SHORT: Truth = Truth { prompt: 100, output: 10 };

/// Written by the next sync of the one, read by the next of the other.
fn stale() -> Duration {
    2 * (SyncSettings::default().sync + TRIP)
}

/// A router that can be killed.
struct Node {
    router: ModelRouter<World>,
    running: JoinSet<()>,
}

impl Node {
    async fn ask(&self, world: &World, allowance: Allowance, truth: Truth) -> Result<(), String> {
        ask(&self.router, world, allowance, truth).await
    }

    fn used(&self) -> Used {
        let today = router_core::clock::day(router_core::clock::wall());
        self.router.ledger().used("team", Moment::new(Instant::now(), today))
    }

    fn kill(mut self) {
        self.running.abort_all();
    }
}

/// The outcome of a request of the key `team`: the kind of the refusal.
async fn ask(
    router: &ModelRouter<World>,
    world: &World,
    allowance: Allowance,
    truth: Truth,
) -> Result<(), String> {
    let mut call = call(world, truth, None, &[]);
    call.caller = Caller::named("team");
    call.allowance = allowance;
    let answer = router.chat(call).await;
    answer.map(drop).map_err(|error| error.kind().as_str().to_owned())
}

/// Routers that share an exchange, in front of one deployment.
struct Fleet {
    exchange: InMemoryExchange,
    rules: Rules,
    world: World,
}

impl Fleet {
    fn new() -> Self {
        let (rules, world) = world_of(config(&[], true, "").rules().unwrap());
        Self { exchange: InMemoryExchange::new(Instant::now(), TRIP), rules, world }
    }

    async fn node(&self) -> Node {
        let replicas = Replicas::new(self.exchange.clone(), SyncSettings::default());
        let registry = prometheus::Registry::new();
        let limits = config(&[], true, "").limits;
        let (rules, world) = (self.rules.clone(), self.world.clone());
        let shared = Some(Arc::clone(&replicas));
        let router = ModelRouter::among_replicas(rules, limits, world, &registry, shared).unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move { replicas.run().await });
        tokio::time::sleep(stale()).await;
        Node { router, running }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_a_minute_count_wherever_they_were_made() {
    let fleet = Fleet::new();
    let nodes = [fleet.node().await, fleet.node().await];
    let twenty = Allowance { requests_per_minute: Some(20), ..Allowance::default() };
    let began = Instant::now();
    let mut admitted = 0;
    for number in 0..60 {
        // Each router knows what the other has admitted before the next request: not one more than allowed.
        let asked = nodes[number % 2].ask(&fleet.world, twenty, SHORT).await;
        assert_eq!(asked.is_ok(), admitted < 20, "{number}: {asked:?}");
        admitted += u32::from(asked.is_ok());
        tokio::time::sleep(stale()).await;
    }
    assert_eq!((nodes[0].used().requests, nodes[1].used().requests), (20, 20));
    // A minute after the first of them there is room for it again, wherever it was made; within a beat all have said so.
    let room = began + Duration::from_secs(61);
    tokio::time::sleep_until(room).await;
    assert!(nodes[1].ask(&fleet.world, twenty, SHORT).await.is_ok());
    // All at once: each may admit requests that the others do not know yet, and no more.
    tokio::time::sleep(Duration::from_secs(70)).await;
    let asked = nodes.iter().cycle().take(80).map(|node| node.ask(&fleet.world, twenty, SHORT));
    let asked = futures_util::future::join_all(asked).await;
    let admitted = asked.iter().filter(|asked| asked.is_ok()).count();
    assert!((20..=40).contains(&admitted), "{admitted}");
    tokio::time::sleep(stale()).await;
    for node in &nodes {
        assert_eq!(node.used().requests, u64::try_from(admitted).unwrap());
        assert!(node.ask(&fleet.world, twenty, SHORT).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_spent_at_one_is_spent_at_all_whoever_dies_and_whatever_is_lost() {
    let fleet = Fleet::new();
    let first = fleet.node().await;
    let second = fleet.node().await;
    // One answer of 100 and 10 tokens costs 0.00035 dollars.
    let budget =
        |dollars| Allowance { monthly_budget: Usd::of_dollars(dollars), ..Allowance::default() };
    let little = budget(0.001);
    for _ in 0..3 {
        first.ask(&fleet.world, little, SHORT).await.unwrap();
    }
    let spent = first.used().month;
    tokio::time::sleep(stale()).await;
    let refused = Err("insufficient_quota".to_owned());
    assert_eq!(second.used().month, spent);
    assert_eq!(second.ask(&fleet.world, little, SHORT).await, refused);
    // Killed, and one that replaces it does not know it any more.
    first.kill();
    let third = fleet.node().await;
    assert_eq!(third.used().month, spent);
    assert_eq!(third.ask(&fleet.world, little, SHORT).await, refused);
    // The exchange loses everything; within two beats those who are left write it again.
    tokio::time::sleep(Duration::from_secs(10)).await;
    fleet.exchange.clear();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    second.kill();
    third.kill();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let last = fleet.node().await;
    assert_eq!(last.used().month, spent);
    assert_eq!(last.ask(&fleet.world, little, SHORT).await, refused);
    // Its own spending is added once.
    last.ask(&fleet.world, budget(1.0), SHORT).await.unwrap();
    let more = last.used().month;
    assert!(more > spent);
    tokio::time::sleep(Duration::from_secs(130)).await;
    assert_eq!(last.used().month, more);
}

#[tokio::test(start_paused = true)]
async fn cut_off_each_goes_on_alone_and_afterwards_nothing_counts_twice() {
    let fleet = Fleet::new();
    let nodes = [fleet.node().await, fleet.node().await];
    let three = Allowance { requests_per_minute: Some(3), ..Allowance::default() };
    for _ in 0..3 {
        nodes[0].ask(&fleet.world, three, SHORT).await.unwrap();
    }
    tokio::time::sleep(stale()).await;
    assert!(nodes[1].ask(&fleet.world, three, SHORT).await.is_err());
    fleet.exchange.lose(true);
    let cut = Instant::now();
    // The last figures count until they are a minute old; then each router has its own limit.
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(nodes[1].ask(&fleet.world, three, SHORT).await.is_err());
    tokio::time::sleep_until(cut + Duration::from_secs(62)).await;
    for _ in 0..3 {
        nodes[1].ask(&fleet.world, three, SHORT).await.unwrap();
    }
    let spent = nodes[0].used().month;
    assert_eq!(nodes[0].used().requests, 0);
    fleet.exchange.lose(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for node in &nodes {
        assert_eq!(node.used().requests, 3);
        assert!(node.ask(&fleet.world, three, SHORT).await.is_err());
        assert_eq!(node.used().month, spent + spent, "six requests of one price");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_although_the_answer_was_lost_counts_once() {
    let fleet = Fleet::new();
    let nodes = [fleet.node().await, fleet.node().await];
    let ten = Allowance { requests_per_minute: Some(10), ..Allowance::default() };
    fleet.exchange.lose_answers(true);
    for _ in 0..6 {
        nodes[0].ask(&fleet.world, ten, SHORT).await.unwrap();
    }
    // Long enough for several attempts, each of which writes.
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.exchange.lose_answers(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (own, there) = (nodes[0].used(), nodes[1].used());
    assert_eq!((own.requests, there.requests), (6, 6));
    assert_eq!((own.day, own.month), (there.day, there.month));
    let newcomer = fleet.node().await;
    assert_eq!((newcomer.used().requests, newcomer.used().month), (6, own.month));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_one_counts_at_all_until_it_ends_or_dies() {
    let fleet = Fleet::new();
    let mut nodes = vec![fleet.node().await, fleet.node().await];
    let one = Allowance { max_in_flight: Some(1), ..Allowance::default() };
    let long = Truth { prompt: 100, output: 2_000 };
    let begin = |node: &Node| {
        let (router, world) = (node.router.clone(), fleet.world.clone());
        let mut under_way = JoinSet::new();
        under_way.spawn(async move { ask(&router, &world, one, long).await });
        under_way
    };
    let mut done = begin(&nodes[0]);
    // It takes longer than a silent router is waited for: its reports say that it goes on.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(done.try_join_next().is_none());
    assert!(nodes[1].ask(&fleet.world, one, SHORT).await.is_err());
    done.join_next().await.unwrap().unwrap().unwrap();
    tokio::time::sleep(stale()).await;
    nodes[1].ask(&fleet.world, one, SHORT).await.unwrap();
    tokio::time::sleep(stale()).await;
    let dying = begin(&nodes[0]);
    tokio::time::sleep(stale()).await;
    assert!(nodes[1].ask(&fleet.world, one, SHORT).await.is_err());
    nodes.remove(0).kill();
    tokio::time::sleep(SyncSettings::default().ttl + Duration::from_secs(1)).await;
    nodes[0].ask(&fleet.world, one, SHORT).await.unwrap();
    drop(dying);
}
