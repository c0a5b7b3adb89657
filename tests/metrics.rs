//! Metric names, types and labels are stable, because dashboards and alerts depend on them. A
//! change differs from `metrics.txt` and belongs in the changelog as breaking.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use azure_emulator::Step;
use serde_json::json;

use crate::keys::{client_of, with_keys};
use crate::support::{Answer, Bench, Layout, question};

/// One line a metric: name, type, labels.
fn shapes(exposition: &str) -> String {
    let mut metrics: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for line in exposition.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            metrics.insert(name, (kind, BTreeSet::new()));
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let of = |suffix| name.strip_suffix(suffix).filter(|base| metrics.contains_key(base));
            let base = of("_bucket").or(of("_sum")).or(of("_count")).unwrap_or(name);
            let (_, labels) = metrics.get_mut(base).unwrap_or_else(|| panic!("no type: {line}"));
            if let Some((_, rest)) = line.split_once('{') {
                let (inside, _) = rest.rsplit_once('}').unwrap();
                let names = inside.split("\",").map(|pair| pair.split('=').next().unwrap());
                labels.extend(names.filter(|name| *name != "le"));
            }
        }
    }
    let line = |(name, (kind, labels)): (&str, (&str, BTreeSet<&str>))| {
        let labels = labels.into_iter().collect::<Vec<_>>().join(",");
        format!("{name} {kind} {{{labels}}}\n")
    };
    metrics.into_iter().map(line).collect()
}

/// The page `docs/metrics.md`: name, type, labels and help text of every metric.
fn page(exposition: &str, shapes: &str) -> String {
    let helps: BTreeMap<&str, &str> = exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .collect();
    let mut page = String::from(
        "# Metrics\n\n\
         Every metric of `/metrics`. A test generates this page and fails if it is out of date. [Observability](observability.md) \
         has the\nalerts and the Grafana dashboard.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for line in shapes.lines() {
        let [name, kind, labels] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let labels = labels.trim_matches(['{', '}']).replace(',', ", ");
        let help = helps.get(name).unwrap_or_else(|| panic!("no help text: {name}"));
        writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    page
}

/// Something of everything that is counted.
async fn exercised() -> Bench {
    let mut bench = with_keys(Layout::pair(), &["team"])
        .set("keys.team.operator", true)
        .set("keys.team.monthly_budget_usd", 1_000.0)
        .set("deployments.chat_ptu.usd_per_ptu_hour", 1.0)
        // Nobody listens there.
        .text("traces.endpoint", "http://127.0.0.1:9")
        .set("rules.own.order", 1)
        .set("rules.own.when.min_turn_chars", 1)
        .text("rules.own.set.prefer", "balanced")
        .set("models.own.context_window_tokens", 100_000)
        .set("models.own.max_output_tokens", 10_000)
        .written("own_payg", "own", "pay_as_you_go")
        .set("deployments.own_payg.tiers", r#"["default"]"#)
        .emulate(azure_emulator::Deployment::pay_as_you_go(
            "own_payg",
            "gpt-4o",
            azure_emulator::quota::QuotaSettings::new(1_000_000, 1_000_000_000),
        ))
        .start()
        .await;
    bench.ask("chat", json!({})).await;
    bench.client = client_of("team");
    let abroad = bench.request(&question("chat", json!({})));
    Answer::of(abroad.header("x-router-residency", "zone:eu")).await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(1));
    bench.ask("auto", json!({})).await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(50));
    let held = bench.request(&question("chat", json!({}))).header("x-router-max-wait-ms", "5000");
    assert_eq!(Answer::of(held).await.deployment(), Some("chat_ptu"));
    let spilled = Step::normal().header("x-ms-spillover-from-deployment", "chat_ptu");
    bench.emulator.script("chat_ptu", spilled);
    bench.ask("deployment:chat_ptu", json!({})).await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000));
    let held = bench.request(&question("chat", json!({}))).header("x-router-max-wait-ms", "600");
    Answer::of(held).await;
    bench.ask("chat", json!({})).await;
    bench.ask("chat", json!({})).await;
    bench.ask("reasoning", json!({"temperature": 0.1, "stream": true})).await;
    bench.ask("own", json!({})).await;
    bench.emulator.script("chat_payg", Step::normal().model("other").cut_after(2));
    bench.ask("deployment:chat_payg", json!({"stream": true})).await;
    let drawn = r#"{"choices":[{"index":0}],"output":[{"type":"image_generation_call"}],"usage":{"prompt_tokens":1}}"#;
    bench.emulator.script("chat_payg", Step::answer(200, [], drawn));
    bench.ask("deployment:chat_payg", json!({})).await;
    bench.ask("gpt-9", json!({})).await;
    bench
}

#[tokio::test]
async fn names_types_and_labels_are_as_stored() {
    let bench = exercised().await;
    let answer = bench.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let found = shapes(&answer.text);
    let stored = include_str!("metrics.txt");
    assert!(found == stored, "tests/metrics.txt differs from what is exposed:\n{found}");
    let page = page(&answer.text, &found);
    if page != include_str!("../docs/metrics.md") {
        let fresh = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/metrics.md");
        std::fs::write(fresh, page).unwrap();
        panic!("docs/metrics.md is out of date: cp target/metrics.md docs/metrics.md");
    }
}

#[tokio::test]
async fn every_name_keeps_the_form() {
    let bench = exercised().await;
    for line in shapes(&bench.get("/metrics").await.text).lines() {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(name.starts_with("model_router_") || name.starts_with("gen_ai_client_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind.starts_with("counter"), "{line}");
    }
}

#[tokio::test]
async fn series_do_not_grow_with_what_callers_write() {
    let bench = exercised().await;
    let series = async || {
        let text = bench.get("/metrics").await.text;
        let name = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
        text.lines().filter_map(name).collect::<BTreeSet<String>>()
    };
    let before = series().await;
    for number in 0..20 {
        bench.ask(&format!("made-up-{number}"), json!({"user": format!("u{number}")})).await;
        bench.ask("own", json!({"user": format!("u{number}")})).await;
    }
    let grown: Vec<String> = series().await.difference(&before).cloned().collect();
    assert!(grown.is_empty(), "{grown:?}");
}

#[tokio::test]
async fn cooling_and_flight_are_told_as_they_are() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000));
    bench.ask("chat", json!({})).await;
    for (deployment, cooling) in [("chat_ptu", 1.0), ("chat_payg", 0.0)] {
        let line = format!("model_router_deployment_cooling{{deployment=\"{deployment}\"}}");
        assert!((bench.metric(&line).await - cooling).abs() < 1e-9, "{line}");
    }
    assert!(bench.metric("model_router_in_flight").await.abs() < 1e-9);
}
