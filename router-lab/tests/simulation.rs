//! Properties of the simulator: the same figures for the same seed, no policy above the bound, figures that agree with an
//! independent model, and the shape of its JSON.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use router_core::capacity::Reserve;
use router_core::config::Config;
use router_core::units::Day;
use router_lab::LabCommand;
use router_lab::PageKit;
use router_lab::simulation::bound;
use router_lab::simulation::generate::generate;
use router_lab::simulation::reference::replay;
use router_lab::simulation::routed::play;
use router_lab::simulation::stage::{Scale, Stage};
use router_lab::simulation::tally::{Figures, ServedBy, Tally};
use router_lab::simulation::trace::{Arrival, read};
use router_lab::simulation::workload::calls;
use router_lab::simulation_args::{Generated, PolicyName, Scenario};
use serde_json::Value;

const CONFIG: &str = r#"
    [roles]
    reasoning.models = ["gpt-4o"]
    chat.models = ["gpt-4o"]
    [endpoints.azure]
    url = "http://127.0.0.1:9"
    api = "azure_v1"
    anonymous = true
    [deployments.ptu]
    endpoint = "azure"
    model = "gpt-4o"
    azure_deployment = "ptu"
    billing = "provisioned"
    area = "global"
    ptu = 15
    [deployments.payg]
    endpoint = "azure"
    model = "gpt-4o"
    azure_deployment = "payg"
    billing = "pay_as_you_go"
    area = "global"
"#;

/// The part of the command line that makes a scenario.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    scenario: Scenario,
}

fn scenario(words: &str) -> Scenario {
    let line = format!("simulate --generate bursty {words}");
    Line::try_parse_from(line.split_whitespace()).unwrap().scenario
}

fn stage(arrivals: &[Arrival], words: &str, load: f64) -> Stage {
    let config = Config::from_toml(CONFIG, Day::try_from("2026-11-23").unwrap()).unwrap();
    let calls = calls(arrivals, &scenario(words));
    Stage::set(config, calls, Scale::Load(load), None).unwrap()
}

/// The first three minutes of a generated trace.
fn minutes(kind: Generated) -> Vec<Arrival> {
    let mut arrivals = generate(kind, 1);
    arrivals.retain(|arrival| arrival.at.as_secs() < 180);
    arrivals
}

fn run(stage: &Stage, policy: PolicyName) -> Tally {
    if policy == PolicyName::Router {
        play(stage, &|_| {}).unwrap()
    } else {
        replay(stage, policy).unwrap()
    }
}

fn figures(stage: &Stage, policy: PolicyName) -> Figures {
    run(stage, policy).figures(stage, bound::all_pay_as_you_go(stage), bound::bound(stage))
}

#[test]
fn a_seed_gives_one_outcome_for_every_policy() {
    let arrivals = minutes(Generated::Bursty);
    let words = "--max-tokens mixed --streamed-share 0.5 --seed";
    for policy in PolicyName::ALL {
        let once = run(&stage(&arrivals, &format!("{words} 3"), 1.0), policy);
        assert_eq!(once, run(&stage(&arrivals, &format!("{words} 3"), 1.0), policy), "{policy:?}");
        let other = run(&stage(&arrivals, &format!("{words} 4"), 1.0), policy);
        assert_ne!(once, other, "{policy:?}");
    }
}

#[test]
fn no_policy_pays_less_than_the_bound() {
    let kinds = [Generated::Bursty, Generated::Diurnal, Generated::LongOutput];
    for (kind, load) in kinds.into_iter().flat_map(|kind| [(kind, 0.7), (kind, 1.6)]) {
        let stage = stage(&minutes(kind), "--max-tokens mixed", load);
        let (all, least) = (bound::all_pay_as_you_go(&stage), bound::bound(&stage));
        assert!((0.0..all).contains(&least), "{kind:?} {load}: {least} of {all}");
        for policy in PolicyName::ALL {
            let found = run(&stage, policy).figures(&stage, all, least);
            // A caller of wait-only is patient for a minute, in which the PTU serves on.
            let most = if policy == PolicyName::WaitOnly { 1.0 + 60.0 / 180.0 } else { 1.0 };
            assert!(found.saving_share <= most, "{kind:?} {load} {policy:?}: {found:?}");
            let knowing = bound::all_knowing(&stage);
            let waits_longer = policy == PolicyName::WaitOnly;
            assert!(waits_longer || found.payg_usd >= 0.97 * knowing, "{policy:?}: {found:?}");
            assert!(found.saving_share >= 0.0 && found.utilization > 0.0, "{policy:?}: {found:?}");
        }
    }
}

#[test]
fn every_call_meets_one_fate_and_every_dollar_one_call() {
    let stage = stage(&minutes(Generated::Diurnal), "--max-tokens tight", 1.2);
    for policy in PolicyName::ALL {
        let tally = run(&stage, policy);
        assert_eq!(tally.fates.len(), stage.calls.len());
        for (fate, call) in tally.fates.iter().zip(stage.calls.iter()) {
            let paid = match fate.by {
                ServedBy::Provisioned | ServedBy::Nobody => 0.0,
                ServedBy::PayAsYouGo => stage.price(call),
            };
            assert!((fate.usd - paid).abs() < 1e-9, "{policy:?}: {fate:?} for {call:?}");
        }
    }
}

/// The published trace, where the environment says in which folder it lies.
fn published() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("ROUTER_TRACE_DIR")?);
    let names = ["azure_llm_2023_conv.csv", "AzureLLMInferenceTrace_conv.csv"];
    names.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// An independent model gave these figures on the published trace: load 1.0, a bucket of 10 s, a missing cap counting
/// 4,096. Where the trace is not there, the made-up one must at least put the policies into the same order.
#[test]
fn reference_policies_agree_with_an_independent_model() {
    let share = |stage: &Stage, policy| figures(stage, policy).saving_share;
    let Some(path) = published() else {
        let skipped = "skipped the published trace: ROUTER_TRACE_DIR does not hold it";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        let stage = stage(&minutes(Generated::Diurnal), "--max-tokens unset", 1.0);
        let five = share(&stage, PolicyName::CooldownFiveSeconds);
        let second = share(&stage, PolicyName::WholeSecond);
        let always = share(&stage, PolicyName::AlwaysTry);
        assert!(five < second && second < always, "{five} {second} {always}");
        return;
    };
    let arrivals = read(&path).unwrap().arrivals;
    let unset = stage(&arrivals, "--max-tokens unset", 1.0);
    let tight = stage(&arrivals, "--max-tokens tight", 1.0);
    for (stage, policy, expected) in [
        (&unset, PolicyName::CooldownFiveSeconds, 0.28),
        (&unset, PolicyName::WholeSecond, 0.57),
        (&unset, PolicyName::AlwaysTry, 0.77),
        (&tight, PolicyName::AlwaysTry, 0.92),
    ] {
        let found = share(stage, policy);
        assert!((found - expected).abs() < 0.03, "{policy:?}: {found}, expected {expected}");
    }
    let refused = figures(&tight, PolicyName::AlwaysTry).upstream_429_per_arrival;
    assert!((refused - 0.07).abs() < 0.01, "{refused} 429s for each call");
}

/// With learned caps, on the published trace: the least share of the possible saving, at most two 429s a hundred calls, half
/// a second for one in a hundred callers, and nothing that a caller would see as a fault. On made-up traces: not behind
/// native spillover.
#[test]
fn the_router_saves_what_is_promised() {
    let learned = |arrivals: &[Arrival], words: &str, load| {
        let mut stage = stage(arrivals, words, load);
        stage.config.capacity.reserve = Some(Reserve::Learned);
        stage
    };
    let rows = match published() {
        Some(path) => vec![
            (read(&path).unwrap().arrivals, "--max-tokens tight", 1.0, 0.92),
            (read(&path).unwrap().arrivals, "--max-tokens mixed", 1.0, 0.915),
            (read(&path).unwrap().arrivals, "--max-tokens unset", 1.0, 0.915),
            (read(&path).unwrap().arrivals, "--max-tokens unset", 1.4, 0.97),
        ],
        None => vec![(minutes(Generated::Bursty), "--max-tokens mixed", 1.0, 0.0)],
    };
    std::thread::scope(|scope| {
        for (arrivals, words, load, least) in &rows {
            scope.spawn(move || {
                let stage = learned(arrivals, words, *load);
                let found = figures(&stage, PolicyName::Router);
                let native = figures(&stage, PolicyName::AlwaysTry);
                let least = native.saving_share.max(*least);
                assert!(found.saving_share >= least, "{words} {load}: {found:?}");
                assert!(found.upstream_429_per_arrival <= 0.02, "{words} {load}: {found:?}");
                assert!(found.added_p99_ms <= 500.0, "{words} {load}: {found:?}");
                let seen = (found.visible_failures, found.visible_truncations);
                assert_eq!(seen, (0, 0), "{words} {load}");
            });
        }
    });
}

/// A command line of the lab.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: LabCommand,
}

fn program(words: &str) -> Value {
    let line = CommandLine::parse_from(std::iter::once("lab").chain(words.split_whitespace()));
    let default = || Config::from_toml(CONFIG, Day::try_from("2026-11-23").unwrap());
    serde_json::from_str(&router_lab::run(&line.command, default, &kit()).unwrap().report).unwrap()
}

/// A short request log, and where it lies.
fn log(name: &str) -> PathBuf {
    let arrivals = minutes(Generated::Bursty).into_iter().take(300);
    let lines = arrivals.map(|arrival| {
        let (at, prompt, output) = (arrival.at.as_millis(), arrival.prompt, arrival.output);
        format!(
            "{{\"at_unix_ms\":{at},\"prompt_tokens\":{prompt},\"completion_tokens\":{output}}}\n"
        )
    });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.jsonl"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

fn kit() -> PageKit {
    PageKit {
        script: "draw();".to_owned(),
        style: "",
        command: "router-server simulate".to_owned(),
        version: "0.0.0",
        date: "2026-11-23".to_owned(),
    }
}

#[test]
fn simulate_prints_json_of_its_promised_shape() {
    let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("simulated.html");
    let (log, page_path) = (log("compared"), page.display());
    let words = "--seed 2 --max-tokens tight --compare --json --html";
    let report = program(&format!("simulate --trace {} {words} {page_path}", log.display()));
    assert!(report["all_payg_usd"].as_f64() > report["bound_usd"].as_f64());
    let policies = report["policies"].as_array().unwrap();
    let names: Vec<&str> = policies.iter().filter_map(|one| one["policy"].as_str()).collect();
    assert_eq!(names, ["router", "always-try", "whole-second", "cooldown-5s", "wait-only"]);
    for policy in policies {
        for number in [
            "payg_usd",
            "saving_share",
            "utilization",
            "upstream_429_per_arrival",
            "visible_failures",
            "visible_truncations",
            "added_p50_ms",
            "added_p99_ms",
        ] {
            assert!(policy[number].is_number(), "{number} of {policy}");
        }
        assert_eq!(policy.as_object().unwrap().len(), 9);
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("\"title\":").count(), 4, "four plots");
    assert!(names.iter().all(|name| page.contains(name)));
}

#[test]
fn overload_has_a_page_of_its_own() {
    let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("overloaded.html");
    let (log, page_path) = (log("overloaded"), page.display());
    let words = "--no-spill --overload 2 --json --html";
    program(&format!("simulate --trace {} {words} {page_path}", log.display()));
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("\"title\":").count(), 4, "four plots");
    assert!(["first-come", "codel", "router"].iter().all(|name| page.contains(name)));
}

#[test]
fn size_finds_a_size_that_is_sold() {
    let words = "--max-tokens tight --ptu-hourly-usd 0.2 --most 60 --json";
    let report = program(&format!("size --trace {} {words}", log("sized").display()));
    let cheapest = report["cheapest_ptu"].as_u64().unwrap();
    assert!(cheapest == 0 || (cheapest >= 15 && cheapest.is_multiple_of(5)), "{cheapest}");
    let sizes = report["sizes"].as_array().unwrap();
    let played: Vec<u64> = sizes.iter().map(|size| size["ptu"].as_u64().unwrap()).collect();
    // Of the eleven sizes that are sold, both ends are played, and the neighbours of the cheapest.
    let sold: Vec<u64> = std::iter::once(0).chain((15..=60).step_by(5)).collect();
    assert!(played.iter().all(|size| sold.contains(size)), "{played:?}");
    let place = sold.iter().position(|size| *size == cheapest).unwrap();
    let neighbours = sold.iter().skip(place.saturating_sub(1)).take(3);
    for size in [0, 60].iter().chain(neighbours) {
        assert!(played.contains(size), "{size} of {played:?}");
    }
    let total = |size: &Value| size["total_usd"].as_f64().unwrap();
    let least = sizes.iter().map(total).fold(f64::INFINITY, f64::min);
    let found = sizes.iter().find(|size| size["ptu"].as_u64() == Some(cheapest)).unwrap();
    assert!(total(found) <= least);
    for size in sizes {
        let sum = size["ptu_usd"].as_f64().unwrap() + size["payg_usd"].as_f64().unwrap();
        assert!((sum - total(size)).abs() < 1e-9);
    }
    // A PTU that costs nothing is bought, one that costs a fortune is not.
    let words = "--max-tokens tight --most 30 --json --ptu-hourly-usd";
    for (price, expected) in [("0.000001", 30), ("1000", 0)] {
        let report = program(&format!("size --trace {} {words} {price}", log("sized").display()));
        assert_eq!(report["cheapest_ptu"].as_u64(), Some(expected));
    }
}

/// Without pay-as-you-go, at several times the capacity: what can be served is served, to those who still wait for it.
#[test]
fn under_overload_answers_stay_quick_and_keys_get_their_share() {
    let words = "--generate steady --max-tokens half-unset --no-spill --keys 1:1:10 --json";
    std::thread::scope(|scope| {
        for (overload, seed) in [("1.25", 3), ("1.5", 2), ("2", 3), ("3", 1)] {
            scope.spawn(move || {
                let line = format!("simulate {words} --overload {overload} --seed {seed}");
                let report = program(&line);
                let router = &report["policies"][2];
                let figure = |name: &str| router[name].as_f64().unwrap();
                assert_eq!(router["policy"], "router");
                assert!(figure("goodput_share") >= 0.92, "{overload}: {router}");
                assert!(figure("answer_p90_ms") <= 8_000.0, "{overload}: {router}");
                assert!(figure("gave_up") <= 0.01 * figure("requests"), "{overload}: {router}");
                assert!(figure("wasted_share") <= 0.01, "{overload}: {router}");
                assert!(figure("fairness") >= 0.95, "{overload}: {router}");
                assert!(figure("recovery_ms") <= 5_000.0, "{overload}: {router}");
                let first_come = report["policies"][0]["goodput_share"].as_f64().unwrap();
                assert!(first_come < 0.6, "{overload}: first come is no longer a meltdown");
            });
        }
    });
}
