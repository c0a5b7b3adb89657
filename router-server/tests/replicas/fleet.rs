//! A real Redis, real routers (each its own process), and an emulator behind them.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Lengths, Rates, Settings, Tier, TierName};
use http::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// The longest time that any step may take, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// True if Redis can be started; otherwise reports that the test is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn redis_is_here() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let here = found.is_ok_and(|status| status.success());
    if !here {
        eprintln!("skipped: there is no redis-server here (Debian: apt-get install redis-server)");
    }
    here
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A Redis without persistence.
pub(crate) fn redis(port: u16) -> Process {
    let port = port.to_string();
    let words = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let mut command = Command::new("redis-server");
    let folder = env!("CARGO_TARGET_TMPDIR");
    let command = command.args(words).current_dir(folder).stdout(Stdio::null());
    Process(command.stderr(Stdio::null()).spawn().unwrap())
}

#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) process: Process,
    pub(crate) url: String,
    log: PathBuf,
}

/// Routers over one Redis and one emulator.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) emulator: Emulator,
    pub(crate) redis: Process,
    pub(crate) port: u16,
    pub(crate) routers: Vec<Router>,
    /// Further lines of each configuration.
    more: String,
    folder: TempDir,
}

/// PTUs of gpt-4o, and their drain rate in tokens per second.
pub(crate) const PTU: f64 = 200.0;
pub(crate) const RATE: f64 = PTU * 2_500.0 / 60.0;
/// The time in which a full bucket drains, in seconds.
pub(crate) const WINDOW: f64 = 2.0;

async fn emulator() -> Emulator {
    let bucket = BucketSettings {
        window: Duration::from_secs_f64(WINDOW),
        ..BucketSettings::new(PTU, 2_500.0, 4.0)
    };
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let quick = Latency { first_token: Duration::from_millis(30), tokens_per_second: 200.0 };
    let lengths = Lengths::Uniform { min: 20, max: 100 };
    let ptu = Deployment::provisioned("ptu", "gpt-4o", bucket).latency(quick).output(lengths);
    let payg = Deployment::pay_as_you_go("payg", "gpt-4o", quota).latency(quick).output(lengths);
    let near = Deployment::pay_as_you_go("near", "gpt-5.2", quota).latency(quick);
    // One flex request each ten seconds.
    let flex = Tier {
        latency: quick,
        capacity: Some(QuotaSettings::new(6, u64::MAX)),
        downgrades: false,
        rates: Rates { input: 1.0, output: 4.0 },
    };
    let default = Tier { capacity: None, rates: Rates { input: 2.0, output: 8.0 }, ..flex };
    let tiered = Deployment::pay_as_you_go("tiered", "gpt-4.1", quota)
        .latency(quick)
        .tier(TierName::Default, default)
        .tier(TierName::Flex, flex);
    let settings = Settings::new().seed(7).deployment(ptu).deployment(payg);
    Emulator::start(settings.deployment(near).deployment(tiered)).await.unwrap()
}

impl Fleet {
    /// Starts routers over one Redis and waits until they know each other.
    pub(crate) async fn start(routers: usize) -> Self {
        Self::with(routers, "").await
    }

    /// The same with further lines in each configuration.
    pub(crate) async fn with(routers: usize, more: &str) -> Self {
        let port = free_port();
        let (emulator, redis) = (emulator().await, redis(port));
        let folder = tempfile::tempdir().unwrap();
        let mut fleet =
            Self { emulator, redis, port, routers: Vec::new(), more: more.to_owned(), folder };
        for _ in 0..routers {
            fleet.add();
        }
        fleet.all_connected(routers).await;
        fleet
    }

    /// Starts one more router.
    pub(crate) fn add(&mut self) {
        let router = self.router(self.routers.len());
        self.routers.push(router);
    }

    /// Sends a command to Redis.
    pub(crate) fn ask_redis(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until Redis gives the expected answer.
    pub(crate) async fn redis_says(&self, words: &[&str], expected: impl Fn(&str) -> bool) {
        let by = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < by {
            last = self.ask_redis(words);
            if expected(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{words:?}: it never came so far: {last}");
    }

    /// Waits until changes of one router have reached another: two syncs of the first, then two of the other.
    pub(crate) async fn synced(&self, from: usize, to: usize) {
        for router in [&self.routers[from], &self.routers[to]] {
            let name = "model_router_replicas_syncs_total";
            let (before, by) = (router.metric(name).await, Instant::now() + PATIENCE);
            // The first sync may have begun before the change.
            while router.metric(name).await < before + 2.0 {
                assert!(Instant::now() < by, "{}", router.logged());
            }
        }
    }

    fn router(&self, number: usize) -> Router {
        let (listen, redis, upstream) = (free_port(), self.port, self.emulator.url());
        let more = &self.more;
        let text = format!(
            r#"
            server.listen = "127.0.0.1:{listen}"
            replicas.url = "redis://127.0.0.1:{redis}/0"
            stored.unknown = "refuse"
            endpoints.azure = {{ url = "{upstream}", api = "azure_v1", anonymous = true }}
            roles.reasoning.models = ["gpt-4o"]
            roles.chat.models = ["gpt-4o"]
            [deployments.ptu]
            endpoint = "azure"
            model = "gpt-4o"
            azure_deployment = "ptu"
            billing = "provisioned"
            area = "global"
            ptu = {PTU:.0}
            window_ms = {WINDOW:.0}000
            [deployments.payg]
            endpoint = "azure"
            model = "gpt-4o"
            azure_deployment = "payg"
            billing = "pay_as_you_go"
            area = "global"
            {more}
            "#
        );
        let config = self.folder.path().join(format!("{number}.toml"));
        std::fs::write(&config, text).unwrap();
        let log = self.folder.path().join(format!("{number}.log"));
        let out = File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_router-server"));
        let command = command.arg("serve").arg("--config").arg(config);
        let command = command.stdout(out.try_clone().unwrap()).stderr(out);
        let process = Process(command.spawn().unwrap());
        Router { process, url: format!("http://127.0.0.1:{listen}"), log }
    }

    /// Waits until all `count` routers know each other.
    pub(crate) async fn all_connected(&self, count: usize) {
        for router in &self.routers {
            router
                .until(|replicas| replicas["connected"] == true && replicas["known"] == count)
                .await;
        }
    }
}

impl Router {
    /// Waits until `/readyz` reports the expected state of the replicas.
    pub(crate) async fn until(&self, expected: impl Fn(&Value) -> bool) {
        let by = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < by {
            if let Some(got) = get(&format!("{}/readyz?verbose", self.url)).await {
                last = got.body["replicas"].clone();
                if expected(&last) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came so far: {last}\n{}", self.logged());
    }

    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let got = get(&format!("{}/metrics", self.url)).await.unwrap();
        let text = got.body.as_str().unwrap().to_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The answer; `None` if the server is not reachable.
pub(crate) async fn send(
    client: &Client<HttpConnector, Body>,
    request: Request<Body>,
) -> Option<Got> {
    let (head, body) = client.request(request).await.ok()?.into_parts();
    let bytes = to_bytes(Body::new(body), 1 << 22).await.ok()?;
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Some(Got { status: head.status.as_u16(), headers: head.headers, body })
}

pub(crate) async fn get(url: &str) -> Option<Got> {
    let request = Request::get(url).header("authorization", format!("Bearer {OPERATOR}"));
    send(&client(), request.body(Body::empty()).unwrap()).await
}

/// The key of an operator, in tests with keys.
pub(crate) const OPERATOR: &str = "mr-operator-of-replicas";

pub(crate) fn post(url: &str, path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(format!("{url}{path}")).header("content-type", "application/json");
    request.body(body.to_string().into()).unwrap()
}
