//! Several routers in front of the same deployments: they use a provisioned one as fully as one
//! router does, and share cooldowns, used quota and conversations.

use std::time::Duration;

use router_core::replicas::{Exchange, Push, Replicas, SyncSettings};
use router_core::router::ModelRouter;
use tokio::time::Instant;

use crate::in_memory_exchange::InMemoryExchange;
use crate::world::{Truth, World, call, config, world_of};

const PTU: i64 = 150;
/// The drain rate of 150 PTUs of gpt-4o, in tokens per second.
const RATE: f64 = 6_250.0;
/// A full bucket, in seconds of drain.
const WINDOW_SECONDS: f64 = 10.0;
const SPAN: Duration = Duration::from_secs(120);

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap();
        f64::from(high) / f64::from(u32::MAX)
    }

    fn between(&mut self, least: f64, most: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        let whole = (least + (most - least) * self.roll()) as u64;
        whole
    }
}

/// Arrival, number of the router, the call, and its cap.
type Arrival = (Duration, usize, Truth, u64);

/// `load` times what the deployment serves, over the whole span.
fn arrivals(seed: u64, load: f64, routers: usize) -> Vec<Arrival> {
    let mut dice = Dice(seed);
    let (mut at, mut all) = (0.0, Vec::new());
    loop {
        let truth =
            Truth { prompt: dice.between(200.0, 1_800.0), output: dice.between(20.0, 280.0) };
        let cap = truth.output + dice.between(0.0, 500.0);
        // 1,000 of prompt and four times 150 are 1,600 on average.
        at += -(1.0 - dice.roll()).max(1e-9).ln() * 1_600.0 / RATE / load;
        if at > SPAN.as_secs_f64() {
            return all;
        }
        let router = usize::try_from(dice.between(0.0, 1_000_000.0)).unwrap() % routers;
        all.push((Duration::from_secs_f64(at), router, truth, cap));
    }
}

struct Outcome {
    /// Share of the deployment's throughput that answers used.
    used: f64,
    /// Number of 429s of the provisioned deployment.
    refused: usize,
    /// Number of answers of the pay-as-you-go deployment.
    spilled: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { used, refused, spilled } = self;
        write!(out, "{:.1} % of the PTU, {refused} refusals, {spilled} spills", 100.0 * used)
    }
}

/// Plays arrivals through so many routers, which share state if there is an exchange.
async fn play(routers: usize, load: f64, exchange: Option<InMemoryExchange>) -> Outcome {
    let config = config(&[("ptu", PTU)], true, "");
    let (rules, world) = world_of(config.rules().unwrap());
    let mut all = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..routers {
        let replicas = exchange.clone();
        let replicas = replicas.map(|shared| Replicas::new(shared, SyncSettings::default()));
        let registry = prometheus::Registry::new();
        let limits = config.limits.clone();
        let router = ModelRouter::among_replicas(
            rules.clone(),
            limits,
            world.clone(),
            &registry,
            replicas.clone(),
        );
        if let Some(replicas) = replicas {
            running.spawn(async move { replicas.run().await });
        }
        all.push(router.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for (at, to, truth, cap) in arrivals(7, load, 12) {
        let (router, world) = (all[to % routers].clone(), world.clone());
        under_way.spawn(async move {
            tokio::time::sleep_until(began + at).await;
            router.chat(call(&world, truth, Some(cap), &[])).await.unwrap();
        });
    }
    under_way.join_all().await;
    outcome(&world, began.elapsed())
}

fn outcome(world: &World, took: Duration) -> Outcome {
    let seen = world.seen();
    let at_ptu = || seen.iter().filter(|seen| seen.deployment == "ptu");
    let served: f64 = at_ptu()
        .filter(|seen| seen.status == 200)
        .map(|seen| {
            let truth = world.truth(seen.row);
            #[expect(clippy::cast_precision_loss, reason = "token counts are small")]
            let used = (truth.prompt + 4 * truth.output) as f64;
            used
        })
        .sum();
    // Reservations that have not drained yet are not used.
    let left = world.utilization("ptu") * RATE * WINDOW_SECONDS;
    let used = (served - left) / RATE / took.as_secs_f64();
    let refused = at_ptu().filter(|seen| seen.status == 429).count();
    let spilled = seen.iter().filter(|seen| seen.deployment == "payg" && seen.status == 200);
    Outcome { used, refused, spilled: spilled.count() }
}

fn exchange() -> InMemoryExchange {
    InMemoryExchange::new(Instant::now(), Duration::from_millis(1))
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "docs/replicas.md repeats the figures")]
async fn several_routers_use_the_deployment_as_fully_as_one_and_spill_as_little() {
    for load in [1.2, 2.0] {
        let one = play(1, load, None).await;
        println!("load {load}: one router {one}");
        assert!(one.used > 0.9, "{}", one.used);
        for routers in [2, 3, 4] {
            let shared = play(routers, load, Some(exchange())).await;
            println!("load {load}: {routers} sharing {shared}");
            assert!(one.used - shared.used <= 0.03, "load {load}: {one}; {routers}: {shared}");
            let most = one.spilled + one.spilled / 20;
            assert!(shared.spilled <= most, "load {load}: {one}; {routers}: {shared}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "docs/replicas.md repeats the figures")]
async fn routers_that_share_are_refused_less_often_than_routers_that_do_not() {
    for load in [1.2, 2.0] {
        for routers in [2, 3, 4] {
            let shared = play(routers, load, Some(exchange())).await;
            let alone = play(routers, load, None).await;
            println!("load {load}: {routers} sharing {shared}; alone {alone}");
            assert!(shared.refused < alone.refused, "{load}: {shared}; alone {alone}");
        }
    }
}

/// Two routers that share state, over one world.
async fn pair(
    exchange: &InMemoryExchange,
) -> (Vec<ModelRouter<World>>, World, tokio::task::JoinSet<()>) {
    let config = config(&[("ptu", PTU)], true, "");
    let (rules, world) = world_of(config.rules().unwrap());
    let mut running = tokio::task::JoinSet::new();
    let routers = [(), ()].map(|()| {
        let replicas = Replicas::new(exchange.clone(), SyncSettings::default());
        let (limits, registry) = (config.limits.clone(), prometheus::Registry::new());
        let shared = Some(std::sync::Arc::clone(&replicas));
        running.spawn(async move { replicas.run().await });
        ModelRouter::among_replicas(rules.clone(), limits, world.clone(), &registry, shared)
            .unwrap()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    (routers.into(), world, running)
}

/// A router's estimate of the deployment's utilization.
fn believed(router: &ModelRouter<World>) -> f64 {
    let ptu = "ptu".try_into().unwrap();
    router.standing(&ptu).twin.unwrap().utilization(Instant::now())
}

const LARGE: Truth = Truth { prompt: 9_000, output: 100 };

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_router_is_known_to_the_other_a_moment_later() {
    let exchange = exchange();
    let (routers, world, _running) = pair(&exchange).await;
    // Others fill it, one router is refused, and the other does not even ask.
    world.fill("ptu", 3.0 * RATE * WINDOW_SECONDS);
    routers[0].chat(call(&world, LARGE, Some(100), &[])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let asked = world.seen().len();
    routers[1].chat(call(&world, LARGE, Some(100), &[])).await.unwrap();
    let seen = world.seen();
    assert_eq!(seen.len(), asked + 1);
    assert_eq!(seen[asked].deployment, "payg");
    assert!((believed(&routers[1]) - world.utilization("ptu")).abs() < 0.05);
}

#[tokio::test(start_paused = true)]
async fn a_lost_exchange_is_reported_and_routers_rejoin_by_themselves() {
    let exchange = exchange();
    let (routers, _world, _running) = pair(&exchange).await;
    for loss in [Duration::from_secs(2), Duration::from_secs(8)] {
        exchange.lose(true);
        tokio::time::sleep(loss).await;
        for router in &routers {
            let status = router.replicas().unwrap().status(Instant::now());
            assert!(!status.connected && status.replicas == 1, "{status:?}");
            assert!(status.age.unwrap() > Duration::from_secs(1), "{status:?}");
        }
        exchange.clear();
        exchange.lose(false);
        tokio::time::sleep(Duration::from_secs(3)).await;
        for router in &routers {
            let status = router.replicas().unwrap().status(Instant::now());
            assert!(status.connected && status.replicas == 2, "{status:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_of_another_age_is_not_counted_and_is_cleared_away() {
    let exchange = exchange();
    let (routers, _world, _running) = pair(&exchange).await;
    let shared = exchange.micros(Instant::now());
    // A week old, an hour old, and from before the shared clock was set back by an hour.
    let (hour, week) = (3_600_000_000, 7 * 24 * 3_600_000_000);
    for (number, micros) in [shared - week, shared - hour, shared + hour].into_iter().enumerate() {
        let ghost = Push {
            run: format!("ghost{number}").into(),
            micros,
            beat: true,
            ttl: Duration::from_secs(3),
            ..Push::default()
        };
        exchange.sync(&ghost).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for router in &routers {
        assert_eq!(router.replicas().unwrap().status(Instant::now()).replicas, 2);
    }
}
