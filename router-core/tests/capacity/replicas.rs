//! Several routers in front of one provisioned deployment waste hardly more of it than one does.

use std::time::Duration;

use router_core::router::ModelRouter;
use router_core::state::{Exchange, InMemoryExchange, Pace, Push, Replicas};
use tokio::time::Instant;

use crate::world::{Truth, World, call, config, world_of};

const PTU: i64 = 150;
/// What 150 units of gpt-4o drain in a second.
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

/// When it comes, to which router, what it is, with which cap.
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
    /// The share of the deployment's throughput that answers used.
    used: f64,
    refused: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.1} % of the PTU, {} refusals", 100.0 * self.used, self.refused)
    }
}

/// Plays arrivals through so many routers; with a board they share what they know.
async fn play(routers: usize, load: f64, board: Option<InMemoryExchange>) -> Outcome {
    let config = config(&[("ptu", PTU)], true, "");
    let (rules, world) = world_of(config.rules().unwrap());
    let mut all = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..routers {
        let replicas = board.clone().map(|board| Replicas::new(board, Pace::default()));
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
    // What it still has to serve is not yet used.
    let left = world.utilization("ptu") * RATE * WINDOW_SECONDS;
    let used = (served - left) / RATE / took.as_secs_f64();
    Outcome { used, refused: at_ptu().filter(|seen| seen.status == 429).count() }
}

fn board() -> InMemoryExchange {
    InMemoryExchange::new(Instant::now(), Duration::from_millis(1))
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "docs/replicas.md repeats the figures")]
async fn two_and_four_routers_waste_at_most_three_points_more_than_one() {
    for load in [1.2, 2.0] {
        let one = play(1, load, None).await;
        assert!(one.used > 0.9, "{}", one.used);
        for routers in [2, 4] {
            let shared = play(routers, load, Some(board())).await;
            println!("load {load}: one router {one}; {routers} sharing {shared}");
            assert!(one.used - shared.used <= 0.03, "load {load}: {one}; {routers}: {shared}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "docs/replicas.md repeats the figures")]
async fn those_who_share_are_refused_less_often_than_those_who_do_not() {
    let (shared, alone) = (play(4, 1.2, Some(board())).await, play(4, 1.2, None).await);
    println!("load 1.2: 4 sharing {shared}; 4 alone {alone}");
    assert!(shared.refused < alone.refused, "{shared}; alone {alone}");
}

/// Two routers that share over a board, over one world.
async fn pair(
    board: &InMemoryExchange,
) -> (Vec<ModelRouter<World>>, World, tokio::task::JoinSet<()>) {
    let config = config(&[("ptu", PTU)], true, "");
    let (rules, world) = world_of(config.rules().unwrap());
    let mut running = tokio::task::JoinSet::new();
    let routers = [(), ()].map(|()| {
        let replicas = Replicas::new(board.clone(), Pace::default());
        let (limits, registry) = (config.limits.clone(), prometheus::Registry::new());
        let shared = Some(std::sync::Arc::clone(&replicas));
        running.spawn(async move { replicas.run().await });
        ModelRouter::among_replicas(rules.clone(), limits, world.clone(), &registry, shared)
            .unwrap()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    (routers.into(), world, running)
}

/// How full a router believes the deployment to be.
fn believed(router: &ModelRouter<World>) -> f64 {
    let ptu = "ptu".try_into().unwrap();
    router.standing(&ptu).twin.unwrap().utilization(Instant::now())
}

#[tokio::test(start_paused = true)]
async fn what_one_router_adds_and_is_told_the_other_knows_a_moment_later() {
    let board = board();
    let (routers, world, _running) = pair(&board).await;
    let large = Truth { prompt: 9_000, output: 100 };
    let mut under_way = tokio::task::JoinSet::new();
    under_way.spawn({
        let (router, world) = (routers[0].clone(), world.clone());
        async move { router.chat(call(&world, large, Some(5_000), &[])).await.is_ok() }
    });
    tokio::time::sleep(Duration::from_millis(40)).await;
    for router in &routers {
        assert!((believed(router) - world.utilization("ptu")).abs() < 0.02, "{}", believed(router));
    }
    assert_eq!(under_way.join_all().await, [true]);
    // Others fill it, one router is refused, and the other does not even ask.
    world.fill("ptu", 3.0 * RATE * WINDOW_SECONDS);
    routers[0].chat(call(&world, large, Some(100), &[])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let asked = world.seen().len();
    routers[1].chat(call(&world, large, Some(100), &[])).await.unwrap();
    let seen = world.seen();
    assert_eq!(seen.len(), asked + 1);
    assert_eq!(seen[asked].deployment, "payg");
    assert!((believed(&routers[1]) - world.utilization("ptu")).abs() < 0.05);
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_they_agree_again_and_count_nothing_twice() {
    let board = board();
    let (routers, world, _running) = pair(&board).await;
    for (loss, requests) in [(Duration::from_secs(1), 3), (Duration::from_secs(8), 6)] {
        board.lose(true);
        for number in 0..requests {
            let truth = Truth { prompt: 8_000, output: 100 };
            routers[number % 2].chat(call(&world, truth, Some(200), &[])).await.unwrap();
        }
        tokio::time::sleep(loss).await;
        board.lose(false);
        tokio::time::sleep(Duration::from_secs(2)).await;
        for router in &routers {
            let (believed, truth) = (believed(router), world.utilization("ptu"));
            assert!(believed <= truth + 0.05, "{loss:?}: believed {believed}, truly {truth}");
            let status = router.replicas().unwrap().status(Instant::now());
            assert!(status.connected && status.replicas == 2, "{status:?}");
        }
        assert!((believed(&routers[0]) - believed(&routers[1])).abs() < 0.05);
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_router_had_open_is_taken_off() {
    let board = board();
    let (mut routers, world, mut running) = pair(&board).await;
    let short = Truth { prompt: 1_000, output: 20 };
    for _ in 0..5 {
        routers[1].chat(call(&world, short, Some(4_000), &[])).await.unwrap();
    }
    let long = Truth { prompt: 1_000, output: 4_000 };
    let mut under_way = tokio::task::JoinSet::new();
    under_way.spawn({
        let (router, world) = (routers[1].clone(), world.clone());
        async move { router.chat(call(&world, long, Some(12_000), &[])).await.is_ok() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(believed(&routers[0]) > 0.5, "{}", believed(&routers[0]));
    // Both die at once, and so does what it had under way.
    under_way.abort_all();
    running.abort_all();
    drop(routers.remove(1));
    let alive = routers[0].replicas().unwrap().clone();
    running.spawn(async move { alive.run().await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(believed(&routers[0]) < 0.1, "{}", believed(&routers[0]));
    assert_eq!(routers[0].replicas().unwrap().status(Instant::now()).replicas, 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_another_age_is_nobody_and_is_cleared_away() {
    let board = board();
    let (routers, _world, _running) = pair(&board).await;
    let large = RATE * WINDOW_SECONDS;
    let shared = board.meet(&Push::default()).await.unwrap().micros;
    // A week old, an hour old, and from before the shared clock was set back by an hour.
    let (hour, week) = (3_600_000_000, 7 * 24 * 3_600_000_000);
    for (number, micros) in [shared - week, shared - hour, shared + hour].into_iter().enumerate() {
        let replica: Box<str> = format!("ghost{number}").into();
        let report = format!("i {replica} {micros}\nb ptu {large} {large}\n");
        let push = Push { replica, report: Some(report.into()), ..Push::default() };
        board.meet(&push).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for router in &routers {
        assert_eq!(router.replicas().unwrap().status(Instant::now()).replicas, 2);
        assert!(believed(router) < 0.01);
    }
    let reports = board.meet(&Push { beat: true, ..Push::default() }).await.unwrap().reports;
    assert_eq!(reports.unwrap().len(), 2);
}
