//! 401, 403, 404, 410: wrong configuration or rights, or a retired model. The next deployment
//! answers, this one is out, the log reports it prominently, and the caller sees names only with
//! `expose = "all"`.

use azure_emulator::Step;

use crate::support::{Layout, logs};

fn steps() -> [(Step, u16); 5] {
    [
        (Step::unauthorized(), 401),
        (Step::missing_role(), 401),
        (Step::forbidden(), 403),
        (Step::deployment_not_found(), 404),
        (Step::gone(), 410),
    ]
}

#[tokio::test]
async fn the_next_deployment_answers_and_this_one_is_out() {
    for (step, status) in steps() {
        for streamed in [false, true] {
            let bench = Layout::pair().start().await;
            bench.emulator.script("chat_ptu", step.clone().forever());
            for nth in 0..3 {
                let answer = bench.ask_in_form("chat", streamed).await;
                answer.assert_answered_by("chat_payg", streamed);
                if nth == 0 {
                    let cause = if status == 410 { "retired" } else { "misconfigured" };
                    assert_eq!(answer.header("x-router-fallback"), Some(cause));
                }
            }
            assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 3], "{status}");
        }
    }
}

#[tokio::test]
async fn when_all_are_it_is_a_502_and_with_minimal_exposure_the_names_are_in_the_log_only() {
    for (step, status) in steps() {
        let (ptu, payg) = (format!("lost_ptu_{status}"), format!("lost_payg_{status}"));
        let layout =
            Layout::empty().ptu(&ptu, "gpt-4o").payg(&payg, "gpt-4o").payg("o1_payg", "o1");
        let bench = layout.text("server.expose", "minimal").start().await;
        bench.emulator.script(&ptu, step.clone().forever());
        bench.emulator.script(&payg, step.clone().forever());
        // The first request finds out, the second is not sent at all.
        for _ in 0..2 {
            let answer = bench.ask_in_form("chat", false).await;
            assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_misconfigured"));
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{answer:?}");
            let told = format!("{answer:?}");
            assert!(!told.contains(&ptu) && !told.contains(&payg), "{told}");
        }
        assert_eq!(bench.counts([&ptu, &payg]), [1, 1]);
        for name in [&ptu, &payg] {
            let loud = logs::lines_with(name);
            let loud =
                loud.iter().find(|line| line.contains("\"ERROR\"") || line.contains("\"WARN\""));
            let line = loud.unwrap_or_else(|| panic!("no loud line about {name}"));
            assert!(line.contains(&status.to_string()), "{line}");
        }
        assert_eq!(bench.get("/readyz").await.status, 200, "o1 may still be used");
    }
}

#[tokio::test]
async fn azures_code_and_the_name_sent_are_in_the_502_and_in_the_verbose_readiness() {
    let sent = |layout: Layout, name: &str, azure: &str| {
        layout.text(&format!("deployments.{name}.azure_deployment"), azure)
    };
    let layout = sent(Layout::pair(), "chat_ptu", "gpt-4o-prod");
    let bench = sent(layout, "chat_payg", "gpt-4o-pay").start().await;
    for nth in 0..2 {
        let answer = bench.ask_in_form("chat", false).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_misconfigured"));
        for words in [
            "chat_ptu: 404 DeploymentNotFound for `gpt-4o-prod`",
            "chat_payg: 404 DeploymentNotFound for `gpt-4o-pay`",
        ] {
            assert!(answer.text.contains(words), "request {nth}: {answer:?}");
        }
        assert!(!answer.text.contains("o1_payg"), "it is not among those that may serve chat");
    }
    let refused = async |name: &str| {
        let verbose = bench.get("/readyz?verbose").await.json();
        let all = verbose["deployments"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["deployment"] == name).unwrap()["refused"].clone()
    };
    let of_ptu = refused("chat_ptu").await;
    assert_eq!(of_ptu["status"], 404, "{of_ptu}");
    assert_eq!(of_ptu["code"], "DeploymentNotFound");
    assert_eq!(of_ptu["sent"], "gpt-4o-prod");
    assert!(of_ptu["since_ms"].is_u64());
    assert!(refused("o1_payg").await.is_null());
}

#[tokio::test]
async fn a_refusal_is_forgotten_when_the_deployment_answers() {
    let bench = Layout::pair().set("limits.misconfigured_cooldown_ms", 100).start().await;
    bench.emulator.script("chat_ptu", Step::deployment_not_found());
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_payg", false);
    let started = tokio::time::Instant::now();
    while bench.ask_in_form("chat", false).await.deployment() != Some("chat_ptu") {
        assert!(started.elapsed() < crate::support::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let verbose = bench.get("/readyz?verbose").await.json();
    let all = verbose["deployments"].as_array().unwrap();
    assert!(all.iter().all(|one| one["refused"].is_null()), "{verbose}");
}

#[tokio::test]
async fn it_is_tried_again_after_its_time_and_returns_when_it_answers() {
    let bench = Layout::pair().set("limits.misconfigured_cooldown_ms", 200).start().await;
    bench.emulator.script("chat_ptu", Step::deployment_not_found());
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_payg", false);
    let started = tokio::time::Instant::now();
    while bench.ask_in_form("chat", false).await.deployment() != Some("chat_ptu") {
        assert!(started.elapsed() < crate::support::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let asked = bench.asked("chat_ptu");
    assert!(asked[1].received - asked[0].received >= std::time::Duration::from_millis(200));
}
