//! The cost of entering a deployment with room, learning from its answer and leaving it, with an empty queue.
//! `cargo bench -p router-core --bench admission`
#![expect(clippy::expect_used, reason = "a benchmark that cannot start shall say so and stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use router_core::capacity::{Asker, CacheAffinity, CapClass, Conversation, Entry, Load, Timing};
use router_core::config::Config;
use router_core::model::ServiceTier;
use router_core::policy::Priority;
use router_core::state::{CapacityState, Event, Turn};
use router_core::task::Task;
use router_core::units::{Day, Tokens};
use router_core::waiting::{Times, Waiting};
use tokio::time::Instant;

/// One provisioned deployment.
const CONFIG: &str = r#"
[roles.reasoning]
models = ["gpt-4o"]
[roles.chat]
models = ["gpt-4o"]
[endpoints.main]
url = "http://127.0.0.1:1"
api = "azure_v1"
anonymous = true
[deployments.ptu]
endpoint = "main"
model = "gpt-4o"
billing = "provisioned"
area = "global"
ptu = 50
"#;

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn admission(criterion: &mut Criterion) {
    let today = Day::try_from("2026-11-23").expect("a day");
    let config = Config::from_toml(CONFIG, today).expect("a good config");
    let rules = config.rules().expect("the shipped scorer");
    let cooldowns = config.limits.cooldowns();
    let state = CapacityState::new(&rules.catalog, cooldowns, &rules.capacity, Instant::now());
    let waiting = Arc::new(Waiting::new(Arc::new(state), &rules.catalog, &rules.capacity));
    let deployment = Arc::clone(rules.catalog.deployment("ptu").expect("it is configured"));
    let cap = Some(Tokens(500));
    let entry = Entry {
        load: Load { prompt: Tokens(300), cap, ..Load::default() },
        priority: Priority::Interactive,
        limit: 1.0,
        answer: Some(100.0),
        insists: false,
        most: None,
        key: 1,
        likely_cap: cap,
        standing_wait: None,
        tier: ServiceTier::Standard,
    };
    let second = Duration::from_secs(1);
    let timing = Timing { first: second, total: second };
    let asker = Asker {
        conversation: Conversation::numbered(1),
        caller: 1,
        key: 1,
        class: CapClass::of(cap),
    };
    let mut group = criterion.benchmark_group("admission");
    group.bench_function("enter, learn, leave", |bencher| {
        bencher.iter(|| {
            let now = Instant::now();
            let times = Times { since: now, until: now };
            let entered = waiting.enter(&deployment, black_box(&entry), times, now);
            let mut reserved = entered.expect("an empty deployment has room");
            waiting.learn(&deployment.name, Event::Admitted(reserved.ticket()), now);
            let served = Event::Served(ServiceTier::Standard, timing);
            waiting.learn(&deployment.name, served, now);
            reserved.set_used(Some(0.0));
        });
    });
    group.bench_function("snapshot, and what an answer teaches", |bencher| {
        bencher.iter(|| {
            let now = Instant::now();
            let snapshot = waiting.state().snapshot(black_box(asker), now);
            let name = deployment.name.clone();
            let prefix = Tokens(400);
            let home = CacheAffinity { deployment: name, until: now, prefix, spilled: false };
            let turn = Turn { asker, task: Task::Chat, output: Tokens(100), home };
            waiting.state().remember(&turn, now);
            snapshot
        });
    });
    group.finish();
}

criterion_group!(benches, admission);
criterion_main!(benches);
