//! An upstream in memory: the emulator's pure bucket behind provisioned deployments, no limit behind the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_emulator::bucket::{Admission, Bucket, BucketSettings};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use router_core::config::Config;
use router_core::decision::Rules;
use router_core::deployment::{Billing, Catalog};
use router_core::router::{ChatCall, ModelRouter};
use router_core::units::Day;
use router_core::upstream::{Attempt, Reply, Unreachable, Upstream};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The actual size of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    pub(crate) prompt: u64,
    pub(crate) output: u64,
}

/// One attempt at a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) row: usize,
    pub(crate) deployment: String,
    pub(crate) status: u16,
    pub(crate) cap: Option<u64>,
    pub(crate) at: Instant,
}

#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

/// Status, message, wait in milliseconds.
type Scripted = (u16, &'static str, u64);

struct Inner {
    rows: Mutex<Vec<Truth>>,
    buckets: BTreeMap<String, Mutex<Bucket>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    scripted: Mutex<BTreeMap<String, Vec<Scripted>>>,
}

/// Settles an admission when its answer ends, or is dropped.
struct Lease {
    world: World,
    deployment: String,
    admission: Admission,
    truth: Truth,
    written: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let bucket = &self.world.0.buckets[&self.deployment];
        let now = Instant::now();
        bucket.lock().unwrap().settle(now, &self.admission, self.truth.prompt, 0, self.written);
    }
}

impl World {
    pub(crate) fn new(buckets: impl IntoIterator<Item = (String, BucketSettings)>) -> Self {
        let now = Instant::now();
        let buckets = buckets
            .into_iter()
            .map(|(name, settings)| (name, Mutex::new(Bucket::new(settings, now).unwrap())))
            .collect();
        Self(Arc::new(Inner {
            rows: Mutex::default(),
            buckets,
            seen: Mutex::default(),
            scripted: Mutex::default(),
        }))
    }

    /// Adds a request; its number is its row.
    pub(crate) fn row(&self, truth: Truth) -> usize {
        let mut rows = self.0.rows.lock().unwrap();
        rows.push(truth);
        rows.len() - 1
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    pub(crate) fn truth(&self, row: usize) -> Truth {
        self.0.rows.lock().unwrap()[row]
    }

    pub(crate) fn utilization(&self, deployment: &str) -> f64 {
        self.0.buckets[deployment].lock().unwrap().utilization(Instant::now())
    }

    pub(crate) fn fill(&self, deployment: &str, tokens: f64) {
        self.0.buckets[deployment].lock().unwrap().add(Instant::now(), tokens);
    }

    /// The next attempts at a deployment are answered so: status, message, wait in milliseconds.
    pub(crate) fn script(&self, deployment: &str, answer: Scripted) {
        self.0.scripted.lock().unwrap().entry(deployment.into()).or_default().push(answer);
    }

    fn scripted(&self, deployment: &str) -> Option<(u16, &'static str, u64)> {
        let mut scripted = self.0.scripted.lock().unwrap();
        let left = scripted.get_mut(deployment)?;
        (!left.is_empty()).then(|| left.remove(0))
    }
}

fn refused(status: u16, message: &str, wait: Duration) -> Reply {
    let mut headers = HeaderMap::new();
    if !wait.is_zero() {
        let millis = wait.as_nanos().div_ceil(1_000_000).to_string();
        headers.insert("retry-after-ms", millis.parse().unwrap());
    }
    let body = json!({"error": {"code": status.to_string(), "message": message}}).to_string();
    let body = stream::once(async move { Ok(Bytes::from(body)) }).boxed();
    Reply { status: StatusCode::from_u16(status).unwrap(), headers, body }
}

impl Upstream for World {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let row = attempt.trace.iter().find(|(name, _)| name == "x-request-id").unwrap();
        let row: usize = row.1.to_str().unwrap().parse().unwrap();
        let truth = self.0.rows.lock().unwrap()[row];
        let body: Value = serde_json::from_slice(&attempt.body).unwrap();
        let cap = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
        let deployment = attempt.deployment.name.to_string();
        let written = cap.map_or(truth.output, |cap| cap.min(truth.output));
        let cut = written < truth.output;
        let at = Instant::now();
        let note = |status| {
            let deployment = deployment.clone();
            self.0.seen.lock().unwrap().push(Seen { row, deployment, status, cap, at });
        };
        if let Some((status, message, wait)) = self.scripted(&deployment) {
            note(status);
            return Ok(refused(status, message, Duration::from_millis(wait)));
        }
        let mut lease = None;
        if let Some(bucket) = self.0.buckets.get(&deployment) {
            let admitted = bucket.lock().unwrap().admit(at, truth.prompt, 0, cap);
            match admitted {
                Err(full) => {
                    note(429);
                    return Ok(refused(429, "", full.wait));
                }
                Ok(admission) => {
                    let (world, deployment) = (self.clone(), deployment.clone());
                    lease = Some(Lease { world, deployment, admission, truth, written: 0 });
                }
            }
        }
        note(200);
        #[expect(clippy::cast_precision_loss, reason = "a test's token counts are small")]
        let took = Duration::from_secs_f64(0.3 + written as f64 / 60.0);
        tokio::time::sleep(took).await;
        if let Some(lease) = &mut lease {
            lease.written = written;
        }
        drop(lease);
        let answer = json!({
            "model": attempt.deployment.model.name.as_str(),
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"},
                "finish_reason": if cut { "length" } else { "stop" }}],
            "usage": {"prompt_tokens": truth.prompt, "completion_tokens": written},
        });
        let body = stream::once(async move { Ok(Bytes::from(answer.to_string())) }).boxed();
        Ok(Reply { status: StatusCode::OK, headers: HeaderMap::new(), body })
    }
}

/// A configuration: provisioned deployments of gpt-4o with these sizes, and pay-as-you-go if requested.
pub(crate) fn config(provisioned: &[(&str, i64)], pay_as_you_go: bool, capacity: &str) -> Config {
    let head = "[roles.reasoning]\nmodels = [\"gpt-4o\"]\n[roles.chat]\nmodels = [\"gpt-4o\"]\n\
         [endpoints.main]\nurl = \"https://r.openai.azure.com\"\napi = \"azure_v1\"\nanonymous = true\n";
    let deployment = |name: &str, billing: String| {
        format!(
            "[deployments.{name}]\nendpoint = \"main\"\nmodel = \"gpt-4o\"\nazure_deployment = \"{name}\"\narea = \"global\"\n\
             billing = {billing}\n"
        )
    };
    let provisioned = provisioned
        .iter()
        .map(|(name, ptu)| deployment(name, format!("\"provisioned\"\nptu = {ptu}")));
    let payg = pay_as_you_go.then(|| deployment("payg", "\"pay_as_you_go\"".to_owned()));
    let deployments: String = provisioned.chain(payg).collect();
    let text = format!("{head}{deployments}[capacity]\n{capacity}\n");
    Config::from_toml(&text, Day::try_from("2026-01-01").unwrap()).unwrap()
}

/// A router over a world with a bucket behind each provisioned deployment, as config has it, times `scale`.
pub(crate) fn router(
    config: &Config,
    scale: f64,
) -> (ModelRouter<World>, World, prometheus::Registry) {
    let mut rules = config.rules().unwrap();
    let scaled = rules.catalog.deployments().iter().map(|known| {
        let mut one = (**known).clone();
        if let Billing::Provisioned(size) = &mut one.billing {
            size.ptu *= scale;
        }
        one
    });
    rules.catalog = Catalog::new(scaled);
    let world = World::new(buckets(&rules));
    let registry = prometheus::Registry::new();
    let router =
        ModelRouter::with_upstream(rules, config.limits.clone(), world.clone(), &registry).unwrap();
    (router, world, registry)
}

fn buckets(rules: &Rules) -> Vec<(String, BucketSettings)> {
    let buckets = rules.catalog.deployments().iter().filter_map(|known| match &known.billing {
        Billing::Provisioned(size) => {
            let rate = size.rate.unwrap();
            let settings = BucketSettings {
                window: size.window,
                ..BucketSettings::new(size.ptu, rate.input_tpm_per_ptu, rate.output_ratio)
            };
            Some((known.name.to_string(), settings))
        }
        Billing::PayAsYouGo(_) => None,
    });
    buckets.collect()
}

/// The rules with a bucket behind each provisioned deployment.
pub(crate) fn world_of(rules: Rules) -> (Rules, World) {
    let world = World::new(buckets(&rules));
    (rules, world)
}

/// A call with a text of about this many tokens, identified by its number.
pub(crate) fn call(
    world: &World,
    truth: Truth,
    cap: Option<u64>,
    hints: &[(&'static str, &str)],
) -> ChatCall {
    let row = world.row(truth);
    // A word of five letters and a space counts 1.13 tokens, the number and the message about nine.
    let words = usize::try_from(truth.prompt.saturating_sub(9) * 100 / 113).unwrap();
    let text = format!("{row:06} {}", "abcde ".repeat(words));
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]});
    if let Some(cap) = cap {
        body["max_tokens"] = cap.into();
    }
    let mut call = ChatCall::of_body(body.to_string());
    call.headers.insert("x-request-id", row.to_string().parse().unwrap());
    for (name, value) in hints {
        call.headers.insert(*name, value.parse().unwrap());
    }
    call
}
