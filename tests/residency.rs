//! No request leaves its residency: not by fallback, by a caller's header, or by its task, whatever
//! deployments answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_emulator::Step;
use proptest::prelude::*;
use router_core::deployment::Area;
use router_core::policy::Rights;
use router_core::router::ChatCall;
use router_core::task::Task;
use router_core::units::{DeploymentName, ModelName};
use router_core::upstream::Unreachable;
use serde_json::json;
use tokio::time::Instant;

use crate::support::memory::{Arrived, CONTENT, Canned, InMemory};
use crate::support::{Answer, Layout, question};

const AREAS: [&str; 8] = [
    "global",
    "zone:eu",
    "zone:us",
    "geo:kr",
    "geo:se",
    "region:koreacentral",
    "region:swedencentral",
    "region:eastus",
];

/// The behavior of the deployments, whichever gets the request.
#[derive(Debug, Clone, Copy)]
enum Act {
    Good,
    Throttled(u64),
    Status(u16),
    FieldRefused,
    Unreachable,
    StreamFault { content: bool },
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Good),
        4 => (1u64..3_000).prop_map(Act::Throttled),
        4 => prop::sample::select(&[401u16, 403, 404, 408, 410, 500, 503, 529][..]).prop_map(Act::Status),
        1 => prop::sample::select(&[400u16, 413, 422][..]).prop_map(Act::Status),
        1 => Just(Act::FieldRefused),
        2 => Just(Act::Unreachable),
        2 => any::<bool>().prop_map(|content| Act::StreamFault { content }),
    ]
}

/// A deployment: model, billing, area.
type Drawn = (bool, bool, &'static str);

#[derive(Debug, Clone)]
struct Asked {
    model: &'static str,
    header: Option<&'static str>,
    task: Option<&'static str>,
    streamed: bool,
    pause_ms: u64,
    key: Key,
}

/// The caller's rights: an area, every second deployment, chat alone.
#[derive(Debug, Clone, Copy)]
struct Key {
    area: Option<&'static str>,
    even: bool,
    chat: bool,
}

impl Key {
    fn rights(self) -> Rights {
        let even =
            || (0..9).step_by(2).map(|at| DeploymentName::try_from(&*format!("d{at}")).unwrap());
        let chat = || [ModelName::try_from("gpt-4o").unwrap()].into();
        Rights {
            role: self.chat.then_some(Task::Chat),
            models: self.chat.then(chat),
            deployments: self.even.then(|| even().collect()),
            residency: self.area.map(|area| Area::try_from(area).unwrap()),
            ..Rights::default()
        }
    }
}

fn keys() -> impl Strategy<Value = Key> {
    let area = prop_oneof![2 => Just(None), 1 => area().prop_map(Some)];
    (area, prop::bool::weighted(0.3), prop::bool::weighted(0.3))
        .prop_map(|(area, even, chat)| Key { area, even, chat })
}

fn area() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&AREAS[..])
}

const MODELS: [&str; 9] =
    ["auto", "auto:fast", "chat", "reasoning", "gpt-4o", "o1", "d0", "d1", "deployment:d2"];

const TASKS: [Option<&str>; 3] = [None, Some("reasoning"), Some("chat")];

fn asked() -> impl Strategy<Value = Asked> {
    let model = prop::sample::select(&MODELS[..]);
    let header = prop_oneof![2 => Just(None), 1 => area().prop_map(Some)];
    let task = prop::sample::select(&TASKS[..]);
    (model, header, task, any::<bool>(), 0u64..2_000, keys()).prop_map(
        |(model, header, task, streamed, pause_ms, key)| Asked {
            model,
            header,
            task,
            streamed,
            pause_ms,
            key,
        },
    )
}

fn layout(deployments: &[Drawn], residency: &str) -> Layout {
    let start = Layout::empty().text("routing.residency", residency);
    // One deployment of each model, so that both roles are served.
    let roles = [(true, false, deployments[0].2), (false, true, deployments[1].2)];
    let all = roles.iter().chain(deployments).enumerate();
    all.fold(start, |layout, (at, (chat, provisioned, area))| {
        let (name, model) = (format!("d{at}"), if *chat { "gpt-4o" } else { "o1" });
        let layout =
            if *provisioned { layout.ptu(&name, model) } else { layout.payg(&name, model) };
        layout.text(&format!("deployments.{name}.area"), area)
    })
}

fn inside(area: Area, name: &str) -> bool {
    area.lies_inside(Area::try_from(name).unwrap())
}

/// Waits that deployments requested, by name, recorded independently of the router.
type Waits = Arc<Mutex<HashMap<String, Instant>>>;

fn act(
    act: Act,
    attempt: &router_core::upstream::Attempt,
    waits: &Waits,
) -> Result<Canned, Unreachable> {
    Ok(match act {
        Act::Good => Canned::good(attempt),
        Act::Throttled(wait) => {
            let until = Instant::now() + Duration::from_millis(wait);
            waits.lock().unwrap().insert(attempt.deployment.name.to_string(), until);
            Canned::of(429, "{}").header("retry-after-ms", &wait.to_string())
        }
        Act::Status(status) => Canned::of(status, "{}"),
        Act::FieldRefused => {
            Canned::of(400, r#"{"error":{"code":"unsupported_parameter","param":"user"}}"#)
        }
        Act::Unreachable => return Err(Unreachable::Connect),
        Act::StreamFault { content } => {
            let pieces = if content { vec![CONTENT] } else { Vec::new() };
            Canned { breaks: true, ..Canned::stream(&pieces) }
        }
    })
}

/// One request, and the attempts that it caused.
async fn one(router: &InMemory, asked: &Asked) -> (Vec<Arrived>, Option<&'static str>) {
    let before = router.arrived().len();
    let body = question(asked.model, json!({"stream": asked.streamed, "user": "u"}));
    let mut call = ChatCall::of_body(body.to_string());
    call.rights = Arc::new(asked.key.rights());
    let header = asked.header.map(|area| ("x-router-residency", area));
    for (name, value) in header.into_iter().chain(asked.task.map(|task| ("x-router-task", task))) {
        call.headers.insert(name, value.parse().unwrap());
    }
    let kind = router.read(call).await.err().map(|error| error.kind().as_str());
    (router.arrived().split_off(before), kind)
}

async fn run(
    deployments: Vec<Drawn>,
    residency: &'static str,
    acts: Vec<Act>,
    requests: Vec<Asked>,
) {
    let waits = Waits::default();
    let kept = Arc::clone(&waits);
    let script = move |attempt: &router_core::upstream::Attempt, number: usize| {
        let waits = kept.lock().unwrap();
        let until = waits.get(attempt.deployment.name.as_str()).copied();
        assert!(
            until.is_none_or(|until| Instant::now() >= until),
            "tried before its wait had passed"
        );
        drop(waits);
        act(acts[number % acts.len()], attempt, &kept)
    };
    let layout = layout(&deployments, residency);
    let router = InMemory::new(&layout, script);
    for asked in &requests {
        let (attempts, kind) = one(&router, asked).await;
        for Arrived { deployment, area, model, .. } in &attempts {
            assert!(inside(*area, residency), "{deployment} in {area} left {residency}: {asked:?}");
            let header = asked.header.unwrap_or("global");
            assert!(inside(*area, header), "{deployment} in {area} left {header}: {asked:?}");
            let key = asked.key;
            let bound = key.area.unwrap_or("global");
            assert!(inside(*area, bound), "{deployment} in {area} left its key: {asked:?}");
            let names = key.rights().deployments;
            let own = names.is_none_or(|names| names.contains(deployment.as_str()));
            assert!(own, "{deployment} is not the key's: {asked:?}");
            assert!(!key.chat || *model == "gpt-4o", "{model} is not the key's: {asked:?}");
            // Twice at most: the second time with a field left out.
            let times = attempts.iter().filter(|seen| seen.deployment == *deployment).count();
            assert!(times <= 2, "{deployment} was tried {times} times: {asked:?}");
        }
        let refused = ["residency_unsatisfiable", "residency_not_allowed", "not_allowed_for_key"];
        if kind.is_some_and(|kind| refused.contains(&kind)) {
            assert!(attempts.is_empty(), "{asked:?}");
        }
        tokio::time::sleep(Duration::from_millis(asked.pause_ms)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_attempt_ever_leaves_the_residency_or_its_key_or_comes_before_its_time(
        deployments in prop::collection::vec((any::<bool>(), any::<bool>(), area()), 2..7),
        residency in area(),
        acts in prop::collection::vec(acts(), 1..20),
        requests in prop::collection::vec(asked(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(deployments, residency, acts, requests));
    }
}

#[tokio::test]
async fn a_full_deployment_inside_is_not_left_for_a_free_one_outside() {
    for streamed in [false, true] {
        let bench =
            Layout::pair().text("deployments.chat_ptu.area", "region:swedencentral").start().await;
        bench.emulator.script("chat_ptu", Step::throttled_ms(5_000));
        for _ in 0..2 {
            let body = question("chat", json!({"stream": streamed}));
            let request = bench.request(&body).header("x-router-residency", "zone:eu");
            let answer = Answer::of(request).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (429, "capacity_in_residency_exhausted")
            );
            assert!((1..=5_000).contains(&answer.number("retry-after-ms")), "{answer:?}");
        }
        assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0]);
        // Without the header the free one serves.
        bench.ask_in_form("chat", streamed).await.assert_answered_by("chat_payg", streamed);
    }
}

#[tokio::test]
async fn faults_do_not_open_the_door_either() {
    for step in [Step::reset(), Step::server_error(), Step::gone(), Step::unauthorized()] {
        let bench = Layout::pair()
            .text("deployments.chat_ptu.area", "region:koreacentral")
            .text("routing.residency", "geo:kr")
            .start()
            .await;
        bench.emulator.script("chat_ptu", step);
        let answer = bench.ask("chat", json!({})).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(bench.counts(["chat_ptu", "chat_payg", "o1_payg"]), [1, 0, 0]);
    }
}

#[tokio::test]
async fn nothing_inside_is_an_error_of_its_own_and_nothing_is_sent() {
    let bench = Layout::pair().start().await;
    for model in ["chat", "auto", "gpt-4o", "chat_ptu", "deployment:chat_ptu"] {
        let request =
            bench.request(&question(model, json!({}))).header("x-router-residency", "zone:eu");
        let answer = Answer::of(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "residency_unsatisfiable"),
            "{answer:?}"
        );
    }
    assert!(bench.emulator.journal().is_empty());
    let line = "model_router_refusals_total{kind=\"residency_unsatisfiable\"}";
    assert!((bench.metric(line).await - 5.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_header_narrows_config_and_never_widens_it() {
    let bench = Layout::pair()
        .text("routing.residency", "geo:kr")
        .text("deployments.chat_ptu.area", "region:koreacentral")
        .start()
        .await;
    for (header, deployment) in
        [("global", Some("chat_ptu")), ("region:koreacentral", Some("chat_ptu")), ("zone:us", None)]
    {
        let request =
            bench.request(&question("chat", json!({}))).header("x-router-residency", header);
        let answer = Answer::of(request).await;
        assert_eq!(answer.deployment(), deployment, "{header}: {answer:?}");
    }
    assert_eq!(bench.counts(["chat_payg"]), [0]);
}

#[tokio::test]
async fn a_reasoning_role_outside_the_residency_is_downgraded_or_refused_by_config() {
    for (on_unavailable, status) in [("downgrade", 200), ("reject", 400)] {
        let bench = Layout::pair()
            .text("deployments.chat_ptu.area", "region:koreacentral")
            .text("roles.reasoning.on_unavailable", on_unavailable)
            .start()
            .await;
        let request =
            bench.request(&question("reasoning", json!({}))).header("x-router-residency", "geo:kr");
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 200 {
            assert_eq!(
                (answer.deployment(), answer.header("x-router-task")),
                (Some("chat_ptu"), Some("chat"))
            );
        } else {
            assert_eq!(answer.code(), "residency_unsatisfiable");
        }
        assert_eq!(bench.counts(["o1_payg"]), [0]);
        let downgraded = bench.metric("model_router_downgrades_total").await > 0.5;
        assert_eq!(downgraded, status == 200);
    }
}

#[tokio::test]
async fn when_all_of_korea_is_full_the_caller_hears_so() {
    // The shipped config, with its endpoint moved here.
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/korea_ptu.toml");
    let written = std::fs::read_to_string(path).unwrap();
    let bucket = || azure_emulator::bucket::BucketSettings::new(1_000.0, 10_000.0, 4.0);
    let emulator = azure_emulator::Emulator::start(
        azure_emulator::Settings::new()
            .deployment(azure_emulator::Deployment::provisioned("gpt-4o-kr", "gpt-4o", bucket()))
            .deployment(azure_emulator::Deployment::provisioned("gpt-5.2-kr", "gpt-5.2", bucket())),
    )
    .await
    .unwrap();
    let here = written
        .replace("https://contoso-koreacentral.openai.azure.com", emulator.url())
        .replace("api_key = { file = \"/run/secrets/seoul_key\" }", "anonymous = true");
    let listen = "server.listen = \"127.0.0.1:0\"\n";
    let config = crate::support::checked(&format!("{listen}{here}"));
    let server = router_server::start(&config).await.unwrap();
    let bench = crate::support::Bench::new(emulator, server);
    // It is held for room rather than refused.
    bench.emulator.script("gpt-4o-kr", Step::throttled_ms(300));
    let began = tokio::time::Instant::now();
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    assert!(began.elapsed() >= std::time::Duration::from_millis(300));
    // Unless config says for how long at most.
    let nobody_waits = "capacity.bound_wait_ms = 0\n";
    let config = crate::support::checked(&format!("{listen}{nobody_waits}{here}"));
    let server = router_server::start(&config).await.unwrap();
    let bench = crate::support::Bench::new(bench.emulator, server);
    for (model, name) in [("chat", "gpt-4o-kr"), ("reasoning", "gpt-5.2-kr")] {
        assert_eq!(bench.ask(model, json!({})).await.status, 200, "{name}");
        bench.emulator.script(name, Step::throttled_ms(4_000));
        let answer = bench.ask(model, json!({})).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (429, "capacity_in_residency_exhausted"),
            "{answer:?}"
        );
        assert!((1..=4_000).contains(&answer.number("retry-after-ms")), "{answer:?}");
        assert_eq!(answer.header("x-should-retry"), Some("true"));
    }
}
