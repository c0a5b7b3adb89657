//! Several routers in front of one provisioned deployment waste hardly more of it than one does.

use std::time::Duration;

use router_core::router::{ModelRouter, rules_of};
use router_core::state::{Board, Pace, Replicas};
use tokio::time::Instant;

use crate::world::{Truth, World, call, config, world_of};

const PTU: i64 = 150;
/// What 150 units of gpt-4o drain in a second.
const RATE: f64 = 6_250.0;
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
async fn play(routers: usize, load: f64, board: Option<Board>) -> Outcome {
    let config = config(&[("ptu", PTU)], true, "");
    let (rules, world) = world_of(rules_of(&config).unwrap());
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
    outcome(&world)
}

fn outcome(world: &World) -> Outcome {
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
    let used = served / RATE / SPAN.as_secs_f64();
    Outcome { used, refused: at_ptu().filter(|seen| seen.status == 429).count() }
}

fn board() -> Board {
    Board::new(Instant::now(), Duration::from_millis(1))
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "docs/operate.md repeats the figures")]
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
#[expect(clippy::print_stdout, reason = "docs/operate.md repeats the figures")]
async fn those_who_share_are_refused_less_often_than_those_who_do_not() {
    let (shared, alone) = (play(4, 1.2, Some(board())).await, play(4, 1.2, None).await);
    println!("load 1.2: 4 sharing {shared}; 4 alone {alone}");
    assert!(shared.refused < alone.refused, "{shared}; alone {alone}");
}
