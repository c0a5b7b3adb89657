//! Every metric, label and label value in the Grafana dashboard and the Prometheus rules exists.
//!
//! `tests/observability/run.py` checks that the rules can be read and fire when they should.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::keys::{ask_as, key, with_keys};
use crate::support::tls::{Authority, Files};
use crate::support::{Answer, Layout};

const RULES: [&str; 2] = [
    include_str!("../configs/prometheus/recording.yml"),
    include_str!("../configs/prometheus/alerts.yml"),
];

const BOARD: &str = include_str!("../configs/grafana/model-router.json");

/// Labels that Prometheus itself adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// The metrics that are exposed, with their labels: those of the stored promise, and those of a router with keys.
async fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for line in include_str!("metrics.txt").lines() {
        let mut words = line.split([' ', '{', '}', ',']).filter(|word| !word.is_empty());
        let name = words.next().unwrap().to_owned();
        known.insert(name, words.skip(1).map(str::to_owned).collect::<BTreeSet<_>>());
    }
    let (files, pair) = (Files::new(), Authority::new().pair());
    let file = |name: &str, text: &str| files.write(name, text).to_str().unwrap().to_owned();
    // A Redis that is unreachable has the same metrics as a reachable one.
    let layout = with_keys(Layout::pair(), &["ops"])
        .set("keys.ops.operator", true)
        .text("replicas.url", "redis://127.0.0.1:9/0")
        .text("server.tls.certificate", &file("tls.crt", &pair.certificate))
        .text("server.tls.key", &file("tls.key", &pair.key));
    let mut bench = layout.start().await;
    let unverified = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
    bench.client = unverified.build().unwrap();
    ask_as(&bench, "ops", "chat").await;
    Answer::of(bench.client.get(bench.url("/metrics"))).await;
    let metrics = bench.client.get(bench.url("/metrics")).bearer_auth(key("ops"));
    let some = ["model_router_key", "model_router_una", "model_router_repl", "model_router_tls"];
    for line in Answer::of(metrics).await.text.lines() {
        let name = line.split(['{', ' ']).next().unwrap();
        if some.iter().any(|start| name.starts_with(start)) {
            let labels = line.split_once('{').map_or("", |(_, labels)| labels).split("\",");
            let labels = labels.filter_map(|pair| pair.split_once('='));
            known.insert(name.to_owned(), labels.map(|(label, _)| label.to_owned()).collect());
        }
    }
    for end in ["key_cost_usd_total", "replicas_known", "tls_certificate_expires_timestamp_seconds"]
    {
        assert!(known.contains_key(&format!("model_router_{end}")), "{end}: {:?}", known.keys());
    }
    known
}

/// The expressions of the dashboard: of panels, variables and annotations.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inside) in fields {
                match inside
                    .as_str()
                    .filter(|_| ["expr", "query", "definition"].contains(&name.as_str()))
                {
                    Some(text) => found.push(text.to_owned()),
                    None => expressions(inside, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Each metric that a text names, with what stands in the braces behind it.
fn named(text: &str) -> Vec<(String, String)> {
    let letter = |letter: char| letter == '_' || letter == ':' || letter.is_ascii_alphanumeric();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("model_router").chain(text.match_indices("gen_ai_client")) {
        let end = text
            .split_at(at)
            .1
            .find(|other| !letter(other))
            .map_or(text.len(), |length| at + length);
        let (before, rest) = text.split_at(at);
        let (name, behind) = rest.split_at(end - at);
        let whole = before.chars().next_back().is_none_or(|before| !letter(before));
        if whole && name.starts_with("model_router_") | name.starts_with("gen_ai_") {
            let matchers = behind.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            found.push((name.to_owned(), matchers.map_or("", |(inside, _)| inside).to_owned()));
        }
    }
    found
}

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[tokio::test]
async fn every_metric_label_and_value_that_is_watched_exists() {
    let known = exposed().await;
    let labels: BTreeSet<&str> =
        known.values().flatten().map(String::as_str).chain(ADDED).collect();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    sources(&root.join("router-core/src"), &mut code);
    sources(&root.join("router-server/src"), &mut code);
    let mut texts: Vec<String> = RULES.map(str::to_owned).to_vec();
    expressions(&serde_json::from_str(BOARD).unwrap(), &mut texts);
    assert!(texts.len() > 40, "{}", texts.len());
    let mut seen = BTreeSet::new();
    for text in &texts {
        for (name, matchers) in named(text) {
            if ["model_router_recording", "model_router_service", "model_router_deployments"]
                .contains(&&*name)
                || ["model_router_provisioned", "model_router_config", "model_router_keys"]
                    .contains(&&*name)
            {
                continue; // names of groups and of a file
            }
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|base| known.contains_key(*base)));
            let base = base.unwrap_or(&name);
            let own = known.get(base).unwrap_or_else(|| panic!("no metric {name}: {text}"));
            for (label, value) in matchers.split("\",").filter_map(|pair| pair.split_once('=')) {
                let label = label.trim_matches([' ', ',', '!', '~']);
                assert!(
                    own.contains(label) || ADDED.contains(&label),
                    "{name} has no label {label}"
                );
                let value = value.trim_matches(['~', '"', ' ']);
                for word in value.split('|').filter(|word| !word.contains(['$', '*', '-'])) {
                    assert!(
                        code.contains(&format!("\"{word}\"")),
                        "{name}: nothing says {label}={word}"
                    );
                }
            }
            seen.insert(base.to_owned());
        }
        for list in text.split("by (").skip(1) {
            for label in list.split(')').next().unwrap().split(',').map(str::trim) {
                assert!(labels.contains(label), "no metric has the label {label}: {text}");
            }
        }
    }
    assert!(seen.len() > 30, "only {} metrics are watched: {seen:?}", seen.len());
}

#[test]
fn panels_do_not_overlap_and_each_has_a_number() {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
    }
}
